//! Results kept by date and host: figures for programs, a table and a chart for people.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Run, svg, table};
use crate::harness::{Error, Result};

/// Writes `DATE-HOST.json`, `.md` and `.svg`. Cases of an earlier run of the same day stay, unless
/// this run measured them again: figures of two runs are never set side by side in one case.
pub fn keep(folder: &Path, run: Run) -> Result<PathBuf> {
    let name = format!("{}-{}", run.date, run.machine.host);
    let path = folder.join(format!("{name}.json"));
    let run = match std::fs::read(&path) {
        Ok(bytes) => merge(read(&path, &bytes)?, run),
        Err(_) => run,
    };
    let json =
        serde_json::to_string_pretty(&run).map_err(|error| Error::new("write results as JSON", error))?;
    std::fs::create_dir_all(folder)
        .map_err(|error| Error::new(format!("make {}", folder.display()), error))?;
    let chart = format!("{name}.svg");
    write(&path, &format!("{json}\n"))?;
    write(&folder.join(format!("{name}.md")), &table::markdown(&run, &chart))?;
    write(&folder.join(chart), &svg::draw(&run))?;
    Ok(path)
}

fn read(path: &Path, bytes: &[u8]) -> Result<Run> {
    serde_json::from_slice(bytes).map_err(|error| Error::new(format!("read {}", path.display()), error))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|error| Error::new(format!("write {}", path.display()), error))
}

fn merge(earlier: Run, mut run: Run) -> Run {
    let measured: Vec<String> = run.cases().into_iter().map(str::to_owned).collect();
    let again = |case: &String| measured.contains(case);
    let mut rows: Vec<_> = earlier.rows.into_iter().filter(|row| !again(&row.case)).collect();
    let mut samples: Vec<_> = earlier.samples.into_iter().filter(|sample| !again(&sample.case)).collect();
    let mut versions = earlier.versions;
    rows.append(&mut run.rows);
    samples.append(&mut run.samples);
    versions.append(&mut run.versions);
    Run { rows, samples, versions, ..run }
}

/// Today in UTC as `YYYY-MM-DD`.
pub fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    date(seconds / 86_400)
}

/// Days since 1970 as a date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn date(days: u64) -> String {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::run;

    #[test]
    fn days_become_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_778), "2026-11-21");
    }

    #[test]
    fn a_second_run_of_a_day_replaces_its_own_cases_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut other = run();
        other.rows.iter_mut().for_each(|row| row.case = "proxy-256".into());
        other.samples.iter_mut().for_each(|sample| sample.case = "proxy-256".into());
        keep(folder.path(), other).unwrap();
        keep(folder.path(), run()).unwrap();
        let path = keep(folder.path(), run()).unwrap();
        assert!(path.ends_with("2026-11-21-epyc-2core.json"));
        let kept = read(&path, &std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(kept.cases(), ["proxy-256", "proxy-64"]);
        assert_eq!((kept.rows.len(), kept.samples.len()), (4, 12));
        assert!(path.with_extension("md").is_file() && path.with_extension("svg").is_file());
    }
}

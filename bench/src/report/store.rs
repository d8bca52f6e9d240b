//! Results kept by date and host: figures for programs, a table and a chart for people.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::{Run, What, svg, table};
use crate::harness::{Error, Result};

/// Writes `DATE-HOST.json`, `.md` and `.svg`, for other runs than of `proxy` with their name behind. A
/// further run of the same day and host gets a number: no figures are replaced, and none of two runs
/// come together.
pub fn keep(folder: &Path, run: &Run) -> Result<PathBuf> {
    let json =
        serde_json::to_string_pretty(run).map_err(|error| Error::new("write results as JSON", error))?;
    std::fs::create_dir_all(folder)
        .map_err(|error| Error::new(format!("make {}", folder.display()), error))?;
    let (name, mut file) = first_free(folder, &name(run))?;
    let path = folder.join(format!("{name}.json"));
    writeln!(file, "{json}").map_err(|error| cannot_write(&path, error))?;
    let chart = format!("{name}.svg");
    write(&folder.join(format!("{name}.md")), &table::markdown(run, &chart))?;
    write(&folder.join(chart), &svg::draw(run))?;
    Ok(path)
}

/// Keeps what is no table of systems: `DATE-HOST-what.json` and `.md`.
pub fn keep_text(folder: &Path, name: &str, figures: &impl Serialize, text: &str) -> Result<PathBuf> {
    let json =
        serde_json::to_string_pretty(figures).map_err(|error| Error::new("write results as JSON", error))?;
    std::fs::create_dir_all(folder)
        .map_err(|error| Error::new(format!("make {}", folder.display()), error))?;
    let (name, mut file) = first_free(folder, name)?;
    let path = folder.join(format!("{name}.json"));
    writeln!(file, "{json}").map_err(|error| cannot_write(&path, error))?;
    write(&folder.join(format!("{name}.md")), text)?;
    Ok(path)
}

fn name(run: &Run) -> String {
    let what = match run.what {
        What::Proxy => "",
        What::Idle => "-idle",
        What::Policies => "-policies",
        What::Durable => "-durable",
        What::Api => "-api",
        What::Telemetry => "-telemetry",
    };
    format!("{}-{}{what}", run.date, run.machine.host)
}

/// A name under which nothing is kept yet, with its file of figures, new and empty.
fn first_free(folder: &Path, name: &str) -> Result<(String, File)> {
    let mut number = 1;
    loop {
        let name = if number == 1 { name.to_owned() } else { format!("{name}-{number}") };
        let path = folder.join(format!("{name}.json"));
        match File::create_new(&path) {
            Ok(file) => return Ok((name, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(cannot_write(&path, error)),
        }
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|error| cannot_write(path, error))
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    Error::new(format!("write {}", path.display()), error)
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
    fn a_second_run_of_a_day_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let name = |run: &Run| keep(folder.path(), run).unwrap().file_name().unwrap().to_owned();
        let first = run(What::Proxy);
        assert_eq!(name(&first), "2026-11-21-epyc-2core.json");
        let kept = std::fs::read(folder.path().join("2026-11-21-epyc-2core.json")).unwrap();
        let mut second = first;
        second.rows.clear();
        assert_eq!(name(&second), "2026-11-21-epyc-2core-2.json");
        assert_eq!(name(&second), "2026-11-21-epyc-2core-3.json");
        assert_eq!(std::fs::read(folder.path().join("2026-11-21-epyc-2core.json")).unwrap(), kept);
        for name in ["2026-11-21-epyc-2core-2.md", "2026-11-21-epyc-2core-2.svg"] {
            assert!(folder.path().join(name).is_file(), "{name}");
        }
        let page = std::fs::read_to_string(folder.path().join("2026-11-21-epyc-2core-2.md")).unwrap();
        assert!(page.contains("(2026-11-21-epyc-2core-2.svg)"), "{page}");
    }

    #[test]
    fn each_kind_of_run_has_its_own_name() {
        assert_eq!(name(&run(What::Idle)), "2026-11-21-epyc-2core-idle");
        assert_eq!(name(&run(What::Policies)), "2026-11-21-epyc-2core-policies");
    }
}

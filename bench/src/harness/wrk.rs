//! The load over HTTP/1.1: `wrk`, which keeps every connection busy, and its figures.
//!
//! Its own text is made for people (a standard deviation looks like a percentile there), so a
//! script that runs once at the end writes the figures for us.

use std::path::Path;
use std::process::Command;

use super::load::{Load, Volume};
use super::{Error, Result, load};

/// Sends requests for as long as `volume` says. `watch` is called several times a second meanwhile.
pub fn run(wrk: &Path, folder: &Path, url: &str, volume: &Volume, watch: impl FnMut()) -> Result<Load> {
    let script = folder.join("report.lua");
    std::fs::write(&script, SCRIPT).map_err(|error| Error::new("write the script for wrk", error))?;
    let mut command = Command::new(wrk);
    command
        .args(["-t", &volume.threads.min(volume.connections).to_string()])
        .args(["-c", &volume.connections.to_string(), "-d", &format!("{}s", volume.seconds), "-s"])
        .arg(script)
        .arg(url);
    let text = load::run("wrk", command, watch)?;
    parse(&text).ok_or_else(|| Error::say(format!("wrk gave no figures: {text}")))
}

fn parse(text: &str) -> Option<Load> {
    let line = text.lines().find_map(|line| line.strip_prefix(MARK))?;
    serde_json::from_str(line).ok()
}

const MARK: &str = "bench ";

const SCRIPT: &str = r#"
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'bench {"requests":%d,"duration_us":%d,"p50_us":%f,"p99_us":%f,"errors":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_line_is_read() {
        let load = parse(include_str!("fixtures/wrk.txt")).unwrap();
        let expected =
            Load { requests: 124_465, duration_us: 1_101_681.0, p50_us: 316.0, p99_us: 7262.0, errors: 0 };
        assert_eq!(load, expected);
        assert_eq!(load.ops_per_s().round(), 112_977.0);
    }

    #[test]
    fn bad_statuses_are_errors() {
        let load = parse(include_str!("fixtures/wrk-errors.txt")).unwrap();
        assert_eq!((load.requests, load.errors), (119_486, 119_486));
    }

    #[test]
    fn a_run_that_was_cut_short_has_no_figures() {
        assert!(parse("Running 8s test\nRequests/sec: 5\n").is_none());
        assert!(parse("bench {\"requests\":10\n").is_none());
    }
}

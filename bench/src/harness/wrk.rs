//! The load: `wrk`, which keeps every connection busy, and its figures.
//!
//! Its own text is made for people (a standard deviation looks like a percentile there), so a
//! script that runs once at the end writes the figures for us.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use super::{Error, Result, interrupt};

/// What one run of `wrk` counted.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub struct Load {
    pub requests: u64,
    pub duration_us: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// Statuses from 400 on, and connections that failed in any way.
    pub errors: u64,
}

impl Load {
    pub fn ops_per_s(&self) -> f64 {
        self.requests as f64 * 1e6 / self.duration_us
    }
}

/// Sends requests for `seconds`. `watch` is called several times a second meanwhile.
pub fn run(
    wrk: &Path,
    folder: &Path,
    port: u16,
    connections: u32,
    seconds: u32,
    mut watch: impl FnMut(),
) -> Result<Load> {
    let script = folder.join("report.lua");
    std::fs::write(&script, SCRIPT).map_err(|error| Error::new("write the script for wrk", error))?;
    let mut child = Command::new(wrk)
        .args(["-t", &THREADS.min(connections).to_string(), "-c", &connections.to_string()])
        .args(["-d", &format!("{seconds}s"), "-s"])
        .arg(script)
        .arg(format!("http://127.0.0.1:{port}/"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| Error::new("start wrk", error))?;
    let waited = loop {
        match child.try_wait() {
            Ok(Some(_)) => break Ok(()),
            Err(error) => break Err(Error::new("wait for wrk", error)),
            Ok(None) => {}
        }
        watch();
        if let Err(asked) = interrupt::check() {
            break Err(asked);
        }
        std::thread::sleep(LOOK);
    };
    if let Err(error) = waited {
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    let output = child.wait_with_output().map_err(|error| Error::new("read what wrk says", error))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    parse(&text).ok_or_else(|| Error::say(format!("wrk gave no figures: {text}")))
}

fn parse(text: &str) -> Option<Load> {
    let line = text.lines().find_map(|line| line.strip_prefix(MARK))?;
    serde_json::from_str(line).ok()
}

/// One for each core that it shares with what is measured.
const THREADS: u32 = 2;
const LOOK: Duration = Duration::from_millis(200);
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
        let text = "Running 8s test\n    Latency   1.07ms  88.52%\nbench {\"requests\":10,\"duration_us\":2000000,\
                    \"p50_us\":1.5,\"p99_us\":9.0,\"errors\":0}\nRequests/sec: 5\n";
        assert_eq!(parse(text).unwrap().ops_per_s(), 5.0);
        assert!(parse("Requests/sec: 5\n").is_none());
    }
}

//! The load over HTTP/2: `h2load`, which keeps a number of streams busy on every connection.
//!
//! What it prints has a mean and a standard deviation of the latency but no percentiles, so these
//! are taken from the file to which it writes a line a request. It appends to that file, and does not
//! say when connections are lost: both are looked after here.

use std::path::Path;
use std::process::Command;

use super::load::{Load, Volume};
use super::{Error, Result, load};
use crate::stats::percentile;

/// Sends requests for as long as `volume` says, `streams` at a time on each connection. `watch` is
/// called several times a second meanwhile.
pub fn run(
    h2load: &Path,
    folder: &Path,
    url: &str,
    volume: &Volume,
    streams: u32,
    watch: impl FnMut(),
) -> Result<Load> {
    let mut command = Command::new(h2load);
    command.args(["-m", &streams.to_string()]);
    timed(command, folder, url, volume, watch)
}

/// Sends `rate` requests a second over HTTP/1.1, the same on each connection.
pub fn steady(
    h2load: &Path,
    folder: &Path,
    url: &str,
    volume: &Volume,
    rate: u32,
    watch: impl FnMut(),
) -> Result<Load> {
    let mut command = Command::new(h2load);
    command.args(["--h1", &format!("--rps={}", rate / volume.connections)]);
    timed(command, folder, url, volume, watch)
}

fn timed(
    mut command: Command,
    folder: &Path,
    url: &str,
    volume: &Volume,
    watch: impl FnMut(),
) -> Result<Load> {
    let own = tempfile::tempdir_in(folder).map_err(|error| Error::new("make a folder for h2load", error))?;
    let log = own.path().join("requests.log");
    command
        .args(["-t", &volume.threads.min(volume.connections).to_string()])
        .args(["-c", &volume.connections.to_string()])
        .args(["-D", &volume.seconds.to_string()])
        .arg(format!("--log-file={}", log.display()))
        .arg(url);
    let text = load::run("h2load", command, watch)?;
    let rows = std::fs::read_to_string(&log).map_err(|error| Error::new("read h2load's log", error))?;
    figures(&text, &rows, volume.seconds)
}

/// Sends so many requests over HTTP/1.1, all of which must succeed.
pub fn send(h2load: &Path, url: &str, connections: u32, requests: u32) -> Result<()> {
    let mut command = Command::new(h2load);
    command.args(["--h1", "-t", "1"]);
    command.args(["-c", &connections.to_string(), "-n", &requests.to_string()]).arg(url);
    let text = load::run("h2load", command, || ())?;
    match counts(&text) {
        Some(Counts { done, failed: 0, .. }) if done == u64::from(requests) => Ok(()),
        _ => Err(Error::say(format!("not all of {requests} requests were answered: {text}"))),
    }
}

/// How many bytes one `GET` answers with, over HTTP/2 or HTTP/1.1; nothing unless it answers 2xx.
pub fn ask(h2load: &Path, url: &str, http2: bool) -> Result<Option<u64>> {
    let mut command = Command::new(h2load);
    command.args(["-n", "1", "-c", "1", "-N", "2"]).args((!http2).then_some("--h1")).arg(url);
    let text = load::run("h2load", command, || ())?;
    Ok(counts(&text).filter(|counts| counts.done == 1 && counts.failed == 0).map(|counts| counts.bytes))
}

fn figures(text: &str, log: &str, seconds: u32) -> Result<Load> {
    let unreadable = || Error::say(format!("h2load gave no figures: {text}"));
    let counts = counts(text).ok_or_else(unreadable)?;
    let mut times =
        times(log).ok_or_else(|| Error::say("h2load's log is not what it was in version 1.52"))?;
    let duration_us = f64::from(seconds) * 1e6;
    if (times.covered_us as f64) < duration_us * COVERED_MIN {
        let covered = times.covered_us as f64 / 1e6;
        return Err(Error::say(format!("answers came for {covered:.1} of {seconds} s, then no more")));
    }
    Ok(Load {
        requests: counts.done,
        duration_us,
        p50_us: percentile(&mut times.each_us, 50.0).ok_or_else(unreadable)? as f64,
        p99_us: percentile(&mut times.each_us, 99.0).ok_or_else(unreadable)? as f64,
        errors: counts.failed,
    })
}

/// From the text for people.
#[derive(Debug, PartialEq)]
struct Counts {
    done: u64,
    /// Statuses from 400 on are among them.
    failed: u64,
    /// Of bodies, without headers.
    bytes: u64,
}

fn counts(text: &str) -> Option<Counts> {
    let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
    let requests = line("requests: ")?;
    let before = |name: &str| {
        let part = requests.split(", ").find_map(|part| part.strip_suffix(name))?;
        part.trim().parse::<u64>().ok()
    };
    let data = line("traffic: ")?.strip_suffix(") data")?.rsplit_once('(')?.1;
    Some(Counts { done: before("done")?, failed: before("failed")?, bytes: data.parse().ok()? })
}

/// From the log.
#[derive(Debug, PartialEq)]
struct Times {
    /// From the start of the first request to the end of the last.
    covered_us: u64,
    each_us: Vec<u64>,
}

/// A line a request: start in microseconds since 1970, status, microseconds until its end.
fn times(log: &str) -> Option<Times> {
    let mut each_us = Vec::new();
    let (mut first, mut last) = (u64::MAX, 0);
    for line in log.lines() {
        let mut fields = line.split('\t');
        let (start, _status, took) = (fields.next()?, fields.next()?, fields.next()?);
        let (start, took): (u64, u64) = (start.parse().ok()?, took.parse().ok()?);
        first = first.min(start);
        last = last.max(start + took);
        each_us.push(took);
    }
    Some(Times { covered_us: last.saturating_sub(first), each_us })
}

/// Share of the duration in which answers must have come. A server that dies midway is no error to
/// `h2load`, which divides by the whole duration all the same.
const COVERED_MIN: f64 = 0.75;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("fixtures/h2load.txt");

    /// A log of answers that took 1 to `count` times 10 µs each, spread evenly over `covered_us`.
    fn log(count: u64, covered_us: u64) -> String {
        let line = |n: u64| {
            let took = n * 10;
            format!("{}\t200\t{took}\n", 1_795_246_133_275_654 + covered_us * n / count - took)
        };
        (1..=count).map(line).collect()
    }

    #[test]
    fn what_is_printed_is_read() {
        let expected = Counts { done: 107_251, failed: 0, bytes: 109_825_024 };
        assert_eq!(counts(TEXT), Some(expected));
        let failed = counts(include_str!("fixtures/h2load-errors.txt")).unwrap();
        assert_eq!((failed.done, failed.failed), (90_660, 90_660));
        let one = counts(include_str!("fixtures/h2load-one.txt")).unwrap();
        assert_eq!(one, Counts { done: 1, failed: 0, bytes: 1024 });
        assert_eq!(counts("h2load: unknown option"), None);
    }

    #[test]
    fn the_log_is_read() {
        let times = times(include_str!("fixtures/h2load.log")).unwrap();
        assert_eq!(times.each_us.len(), 40);
        assert_eq!((times.each_us[0], times.each_us[39], times.covered_us), (313, 121, 1161));
        assert!(super::times("1795246133275654 200 5934\n").is_none());
    }

    #[test]
    fn percentiles_come_from_the_log_and_counts_from_the_text() {
        let load = figures(TEXT, &log(100, 990_000), 1).unwrap();
        assert_eq!((load.requests, load.errors, load.ops_per_s()), (107_251, 0, 107_251.0));
        assert_eq!((load.p50_us, load.p99_us), (500.0, 990.0));
    }

    #[test]
    fn a_server_that_dies_midway_is_an_error() {
        let error = figures(TEXT, &log(100, 500_000), 1).unwrap_err();
        assert_eq!(error.to_string(), "answers came for 0.5 of 1 s, then no more");
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error() {
        assert!(figures(include_str!("fixtures/h2load-refused.txt"), "", 1).is_err());
    }
}

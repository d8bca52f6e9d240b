//! When a job runs, from the texts that say so onto what the engine's jobs take.

use std::time::Duration;

use engine::blocks::Time;
use engine::blocks::jobs::{When, point};

use crate::proto::dapr::runtime::v1::Job;

/// When it runs.
///
/// # Errors
///
/// Which of the texts cannot be read, and why.
pub(super) fn of(job: &Job, now: Time) -> Result<When, String> {
    let time = |what: &str, text: &Option<String>| {
        let text = text.as_deref().filter(|text| !text.is_empty());
        let read = text.map(|text| point(text, now)).transpose();
        read.map_err(|wrong| format!("failed to parse {what}: {wrong}"))
    };
    let mut when = match job.schedule.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => When::schedule(text).map_err(|wrong| format!("failed to parse schedule: {wrong}"))?,
        None => When::default(),
    };
    when.first = time("due time", &job.due_time)?;
    when.until = time("ttl", &job.ttl)?;
    when.runs_max = job.repeats.map_or(0, u64::from);
    Ok(when)
}

/// For how long a run waits for its application, if not for ever. A job that goes on and on at an interval has another by then, and
/// would otherwise fill the disk while the application is away.
pub(super) fn waits(job: &Job, when: &When) -> Option<Duration> {
    let ends = job.repeats.is_some_and(|most| most > 0) || job.ttl.is_some();
    let interval = when.interval().filter(|_| !ends)?;
    Some((interval * 2).max(WAIT_MIN))
}

/// Longer than a run takes to be tried again by default.
const WAIT_MIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn job(schedule: &str, due: &str, ttl: &str) -> Job {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Job { schedule: some(schedule), due_time: some(due), ttl: some(ttl), ..Job::default() }
    }

    #[test]
    fn texts_are_read_as_dapr_reads_them() {
        let now = Time::from_millis(1_000_000);
        let read = |schedule, due, ttl| of(&job(schedule, due, ttl), now);
        let later = |ms: u64| Some(Time::from_millis(1_000_000 + ms));
        assert_eq!(read("", "10s", "").expect("read").first, later(10_000));
        assert_eq!(read("", "PT1M", "").expect("read").first, later(60_000));
        assert_eq!(
            read("", "1970-01-01T00:20:00Z", "").expect("read").first,
            Some(Time::from_millis(1_200_000))
        );
        let both = read("@every 1m30s", "5s", "1h").expect("read");
        assert_eq!((both.first, both.until), (later(5_000), later(3_600_000)));
        assert_eq!(both.interval(), Some(Duration::from_secs(90)));
        for schedule in ["@daily", "*/5 * * * * *", "0 30 4 * * MON-FRI"] {
            assert!(read(schedule, "", "").is_ok_and(|when| when.schedule.is_some()), "{schedule}");
        }
        assert!(read("@sometimes", "", "").expect_err("odd").starts_with("failed to parse schedule: "));
        assert!(read("", "soon", "").expect_err("odd").starts_with("failed to parse due time: "));
        assert!(read("@daily", "", "ages").expect_err("odd").starts_with("failed to parse ttl: "));
    }

    #[test]
    fn what_comes_again_and_again_does_not_wait_for_ever() {
        let waits = |job: &Job| waits(job, &of(job, Time::from_millis(1)).expect("read"));
        assert_eq!(waits(&job("@every 1s", "", "")), Some(WAIT_MIN));
        assert_eq!(waits(&job("@every 1h", "", "")), Some(Duration::from_secs(7_200)));
        assert_eq!(waits(&job("@every 1h", "", "10h")), None, "its last run is followed by none");
        assert_eq!((waits(&job("@daily", "", "")), waits(&job("", "1s", ""))), (None, None));
    }
}

//! `bindings.cron`: an event whenever a schedule says so, while somebody takes them.
//!
//! Nothing is kept: what was due while nothing ran is not made up for (the engine's jobs do that), and an event that is not taken is
//! gone. An event does not wait for the one before; beyond [`RUNNING_MAX`] at a time, one is left out. Schedules are read and
//! counted as the engine's jobs are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use machine::Time;
use machine::job::{Schedule, ScheduleKind, schedule};

use super::{Event, Input, Taker};
use crate::Reply;
use crate::properties::{Invalid, Properties};

/// A schedule, and a clock.
#[derive(Clone)]
pub struct Cron {
    schedule: Schedule,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl Cron {
    /// As it is set.
    ///
    /// # Errors
    ///
    /// If there is no schedule, or none that is ever due.
    pub fn new(set: &Properties) -> Result<Cron, Invalid> {
        let text = set.needed("schedule")?;
        let odd = |why: &dyn std::fmt::Display| Invalid::of("schedule", format!("is {text:?}: {why}"));
        let schedule = schedule(text).map_err(|error| odd(&error))?;
        schedule.check().map_err(|refusal| odd(&refusal.message))?;
        Ok(Cron { schedule, clock: Arc::new(SystemTime::now) })
    }

    fn now(&self) -> Time {
        let since = (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Waits until a time is there. The clock may be set meanwhile, or the machine sleep: it is looked at again and again.
    async fn reach(&self, due: Time) {
        while self.now() < due {
            tokio::time::sleep(due.since(self.now()).min(LOOK)).await;
        }
    }

    fn event(&self) -> Event {
        let now = Timestamp::try_from((self.clock)()).unwrap_or(Timestamp::UNIX_EPOCH);
        let metadata = BTreeMap::from([
            ("readTimeUTC".to_owned(), now.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string()),
            ("timeZone".to_owned(), self.zone().to_owned()),
        ]);
        Event { data: Bytes::new(), metadata }
    }

    fn zone(&self) -> &str {
        match &self.schedule.kind {
            Some(ScheduleKind::Cron(cron)) if !cron.zone.is_empty() => &cron.zone,
            _ => "UTC",
        }
    }
}

impl Input for Cron {
    fn run<'a>(&'a self, taker: &'a dyn Taker) -> Reply<'a, ()> {
        Box::pin(async move {
            let begun = self.now();
            let first = match &self.schedule.kind {
                Some(ScheduleKind::Every(every)) => begun.after(every.every_ms),
                _ => begun,
            };
            let mut running = FuturesUnordered::new();
            let mut last = begun;
            while let Some(due) = self.schedule.next(first, last) {
                let reached = self.reach(due);
                tokio::pin!(reached);
                loop {
                    tokio::select! {
                        () = &mut reached => break,
                        Some(_) = running.next() => {}
                    }
                }
                if running.len() < RUNNING_MAX {
                    running.push(taker.take(self.event()));
                }
                last = self.now().max(due);
            }
            // There is no further one, but what was brought is still being taken.
            while running.next().await.is_some() {}
            std::future::pending().await
        })
    }
}

/// Most events that are being taken at a time.
const RUNNING_MAX: usize = 100;
/// How long until the clock is looked at again.
const LOOK: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;
    use crate::binding::Error;

    /// Notes when events came, and takes each for so long.
    struct Notes {
        begun: Instant,
        takes: Duration,
        seconds: Mutex<Vec<u64>>,
        last: Mutex<Event>,
    }

    impl Taker for Notes {
        fn take(&self, event: Event) -> Reply<'_, Result<(), Error>> {
            Box::pin(async move {
                self.seconds.lock().expect("no panic").push(self.begun.elapsed().as_secs());
                *self.last.lock().expect("no panic") = event;
                tokio::time::sleep(self.takes).await;
                Ok(())
            })
        }
    }

    /// Runs a schedule from the first second of 2026 on.
    async fn run(text: &str, takes: Duration, seconds: u64) -> Notes {
        let cron = Cron::new(&Properties::from_iter([("schedule", text)])).expect("it is right");
        let begun = Instant::now();
        let year = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let cron = Cron { clock: Arc::new(move || year + begun.elapsed()), ..cron };
        let notes = Notes { begun, takes, seconds: Mutex::default(), last: Mutex::default() };
        let _ = tokio::time::timeout(Duration::from_secs(seconds), cron.run(&notes)).await;
        notes
    }

    async fn times(text: &str, seconds: u64) -> Vec<u64> {
        run(text, Duration::ZERO, seconds).await.seconds.into_inner().expect("no panic")
    }

    #[tokio::test(start_paused = true)]
    async fn events_come_when_they_are_due() {
        assert_eq!(times("@every 15s", 50).await, [15, 30, 45]);
        assert_eq!(times("*/20 * * * * *", 70).await, [20, 40, 60]);
        assert_eq!(times("15 * * * * *", 140).await, [15, 75, 135]);
        assert_eq!(times("@hourly", 2 * 3_600 + 1).await, [3_600, 7_200]);
        assert_eq!(times("CRON_TZ=Asia/Kolkata 0 6 * * *", 24 * 3_600).await, [1_800]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_does_not_wait_for_the_one_before_until_there_are_too_many() {
        let long = run("@every 1s", Duration::from_secs(4), 10).await;
        assert_eq!(long.seconds.lock().expect("no panic")[..9], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let stuck = run("@every 1s", Duration::MAX, 1_000).await;
        assert_eq!(stuck.seconds.lock().expect("no panic").len(), RUNNING_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_says_when_it_was() {
        let notes = run("CRON_TZ=Europe/Berlin 30 * * * * *", Duration::ZERO, 31).await;
        let event = notes.last.lock().expect("no panic").clone();
        assert_eq!(event.metadata["timeZone"], "Europe/Berlin");
        assert_eq!(event.metadata["readTimeUTC"], "2026-01-01 00:00:30 +0000 UTC");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for odd in ["", "soon", "* * *", "0 0 30 2 *", "@every 1ms", "CRON_TZ=Nowhere 1 * * * *"] {
            assert!(Cron::new(&Properties::from_iter([("schedule", odd)])).is_err(), "{odd}");
        }
    }
}

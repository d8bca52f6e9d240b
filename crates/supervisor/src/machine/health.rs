//! What the answers to probes mean for one instance: ready, no longer ready, late, dead. Pure.
//!
//! A starting instance is asked early and often, so that a quick one is ready quickly: first after
//! [`FIRST_WAIT`], then at intervals that grow by a third up to the probe's own. Once it is ready, a single
//! failure means nothing; `failures` of them in a row do. Liveness is asked only after the first readiness:
//! before that, `within` of the readiness probe is what ends an instance that hangs.

use crate::config::{Check, Probe, Service};
use policy::Time;
use std::time::Duration;

/// Which of the two probes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Which {
    Ready,
    Live,
}

/// What an answer has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Ready,
    Unready(String),
    Dead(String),
}

/// Call [`Health::due`] when [`Health::next`] has come and ask what it returns; give each answer to
/// [`Health::answered`].
#[derive(Debug)]
pub(crate) struct Health {
    ready: Asking,
    live: Option<Asking>,
    started: Time,
    is_ready: bool,
    first_ready: Option<Time>,
    late_reported: bool,
    last_error: String,
}

#[derive(Debug)]
struct Asking {
    probe: Probe,
    /// `None` while a question is under way, or when no more is to be asked.
    next: Option<Time>,
    wait: Duration,
    failures: u32,
    succeeded: bool,
}

impl Health {
    /// Of an instance that was started now.
    pub fn new(now: Time, service: &Service) -> Self {
        let mut ready = Asking::new(service.ready.clone());
        ready.next = Some(if ready.probe.check == Check::None { now } else { now + FIRST_WAIT });
        Self {
            ready,
            live: service.live.clone().map(Asking::new),
            started: now,
            is_ready: false,
            first_ready: None,
            late_reported: false,
            last_error: "no answer yet".to_owned(),
        }
    }

    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// When it was first ready.
    pub fn first_ready(&self) -> Option<Time> {
        self.first_ready
    }

    /// Why the last question was not answered well.
    pub fn last_error(&self) -> &str {
        &self.last_error
    }

    /// When there is something to do.
    pub fn next(&self) -> Option<Time> {
        let live = self.live.as_ref().and_then(|live| live.next);
        [self.ready.next, live, self.deadline()].into_iter().flatten().min()
    }

    /// The questions to ask now; each is then under way until it is answered.
    pub fn due(&mut self, now: Time) -> Vec<(Which, Probe)> {
        let mut due = Vec::new();
        if self.ready.take_due(now) {
            due.push((Which::Ready, self.ready.probe.clone()));
        }
        if let Some(live) = self.live.as_mut().filter(|live| live.next.is_some())
            && live.take_due(now)
        {
            due.push((Which::Live, live.probe.clone()));
        }
        due
    }

    /// Whether it should have been ready by now. True once.
    pub fn is_late(&mut self, now: Time) -> bool {
        let late = self.deadline().is_some_and(|deadline| deadline <= now);
        self.late_reported |= late;
        late
    }

    /// Takes an answer.
    pub fn answered(&mut self, now: Time, which: Which, answer: Result<(), String>) -> Option<Verdict> {
        match which {
            Which::Ready => self.ready_answered(now, answer),
            Which::Live => self.live_answered(now, answer),
        }
    }

    fn ready_answered(&mut self, now: Time, answer: Result<(), String>) -> Option<Verdict> {
        match answer {
            Ok(()) => {
                self.ready.succeed(now);
                (!std::mem::replace(&mut self.is_ready, true)).then(|| {
                    self.first_ready.get_or_insert(now);
                    self.begin_live(now);
                    Verdict::Ready
                })
            }
            Err(why) => {
                self.last_error.clone_from(&why);
                let enough = self.ready.fail(now, !self.is_ready);
                (enough && self.is_ready).then(|| {
                    self.is_ready = false;
                    self.ready.ask_often(now);
                    Verdict::Unready(why)
                })
            }
        }
    }

    fn live_answered(&mut self, now: Time, answer: Result<(), String>) -> Option<Verdict> {
        let started = self.started;
        let live = self.live.as_mut()?;
        let Err(why) = answer else {
            live.succeed(now);
            return None;
        };
        let enough = live.fail(now, false);
        let excused = !live.succeeded && now < started + live.probe.within;
        (enough && !excused).then_some(Verdict::Dead(why))
    }

    fn begin_live(&mut self, now: Time) {
        if let Some(live) = self.live.as_mut().filter(|live| !live.succeeded && live.next.is_none()) {
            live.next = Some(now + live.probe.every);
        }
    }

    fn deadline(&self) -> Option<Time> {
        (self.first_ready.is_none() && !self.late_reported).then(|| self.started + self.ready.probe.within)
    }
}

impl Asking {
    fn new(probe: Probe) -> Self {
        Self { probe, next: None, wait: FIRST_WAIT, failures: 0, succeeded: false }
    }

    fn take_due(&mut self, now: Time) -> bool {
        self.next.take_if(|next| *next <= now).is_some()
    }

    fn succeed(&mut self, now: Time) {
        self.failures = 0;
        self.succeeded = true;
        self.next = (self.probe.check != Check::None).then(|| now + self.probe.every);
    }

    /// Counts a failure; true when there are enough in a row.
    fn fail(&mut self, now: Time, starting: bool) -> bool {
        self.failures = self.failures.saturating_add(1);
        if starting {
            self.wait = (self.wait * 4 / 3).min(self.probe.every.max(FIRST_WAIT));
            self.next = Some(now + self.wait);
        } else {
            self.next = Some(now + self.probe.every);
        }
        self.failures >= self.probe.failures.max(1)
    }

    fn ask_often(&mut self, now: Time) {
        self.wait = AGAIN_WAIT.min(self.probe.every);
        self.next = Some(now + self.wait);
    }
}

/// From the start of a process to its first question.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// From the loss of readiness to the next question.
const AGAIN_WAIT: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::service;

    const MS: fn(u64) -> Time = Time::from_millis;

    fn probe(failures: u32) -> Probe {
        Probe {
            check: Check::Tcp,
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            failures,
            within: Duration::from_secs(10),
        }
    }

    fn health(live: Option<Probe>) -> Health {
        let mut service = service("a", 1);
        service.ready = probe(3);
        service.live = live;
        Health::new(Time::ZERO, &service)
    }

    fn no() -> Result<(), String> {
        Err("refused".to_owned())
    }

    #[test]
    fn asks_often_at_first_then_every_second() {
        let mut health = health(None);
        let (mut now, mut asked) = (Time::ZERO, 0);
        while now < MS(1000) {
            now = health.next().unwrap();
            assert_eq!(health.due(now).len(), 1);
            assert_eq!(health.answered(now, Which::Ready, no()), None);
            asked += 1;
        }
        assert!((10..20).contains(&asked), "asked {asked} times in the first second");
        assert_eq!(health.answered(now, Which::Ready, Ok(())), Some(Verdict::Ready));
        assert_eq!(health.next(), Some(now + Duration::from_secs(1)));
    }

    #[test]
    fn one_failure_is_none_and_three_in_a_row_are() {
        let mut health = health(None);
        health.answered(MS(10), Which::Ready, Ok(()));
        for answer in [no(), no(), Ok(()), no(), no()] {
            assert_eq!(health.answered(MS(20), Which::Ready, answer), None);
            assert!(health.is_ready());
        }
        assert_eq!(health.answered(MS(30), Which::Ready, no()), Some(Verdict::Unready("refused".into())));
        assert_eq!(health.answered(MS(40), Which::Ready, Ok(())), Some(Verdict::Ready));
        assert_eq!(health.first_ready(), Some(MS(10)));
    }

    #[test]
    fn late_once_and_never_after_readiness() {
        let mut late = health(None);
        assert!(!late.is_late(MS(9_999)));
        assert!(late.is_late(MS(10_000)));
        assert!(!late.is_late(MS(10_001)));
        let mut well = health(None);
        well.answered(MS(1), Which::Ready, Ok(()));
        assert!(!well.is_late(MS(20_000)));
    }

    #[test]
    fn liveness_is_asked_after_readiness_and_excused_at_first() {
        let mut health = health(Some(probe(2)));
        assert!(health.due(MS(5_000)).iter().all(|(which, _)| *which == Which::Ready));
        health.answered(MS(5_000), Which::Ready, Ok(()));
        assert!(health.due(MS(6_000)).iter().any(|(which, _)| *which == Which::Live));
        assert_eq!(health.answered(MS(6_000), Which::Live, no()), None);
        assert_eq!(health.answered(MS(7_000), Which::Live, no()), None);
        assert_eq!(health.answered(MS(10_000), Which::Live, no()), Some(Verdict::Dead("refused".into())));
    }
}

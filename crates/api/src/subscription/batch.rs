//! When those events go that are gathered.

use std::time::{Duration, Instant};

use super::Bulk;

/// Since when events wait to go together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gathering {
    since: Option<Instant>,
}

/// When those go that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// There are none.
    Never,
    /// Now, this many.
    Now(usize),
    /// In this time, unless there are enough before.
    In(Duration),
}

impl Gathering {
    /// When those go of which `waiting` are there. Those that go now are not asked for again.
    pub fn due(&mut self, now: Instant, waiting: usize, bulk: &Bulk) -> Due {
        if waiting == 0 {
            self.since = None;
            return Due::Never;
        }
        let since = *self.since.get_or_insert(now);
        let waited = now.saturating_duration_since(since);
        if waiting < bulk.messages_max && waited < bulk.wait_max {
            return Due::In(bulk.wait_max - waited);
        }
        let go = waiting.min(bulk.messages_max);
        // Those that are left have only begun to wait: they came with the last of these.
        self.since = (waiting > go).then_some(now);
        Due::Now(go)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bulk(messages_max: usize, ms: u64) -> Bulk {
        Bulk { messages_max, wait_max: Duration::from_millis(ms) }
    }

    #[test]
    fn those_go_that_are_enough_or_have_waited_long_enough() {
        let (mut gathering, begin, bulk) = (Gathering::default(), Instant::now(), bulk(3, 100));
        let at = |ms| begin + Duration::from_millis(ms);
        assert_eq!(gathering.due(at(0), 0, &bulk), Due::Never);
        assert_eq!(gathering.due(at(50), 1, &bulk), Due::In(Duration::from_millis(100)));
        assert_eq!(gathering.due(at(90), 2, &bulk), Due::In(Duration::from_millis(60)));
        assert_eq!(gathering.due(at(91), 7, &bulk), Due::Now(3));
        assert_eq!(gathering.due(at(91), 4, &bulk), Due::Now(3));
        assert_eq!(gathering.due(at(92), 1, &bulk), Due::In(Duration::from_millis(99)));
        assert_eq!(gathering.due(at(191), 1, &bulk), Due::Now(1));
        assert_eq!(gathering.due(at(300), 1, &bulk), Due::In(Duration::from_millis(100)));
        assert_eq!(gathering.due(at(301), 1, &self::bulk(5, 0)), Due::Now(1), "zero: no wait");
    }

    proptest! {
        #[test]
        fn nothing_waits_longer_than_it_may(arrivals in proptest::collection::vec(0..40_u64, 1..50)) {
            let (mut gathering, begin, bulk) = (Gathering::default(), Instant::now(), bulk(4, 100));
            let (mut waiting, mut ms) = (Vec::new(), 0);
            for wait in arrivals {
                for _ in 0..=wait {
                    ms += 1;
                    let now = begin + Duration::from_millis(ms);
                    while let Due::Now(count) = gathering.due(now, waiting.len(), &bulk) {
                        for since in waiting.drain(..count) {
                            prop_assert!(ms - since <= 101, "{since} waited until {ms}");
                        }
                    }
                }
                waiting.push(ms);
            }
        }
    }
}

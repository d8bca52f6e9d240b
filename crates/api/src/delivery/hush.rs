//! Lines about events that fail, so few that the others can still be read: one now and then, and how many there were
//! besides.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::api::Api;

/// When was something said last, and how much was not since then.
#[derive(Debug, Default)]
pub(super) struct Hush(Mutex<(Option<Instant>, u64)>);

impl Hush {
    /// Says a line, unless one was said a moment ago.
    pub(super) fn say(&self, api: &Api, line: &str) {
        let Some(more) = self.may_speak(Instant::now()) else { return };
        match more {
            0 => api.say(line),
            more => api.say(&format!("{line} ({more} more like it were not said)")),
        }
    }

    /// How much was not said since the last line, if one may be said now.
    fn may_speak(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0.is_some_and(|last| now.saturating_duration_since(last) < EVERY) {
            state.1 += 1;
            return None;
        }
        state.0 = Some(now);
        Some(std::mem::take(&mut state.1))
    }
}

/// How often at most.
const EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_speaks_for_all() {
        let (hush, begin) = (Hush::default(), Instant::now());
        assert_eq!(hush.may_speak(begin), Some(0));
        assert_eq!((0..10).filter_map(|ms| hush.may_speak(begin + Duration::from_millis(ms))).count(), 0);
        assert_eq!(hush.may_speak(begin + EVERY), Some(10));
    }
}

//! Retries as resources of Dapr describe them: a wait that is always the same, or one that grows by half each time, with
//! chance in it, after Google's HTTP client for Java. Unlike [`super::Retrier`] nothing is asked of the request: what a
//! failure is, and whether the request can be made again, is its driver's to say.

use std::time::Duration;

use crate::rng::Rng;
use crate::time::nanos;

/// How often, and after which waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepeatConfig {
    /// Tries after the first one. Default none: any number, of a pace that grows for 15 minutes. Zero: the first is the only one.
    pub max: Option<u32>,
    /// The waits.
    pub pace: Pace,
}

/// How long the waits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Always this. Default 5 s; zero: none.
    Constant(Duration),
    /// 500 ms, and half as much more each time up to this, give or take a half. Default 60 s; zero: none.
    Growing(Duration),
}

impl Default for RepeatConfig {
    fn default() -> RepeatConfig {
        RepeatConfig { max: None, pace: Pace::Constant(Duration::from_secs(5)) }
    }
}

/// The machine of one request: asked after every try that failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Repeat {
    made: u32,
}

impl Repeat {
    /// The wait before the next try, with so much time gone since the first; None if there shall be no other.
    pub fn next(&mut self, config: &RepeatConfig, gone: Duration, rng: &mut Rng) -> Option<Duration> {
        if config.max.is_some_and(|max| self.made >= max) {
            return None;
        }
        let wait = match config.pace {
            Pace::Constant(wait) => wait,
            Pace::Growing(most) => around(grown(self.made).min(nanos(most)), rng),
        };
        let is_endless = config.max.is_none() && matches!(config.pace, Pace::Growing(_));
        if is_endless && gone + wait > GONE_MAX {
            return None;
        }
        self.made += 1;
        Some(wait)
    }
}

/// Half as much more for each try that was made.
fn grown(made: u32) -> u64 {
    let mut wait = nanos(FIRST);
    for _ in 0..made.min(GROWING_MAX) {
        wait = wait.saturating_add(wait / 2);
    }
    wait
}

/// Anything from a half to one and a half of it.
fn around(wait: u64, rng: &mut Rng) -> Duration {
    Duration::from_nanos((wait / 2).saturating_add(rng.below(wait.saturating_add(1))))
}

const FIRST: Duration = Duration::from_millis(500);
/// For how long tries without number are made whose waits grow.
const GONE_MAX: Duration = Duration::from_secs(15 * 60);
/// After so many the wait is beyond all time.
const GROWING_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn a_constant_pace_ends_with_its_number() {
        let config = RepeatConfig { max: Some(2), pace: Pace::Constant(Duration::from_secs(1)) };
        let (mut repeat, mut rng) = (Repeat::default(), Rng::new(1));
        let waits: Vec<_> = (0..4).map(|_| repeat.next(&config, Duration::ZERO, &mut rng)).collect();
        assert_eq!(waits, [Some(Duration::from_secs(1)), Some(Duration::from_secs(1)), None, None]);
        let none = RepeatConfig { max: Some(0), ..config };
        assert_eq!(Repeat::default().next(&none, Duration::ZERO, &mut rng), None);
    }

    proptest! {
        #[test]
        fn a_growing_pace_stays_around_its_bound_and_comes_to_an_end(seed in any::<u64>(), most in 0_u64..120_000) {
            let config = RepeatConfig { max: None, pace: Pace::Growing(Duration::from_millis(most)) };
            let (mut repeat, mut rng, mut gone) = (Repeat::default(), Rng::new(seed), Duration::ZERO);
            for n in 0..2_000_u32 {
                let Some(wait) = repeat.next(&config, gone, &mut rng) else { break };
                let whole = Duration::from_millis(most).min(Duration::from_nanos(grown(n)));
                prop_assert!(wait >= whole / 2 && wait <= whole + whole / 2 + Duration::from_nanos(1));
                gone += wait;
            }
            prop_assert!(gone <= GONE_MAX);
        }
    }
}

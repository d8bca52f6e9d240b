//! Faults on purpose: which tries an instance seems to delay, refuse, lose or answer slowly, so that the
//! policies against such instances can be tried out before one behaves so by itself.
//!
//! A fault strikes a share of the tries within its scope, each by a throw of its own, until its time is
//! over: there is none without an end, for the one that is forgotten is the one that does harm. Its end
//! ends all that it does, also to the tries that it holds just then.
//!
//! Faults do not know of each other. Where several strike the same try it is late by all delays, one after
//! the other, then ends as the first of them says that ends it, or else answers as slowly as the slowest.

mod scope;
mod trickle;

use std::time::Duration;

use crate::rng::Rng;
use crate::time::{Time, nanos};

pub use scope::{Asked, Scope};
pub use trickle::Trickle;

/// Longest that a fault may last: who still wants it tomorrow adds it again, and so still knows of it.
pub const FAULT_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest delay. No call waits for longer.
pub const FAULT_DELAY_MAX: Duration = Duration::from_secs(60 * 60);
/// Shares are kept in parts of this, so that a percentage with four decimals is exact.
const WHOLE: u64 = 1_000_000;

/// What a fault does, to which tries.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultConfig {
    /// What it does.
    pub effect: Effect,
    /// To how many of the tries in its scope.
    pub share: Share,
    /// To which tries.
    pub scope: Scope,
}

/// What an instance seems to do. At least one of the two is something: see [`Effect::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    delay: Option<(Duration, Duration)>,
    then: Then,
}

/// What comes after the delay, if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// The request goes its way.
    #[default]
    Pass,
    /// This status is answered, 400 to 599. The instance does not get the request.
    Status(u16),
    /// This status of gRPC is answered, 1 to 16, likewise.
    Grpc(u16),
    /// The connection is lost before the answer's head, likewise.
    Reset,
    /// The request goes its way; the answer's body comes at so many bytes a second, not zero.
    SlowBody(u64),
}

impl Then {
    /// Whether the instance does not get the request, so that nothing comes after.
    pub fn ends_the_try(self) -> bool {
        matches!(self, Then::Status(_) | Then::Grpc(_) | Then::Reset)
    }
}

impl Effect {
    /// A delay from the least to the most of a range, and what comes then.
    ///
    /// # Errors
    /// A sentence, if that is nothing at all or out of bounds.
    pub fn new(delay: Option<(Duration, Duration)>, then: Then) -> Result<Effect, String> {
        match delay {
            Some((_, most)) if most.is_zero() => return Err("a delay of nothing is no fault".to_owned()),
            Some((least, most)) if least > most => {
                return Err("the delay's range ends before it begins".to_owned());
            }
            Some((_, most)) if most > FAULT_DELAY_MAX => {
                return Err("a delay is an hour at most".to_owned());
            }
            None if then == Then::Pass => return Err("a fault has to do something".to_owned()),
            _ => {}
        }
        match then {
            Then::Status(status) if !(400..600).contains(&status) => {
                Err(format!("{status} is no error: a status to abort with is from 400 to 599"))
            }
            Then::Grpc(status) if !(1..=16).contains(&status) => {
                Err(format!("{status} is no failure of gRPC: those are 1 to 16"))
            }
            Then::SlowBody(0) => Err("at no bytes a second no body ever ends".to_owned()),
            then => Ok(Effect { delay, then }),
        }
    }

    /// The range of the delay.
    pub fn delay(&self) -> Option<(Duration, Duration)> {
        self.delay
    }

    /// What comes then.
    pub fn then(&self) -> Then {
        self.then
    }

    fn strike(&self, rng: &mut Rng) -> Strike {
        let delay = self.delay.map_or(Duration::ZERO, |(least, most)| {
            Duration::from_nanos(nanos(least) + rng.below(nanos(most) - nanos(least) + 1))
        });
        Strike { delay, then: self.then }
    }
}

/// A share of the whole, above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u64);

impl Share {
    /// Everything.
    pub const ALL: Share = Share(WHOLE);

    /// So many of a hundred, to four decimals.
    ///
    /// # Errors
    /// A sentence, if that is not above zero and at most 100.
    pub fn percent(percent: f64) -> Result<Share, String> {
        let parts = (percent * WHOLE as f64 / 100.0).round();
        match parts >= 1.0 && parts <= WHOLE as f64 {
            true => Ok(Share(parts as u64)),
            false => Err(format!("{percent} % is no share: more than 0 and at most 100 are")),
        }
    }

    /// In percent.
    pub fn as_percent(self) -> f64 {
        self.0 as f64 * 100.0 / WHOLE as f64
    }

    fn falls(self, rng: &mut Rng) -> bool {
        self == Share::ALL || rng.below(WHOLE) < self.0
    }
}

/// A fault with its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What it does, to which tries.
    pub config: FaultConfig,
    until: Time,
}

/// What a fault does to one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: it is over, or for other requests.
    Apart,
    /// Nothing, by chance.
    Spared,
    /// This.
    Struck(Strike),
}

/// What is done to one try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strike {
    /// How long the instance seems to think. May be zero.
    pub delay: Duration,
    /// What it seems to do then.
    pub then: Then,
}

impl Fault {
    /// A fault from `now` on.
    ///
    /// # Errors
    /// A sentence, if it would last no time or longer than [`FAULT_TIME_MAX`].
    pub fn new(config: FaultConfig, now: Time, lasts: Duration) -> Result<Fault, String> {
        match lasts {
            Duration::ZERO => Err("a fault that lasts no time does nothing".to_owned()),
            lasts if lasts > FAULT_TIME_MAX => Err("a fault lasts 24 hours at most".to_owned()),
            lasts => Ok(Fault { config, until: now + lasts }),
        }
    }

    /// When it ends.
    pub fn until(&self) -> Time {
        self.until
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: Time) -> bool {
        now >= self.until
    }

    /// What it does to a try of this request.
    pub fn decide(&self, now: Time, rng: &mut Rng, asked: &impl Asked) -> Decision {
        if self.is_over(now) || !self.config.scope.holds(asked) {
            return Decision::Apart;
        }
        match self.config.share.falls(rng) {
            true => Decision::Struck(self.config.effect.strike(rng)),
            false => Decision::Spared,
        }
    }
}

#[cfg(test)]
mod tests;

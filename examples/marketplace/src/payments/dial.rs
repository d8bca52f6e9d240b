//! The dial: how badly the provider behaves.

use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// How badly the provider behaves. All zero: well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dial {
    /// Wait before every answer, milliseconds, at most [`LATENCY_MS_MAX`].
    pub latency_ms: u64,
    /// Share of requests that fail with 503 and charge nothing, 0 to 1.
    pub failure: f64,
    /// Share of requests that charge and then fail with 503, 0 to 1. Both shares together are at most 1.
    pub after_charge: f64,
}

impl Dial {
    /// Refuses nonsense.
    ///
    /// # Errors
    /// 422 in a sentence.
    pub fn check(self) -> Result<Self, Problem> {
        let share = 0.0..=1.0;
        let shares_good = share.contains(&self.failure)
            && share.contains(&self.after_charge)
            && self.failure + self.after_charge <= 1.0 + f64::EPSILON;
        if shares_good && self.latency_ms <= LATENCY_MS_MAX {
            return Ok(self);
        }
        let detail = format!(
            "`failure` and `after_charge` are shares from 0 to 1, together at most 1; `latency_ms` is at most {LATENCY_MS_MAX}."
        );
        Err(Problem::unprocessable("invalid-dial", "The dial can't be set so", detail))
    }
}

/// The longest wait a dial can ask for, milliseconds.
pub const LATENCY_MS_MAX: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_shares() {
        let dial = |failure, after_charge| Dial { latency_ms: 0, failure, after_charge }.check().is_ok();
        assert!(dial(0.5, 0.5) && dial(0.0, 1.0) && dial(0.7, 0.3));
        assert!(!dial(0.6, 0.5) && !dial(-0.1, 0.0) && !dial(0.0, f64::NAN));
        assert!(Dial { latency_ms: 60_001, ..Dial::default() }.check().is_err());
    }
}

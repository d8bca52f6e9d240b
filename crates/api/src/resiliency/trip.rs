//! The condition that opens a breaker: an expression in CEL over what it has counted.

use std::fmt;
use std::sync::Arc;

use cel::{Context, Program, Value};
use policy::Counts;

/// A condition that can be evaluated.
#[derive(Clone)]
pub struct Trip(Arc<Condition>);

struct Condition {
    text: String,
    program: Program,
}

impl Trip {
    /// A condition as written.
    ///
    /// # Errors
    ///
    /// A sentence, if it is none.
    pub fn new(text: &str) -> Result<Trip, String> {
        let program =
            Program::compile(text).map_err(|error| format!("it is no expression in CEL: {error}"))?;
        let trip = Trip(Arc::new(Condition { text: text.to_owned(), program }));
        // So that a name that there is not, or a number for an outcome, is told of now.
        let one =
            Counts { requests: 1, successes: 1, failures: 1, successes_in_a_row: 1, failures_in_a_row: 1 };
        trip.evaluate(&one).map(|_| trip)
    }

    /// Whether it holds.
    pub(super) fn holds(&self, counts: &Counts) -> bool {
        self.evaluate(counts).unwrap_or(false)
    }

    fn evaluate(&self, counts: &Counts) -> Result<bool, String> {
        let mut context = Context::default();
        for (name, count) in [
            ("requests", counts.requests),
            ("totalSuccesses", counts.successes),
            ("totalFailures", counts.failures),
            ("consecutiveSuccesses", counts.successes_in_a_row),
            ("consecutiveFailures", counts.failures_in_a_row),
        ] {
            context.add_variable_from_value(name, i64::from(count));
        }
        match self.0.program.execute(&context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err("it is neither true nor false".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl PartialEq for Trip {
    fn eq(&self, other: &Trip) -> bool {
        self.0.text == other.0.text
    }
}

impl fmt::Debug for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trip").field(&self.0.text).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_over_counts() {
        let counts = Counts { requests: 10, failures: 6, failures_in_a_row: 3, ..Counts::default() };
        for (text, holds) in [
            ("consecutiveFailures > 2", true),
            ("consecutiveFailures >= 4", false),
            ("requests >= 10 && totalFailures * 2 > requests", true),
            ("double(totalFailures) / double(requests) > 0.7", false),
        ] {
            assert_eq!(Trip::new(text).unwrap().holds(&counts), holds, "{text}");
        }
        for wrong in ["", "consecutiveFailures >", "failures > 2", "requests"] {
            assert!(Trip::new(wrong).is_err(), "{wrong}");
        }
    }
}

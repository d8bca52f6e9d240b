//! What is done with the systems, one file a case. A case gives one [`Sample`] a system and round;
//! what becomes of them is the same for all.

pub mod idle;
pub mod instructions;
pub mod policies;
pub mod proxy;
mod stage;
pub mod telemetry;

pub use stage::{HTTP2_CONNECTIONS, Stage, Work};

use crate::harness::Result;
use crate::report::Sample;

/// Measures everything `rounds` times, telling on standard error how far it is.
///
/// Every round goes through all `items`, in an order that turns, so that a slow phase of the machine
/// does not always meet the same one.
pub fn interleave<T: Copy>(
    rounds: u32,
    items: &[T],
    mut measure: impl FnMut(T) -> Result<Sample>,
) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for round in 0..rounds {
        for item in turned(items, round as usize) {
            let sample = Sample { round, ..measure(item)? };
            eprintln!("round {} of {rounds}: {}", round + 1, sample.line());
            samples.push(sample);
        }
    }
    Ok(samples)
}

fn turned<T: Copy>(items: &[T], by: usize) -> Vec<T> {
    let mut turned = items.to_vec();
    turned.rotate_left(by % items.len().max(1));
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_has_all_in_an_order_that_turns() {
        let mut order = Vec::new();
        let samples = interleave(3, &["a", "b"], |item| {
            order.push(item);
            Ok(Sample { system: item.to_owned(), ..Sample::default() })
        });
        assert_eq!(order, ["a", "b", "b", "a", "a", "b"]);
        let rounds: Vec<u32> = samples.unwrap().iter().map(|sample| sample.round).collect();
        assert_eq!(rounds, [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn an_error_ends_it() {
        let mut calls = 0;
        let ended = interleave(3, &[1, 2], |_| {
            calls += 1;
            Err(crate::harness::Error::say("no"))
        });
        assert!(ended.is_err());
        assert_eq!(calls, 1);
    }
}

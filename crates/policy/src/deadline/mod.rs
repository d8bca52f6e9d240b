//! How much time a caller has left, told from hop to hop so that it shrinks on the way and nobody works
//! for an answer that nobody waits for any more.
//!
//! There are two ways to say it. The instant at which the time is over (Finagle's `Deadline`) stays right
//! however long a hop takes, but only among clocks that agree: between two that differ by a second, 500 ms
//! are over before they begin, or for ever. What is left (gRPC's `grpc-timeout`, Envoy's
//! `x-envoy-expected-rq-timeout-ms`) needs no common clock, but every hop must take off what it used: a
//! program that copies the header from the request it got to the one it makes hands on more than there is.
//!
//! So [`header`] says what is left, and beside it the instant by the clock of the node that wrote it, with
//! that node's name. On the same node, where gateway and sidecars share one monotonic clock, a copied header
//! is exact. Any other reader takes what is left, and errs only by the time that a request was on its way.
//! Of the two the smaller counts, and what is written is rounded down: no hop ever lengthens a deadline.
//! [`grpc`] has the field of gRPC, whose libraries take off what they used.

pub mod grpc;
pub mod header;

use std::time::Duration;

use crate::time::Time;

/// By when a caller wants its answer, if it said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadline(Option<Time>);

impl Deadline {
    /// For a request that arrives `now`, whose caller has so much time left. None: it did not say.
    pub fn after(now: Time, left: Option<Duration>) -> Deadline {
        Deadline(left.map(|left| now + left))
    }

    /// When it is over.
    pub fn at(self) -> Option<Time> {
        self.0
    }

    /// Whether there is no time left for a try: less than [`LEFT_MIN`].
    #[inline]
    pub fn has_passed(self, now: Time) -> bool {
        self.0.is_some_and(|at| at.since(now) < LEFT_MIN)
    }

    /// The time left, or what is `allowed` where that is less. None: there is no bound.
    pub fn within(self, now: Time, allowed: Option<Duration>) -> Option<Duration> {
        let left = self.0.map(|at| at.since(now));
        left.into_iter().chain(allowed).min()
    }
}

/// The least time that is worth a try. A millisecond: the unit in which it is told.
pub const LEFT_MIN: Duration = Duration::from_millis(1);

/// The text of a field, without an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    bytes: [u8; TEXT_BYTES_MAX],
    /// It is written from its end.
    start: u8,
}

/// Ten digits, fifteen digits twice and what is between them.
const TEXT_BYTES_MAX: usize = 10 + 15 + 15 + ";node=".len() + ";at=".len();

impl Text {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }

    fn new() -> Text {
        Text { bytes: [0; TEXT_BYTES_MAX], start: TEXT_BYTES_MAX as u8 }
    }

    /// Puts something before what there is.
    fn before(mut self, text: &[u8]) -> Text {
        let end = usize::from(self.start);
        let start = end - text.len();
        self.bytes[start..end].copy_from_slice(text);
        self.start = start as u8;
        self
    }

    fn number_before(mut self, mut number: u64) -> Text {
        loop {
            self = self.before(&[b'0' + (number % 10) as u8]);
            number /= 10;
            if number == 0 {
                return self;
            }
        }
    }
}

/// Digits and nothing else.
fn number(digits: &[u8], digits_max: usize) -> Option<u64> {
    if digits.is_empty() || digits.len() > digits_max {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests;

//! `X-Request-Deadline: 1480;node=90155127231;at=81235960`: the milliseconds that are left, and at which
//! millisecond they are over on the clock of which node. A structured field (RFC 9651), an integer with
//! parameters. Who writes it by hand leaves them out, and who reads it may stop at the semicolon.

use std::time::Duration;

use super::{Text, number};
use crate::rng::Rng;
use crate::time::Time;

/// Whose clock it is. Drawn by chance: two that are the same by accident could only shorten a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node(u64);

impl Node {
    /// The node of this seed.
    pub fn of(seed: u64) -> Node {
        // 49 bits have fifteen digits, which is what an integer of a structured field may have.
        Node(Rng::new(!seed).next_u64() >> 15)
    }
}

/// Reads how much is left `now`, on the clock of `node`. None: it is malformed. Parameters that are not
/// understood are passed over.
pub fn parse(text: &[u8], now: Time, node: Node) -> Option<Duration> {
    let mut parts = text.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let left = Duration::from_millis(number(parts.next()?, LEFT_DIGITS_MAX)?);
    let (mut written_by, mut at) = (None, None);
    for part in parts {
        if let Some(digits) = part.strip_prefix(b"node=") {
            written_by = number(digits, PARAMETER_DIGITS_MAX);
        } else if let Some(digits) = part.strip_prefix(b"at=") {
            at = number(digits, PARAMETER_DIGITS_MAX);
        }
    }
    match at {
        Some(at) if written_by == Some(node.0) => Some(left.min(Time::from_millis(at).since(now))),
        _ => Some(left),
    }
}

/// Writes that so much is left `now`, on the clock of `node`. Rounded down; what is longer than can be
/// written is the longest that can.
pub fn write(left: Duration, now: Time, node: Node) -> Text {
    let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).min(LEFT_MAX);
    let at = (now + left).as_nanos() / 1_000_000;
    Text::new()
        .number_before(at)
        .before(b";at=")
        .number_before(node.0)
        .before(b";node=")
        .number_before(millis)
}

/// 115 days; nobody waits for longer.
const LEFT_DIGITS_MAX: usize = 10;
const LEFT_MAX: u64 = 9_999_999_999;
const PARAMETER_DIGITS_MAX: usize = 15;

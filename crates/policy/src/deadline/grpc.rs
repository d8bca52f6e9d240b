//! `grpc-timeout`, as "gRPC over HTTP2" has it: at most eight digits and a unit of `H M S m u n`.

use std::time::Duration;

use super::{Text, number};
use crate::time::nanos;

/// Reads it. None: it is malformed.
pub fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    let unit = UNITS.iter().find(|(letter, _)| letter == unit)?.1;
    let nanos = u128::from(number(digits, DIGITS_MAX)?) * u128::from(unit);
    Some(Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32))
}

/// Writes it in the finest unit that fits, rounded down.
pub fn write(left: Duration) -> Text {
    let finest = UNITS.iter().find(|(_, unit)| nanos(left) / unit <= NUMBER_MAX);
    let (letter, unit) = finest.copied().unwrap_or(HOUR);
    Text::new().before(&[letter]).number_before((nanos(left) / unit).min(NUMBER_MAX))
}

const DIGITS_MAX: usize = 8;
const NUMBER_MAX: u64 = 99_999_999;
const HOUR: (u8, u64) = (b'H', 3_600_000_000_000);
/// With their nanoseconds, from the finest.
const UNITS: [(u8, u64); 6] =
    [(b'n', 1), (b'u', 1_000), (b'm', 1_000_000), (b'S', 1_000_000_000), (b'M', 60_000_000_000), HOUR];

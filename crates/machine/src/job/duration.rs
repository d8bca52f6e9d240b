//! Durations and points in time as people write them: `1h30m` (as Go does), `PT1H30M` (ISO 8601),
//! `2026-01-31T12:00:00Z` (RFC 3339). What Dapr calls due time and time to live is one of these.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::temporal::{DateTimeParser, SpanParser};
use jiff::tz::TimeZone;

use super::text::{ParseError, Part};
use crate::time::Time;

/// Reads a duration as Go writes it: `1h30m`, `1.5s`, `250ms`.
///
/// # Errors
///
/// If it is none, with the column at which that shows.
pub fn duration(text: &str) -> Result<Duration, ParseError> {
    duration_at(Part { text, before: 0 })
}

/// Reads a point in time, or a duration from `now` on.
///
/// Years and months of a duration in ISO 8601 are those of the calendar, in UTC.
///
/// # Errors
///
/// If it is neither, with the column at which that shows.
pub fn point(text: &str, now: Time) -> Result<Time, ParseError> {
    let part = Part { text, before: 0 };
    if text.as_bytes().get(4) == Some(&b'-') {
        let parsed = RFC_3339.parse_timestamp(text).ok();
        return parsed.and_then(time).ok_or_else(|| {
            part.error(format!("{text:?} is no time since 1970, such as 2026-01-31T12:00:00Z"))
        });
    }
    if text.starts_with('P') {
        return calendar(text, now)
            .ok_or_else(|| part.error(format!("{text:?} is no duration, such as P1DT12H")));
    }
    Ok(now + duration_at(part)?)
}

pub(super) fn duration_at(whole: Part<'_>) -> Result<Duration, ParseError> {
    if whole.text.is_empty() {
        return Err(whole.error("the duration is empty; write one such as 1h30m"));
    }
    if whole.text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut nanos) = (whole, 0.0);
    while !rest.text.is_empty() {
        let digits = rest.text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.text.len());
        let number: f64 = rest.text[..digits].parse().map_err(|_| {
            rest.error(format!("{:?} begins with no number; write a duration such as 1h30m", rest.text))
        })?;
        let unit = rest.after(digits);
        let letters = unit.text.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.text.len());
        nanos += number * nanos_of(unit, &unit.text[..letters])?;
        rest = unit.after(letters);
    }
    // More than a thousand years is a slip of the pen, and would not fit further on.
    Duration::try_from_secs_f64(nanos / 1e9)
        .ok()
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| whole.error("the duration is longer than a thousand years"))
}

fn nanos_of(at: Part<'_>, unit: &str) -> Result<f64, ParseError> {
    Ok(match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3_600e9,
        other => return Err(at.error(format!("{other:?} is no unit of time: ns, us, ms, s, m and h are"))),
    })
}

fn calendar(text: &str, now: Time) -> Option<Time> {
    let span = ISO_8601.parse_span(text).ok().filter(|span| !span.is_negative())?;
    let now = Timestamp::from_millisecond(i64::try_from(now.as_millis()).ok()?).ok()?;
    time(now.to_zoned(TimeZone::UTC).checked_add(span).ok()?.timestamp())
}

fn time(timestamp: Timestamp) -> Option<Time> {
    u64::try_from(timestamp.as_millisecond()).ok().map(Time::from_millis)
}

static RFC_3339: DateTimeParser = DateTimeParser::new();
static ISO_8601: SpanParser = SpanParser::new();
const LONGEST: Duration = Duration::from_secs(1_000 * 366 * 86_400);

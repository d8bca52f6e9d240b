//! Schedules as people write them.
//!
//! ```text
//! @every 1h30m                      an interval, as Go writes durations
//! @yearly @annually @monthly @weekly @daily @midnight @hourly
//! 30 4 * * MON-FRI                  minute, hour, day of month, month, day of week
//! 0 30 4 * * MON-FRI                second before those
//! CRON_TZ=Europe/Berlin 30 4 * * *  by the clock there; without it, UTC
//! ```
//!
//! A field is a list of `*`, `?`, numbers, names (`JAN`, `SUN`) and ranges, each with a step: `*/15`, `9-17/2`,
//! `MON,WED`. `5/10` is `5-59/10`. Sunday is 0 or 7. (Vixie's cron, and what of it Dapr and robfig/cron take.)

use super::cron::zone;
use super::duration::duration_at;
use super::{Cron, Every, Schedule, schedule::Kind};

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Which character, from one.
    pub column: usize,
    /// A sentence.
    pub message: String,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "column {}: {}", self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

/// Reads a schedule.
///
/// # Errors
///
/// If it is none, with the column at which that shows.
pub fn schedule(text: &str) -> Result<Schedule, ParseError> {
    let (zone, rest) = with_zone(text)?;
    let kind = match rest.text.strip_prefix('@') {
        Some(_) => shorthand(rest, zone)?,
        None => Kind::Cron(fields(rest, zone)?),
    };
    Ok(Schedule { kind: Some(kind), text: text.to_owned() })
}

/// A part of a text, which knows where it stands.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) text: &'a str,
    /// How many characters are before it.
    pub(super) before: usize,
}

impl<'a> Part<'a> {
    /// What is left after `bytes`.
    pub(super) fn after(self, bytes: usize) -> Part<'a> {
        let (skipped, text) = self.text.split_at(bytes);
        Part { text, before: self.before + skipped.chars().count() }
    }

    /// An error at its first character.
    pub(super) fn error(self, message: impl Into<String>) -> ParseError {
        ParseError { column: self.before + 1, message: message.into() }
    }

    fn trimmed(self) -> Part<'a> {
        let part = self.after(self.text.len() - self.text.trim_start().len());
        Part { text: part.text.trim_end(), ..part }
    }

    /// Its pieces between separators, the empty ones too.
    fn split(self, separator: char) -> impl Iterator<Item = Part<'a>> {
        let start = self.text.as_ptr() as usize;
        self.text.split(separator).map(move |piece| {
            let at = piece.as_ptr() as usize - start;
            Part { text: piece, before: self.after(at).before }
        })
    }

    fn words(self) -> impl Iterator<Item = Part<'a>> {
        self.split(' ').filter(|word| !word.text.is_empty())
    }
}

/// The time zone that stands before a schedule, and the schedule.
fn with_zone(text: &str) -> Result<(String, Part<'_>), ParseError> {
    let whole = Part { text, before: 0 }.trimmed();
    let Some(prefix) = ["CRON_TZ=", "TZ="].into_iter().find(|prefix| whole.text.starts_with(prefix)) else {
        return Ok((String::new(), whole));
    };
    let rest = whole.after(prefix.len());
    let (name, _) =
        rest.text.split_once(' ').ok_or_else(|| rest.error("a schedule must follow the time zone"))?;
    if zone(name).is_none() {
        return Err(rest.error(format!("there is no time zone {name:?} in the IANA database")));
    }
    Ok((name.to_owned(), rest.after(name.len()).trimmed()))
}

fn shorthand(part: Part<'_>, zone: String) -> Result<Kind, ParseError> {
    if let Some(interval) = part.text.strip_prefix("@every ") {
        let every = duration_at(part.after(part.text.len() - interval.len()).trimmed())?;
        let every_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        return Ok(Kind::Every(Every { every_ms }));
    }
    let long = match part.text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        other => {
            return Err(part.error(format!(
                "there is no {other:?}; write @every and a duration, @yearly, @monthly, @weekly, @daily, @hourly or \
                 the fields"
            )));
        }
    };
    fields(Part { text: long, before: 0 }, zone).map(Kind::Cron)
}

fn fields(part: Part<'_>, zone: String) -> Result<Cron, ParseError> {
    let mut words: Vec<Part<'_>> = part.words().collect();
    let zero = Part { text: "0", before: part.before };
    match words.len() {
        5 => words.insert(0, zero),
        6 => {}
        0 => return Err(part.error("the schedule is empty")),
        count => {
            let end = part.after(part.text.len());
            let at = words.get(6).copied().unwrap_or(end);
            return Err(at.error(format!(
                "{count} fields: there must be 5 (minute, hour, day of month, month, day of week) or 6, with the \
                 second first"
            )));
        }
    }
    let weekdays = field(words[5], &WEEKDAY)?;
    Ok(Cron {
        seconds: field(words[0], &SECOND)?,
        minutes: field(words[1], &MINUTE)?,
        hours: field(words[2], &HOUR)? as u32,
        days: field(words[3], &DAY)? as u32,
        months: field(words[4], &MONTH)? as u32,
        // Sunday is 0 and 7.
        weekdays: (weekdays | weekdays >> 7) as u32 & 0x7f,
        by_day: !is_any(words[3]),
        by_weekday: !is_any(words[5]),
        fixed: !words[1].text.starts_with('*') && !words[2].text.starts_with('*'),
        zone,
    })
}

fn is_any(word: Part<'_>) -> bool {
    matches!(word.text, "*" | "?")
}

/// What a field is of.
struct Unit {
    name: &'static str,
    min: u32,
    max: u32,
    /// Names of its numbers, from `min` on.
    names: &'static [&'static str],
}

const SECOND: Unit = Unit { name: "second", min: 0, max: 59, names: &[] };
const MINUTE: Unit = Unit { name: "minute", min: 0, max: 59, names: &[] };
const HOUR: Unit = Unit { name: "hour", min: 0, max: 23, names: &[] };
const DAY: Unit = Unit { name: "day of month", min: 1, max: 31, names: &[] };
const MONTH: Unit = Unit {
    name: "month",
    min: 1,
    max: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
const WEEKDAY: Unit =
    Unit { name: "day of week", min: 0, max: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };

impl Unit {
    /// Where a range ends that names no end: Sunday is not counted twice.
    fn last(&self) -> u32 {
        if self.max == WEEKDAY.max { WEEKDAY.max - 1 } else { self.max }
    }
}

/// The numbers that a field means, as bits.
fn field(word: Part<'_>, unit: &Unit) -> Result<u64, ParseError> {
    word.split(',').try_fold(0, |bits, item| Ok(bits | range(item, unit)?))
}

fn range(item: Part<'_>, unit: &Unit) -> Result<u64, ParseError> {
    let mut halves = item.split('/');
    let (span, step) = (halves.next().unwrap_or(item), halves.next());
    if let Some(third) = halves.next() {
        return Err(third.error("a range has one step"));
    }
    let mut ends = span.split('-');
    let (low, high) = (ends.next().unwrap_or(span), ends.next());
    if let Some(third) = ends.next() {
        return Err(third.error("a range has two ends"));
    }
    let (first, last) = match high {
        _ if is_any(span) => (unit.min, unit.last()),
        Some(high) => (number(low, unit)?, number(high, unit)?),
        // `5/10` begins at 5 and goes on to the end.
        None if step.is_some() => (number(low, unit)?, unit.last()),
        None => (number(low, unit)?, number(low, unit)?),
    };
    if first > last {
        return Err(low.error(format!("the range begins at {first}, after its end at {last}")));
    }
    let step = step.map_or(Ok(1), step_of)?;
    Ok((first..=last).step_by(step).fold(0, |bits, number| bits | 1 << number))
}

fn step_of(part: Part<'_>) -> Result<usize, ParseError> {
    match part.text.parse() {
        Ok(step @ 1..=59) => Ok(step),
        _ => Err(part.error(format!("{:?} is no step: a number from 1 to 59 is", part.text))),
    }
}

fn number(part: Part<'_>, unit: &Unit) -> Result<u32, ParseError> {
    let named = unit.names.iter().position(|name| name.eq_ignore_ascii_case(part.text));
    let number = match named {
        Some(index) => Some(index as u32 + unit.min),
        None if part.text.bytes().all(|byte| byte.is_ascii_digit()) => part.text.parse().ok(),
        None => None,
    };
    number.filter(|number| (unit.min..=unit.max).contains(number)).ok_or_else(|| {
        let Unit { name, min, max, .. } = unit;
        part.error(format!("{:?} is no {name}: a number from {min} to {max} is", part.text))
    })
}

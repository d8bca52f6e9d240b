//! Schedules by the clock on a wall: which seconds, minutes, hours and days, in some time zone.
//!
//! A day matches if its month does, and its day of the month **or** its day of the week, where both are
//! restricted; where one is `*`, the other decides (as in Vixie's cron).
//!
//! Where the clock is put forward or back, what holds is as in Debian's and Vixie's cron:
//!
//! - A schedule for **fixed times** (neither its minutes nor its hours are written with `*`) runs once for
//!   each of its times. A time that does not exist, since the clock was put forward over it, is made
//!   up for at the first instant after the gap; several in one gap are one run. A time that exists
//!   twice counts at its first.
//! - A schedule **with a `*`** in its minutes or hours goes by what the clock shows: times that do not exist
//!   are left out, and times that exist twice run twice. So a job of every quarter of an hour runs
//!   every quarter of an hour.

use jiff::civil::{Date, DateTime, Time as Civil};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

use crate::refusal::{Code, Refusal};
use crate::time::Time;

/// When the clock on a wall shows one of some times. Made from text by [`super::schedule`].
///
/// Stored as it was understood, so that a later version that reads the text otherwise changes no job.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Cron {
    /// Bit `n`: at second `n`.
    #[prost(fixed64, tag = "1")]
    pub seconds: u64,
    /// Bit `n`: at minute `n`.
    #[prost(fixed64, tag = "2")]
    pub minutes: u64,
    /// Bit `n`: at hour `n`.
    #[prost(fixed32, tag = "3")]
    pub hours: u32,
    /// Bit `n`: on day `n` of the month, from one.
    #[prost(fixed32, tag = "4")]
    pub days: u32,
    /// Bit `n`: in month `n`, from one.
    #[prost(uint32, tag = "5")]
    pub months: u32,
    /// Bit `n`: on day `n` of the week, from Sunday, zero.
    #[prost(uint32, tag = "6")]
    pub weekdays: u32,
    /// Whether days of the month are restricted.
    #[prost(bool, tag = "7")]
    pub by_day: bool,
    /// Whether days of the week are.
    #[prost(bool, tag = "8")]
    pub by_weekday: bool,
    /// Whether neither minutes nor hours are written with `*`.
    #[prost(bool, tag = "9")]
    pub fixed: bool,
    /// The time zone's name in the IANA database; empty for UTC.
    #[prost(string, tag = "10")]
    pub zone: String,
}

impl Cron {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if zone(&self.zone).is_none() {
            let unknown = format!(
                "there is no time zone {:?}; name one of the IANA database, such as Europe/Berlin",
                self.zone
            );
            return Err(Refusal::new(Code::Invalid, unknown));
        }
        if self.next(SOMETIME).is_none() {
            return Err(Refusal::new(Code::Invalid, "there is no day on which this schedule would run"));
        }
        Ok(())
    }

    /// The first run after `after`. None if there is none within [`YEARS_MAX`].
    pub(super) fn next(&self, after: Time) -> Option<Time> {
        let zone = zone(&self.zone).unwrap_or_else(|| {
            panic!("a job has the time zone {:?}, which this version does not know", self.zone)
        });
        let seconds = i64::try_from(after.as_millis() / 1_000).ok()?;
        let after = Timestamp::from_second(seconds).ok()?;
        let found = if self.fixed { self.next_fixed(&zone, after) } else { self.next_shown(&zone, after) }?;
        u64::try_from(found.as_millisecond()).ok().map(Time::from_millis)
    }

    /// Each of the schedule's times once.
    fn next_fixed(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let shown = zone.to_datetime(after);
        let last = last_day(shown)?;
        let mut from = shown.checked_add(1.second()).ok()?;
        loop {
            let time = self.next_civil(from, last)?;
            let at = instant(zone, time)?;
            if at > after {
                return Some(at);
            }
            from = time.checked_add(1.second()).ok()?;
        }
    }

    /// Whenever the clock shows one of the schedule's times: between one change of the clock and the next.
    fn next_shown(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let last = last_day(zone.to_datetime(after))?;
        let mut from = after.checked_add(1.second()).ok()?;
        loop {
            let offset = zone.to_offset(from);
            let time = self.next_civil(offset.to_datetime(from), last)?;
            let at = offset.to_timestamp(time).ok()?;
            match zone.following(from).next().map(|change| change.timestamp()) {
                Some(change) if change <= at => from = change,
                _ => return Some(at),
            }
        }
    }

    /// The first of the schedule's times from `from` on, as if there were no time zones.
    fn next_civil(&self, from: DateTime, last: Date) -> Option<DateTime> {
        let (mut date, mut time) = (from.date(), from.time());
        while date <= last {
            let next = if !has(self.months.into(), date.month()) {
                date.last_of_month().tomorrow().ok()?
            } else {
                if self.is_on(date)
                    && let Some(time) = self.time_from(time)
                {
                    return Some(date.to_datetime(time));
                }
                date.tomorrow().ok()?
            };
            (date, time) = (next, Civil::midnight());
        }
        None
    }

    fn is_on(&self, date: Date) -> bool {
        let day = has(self.days.into(), date.day());
        let weekday = has(self.weekdays.into(), date.weekday().to_sunday_zero_offset());
        match (self.by_day, self.by_weekday) {
            (true, true) => day || weekday,
            (true, false) => day,
            (false, true) => weekday,
            (false, false) => true,
        }
    }

    /// The first of a day's times from `from` on.
    fn time_from(&self, from: Civil) -> Option<Civil> {
        let (mut minute, mut second) = (from.minute(), from.second());
        for hour in from.hour()..24 {
            if has(self.hours.into(), hour) {
                for minute in minute..60 {
                    if has(self.minutes, minute)
                        && let Some(second) = (second..60).find(|second| has(self.seconds, *second))
                    {
                        return Civil::new(hour, minute, second, 0).ok();
                    }
                    second = 0;
                }
            }
            (minute, second) = (0, 0);
        }
        None
    }
}

/// When a clock shows `time` for the first time; if it never does, the end of the gap.
fn instant(zone: &TimeZone, time: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(time).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(time).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            // By the offset after the gap, a time in it lies before it.
            let before = after.to_timestamp(time).ok()?;
            zone.following(before).next().map(|change| change.timestamp())
        }
    }
}

/// A time zone by its name, with the rules that are built in.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "" | "UTC" => Some(TimeZone::UTC),
        name => TimeZoneDatabase::bundled().get(name).ok(),
    }
}

fn last_day(from: DateTime) -> Option<Date> {
    from.date().checked_add(YEARS_MAX.years()).ok()
}

fn has(bits: u64, number: i8) -> bool {
    bits >> number & 1 == 1
}

/// How far ahead a run is looked for: over the longest that two 29ths of February lie apart, which is eight
/// years around a century that has none.
const YEARS_MAX: i8 = 9;
/// From when on a schedule is tried that is to be put.
const SOMETIME: Time = Time::from_millis(1_767_225_600_000);

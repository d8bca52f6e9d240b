//! What the clock on a wall does: days, months, leap years, and hours that are not or are twice.

use jiff::tz::TimeZoneDatabase;
use jiff::{Timestamp, Zoned};
use machine::Time;
use machine::job::schedule;
use proptest::prelude::*;

/// The first runs of a schedule after a time, as UTC.
fn runs(text: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = schedule(text).expect("a schedule");
    let after: Timestamp = after.parse().expect("a time");
    let mut at = Time::from_millis(after.as_millisecond() as u64);
    (0..count)
        .map(|_| {
            at = schedule.next(Time::ZERO, at).expect("a run");
            Timestamp::from_millisecond(at.as_millis() as i64).expect("a time").to_string()
        })
        .collect()
}

#[test]
fn the_next_time_is_after_the_last() {
    assert_eq!(
        runs("*/20 * * * * *", "2026-01-01T00:00:00Z", 4),
        ["2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z", "2026-01-01T00:01:00Z", "2026-01-01T00:01:20Z"]
    );
    assert_eq!(runs("0 * * * * *", "2026-01-01T00:00:59.999Z", 1), ["2026-01-01T00:01:00Z"]);
    assert_eq!(runs("59 59 23 31 12 *", "2026-01-01T00:00:00Z", 1), ["2026-12-31T23:59:59Z"]);
}

#[test]
fn a_day_of_the_month_or_of_the_week_where_both_are_said() {
    assert_eq!(
        runs("0 12 13 * FRI", "2026-02-01T00:00:00Z", 4),
        ["2026-02-06T12:00:00Z", "2026-02-13T12:00:00Z", "2026-02-20T12:00:00Z", "2026-02-27T12:00:00Z"]
    );
    assert_eq!(runs("0 12 13 * *", "2026-02-14T00:00:00Z", 1), ["2026-03-13T12:00:00Z"]);
    assert_eq!(runs("0 12 ? * SUN", "2026-02-14T00:00:00Z", 1), ["2026-02-15T12:00:00Z"]);
    assert_eq!(runs("0 12 * * 7", "2026-02-14T00:00:00Z", 1), ["2026-02-15T12:00:00Z"]);
}

#[test]
fn months_that_are_short_are_passed_over() {
    assert_eq!(
        runs("0 0 31 * *", "2026-01-31T00:00:00Z", 3),
        ["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z", "2026-07-31T00:00:00Z"]
    );
}

#[test]
fn the_29th_of_february_is_found_over_a_century_that_has_none() {
    assert_eq!(runs("0 0 29 2 *", "2096-03-01T00:00:00Z", 1), ["2104-02-29T00:00:00Z"]);
}

#[test]
fn the_words_mean_what_they_say() {
    let after = "2026-05-06T07:08:09Z";
    for (text, next) in [
        ("@yearly", "2027-01-01T00:00:00Z"),
        ("@annually", "2027-01-01T00:00:00Z"),
        ("@monthly", "2026-06-01T00:00:00Z"),
        ("@weekly", "2026-05-10T00:00:00Z"),
        ("@daily", "2026-05-07T00:00:00Z"),
        ("@midnight", "2026-05-07T00:00:00Z"),
        ("@hourly", "2026-05-06T08:00:00Z"),
    ] {
        assert_eq!(runs(text, after, 1), [next], "{text}");
    }
}

#[test]
fn a_time_zone_is_kept_over_the_year() {
    assert_eq!(
        runs("CRON_TZ=Europe/Berlin 0 9 1 1,7 *", "2026-01-02T00:00:00Z", 2),
        ["2026-07-01T07:00:00Z", "2027-01-01T08:00:00Z"]
    );
    assert_eq!(runs("TZ=Asia/Kathmandu @daily", "2026-01-01T00:00:00Z", 1), ["2026-01-01T18:15:00Z"]);
}

// In Berlin the clock goes from 2:00 to 3:00 on 2026-03-29 at 01:00 UTC, and from 3:00 back to 2:00 on
// 2026-10-25 at 01:00 UTC.

#[test]
fn a_fixed_time_that_does_not_exist_is_made_up_for_after_the_gap() {
    assert_eq!(
        runs("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-03-27T12:00:00Z", 3),
        ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    );
}

#[test]
fn several_fixed_times_in_one_gap_are_one_run() {
    assert_eq!(
        runs("CRON_TZ=Europe/Berlin 0,15,30 2,3 * * *", "2026-03-29T00:00:00Z", 4),
        ["2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:00:00Z"]
    );
}

#[test]
fn a_fixed_time_that_exists_twice_counts_at_its_first() {
    assert_eq!(
        runs("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    assert_eq!(
        runs("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-25T01:15:00Z", 1),
        ["2026-10-26T01:30:00Z"],
        "asked in the hour that is the second"
    );
}

#[test]
fn what_runs_by_the_clock_leaves_out_what_it_does_not_show() {
    assert_eq!(
        runs("CRON_TZ=Europe/Berlin */30 * * * *", "2026-03-29T00:15:00Z", 4),
        ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:00:00Z"]
    );
    assert_eq!(
        runs("CRON_TZ=Europe/Berlin * 2 * * *", "2026-03-28T02:00:00Z", 1),
        ["2026-03-30T00:00:00Z"],
        "the whole hour is not there"
    );
}

#[test]
fn what_runs_by_the_clock_runs_twice_at_what_it_shows_twice() {
    assert_eq!(
        runs("CRON_TZ=Europe/Berlin */30 * * * *", "2026-10-25T00:00:00Z", 5),
        [
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:00:00Z",
            "2026-10-25T02:30:00Z"
        ]
    );
}

#[test]
fn a_day_that_does_not_exist_is_made_up_for_by_the_next() {
    // Samoa went over the date line: after 2011-12-29 came 2011-12-31, at 10:00 UTC on the 30th.
    assert_eq!(
        runs("CRON_TZ=Pacific/Apia 0 12 30 12 *", "2011-12-01T00:00:00Z", 2),
        ["2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"]
    );
}

const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"];

fn zones() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&ZONES[..])
}

/// What a clock in `zone` shows.
fn shown(zone: &str, at: Time) -> Zoned {
    let zone = TimeZoneDatabase::bundled().get(zone).expect("a zone");
    Timestamp::from_millisecond(at.as_millis() as i64).expect("a time").to_zoned(zone)
}

/// A minute of the years 2024 to 2027, often near one in which clocks change.
fn moments() -> impl Strategy<Value = Time> {
    let near = prop::sample::select(vec![
        1_774_746_000_i64,
        1_792_890_000,
        1_772_953_200,
        1_793_512_800,
        1_775_314_800,
    ]);
    prop_oneof![
        1_704_067_200..1_830_297_600_i64,
        (near, -100_000..100_000_i64).prop_map(|(change, off)| change + off),
    ]
    .prop_map(|seconds| Time::from_millis((seconds / 60 * 60) as u64 * 1_000))
}

proptest! {
    /// By the clock: the minutes at which it shows one of the schedule's times, and no others.
    #[test]
    fn what_runs_by_the_clock_runs_whenever_it_shows_the_time(
        zone in zones(), from in moments(), minute in 0..60_i8, hour in prop::option::of(0..24_i8),
    ) {
        let text = match hour {
            Some(hour) => format!("CRON_TZ={zone} */7 {hour} * * *"),
            None => format!("CRON_TZ={zone} {minute} * * * *"),
        };
        let schedule = schedule(&text).expect("a schedule");
        let matches = |at: Time| {
            let shown = shown(zone, at);
            match hour {
                Some(hour) => shown.hour() == hour && shown.minute() % 7 == 0,
                None => shown.minute() == minute,
            }
        };
        let minutes = (1..=2_000).map(|minute| from.after(minute * 60_000));
        let expected: Vec<Time> = minutes.filter(|at| matches(*at)).collect();
        let mut at = from;
        for run in expected {
            at = schedule.next(Time::ZERO, at).expect("a run");
            prop_assert_eq!(at, run, "{} {}", text, shown(zone, run));
        }
    }

    /// Fixed times: once on each day, at the time, or where that is not there at the end of the gap.
    #[test]
    fn a_fixed_time_runs_once_on_each_day(
        zone in zones(), from in moments(), minute in 0..60_i8, hour in 0..24_i8,
    ) {
        let schedule = schedule(&format!("CRON_TZ={zone} {minute} {hour} * * *")).expect("a schedule");
        let mut at = schedule.next(Time::ZERO, from).expect("a run");
        prop_assert!(at > from);
        for _ in 0..5 {
            let run = shown(zone, at);
            let at_the_time = (run.hour(), run.minute(), run.second()) == (hour, minute, 0);
            let before = shown(zone, Time::from_millis(at.as_millis() - 1_000));
            let after_a_gap = run.offset() > before.offset() && run.datetime() > run.date().at(hour, minute, 0, 0);
            prop_assert!(at_the_time || after_a_gap, "{}", run);
            let next = schedule.next(Time::ZERO, at).expect("a run");
            prop_assert_eq!(shown(zone, next).date(), run.date().tomorrow().expect("a day"));
            at = next;
        }
    }
}

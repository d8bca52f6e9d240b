//! Texts: which are understood, and where the others are wrong.

use std::time::Duration;

use machine::Time;
use machine::job::{ScheduleKind, duration, point, schedule};
use proptest::prelude::*;

fn bits(numbers: impl IntoIterator<Item = u32>) -> u64 {
    numbers.into_iter().fold(0, |bits, number| bits | 1 << number)
}

#[test]
fn fields_are_lists_of_ranges_with_steps() {
    let parsed = schedule("0,30 */15 9-17/2 5/10 JAN,mar MON-FRI").expect("a schedule");
    let Some(ScheduleKind::Cron(cron)) = parsed.kind else { panic!("{parsed:?}") };
    assert_eq!(cron.seconds, bits([0, 30]));
    assert_eq!(cron.minutes, bits([0, 15, 30, 45]));
    assert_eq!(u64::from(cron.hours), bits([9, 11, 13, 15, 17]));
    assert_eq!(u64::from(cron.days), bits([5, 15, 25]));
    assert_eq!(u64::from(cron.months), bits([1, 3]));
    assert_eq!(u64::from(cron.weekdays), bits(1..=5));
    assert!(cron.by_day && cron.by_weekday && !cron.fixed);
}

#[test]
fn five_fields_are_at_second_zero() {
    let (five, six) = (schedule("5 4 * * *").expect("five"), schedule("0 5 4 * * *").expect("six"));
    assert_eq!(five.kind, six.kind);
    assert_eq!(five.text, "5 4 * * *");
}

#[test]
fn mistakes_are_shown_where_they_are() {
    for (text, column, says) in [
        ("", 1, "empty"),
        ("* * * *", 8, "4 fields"),
        ("* * * * * * *", 13, "7 fields"),
        ("60 * * * *", 1, "\"60\" is no minute"),
        ("0 0 24 * * *", 5, "\"24\" is no hour"),
        ("0 0 0 * *", 5, "\"0\" is no day of month"),
        ("0 0 1 FOO *", 7, "\"FOO\" is no month"),
        ("0 0 * * MON,8", 13, "\"8\" is no day of week"),
        ("1,,2 * * * *", 3, "\"\" is no minute"),
        ("30-10 * * * *", 1, "begins at 30"),
        ("1-2-3 * * * *", 5, "two ends"),
        ("*/0 * * * *", 3, "\"0\" is no step"),
        ("*/5/5 * * * *", 5, "one step"),
        ("-1 * * * *", 1, "\"\" is no minute"),
        ("@often", 1, "@often"),
        ("@every", 1, "@every"),
        ("@every 1x", 9, "\"x\" is no unit"),
        ("@every h", 8, "begins with no number"),
        ("CRON_TZ=Mars/Base * * * * *", 9, "Mars/Base"),
        ("CRON_TZ=Europe/Berlin", 9, "must follow"),
        ("CRON_TZ=Europe/Berlin 99 * * * *", 23, "\"99\" is no minute"),
    ] {
        let error = schedule(text).expect_err(text);
        assert_eq!(error.column, column, "{text:?}: {error}");
        assert!(error.message.contains(says), "{text:?}: {error}");
    }
}

#[test]
fn durations_are_as_go_writes_them() {
    for (text, millis) in [
        ("0", 0),
        ("1h30m", 5_400_000),
        ("1.5s", 1_500),
        ("250ms", 250),
        ("2h45m0.5s", 9_900_500),
        ("1000us", 1),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for (text, column) in [("", 1), ("5", 2), ("1h30", 5), ("-1s", 1), ("1d", 2), ("1..s", 1), ("9e9h", 2)] {
        assert_eq!(duration(text).expect_err(text).column, column, "{text}");
    }
    assert!(duration("99999999999h").is_err());
}

#[test]
fn a_point_in_time_is_a_time_or_a_duration_from_now() {
    let now = Time::from_millis(1_767_225_600_000);
    let day = 86_400_000;
    for (text, millis) in [
        ("2026-01-01T01:00:00Z", 3_600_000),
        ("2026-01-01T01:00:00.250+01:00", 250),
        ("10s", 10_000),
        ("PT90S", 90_000),
        ("P1DT12H", day + day / 2),
        ("P1M", 31 * day),
        ("P2W", 14 * day),
    ] {
        assert_eq!(point(text, now), Ok(now.after(millis)), "{text}");
    }
    for bad in
        ["2026-13-01T00:00:00Z", "2026-01-01T01:00:00", "1960-01-01T00:00:00Z", "P", "-PT1S", "soon", ""]
    {
        assert!(point(bad, now).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_understood_or_refused_within_it(
        text in prop_oneof![
            "\\PC{0,40}",
            "[-*/,0-9 @?TZ=A-Zµ]{0,30}",
            "(CRON_TZ=Europe/Berlin )?([0-9*/,-]{1,6} ){5}[0-9A-Z*]{1,4}",
            "(@every )?[0-9.]{0,4}(h|ms|µs|P|T|D|x)[0-9.]{0,4}[smh]?",
        ],
    ) {
        let columns = 1..=text.chars().count() + 1;
        if let Err(error) = schedule(&text) {
            prop_assert!(columns.contains(&error.column), "{}", error);
        }
        if let Err(error) = duration(&text) {
            prop_assert!(columns.contains(&error.column), "{}", error);
        }
        if let Err(error) = point(&text, Time::from_millis(1_767_225_600_000)) {
            prop_assert!(columns.contains(&error.column), "{}", error);
        }
    }
}

//! Times as logs have them: RFC 3339 with a zone, or a number since 1970 whose size says in what.

/// A day.
pub(super) const DAY_NS: u64 = 86_400_000_000_000;

/// Nanoseconds since 1970 of `2026-11-22T01:02:03.004Z`, with a space for the `T` or a comma for the point, too. Without a zone it is
/// some clock's time, and none.
pub(super) fn of_text(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let mark = |at: usize, marks: &[u8]| text.as_bytes().get(at).is_some_and(|mark| marks.contains(mark));
    let marked = mark(4, b"-") && mark(7, b"-") && mark(10, b"Tt ") && mark(13, b":") && mark(16, b":");
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let is_time =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !marked || !is_time || year < 1970 {
        return None;
    }
    let (fraction_ns, zone) = fraction(text.get(19..)?)?;
    let seconds = days(year, month, day)? * 86_400 + hour * 3_600 + minute * 60 + second;
    let at = i128::from(seconds) - i128::from(offset(zone)?);
    u64::try_from(at * 1_000_000_000 + i128::from(fraction_ns)).ok()
}

/// The same of a number of seconds, milliseconds, microseconds or nanoseconds.
pub(super) fn of_number(number: f64) -> Option<u64> {
    let factor = match number {
        1e8..1e11 => 1e9,
        1e11..1e14 => 1e6,
        1e14..1e17 => 1e3,
        1e17..1e20 => 1.0,
        _ => return None,
    };
    Some((number * factor) as u64)
}

/// The part of a second in nanoseconds, and what is behind it.
fn fraction(text: &str) -> Option<(u64, &str)> {
    let Some(digits) = text.strip_prefix(['.', ',']) else { return Some((0, text)) };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let shown = &digits[..end.min(9)];
    let ns = shown.parse::<u64>().ok()? * 10_u64.pow(9 - shown.len() as u32);
    Some((ns, &digits[end..]))
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    let zone = zone.trim();
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = digits.split_at_checked(2)?;
    let number = |text: &str| text.parse::<u32>().ok();
    Some(
        sign * i64::from(number(hours)? * 3_600 + if minutes.is_empty() { 0 } else { number(minutes)? * 60 }),
    )
}

/// Days since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that a leap day is a
/// year's last).
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (year * 365 + year / 4 - year / 100 + year / 400 + of_year).checked_sub(719_468)
}

//! Times as others read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// In milliseconds since the epoch.
pub(crate) fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// As RFC 3339 has it, in UTC and whole seconds.
pub(crate) fn rfc3339(millis: u64) -> String {
    let seconds = i64::try_from(millis / 1000).unwrap_or(i64::MAX).min(Timestamp::MAX.as_second());
    // Not by a pattern, which would be read each time.
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string()
}

/// The same to the millisecond.
pub(crate) fn rfc3339_millis(millis: u64) -> String {
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Milliseconds since the epoch, from a time as RFC 3339 has it.
///
/// # Errors
///
/// A sentence about what is none.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let time: Option<Timestamp> = text.parse().ok();
    let millis = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
    millis.ok_or_else(|| format!("{text:?} is no time such as \"2030-01-31T10:00:00Z\""))
}

/// A duration as Go writes it, in whole milliseconds.
pub(crate) fn go(time: Duration) -> String {
    let (minutes, seconds, millis) = (time.as_secs() / 60, time.as_secs() % 60, time.subsec_millis());
    let part =
        if millis == 0 { String::new() } else { format!(".{millis:03}").trim_end_matches('0').to_owned() };
    match (minutes, seconds) {
        (0, 0) if millis > 0 => format!("{millis}ms"),
        (0, _) => format!("{seconds}{part}s"),
        (1..60, _) => format!("{minutes}m{seconds}{part}s"),
        _ => format!("{}h{}m{seconds}{part}s", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_as_in_go() {
        let written = [500, 5_000, 1_500, 60_000, 3_600_000].map(|millis| go(Duration::from_millis(millis)));
        assert_eq!(written, ["500ms", "5s", "1.5s", "1m0s", "1h0m0s"]);
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(rfc3339(951_782_400_999), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-30T22:00:00Z");
        assert_eq!(rfc3339_millis(951_782_400_999), "2000-02-29T00:00:00.999Z");
    }

    #[test]
    fn times_are_read_in_any_zone() {
        assert_eq!(parse("2000-02-29T00:00:00.999Z"), Ok(951_782_400_999));
        assert_eq!(parse("2000-02-29T01:00:00+01:00"), Ok(951_782_400_000));
        assert!(parse("2000-02-29").is_err() && parse("1969-01-01T00:00:00Z").is_err() && parse("").is_err());
    }
}

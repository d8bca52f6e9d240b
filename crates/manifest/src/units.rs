//! The small languages inside scalars: durations, sizes, rates and percentages.
//!
//! Each parser refuses in a sentence and, where the meaning is plain, says how to write it.

use std::time::Duration;

use crate::valid::{LimitKey, RateLimit};

/// Why a text was refused: what is wrong with it, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub message: String,
    pub help: Option<String>,
}

impl Wrong {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// `` `5 sec` is not a duration``, `` write `5s` ``.
    fn write(text: &str, what: &str, instead: &str) -> Self {
        Self::new(format!("`{}` is not {what}", crate::yaml::clip(text))).help(format!("write `{instead}`"))
    }
}

/// `250ms`, `2s`, `1m30s`, `1h`, `7d`: whole numbers with units, the largest unit first.
pub(crate) fn duration(text: &str) -> Result<Duration, Wrong> {
    if let Some(duration) = strict_duration(text) {
        return match duration <= DURATION_MAX {
            true => Ok(duration),
            false => Err(Wrong::new(format!("`{text}` is longer than a year")).help("write at most `365d`")),
        };
    }
    let what = "a duration";
    if text.chars().all(|c| c.is_ascii_digit()) && !text.is_empty() && text.len() < 10 {
        return Err(Wrong::new(format!("`{text}` has no unit"))
            .help(format!("write `{text}s` for seconds or `{text}ms` for milliseconds")));
    }
    match loose_duration(text) {
        Some(meant) if meant <= DURATION_MAX => Err(Wrong::write(text, what, &show_duration(meant))),
        _ => Err(Wrong::new(format!("`{}` is not {what}", crate::yaml::clip(text)))
            .help("write a number and a unit, ms, s, m, h or d: `250ms`, `2s`, `1m30s`")),
    }
}

/// As [`duration`], but not zero.
pub(crate) fn duration_above_zero(text: &str) -> Result<Duration, Wrong> {
    match duration(text)? {
        Duration::ZERO => {
            Err(Wrong::new("a duration of zero makes no sense here").help("the least is `1ms`"))
        }
        duration => Ok(duration),
    }
}

fn strict_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let millis = unit_millis(&rest[..unit]).filter(|millis| *millis < last)?;
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
        last = millis;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(total)
}

fn unit_millis(unit: &str) -> Option<u64> {
    Some(match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    })
}

/// What a person may have meant: other spellings of the units, blanks, decimals, any order.
fn loose_duration(text: &str) -> Option<Duration> {
    let lower = text.to_lowercase().replace([' ', '_', ','], "");
    let mut rest = lower.as_str();
    let mut millis = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        millis += number * loose_unit(&rest[..unit])?;
        rest = &rest[unit..];
    }
    (1.0..1e12).contains(&millis).then(|| Duration::from_millis(millis.round() as u64))
}

fn loose_unit(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => 1.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1e3,
        "m" | "min" | "mins" | "minute" | "minutes" => 6e4,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3.6e6,
        "d" | "day" | "days" => 8.64e7,
        "w" | "week" | "weeks" => 6.048e8,
        "us" | "µs" | "micros" => 1e-3,
        _ => return None,
    })
}

/// The shortest text that [`duration`] reads back, to the millisecond.
pub(crate) fn show_duration(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if rest >= millis {
            text += &format!("{}{unit}", rest / millis);
            rest %= millis;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// `512B`, `64KiB`, `1MiB`, `10MB`, in bytes.
pub(crate) fn size(text: &str) -> Result<u64, Wrong> {
    let what = "a size";
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let sizes = "write a number and a unit, B, KB, MB, GB, KiB, MiB or GiB: `64KiB`, `10MB`";
    if number.is_empty() || number.len() > 18 {
        return Err(Wrong::new(format!("`{}` is not {what}", crate::yaml::clip(text))).help(sizes));
    }
    if unit.is_empty() {
        return Err(Wrong::new(format!("`{text}` has no unit"))
            .help(format!("write `{text}B` for bytes or `{text}KiB` for kibibytes")));
    }
    let number: u64 = number.parse().unwrap_or(u64::MAX);
    let Some(bytes) = unit_bytes(unit) else {
        return Err(match loose_size_unit(unit) {
            Some(unit) => Wrong::write(text, what, &format!("{number}{unit}")),
            None => Wrong::new(format!("`{}` is not {what}", crate::yaml::clip(text))).help(sizes),
        });
    };
    let total = number.checked_mul(bytes).filter(|total| *total <= SIZE_MAX);
    total.ok_or_else(|| Wrong::new(format!("`{text}` is too large")).help("the most is `1024GiB`"))
}

fn unit_bytes(unit: &str) -> Option<u64> {
    Some(match unit {
        "B" => 1,
        "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    })
}

fn loose_size_unit(unit: &str) -> Option<&'static str> {
    Some(match unit.trim().to_lowercase().as_str() {
        "b" | "byte" | "bytes" => "B",
        "kb" => "KB",
        "mb" => "MB",
        "gb" => "GB",
        "k" | "ki" | "kib" => "KiB",
        "m" | "mi" | "mib" => "MiB",
        "g" | "gi" | "gib" => "GiB",
        _ => return None,
    })
}

/// The shortest text that [`size`] reads back.
pub(crate) fn show_size(bytes: u64) -> String {
    let units =
        [("GiB", 1 << 30), ("GB", 1_000_000_000), ("MiB", 1 << 20), ("MB", 1_000_000), ("KiB", 1 << 10)];
    let exact = units.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match exact {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

/// `20%`, `99.9%`, as a share from 0 to 1.
pub(crate) fn percentage(text: &str) -> Result<f64, Wrong> {
    let what = "a percentage";
    let number = |text: &str| {
        let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
        text.parse::<f64>().ok().filter(|number| plain && number.is_finite())
    };
    if let Some(percent) = text.strip_suffix('%').and_then(number) {
        return match percent <= 100.0 {
            true => Ok(percent / 100.0),
            false => Err(Wrong::new(format!("`{}` is more than all", crate::yaml::clip(text)))
                .help("write at most `100%`")),
        };
    }
    let words = text.trim_end_matches(|c: char| c.is_alphabetic() || c == '%' || c == ' ');
    Err(match number(words) {
        Some(share) if share <= 1.0 && words == text => Wrong::write(text, what, &show_percentage(share)),
        Some(percent) if percent <= 100.0 => Wrong::write(text, what, &show_percentage(percent / 100.0)),
        _ => Wrong::new(format!("`{}` is not {what}", crate::yaml::clip(text)))
            .help("write it like `20%` or `99.9%`"),
    })
}

/// The text of a share from 0 to 1 that [`percentage`] reads back, to a millionth.
pub(crate) fn show_percentage(share: f64) -> String {
    format!("{}%", (share * 1e8).round() / 1e6)
}

/// `50/s`, `100/m per client burst 20`, `1000/h per header x-api-key`, `5/s per cookie session`, `9/s per segment 2`.
pub(crate) fn rate(text: &str) -> Result<RateLimit, Wrong> {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let (requests, per) = requests_per(first).ok_or_else(|| wrong_rate(text))?;
    let burst = default_burst(requests, per);
    let mut limit = RateLimit { requests, per, burst, key: LimitKey::All, shadow: false, headers: true };
    let (mut keyed, mut bursts) = (false, false);
    while let Some(word) = words.next() {
        match word {
            "per" if !keyed => {
                limit.key = limit_key(&mut words, text)?;
                keyed = true;
            }
            "burst" if !bursts => {
                let burst = words.next().and_then(|word| word.parse().ok()).filter(|burst| *burst > 0);
                limit.burst = burst.ok_or_else(|| {
                    Wrong::new("`burst` needs a number of requests above zero")
                        .help(format!("write `{first} burst 20`"))
                })?;
                bursts = true;
            }
            _ => return Err(wrong_rate(text)),
        }
    }
    Ok(limit)
}

fn requests_per(word: &str) -> Option<(u32, Duration)> {
    let (requests, unit) = word.split_once('/')?;
    let per = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let digits = requests.chars().all(|c| c.is_ascii_digit());
    let requests = requests.parse().ok().filter(|requests| digits && *requests > 0)?;
    Some((requests, Duration::from_secs(per)))
}

fn limit_key<'a>(words: &mut impl Iterator<Item = &'a str>, text: &str) -> Result<LimitKey, Wrong> {
    match words.next() {
        Some("client") => Ok(LimitKey::Client),
        Some("header") => {
            match words.next().map(crate::http::header_name) {
                Some(name) => Ok(LimitKey::Header(name?)),
                None => Err(Wrong::new("`per header` needs the name of a header")
                    .help("write `per header x-api-key`")),
            }
        }
        Some("cookie") => match words.next().filter(|name| crate::http::header_name(name).is_ok()) {
            Some(name) => Ok(LimitKey::Cookie(name.to_owned())),
            None => {
                Err(Wrong::new("`per cookie` needs the name of a cookie").help("write `per cookie session`"))
            }
        },
        Some("segment") => match words.next().and_then(|word| word.parse().ok()) {
            Some(nth @ 1..=SEGMENT_MAX) => Ok(LimitKey::Segment(nth)),
            _ => Err(Wrong::new("`per segment` needs the number of a segment of the path").help(format!(
                "write `per segment 2` for the `42` of `/users/42/orders`; the most is {SEGMENT_MAX}"
            ))),
        },
        Some("ip" | "address" | "user" | "peer") => Err(wrong_rate(text).help("write `per client`")),
        _ => Err(wrong_rate(text)),
    }
}

/// One second's worth, at least 1.
pub(crate) fn default_burst(requests: u32, per: Duration) -> u32 {
    (u64::from(requests) / per.as_secs().max(1)).max(1) as u32
}

fn wrong_rate(text: &str) -> Wrong {
    let wrong = Wrong::new(format!("`{}` is not a rate limit", crate::yaml::clip(text)));
    let lower = text.to_lowercase();
    let number: String = lower.chars().take_while(char::is_ascii_digit).collect();
    let rest = lower[number.len()..].trim();
    let unit = if rest.starts_with("rps") || rest.contains("sec") || rest.contains("/ s") {
        "s"
    } else if rest.contains("min") || rest.starts_with("rpm") || rest.contains("/ m") {
        "m"
    } else if rest.contains("hour") || rest.contains("/ h") {
        "h"
    } else {
        return wrong
            .help("write it like `50/s`, `100/m per client` or `1000/h per header x-api-key burst 20`");
    };
    match number.parse::<u32>() {
        Ok(number @ 1..) => wrong.help(format!("write `{number}/{unit}`")),
        _ => wrong.help("write it like `50/s`, `100/m per client` or `1000/h per header x-api-key burst 20`"),
    }
}

/// The text of a rate limit that [`rate`] reads back.
pub(crate) fn show_rate(limit: &RateLimit) -> String {
    let unit = match limit.per.as_secs() {
        3600 => "h",
        60 => "m",
        _ => "s",
    };
    let mut text = format!("{}/{unit}", limit.requests);
    match &limit.key {
        LimitKey::All => {}
        LimitKey::Client => text += " per client",
        LimitKey::Header(name) => text += &format!(" per header {name}"),
        LimitKey::Cookie(name) => text += &format!(" per cookie {name}"),
        LimitKey::Segment(nth) => text += &format!(" per segment {nth}"),
    }
    if limit.burst != default_burst(limit.requests, limit.per) {
        text += &format!(" burst {}", limit.burst);
    }
    text
}

/// Longest duration.
const DURATION_MAX: Duration = Duration::from_secs(365 * 86_400);
/// Last segment of a path that a limit can count by.
const SEGMENT_MAX: u32 = 100;
/// Largest size, in bytes: 1 TiB.
const SIZE_MAX: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn help<T: std::fmt::Debug>(result: Result<T, Wrong>) -> String {
        result.unwrap_err().help.unwrap()
    }

    #[test]
    fn durations() {
        let millis = |text: &str| duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("250ms"), Ok(250));
        assert_eq!(millis("2s"), Ok(2000));
        assert_eq!(millis("1m30s"), Ok(90_000));
        assert_eq!(millis("5m"), Ok(300_000));
        assert_eq!(millis("1h"), Ok(3_600_000));
        assert_eq!(millis("7d"), Ok(604_800_000));
        assert_eq!(millis("1s500ms"), Ok(1500));
        for wrong in
            ["", "s", "5", "5x", "-5s", "5s5s", "1s1m", "1.5s", " 5s", "5S", "99999999999999999999s", "٣s"]
        {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn wrong_durations_say_what_to_write() {
        assert_eq!(help(duration("5 sec")), "write `5s`");
        assert_eq!(help(duration("5S")), "write `5s`");
        assert_eq!(help(duration("2 minutes")), "write `2m`");
        assert_eq!(help(duration("1.5h")), "write `1h30m`");
        assert_eq!(help(duration("2w")), "write `14d`");
        assert_eq!(help(duration("1 hour, 5 min")), "write `1h5m`");
        assert_eq!(help(duration("500")), "write `500s` for seconds or `500ms` for milliseconds");
    }

    #[test]
    fn sizes() {
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("1MiB"), Ok(1 << 20));
        assert_eq!(size("10MB"), Ok(10_000_000));
        assert_eq!(size("512B"), Ok(512));
        assert_eq!(help(size("64k")), "write `64KiB`");
        assert_eq!(help(size("10 mb")), "write `10MB`");
        assert_eq!(help(size("100")), "write `100B` for bytes or `100KiB` for kibibytes");
        assert!(size("99999999999999999GiB").is_err());
    }

    #[test]
    fn percentages() {
        assert_eq!(percentage("20%"), Ok(0.2));
        assert_eq!(percentage("99.9%"), Ok(0.9990000000000001));
        assert_eq!(help(percentage("0.2")), "write `20%`");
        assert_eq!(help(percentage("50")), "write `50%`");
        assert_eq!(help(percentage("50 percent")), "write `50%`");
        assert!(percentage("101%").is_err() && percentage("-1%").is_err() && percentage("inf%").is_err());
    }

    #[test]
    fn rates() {
        let limit = |requests, seconds, burst, key| {
            let per = Duration::from_secs(seconds);
            Ok(RateLimit { requests, per, burst, key, shadow: false, headers: true })
        };
        assert_eq!(rate("50/s"), limit(50, 1, 50, LimitKey::All));
        assert_eq!(rate("100/m"), limit(100, 60, 1, LimitKey::All));
        assert_eq!(rate("50/s per client"), limit(50, 1, 50, LimitKey::Client));
        assert_eq!(
            rate("1000/h per header X-Api-Key burst 20"),
            limit(1000, 3600, 20, LimitKey::Header("x-api-key".to_owned()))
        );
        assert_eq!(rate("50/s burst 5 per client"), limit(50, 1, 5, LimitKey::Client));
        assert_eq!(rate("50/s per cookie Id"), limit(50, 1, 50, LimitKey::Cookie("Id".to_owned())));
        assert_eq!(rate("50/s per segment 2"), limit(50, 1, 50, LimitKey::Segment(2)));
        for wrong in [
            "",
            "50",
            "50/s per cookie a=b",
            "50/s per segment",
            "50/s per segment 0",
            "50/s per segment id",
            "/s",
            "0/s",
            "+5/s",
            "50/d",
            "50/s per",
            "50/s burst",
            "50/s burst 0",
            "50/s per client per client",
        ] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(help(rate("50 per second")), "write `50/s`");
        assert_eq!(help(rate("50 req/min")), "write `50/m`");
    }

    proptest! {
        #[test]
        fn durations_round_trip(millis in 0..=DURATION_MAX.as_millis() as u64) {
            let one = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show_duration(one)), Ok(one));
        }

        #[test]
        fn sizes_round_trip(bytes in 0..=SIZE_MAX) {
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }

        #[test]
        fn percentages_round_trip(millionths in 0..=1_000_000_u32) {
            let share = f64::from(millionths) / 1e6;
            let back = percentage(&show_percentage(share)).unwrap();
            prop_assert!((back - share).abs() < 1e-12);
        }

        #[test]
        fn rates_round_trip(
            requests in 1..=u32::MAX,
            per in prop::sample::select(vec![1, 60, 3600]),
            burst in prop::option::of(1..1000_u32),
            key in prop_oneof![
                Just(LimitKey::All),
                Just(LimitKey::Client),
                "[a-z][a-z-]{0,8}".prop_map(LimitKey::Header),
                "[A-Za-z_]{1,8}".prop_map(LimitKey::Cookie),
                (1..=SEGMENT_MAX).prop_map(LimitKey::Segment),
            ],
        ) {
            let per = Duration::from_secs(per);
            let burst = burst.unwrap_or_else(|| default_burst(requests, per));
            let limit = RateLimit { requests, per, burst, key, shadow: false, headers: true };
            prop_assert_eq!(rate(&show_rate(&limit)), Ok(limit));
        }

        #[test]
        fn any_text_is_answered(text in "[0-9a-zA-Zµ%./ -]{0,12}|\\PC*") {
            let _ = (duration(&text), size(&text), percentage(&text), rate(&text));
            let _ = (crate::http::url(&text), crate::http::listen(&text), crate::http::path(&text), crate::http::host(&text));
        }

        #[test]
        fn paths_round_trip(path in "(/([a-z0-9.]{1,5}x|\\*)){0,5}(/\\*\\*)?") {
            let path = if path.is_empty() { "/".to_owned() } else { path };
            let pattern = crate::http::path(&path).unwrap();
            prop_assert_eq!(crate::http::show_path(&pattern), path);
        }
    }
}

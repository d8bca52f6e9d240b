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

/// `50/s`, `100/m per client burst 20`, `1000/h per header x-api-key`.
pub(crate) fn rate(text: &str) -> Result<RateLimit, Wrong> {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let (requests, per) = requests_per(first).ok_or_else(|| wrong_rate(text))?;
    let mut limit = RateLimit { requests, per, burst: default_burst(requests, per), key: LimitKey::All };
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
    }
    if limit.burst != default_burst(limit.requests, limit.per) {
        text += &format!(" burst {}", limit.burst);
    }
    text
}

/// Longest duration.
const DURATION_MAX: Duration = Duration::from_secs(365 * 86_400);
/// Largest size, in bytes: 1 TiB.
const SIZE_MAX: u64 = 1 << 40;

//! What can be set for a subscription in its metadata.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How a subscription's events are brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// Whether what is published is brought as it is, in an envelope of its own. Default: no. `rawPayload`.
    pub raw: bool,
    /// How many deliveries are under way at a time; of one key never more than one. Default 32, from 1 to 1,024.
    /// `concurrency`.
    pub concurrency: usize,
    /// How long the application has for a delivery, from when it begins. Default 60 s, from 1 ms to an hour. What an
    /// application that hangs holds up, it holds up for as long. `processingTimeout`.
    pub timeout: Duration,
}

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    /// Which.
    pub key: String,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl Default for Knobs {
    fn default() -> Knobs {
        Knobs { raw: false, concurrency: 32, timeout: Duration::from_secs(60) }
    }
}

impl Knobs {
    /// What metadata says. What it says besides is a broker's matter, or nobody's.
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense.
    pub fn new(metadata: &BTreeMap<String, String>) -> Result<Knobs, Odd> {
        let mut knobs = Knobs::default();
        for (key, text) in metadata {
            let text = text.trim();
            let odd = |why: &str| Odd { key: key.clone(), why: format!("{text:?} {why}") };
            match key {
                key if key.eq_ignore_ascii_case("rawPayload") => {
                    knobs.raw = truth(text).ok_or_else(|| odd("is neither `true` nor `false`"))?;
                }
                key if key.eq_ignore_ascii_case("concurrency") => {
                    let count = text.parse().ok().filter(|count| (1..=CONCURRENCY_MAX).contains(count));
                    knobs.concurrency = count.ok_or_else(|| odd("is no number from 1 to 1024"))?;
                }
                key if key.eq_ignore_ascii_case("processingTimeout") => {
                    let time = time(text).filter(|time| !time.is_zero() && *time <= TIMEOUT_MAX);
                    knobs.timeout = time.ok_or_else(|| odd("is no time from 1ms to 1h, such as `90s`"))?;
                }
                _ => {}
            }
        }
        Ok(knobs)
    }
}

/// As Go has it, which made these up.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A whole number with a unit; without one, milliseconds.
fn time(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let count: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(count.checked_mul(unit)?))
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key, self.why)
    }
}

impl std::error::Error for Odd {}

const CONCURRENCY_MAX: usize = 1_024;
const TIMEOUT_MAX: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn knobs(key: &str, text: &str) -> Result<Knobs, Odd> {
        Knobs::new(&BTreeMap::from([(key.to_owned(), text.to_owned())]))
    }

    #[test]
    fn what_is_set_holds() {
        assert_eq!(knobs("other", "thing"), Ok(Knobs::default()));
        assert!(knobs("rawPayload", "true").unwrap().raw && knobs("rawpayload", "1").unwrap().raw);
        assert!(!knobs("rawPayload", "false").unwrap().raw);
        assert_eq!(knobs("concurrency", " 1 ").unwrap().concurrency, 1);
        for (text, ms) in [("90s", 90_000), ("250", 250), ("250ms", 250), ("5m", 300_000), ("1h", 3_600_000)]
        {
            assert_eq!(knobs("processingTimeout", text).unwrap().timeout.as_millis(), ms, "{text}");
        }
    }

    #[test]
    fn nonsense_is_told() {
        for (key, text) in [
            ("rawPayload", "yes"),
            ("concurrency", "0"),
            ("concurrency", "1025"),
            ("concurrency", "many"),
            ("processingTimeout", "0s"),
            ("processingTimeout", "2h"),
            ("processingTimeout", "-1s"),
            ("processingTimeout", "1 fortnight"),
            ("processingTimeout", "99999999999999999999h"),
            ("processingTimeout", "9999999999999999999h"),
        ] {
            assert_eq!(knobs(key, text).expect_err(text).key, key);
        }
    }
}

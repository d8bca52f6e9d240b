//! Stretches of time as people write them: `30s`, `1h30m`, `250ms`, or as ISO 8601 has it (`PT30S`). A number alone is
//! none, for whoever writes one and whoever reads it have different units in mind.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::friendly::{Spacing, SpanPrinter};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A stretch of time in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lasting(pub(crate) Duration);

/// A stretch of time from text.
///
/// # Errors
///
/// A sentence about what is none.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let parsed: Option<SignedDuration> = text.parse().ok();
    let parsed = parsed.and_then(|span| Duration::try_from(span).ok());
    parsed.ok_or_else(|| format!("{text:?} is no duration such as \"30s\", \"1h30m\" or \"250ms\""))
}

impl Lasting {
    pub(crate) fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn of_millis(millis: u64) -> Lasting {
        Lasting(Duration::from_millis(millis))
    }
}

impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        f.write_str(&SpanPrinter::new().spacing(Spacing::None).duration_to_string(&span))
    }
}

impl Serialize for Lasting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lasting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Lasting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"30s\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Lasting, E> {
        parse(text).map(Lasting).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_units() {
        for (text, millis, again) in [
            ("30s", 30_000, "30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("250ms", 250, "250ms"),
            ("PT1M", 60_000, "1m"),
            ("0s", 0, "0s"),
        ] {
            let lasting = Lasting(parse(text).unwrap());
            assert_eq!((lasting.0.as_millis(), lasting.to_string().as_str()), (millis, again), "{text}");
        }
        for odd in ["", "5", "-1s", "soon", "5 parsecs", "1e9999s"] {
            assert!(parse(odd).is_err(), "{odd}");
        }
    }
}

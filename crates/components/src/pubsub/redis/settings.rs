//! What can be set for topics in a Redis: the names and defaults are those of Dapr's component.

use std::time::Duration;

use crate::properties::{Invalid, Properties};
use crate::redis as server;

/// What is set.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) server: server::Settings,
    /// How long a message is with somebody who does not say that he still has it until others may have it; so also when a
    /// message that has failed is tried again. Default 60 s.
    pub(super) processing: Duration,
    /// How often is looked for such messages. Default 15 s.
    pub(super) redeliver: Duration,
    /// How many messages are taken at a time, at most. Default 100.
    pub(super) depth: usize,
    /// How many messages of a topic a subscription has at a time, at most. Default: as many as the subscription says.
    pub(super) concurrency: Option<usize>,
    /// What lets go of messages. Default: nothing does.
    pub(super) trim: Option<Trim>,
}

/// Which messages a stream lets go of, about, when one is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trim {
    /// The oldest where there are more.
    Length(u64),
    /// Those that are older.
    Age(Duration),
}

impl Settings {
    /// From what is set.
    ///
    /// # Errors
    ///
    /// Which setting is wrong, and how.
    pub fn new(set: &Properties) -> Result<Settings, Invalid> {
        let length: Option<u64> = set.number("maxLenApprox")?.filter(|length| *length > 0);
        let age = set.time("streamTTL")?;
        let trim = match (length, age) {
            (Some(_), Some(_)) => {
                let why = "is set beside `maxLenApprox`: a Redis lets go of messages by one of the two";
                return Err(Invalid::of("streamTTL", why));
            }
            (length, age) => length.map(Trim::Length).or(age.map(Trim::Age)),
        };
        Ok(Settings {
            server: server::Settings::new(set)?,
            processing: again(set, "processingTimeout")?.unwrap_or(PROCESSING),
            redeliver: again(set, "redeliverInterval")?.unwrap_or(REDELIVER),
            depth: some(set, "queueDepth")?.unwrap_or(DEPTH),
            concurrency: some(set, "concurrency")?,
            trim,
        })
    }
}

/// A time after which something is tried again, which has to be some day.
fn again(set: &Properties, name: &str) -> Result<Option<Duration>, Invalid> {
    let time = set.time(name)?;
    let is_never = time.is_none() && set.text(name).is_some();
    match time.is_some_and(|time| !(SHORTEST..=LONGEST).contains(&time)) || is_never {
        true => {
            Err(Invalid::of(name, "has to be from 100ms to 24h: without, what fails would never come again"))
        }
        false => Ok(time),
    }
}

fn some(set: &Properties, name: &str) -> Result<Option<usize>, Invalid> {
    match set.number(name)? {
        Some(number) if !(1..=SOME_MAX).contains(&number) => {
            Err(Invalid::of(name, format!("has to be from 1 to {SOME_MAX}")))
        }
        number => Ok(number),
    }
}

const PROCESSING: Duration = Duration::from_secs(60);
const REDELIVER: Duration = Duration::from_secs(15);
const DEPTH: usize = 100;
/// Most messages at a time.
const SOME_MAX: usize = 1_024;
/// The shortest that a message may wait, or be looked for.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn set(more: &[(&str, &str)]) -> Result<Settings, String> {
        let all = [("redisHost", "localhost")].into_iter().chain(more.iter().copied());
        Settings::new(&Properties::from_iter(all)).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn what_is_not_set_is_as_with_dapr() {
        let set = set(&[("maxLenApprox", "0")]).expect("it is right");
        assert_eq!((set.processing, set.redeliver), (PROCESSING, REDELIVER));
        assert_eq!((set.depth, set.concurrency, set.trim), (100, None, None));
    }

    #[test]
    fn what_is_set_holds() {
        let all = [("processingTimeout", "90s"), ("redeliverInterval", "500"), ("maxLenApprox", "10")];
        let settings = set(&all).expect("it is right");
        assert_eq!(settings.processing, Duration::from_secs(90));
        assert_eq!(settings.redeliver, Duration::from_millis(500));
        assert_eq!(settings.trim, Some(Trim::Length(10)));
        let settings =
            set(&[("streamTTL", "1h"), ("concurrency", "1"), ("queueDepth", "5")]).expect("it is right");
        assert_eq!(settings.trim, Some(Trim::Age(Duration::from_secs(3_600))));
        assert_eq!((settings.concurrency, settings.depth), (Some(1), 5));
    }

    #[test]
    fn what_would_never_come_again_or_never_be_taken_is_refused() {
        for (name, text) in [
            ("processingTimeout", "0"),
            ("redeliverInterval", "0s"),
            ("processingTimeout", "50ms"),
            ("processingTimeout", "25h"),
            ("queueDepth", "0"),
            ("concurrency", "0"),
            ("concurrency", "2000"),
            ("maxLenApprox", "many"),
        ] {
            let refused = set(&[(name, text)]).expect_err(text);
            assert!(refused.starts_with(&format!("`{name}` ")), "{refused}");
        }
        assert!(set(&[("maxLenApprox", "1"), ("streamTTL", "1h")]).is_err());
    }
}

//! What is set for a component: names and texts, as `spec.metadata` has them once its secrets are resolved.
//!
//! Names are looked up whatever their case, as Dapr does. What no adapter has asked for is told of, since a setting
//! that does nothing is mostly a slip.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is set for a component.
#[derive(Debug, Default)]
pub struct Properties {
    /// By name in lower case: the name as written, and the text.
    all: BTreeMap<String, (String, String)>,
    asked: Mutex<BTreeSet<String>>,
}

impl Properties {
    /// What is set, if it is and is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let lower = name.to_ascii_lowercase();
        let found = self.all.get(&lower).map(|(_, text)| text.as_str());
        self.asked().insert(lower);
        found.filter(|text| !text.is_empty())
    }

    /// What must be set.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn needed(&self, name: &str) -> Result<&str, Invalid> {
        self.text(name).ok_or_else(|| Invalid::of(name, "is missing"))
    }

    /// Yes or no; no if it is not set.
    ///
    /// # Errors
    ///
    /// If it is neither.
    pub fn flag(&self, name: &str) -> Result<bool, Invalid> {
        match self.text(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0" | "f" | "n" | "no" | "off") => Ok(false),
            Some("true" | "1" | "t" | "y" | "yes" | "on") => Ok(true),
            Some(odd) => Err(Invalid::of(name, format!("is {odd:?}: `true` and `false` can be set"))),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, Invalid> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.trim().parse();
        number.map(Some).map_err(|_| Invalid::of(name, format!("is {text:?}, which is no number that fits")))
    }

    /// A time such as `500ms` or `1m30s`; a bare number counts milliseconds. Zero and less are as if nothing were set.
    ///
    /// # Errors
    ///
    /// If it is no time.
    pub fn time(&self, name: &str) -> Result<Option<Duration>, Invalid> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let time = match text.parse::<i64>() {
            Ok(ms) => Duration::from_millis(u64::try_from(ms).unwrap_or(0)),
            Err(_) => humantime::parse_duration(text).map_err(|_| {
                Invalid::of(name, format!("is {text:?}, which is no time such as `500ms` or `3s`"))
            })?,
        };
        Ok(Some(time).filter(|time| !time.is_zero()))
    }

    /// What is set and was never asked for, as written.
    pub fn unused(&self) -> Vec<&str> {
        let asked = self.asked();
        let unused = self.all.iter().filter(|(lower, _)| !asked.contains(*lower));
        unused.map(|(_, (name, _))| name.as_str()).collect()
    }

    fn asked(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Properties {
        let entry = |(name, text): (K, V)| {
            let name = name.into();
            (name.to_ascii_lowercase(), (name, text.into()))
        };
        Properties { all: all.into_iter().map(entry).collect(), asked: Mutex::default() }
    }
}

/// A setting with which there can be no component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Its name.
    pub name: String,
    /// What is wrong, to be read after the name.
    pub why: String,
}

impl Invalid {
    /// This setting is so.
    pub fn of(name: &str, why: impl Into<String>) -> Invalid {
        Invalid { name: name.to_owned(), why: why.into() }
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` {}", self.name, self.why)
    }
}

impl std::error::Error for Invalid {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_whatever_their_case() {
        let set = Properties::from_iter([("RedisHost", "h:1"), ("enabletls", "True"), ("empty", "")]);
        assert_eq!(set.needed("redisHost"), Ok("h:1"));
        assert_eq!(set.flag("enableTLS"), Ok(true));
        assert_eq!((set.text("empty"), set.flag("absent")), (None, Ok(false)));
    }

    #[test]
    fn what_nobody_asked_for_is_told_of_as_it_was_written() {
        let set = Properties::from_iter([("a", "1"), ("PoolSize", "3")]);
        assert_eq!(set.number::<u32>("A"), Ok(Some(1)));
        assert_eq!(set.unused(), ["PoolSize"]);
    }

    #[test]
    fn times_are_as_go_writes_them_or_in_milliseconds() {
        let time = |text: &str| Properties::from_iter([("t", text)]).time("t");
        assert_eq!(time("1m30s"), Ok(Some(Duration::from_secs(90))));
        assert_eq!(time("250"), Ok(Some(Duration::from_millis(250))));
        assert_eq!((time("0"), time("-1"), time("")), (Ok(None), Ok(None), Ok(None)));
        assert!(time("soon").is_err());
    }

    #[test]
    fn what_is_wrong_names_its_setting() {
        let set = Properties::from_iter([("n", "x"), ("b", "perhaps")]);
        assert_eq!(set.needed("gone").map_err(|e| e.to_string()), Err("`gone` is missing".to_owned()));
        assert!(set.number::<u8>("n").is_err() && set.flag("b").is_err());
    }
}

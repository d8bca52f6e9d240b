//! What is asked of a store, decoded.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

/// An item to be put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Save {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Bytes,
    /// The ETag that it must have.
    pub etag: Option<String>,
    /// How it is written.
    pub options: Options,
    /// For how long it lives.
    pub ttl: Option<Duration>,
    /// What its value is, where that is said apart from its metadata.
    pub content_type: Option<String>,
    /// Whether its value came as JSON.
    pub is_json: bool,
    /// What else is said of it.
    pub metadata: BTreeMap<String, String>,
}

impl Save {
    /// What its value is; empty if nobody said.
    pub(crate) fn content_type(&self) -> &str {
        let written = self.content_type.as_deref();
        written.or_else(|| Some(self.metadata.get("contentType")?.as_str())).unwrap_or_default()
    }
}

/// An item to be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delete {
    /// Its key.
    pub key: String,
    /// The ETag that it must have.
    pub etag: Option<String>,
    /// How it is deleted.
    pub options: Options,
}

/// What a transaction does to an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is put.
    Upsert(Save),
    /// It is deleted.
    Delete(Delete),
}

/// How something is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Who wins.
    pub concurrency: Concurrency,
    /// How soon others see it: always at once.
    pub consistency: Consistency,
}

/// Who wins of several that write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Concurrency {
    /// The first, if an ETag is given; otherwise the last.
    #[default]
    Unspecified,
    /// The first.
    FirstWrite,
    /// The last, whatever ETag is given.
    LastWrite,
}

/// How soon others see what is written. A hint: here it is always at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Nobody said.
    #[default]
    Unspecified,
    /// Some time.
    Eventual,
    /// At once.
    Strong,
}

impl Options {
    /// From the words that HTTP has for them; no word leaves it open.
    ///
    /// # Errors
    ///
    /// A sentence about a word that is none of them.
    pub fn from_words(concurrency: Option<&str>, consistency: Option<&str>) -> Result<Options, String> {
        let concurrency = match concurrency {
            None | Some("") => Concurrency::Unspecified,
            Some("first-write") => Concurrency::FirstWrite,
            Some("last-write") => Concurrency::LastWrite,
            Some(odd) => return Err(format!("unrecognized concurrency model '{odd}'")),
        };
        let consistency = match consistency {
            None | Some("") => Consistency::Unspecified,
            Some("eventual") => Consistency::Eventual,
            Some("strong") => Consistency::Strong,
            Some(odd) => return Err(format!("unrecognized consistency model '{odd}'")),
        };
        Ok(Options { concurrency, consistency })
    }
}

/// For how long an item lives by its metadata: zero and less are for ever.
///
/// # Errors
///
/// A sentence about what is no number.
pub fn ttl(metadata: &BTreeMap<String, String>) -> Result<Option<Duration>, String> {
    let Some((_, text)) = metadata.iter().find(|(key, _)| key.eq_ignore_ascii_case(TTL_KEY)) else {
        return Ok(None);
    };
    let seconds: i64 = text.parse().map_err(|_| {
        format!("incorrect value for metadata '{TTL_KEY}': {text:?} is no whole number of seconds")
    })?;
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

const TTL_KEY: &str = "ttlInSeconds";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_positive_time_to_live_is_one() {
        let of = |text: &str| ttl(&BTreeMap::from([("ttlInSeconds".to_owned(), text.to_owned())]));
        assert_eq!(of("3"), Ok(Some(Duration::from_secs(3))));
        assert_eq!((of("0"), of("-1"), ttl(&BTreeMap::new())), (Ok(None), Ok(None), Ok(None)));
        assert!(of("soon").is_err() && of("1.5").is_err() && of("").is_err());
    }
}

//! Queries: few, short, and looked at only where an endpoint takes one.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// The query of a request, not decoded yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(super) fn of(query: Option<&'a str>) -> Query<'a> {
        Query(query.unwrap_or(""))
    }

    /// The first value under this name.
    pub(super) fn get(self, name: &str) -> Option<Cow<'a, str>> {
        self.pairs().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// All values under this name.
    pub(super) fn all(self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        self.pairs().filter(move |(key, _)| key == name).map(|(_, value)| value)
    }

    /// What comes as `metadata.KEY=VALUE`.
    pub(super) fn metadata(self) -> BTreeMap<String, String> {
        let pairs = self.pairs().filter_map(|(name, value)| {
            Some((name.strip_prefix("metadata.")?.to_owned(), value.into_owned()))
        });
        pairs.collect()
    }

    fn pairs(self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.0.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
    }
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return text.into();
    }
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_told_from_the_rest() {
        let query = Query::of(Some("consistency=strong&metadata.ttlInSeconds=5&metadata.a%20b=c+d&x&=&"));
        assert_eq!(query.get("consistency").as_deref(), Some("strong"));
        assert_eq!((query.get("x").as_deref(), query.get("y")), (Some(""), None));
        let metadata = query.metadata();
        assert_eq!(metadata["ttlInSeconds"], "5");
        assert_eq!((metadata["a b"].as_str(), metadata.len()), ("c d", 2));
        assert!(Query::of(None).metadata().is_empty());
    }
}

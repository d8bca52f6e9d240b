//! What the metadata of a message says of how it is published. Names are taken whatever their case.

use std::collections::BTreeMap;

/// What is wished for a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes<'a> {
    /// Fields of its CloudEvent.
    pub(crate) id: Option<&'a str>,
    pub(crate) source: Option<&'a str>,
    pub(crate) kind: Option<&'a str>,
    pub(crate) subject: Option<&'a str>,
    pub(crate) traceid: Option<&'a str>,
    pub(crate) traceparent: Option<&'a str>,
    pub(crate) tracestate: Option<&'a str>,
    /// For how many seconds it is of use.
    pub(crate) ttl_s: Option<u64>,
    /// What it is about: such messages stay in order.
    pub(crate) key: Option<&'a str>,
    /// Whether it is published as it is, as a word.
    pub(crate) raw: Option<&'a str>,
}

impl<'a> Wishes<'a> {
    /// What is wished. Nothing empty is, and a time to live must be a number of seconds that is not negative.
    pub(crate) fn of(metadata: &'a BTreeMap<String, String>) -> Wishes<'a> {
        let mut wishes = Wishes::default();
        for (name, value) in metadata {
            let value = value.as_str();
            if let Some(place) = wishes.place(name) {
                *place = Some(value).filter(|value| !value.is_empty());
            } else if name.eq_ignore_ascii_case("ttlInSeconds") {
                wishes.ttl_s = value.parse::<i64>().ok().and_then(|seconds| u64::try_from(seconds).ok());
            }
        }
        wishes
    }

    fn place(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if Wishes::is_field(name) {
            return self.field(&name[FIELD.len()..]);
        }
        match () {
            () if is("rawPayload") => Some(&mut self.raw),
            () if is("partitionKey") => Some(&mut self.key),
            () => None,
        }
    }

    fn field(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        let fields: [(&str, &mut Option<&'a str>); 7] = [
            ("id", &mut self.id),
            ("source", &mut self.source),
            ("type", &mut self.kind),
            ("subject", &mut self.subject),
            ("traceid", &mut self.traceid),
            ("traceparent", &mut self.traceparent),
            ("tracestate", &mut self.tracestate),
        ];
        fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, place)| place)
    }

    /// Whether metadata of this name is about a field of the CloudEvent.
    pub(crate) fn is_field(name: &str) -> bool {
        name.get(..FIELD.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(FIELD))
    }

    /// Whether it is published as it is.
    ///
    /// # Errors
    ///
    /// The word, if it says neither yes nor no.
    pub(crate) fn is_raw(&self) -> Result<bool, &'a str> {
        match self.raw {
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some(odd) => Err(odd),
        }
    }

    /// From when on it is of no use, in milliseconds since the epoch.
    pub(crate) fn expires_ms(&self, now_ms: u64) -> Option<u64> {
        self.ttl_s.map(|seconds| now_ms.saturating_add(seconds.saturating_mul(1_000)))
    }
}

/// How the names of a CloudEvent's fields begin.
const FIELD: &str = "cloudevent.";

#[cfg(test)]
mod tests {
    use super::*;

    fn of<R>(metadata: &[(&str, &str)], look: impl Fn(&Wishes<'_>) -> R) -> R {
        let owned = metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        look(&Wishes::of(&owned))
    }

    #[test]
    fn names_are_taken_whatever_their_case() {
        let metadata = [
            ("CloudEvent.ID", "1"),
            ("cloudevent.Type", "t"),
            ("PARTITIONKEY", "k"),
            ("ttlinseconds", "5"),
            ("other", "x"),
            ("cloudevent.", "x"),
            ("cloudevent.specversion", "2"),
        ];
        of(&metadata, |wishes| {
            let expected = Wishes {
                id: Some("1"),
                kind: Some("t"),
                key: Some("k"),
                ttl_s: Some(5),
                ..Wishes::default()
            };
            assert_eq!(*wishes, expected);
        });
        of(&[("é", "x"), ("cloudeven\u{301}", "x"), ("cloudevent.id", "")], |wishes| {
            assert_eq!(*wishes, Wishes::default());
        });
    }

    #[test]
    fn what_is_no_time_to_live_is_none() {
        let ttl = |text: &str| of(&[("ttlInSeconds", text)], |wishes| wishes.expires_ms(1));
        assert_eq!((ttl("0"), ttl("2")), (Some(1), Some(2_001)));
        assert_eq!((ttl("-1"), ttl("soon"), ttl("")), (None, None, None));
        assert_eq!(ttl("9223372036854775807"), Some(u64::MAX));
    }

    #[test]
    fn a_word_says_whether_it_is_raw() {
        let raw = |text: &str| of(&[("RawPayload", text)], |wishes| wishes.is_raw().map_err(str::to_owned));
        assert_eq!(
            (raw("true"), raw("1"), raw("false"), raw("")),
            (Ok(true), Ok(true), Ok(false), Ok(false))
        );
        assert_eq!(raw("yes"), Err("yes".to_owned()));
    }
}

//! What the metadata of a message says of how it is published. Names are taken whatever their case.

use std::collections::BTreeMap;

use engine::blocks::topic::DELAY_MS_MAX;

use crate::{duration, time};

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
    /// After how long nobody gets it before, as text,
    pub(crate) delay: Option<&'a str>,
    /// or from when on.
    pub(crate) deliver_at: Option<&'a str>,
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
            () if is("delay") => Some(&mut self.delay),
            () if is("deliverAt") => Some(&mut self.deliver_at),
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
    /// A sentence, if it says neither yes nor no.
    pub(crate) fn is_raw(&self) -> Result<bool, String> {
        match self.raw {
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some(odd) => Err(format!("rawPayload is {odd:?}, which is neither true nor false")),
        }
    }

    /// From when on it is delivered, in milliseconds since the epoch, if that is said.
    ///
    /// # Errors
    ///
    /// A sentence about what is no such time.
    pub(crate) fn due_ms(&self, now_ms: u64) -> Result<Option<u64>, String> {
        let due_ms = match (self.delay, self.deliver_at) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err("it has both a delay and a deliverAt: name one".to_owned()),
            (Some(delay), None) => {
                let delay = duration::parse(delay).map_err(|why| format!("delay: {why}"))?;
                now_ms.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
            }
            (None, Some(at)) => time::parse(at).map_err(|why| format!("deliverAt: {why}"))?,
        };
        if due_ms.saturating_sub(now_ms) > DELAY_MS_MAX {
            return Err("a message can be delayed by ten years at most".to_owned());
        }
        Ok(Some(due_ms))
    }

    /// From when on it is of no use, in milliseconds since the epoch: what it lives counts from when it is due.
    pub(crate) fn expires_ms(&self, now_ms: u64) -> Option<u64> {
        let seconds = self.ttl_s?;
        let due_ms = self.due_ms(now_ms).ok().flatten().unwrap_or_default();
        Some(now_ms.max(due_ms).saturating_add(seconds.saturating_mul(1_000)))
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
        let raw = |text: &str| of(&[("RawPayload", text)], |wishes| wishes.is_raw());
        assert_eq!(
            (raw("true"), raw("1"), raw("false"), raw("")),
            (Ok(true), Ok(true), Ok(false), Ok(false))
        );
        assert!(raw("yes").is_err_and(|why| why.contains("\"yes\"")));
    }

    #[test]
    fn when_it_is_due_is_a_time_or_a_delay_and_what_it_lives_counts_from_then() {
        let due = |name: &str, text: &str| of(&[(name, text)], |wishes| wishes.due_ms(1_000));
        assert_eq!((due("delay", "5s"), due("DELAY", "")), (Ok(Some(6_000)), Ok(None)));
        assert_eq!(due("deliverAt", "1970-01-01T00:00:09Z"), Ok(Some(9_000)));
        for (name, odd, why) in [
            ("delay", "5", "duration"),
            ("delay", "-5s", "duration"),
            ("deliverat", "tomorrow", "time"),
            ("delay", "100000h", "ten years"),
            ("deliverAt", "9999-01-01T00:00:00Z", "ten years"),
        ] {
            assert!(due(name, odd).is_err_and(|said| said.contains(why)), "{name} {odd}");
        }
        let both = [("delay", "5s"), ("deliverAt", "1970-01-01T00:00:09Z")];
        assert!(of(&both, |wishes| wishes.due_ms(0)).is_err());
        let lives =
            |delay: &str| of(&[("delay", delay), ("ttlInSeconds", "2")], |wishes| wishes.expires_ms(1_000));
        assert_eq!((lives("5s"), lives("")), (Some(8_000), Some(3_000)));
    }
}

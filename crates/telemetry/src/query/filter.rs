//! Whether a span or a record has what is asked for.

use std::collections::HashSet;

use crate::part::{Part, entry, is_answer};
use crate::span::{LogRecord, Span, Status, Text, Value};

/// What an attribute must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The attribute's key.
    pub key: String,
    /// What of it.
    pub is: Is,
}

/// What of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Is {
    /// It is there.
    There,
    /// It is this, as it is shown.
    Equal(String),
    /// It has this in it, in capitals or not.
    Containing(String),
}

impl Condition {
    /// `key=value`, `key~part` or `key`.
    pub fn parse(text: &str) -> Condition {
        let at = text.find(['=', '~']);
        let (key, is) = match at {
            None => (text, Is::There),
            Some(at) if text[at..].starts_with('=') => (&text[..at], Is::Equal(text[at + 1..].to_owned())),
            Some(at) => (&text[..at], Is::Containing(text[at + 1..].to_owned())),
        };
        Condition { key: key.trim().to_owned(), is }
    }

    pub(crate) fn is_met(&self, attributes: &[(Text, Value)]) -> bool {
        let mut values = attributes.iter().filter(|(key, _)| **key == *self.key).map(|(_, value)| value);
        match &self.is {
            Is::There => values.next().is_some(),
            Is::Equal(wanted) => values.any(|value| shows(value, |shown| shown == wanted)),
            Is::Containing(part) => values.any(|value| shows(value, |shown| contains(shown, part))),
        }
    }
}

/// What must be so of one span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanFilter {
    /// Whose it is.
    pub service: Option<String>,
    /// What its name or its `http.route` has in it, in capitals or not.
    pub name: Option<String>,
    /// Whether it failed.
    pub error: Option<bool>,
    /// How long it took at least, in nanoseconds; without a service and a name, the first span of its trace.
    pub duration_min_ns: Option<u64>,
    /// How long it took at most, likewise.
    pub duration_max_ns: Option<u64>,
    /// What its attributes are.
    pub attributes: Vec<Condition>,
    /// What any text of it has in it, in capitals or not.
    pub text: Option<String>,
}

impl SpanFilter {
    pub(crate) fn is_met(&self, span: &Span) -> bool {
        self.is_of(span)
            && (!self.is_of_some() || self.is_long_enough(span))
            && self.error.is_none_or(|error| span.is_error() == error)
            && self.attributes.iter().all(|condition| condition.is_met(&span.attributes))
            && self.text.as_deref().is_none_or(|text| span_has(span, text))
    }

    /// Whether a span of a part of a trace has all of it.
    pub(crate) fn is_met_in(&self, part: &Part) -> bool {
        (self.is_of_some()
            || !self.asks_how_long()
            || first(part).is_some_and(|span| self.is_long_enough(span)))
            && (*self == SpanFilter::default() || part.spans.iter().any(|span| self.is_met(span)))
    }

    /// The spans by which a trace is timed: its first one, or where a service or a name is asked for those that answer somebody there. A
    /// service that records no answers is timed by what it asks of others, without what lies within that.
    pub(crate) fn timed<'p>(&self, part: &'p Part) -> impl Iterator<Item = &'p Span> {
        let mut timed: Vec<&Span> = match self.is_of_some() {
            false => first(part).into_iter().collect(),
            true => part.spans.iter().map(|span| &**span).filter(|span| self.is_of(span)).collect(),
        };
        if self.is_of_some() {
            let within: HashSet<[u8; 8]> = timed.iter().map(|span| span.span_id).collect();
            let is_outer = |span: &Span| span.parent.is_none_or(|parent| !within.contains(&parent));
            let has_answers = timed.iter().any(|span| is_answer(span));
            timed.retain(|span| if has_answers { is_answer(span) } else { is_outer(span) });
        }
        timed.into_iter().filter(|span| self.is_long_enough(span))
    }

    /// Whether it asks for spans of a service or name, rather than for traces.
    fn is_of_some(&self) -> bool {
        self.service.is_some() || self.name.is_some()
    }

    fn is_of(&self, span: &Span) -> bool {
        self.service.as_deref().is_none_or(|service| span.service == *service)
            && self.name.as_deref().is_none_or(|name| is_named(span, name))
    }

    fn asks_how_long(&self) -> bool {
        self.duration_min_ns.is_some() || self.duration_max_ns.is_some()
    }

    fn is_long_enough(&self, span: &Span) -> bool {
        self.duration_min_ns.is_none_or(|least| span.duration_ns >= least)
            && self.duration_max_ns.is_none_or(|most| span.duration_ns <= most)
    }
}

/// The span that a trace began with, where it is in this part: one that came later has others.
fn first(part: &Part) -> Option<&Span> {
    let entry = entry(part.spans.iter())?;
    (entry.parent.is_none() || entry.start_ns <= part.start_ns).then_some(&**entry)
}

fn is_named(span: &Span, name: &str) -> bool {
    let route = span.attribute("http.route");
    contains(&span.name, name) || route.is_some_and(|route| shows(route, |route| contains(route, name)))
}

fn span_has(span: &Span, text: &str) -> bool {
    let why = if let Status::Error(why) = &span.status { why } else { "" };
    [&*span.name, &*span.service, &*span.instance, why].into_iter().any(|one| contains(one, text))
        || any_has(&span.attributes, text)
        || span.events.iter().any(|event| contains(&event.name, text) || any_has(&event.attributes, text))
}

pub(crate) fn log_has(log: &LogRecord, text: &str) -> bool {
    contains(&log.body, text) || contains(&log.event, text) || any_has(&log.attributes, text)
}

fn any_has(attributes: &[(Text, Value)], text: &str) -> bool {
    attributes.iter().any(|(_, value)| shows(value, |shown| contains(shown, text)))
}

/// Whether a value, or one in it, is so as it is shown.
fn shows(value: &Value, is_so: impl Fn(&str) -> bool + Copy) -> bool {
    match value {
        Value::Text(text) => is_so(text),
        Value::Int(number) => is_so(&number.to_string()),
        Value::Float(number) => is_so(&number.to_string()),
        Value::Bool(truth) => is_so(if *truth { "true" } else { "false" }),
        Value::Bytes(bytes) => is_so(&crate::hex(bytes)),
        Value::List(list) => list.iter().any(|one| shows(one, is_so)),
        Value::Map(map) => map.iter().any(|(_, one)| shows(one, is_so)),
    }
}

/// Whether `part` is in `text`, in capitals or not as far as ASCII goes.
pub(crate) fn contains(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    let Some(first) = part.first() else { return true };
    let mut windows = text.windows(part.len());
    windows.any(|window| window[0].eq_ignore_ascii_case(first) && window.eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::span;

    #[test]
    fn conditions_are_read() {
        let is = |text: &str| Condition::parse(text).is;
        assert_eq!(is("a=b=c"), Is::Equal("b=c".into()));
        assert_eq!(is("a~b=c"), Is::Containing("b=c".into()));
        assert_eq!(Condition::parse("a.b"), Condition { key: "a.b".into(), is: Is::There });
    }

    #[test]
    fn one_span_must_have_all_of_it() {
        let mut one = span();
        one.attributes = vec![
            ("http.response.status_code".into(), Value::Int(503)),
            ("tags".into(), Value::List(vec!["Red".into(), "blue".into()])),
        ];
        let met = |attribute: &str| Condition::parse(attribute).is_met(&one.attributes);
        assert!(met("http.response.status_code=503") && met("tags=blue") && met("tags~red") && met("tags"));
        assert!(!met("http.response.status_code=50") && !met("tags=red") && !met("tag"));
        let text = |text: &str| SpanFilter { text: Some(text.into()), ..SpanFilter::default() }.is_met(&one);
        assert!(text("BLUE") && text("get /") && !text("green"));
    }
}

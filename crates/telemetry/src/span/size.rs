//! What spans and records take in memory, roughly: enough to bound how many are held.

use super::{LogRecord, Span, Status, Text, Value};

impl Span {
    /// Roughly what it takes in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let why = if let Status::Error(why) = &self.status { text(why) } else { 0 };
        let words = [&self.trace_state, &self.service, &self.instance, &self.scope, &self.name];
        let events = self
            .events
            .iter()
            .map(|event| size_of_val(event) + text(&event.name) + attributes(&event.attributes));
        let links = self.links.iter().map(|link| size_of_val(link) + attributes(&link.attributes));
        size_of::<Span>()
            + why
            + words.into_iter().map(text).sum::<usize>()
            + attributes(&self.attributes)
            + events.sum::<usize>()
            + links.sum::<usize>()
    }
}

impl LogRecord {
    /// Roughly what it takes in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let words = [&self.service, &self.instance, &self.event, &self.body];
        size_of::<LogRecord>() + words.into_iter().map(text).sum::<usize>() + attributes(&self.attributes)
    }
}

/// Those that many share cost nothing more.
fn text(text: &Text) -> usize {
    if let Text::Owned(text) = text { text.len() } else { 0 }
}

fn attributes(attributes: &[(Text, Value)]) -> usize {
    attributes.iter().map(|pair| size_of_val(pair) + text(&pair.0) + value(&pair.1)).sum()
}

fn value(value: &Value) -> usize {
    match value {
        Value::Text(all) => text(all),
        Value::Bytes(bytes) => bytes.len(),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => 0,
        Value::List(list) => list.iter().map(|one| size_of_val(one) + self::value(one)).sum(),
        Value::Map(map) => attributes(map),
    }
}

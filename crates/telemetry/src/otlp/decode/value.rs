//! Values and attributes, of which a span or a record has no more than it may.

use serde_json::Value as Json;

use crate::otlp::wire::{Fields, Malformed};
use crate::span::{ATTRIBUTES_MAX, KEY_BYTES_MAX, Text, VALUE_BYTES_MAX, Value};

/// How much one span or record may still bring, and how much of it was left out.
pub(super) struct Budget {
    values: usize,
    pub dropped: u32,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { values: VALUES_MAX, dropped: 0 }
    }
}

impl Budget {
    /// So many were left out.
    pub fn dropped(&mut self, count: u64) {
        self.dropped = self.dropped.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Takes an attribute to the others, if there is room for it.
    pub fn attribute(&mut self, all: &mut Vec<(Text, Value)>, message: &[u8]) -> Result<(), Malformed> {
        if all.len() >= ATTRIBUTES_MAX {
            self.dropped(1);
            return Ok(());
        }
        match self.pair(message, 0)? {
            Some(pair) => all.push(pair),
            None => self.dropped(1),
        }
        Ok(())
    }

    /// A `KeyValue`; none if its key is none, or there is no room left.
    fn pair(&mut self, message: &[u8], depth: usize) -> Result<Option<(Text, Value)>, Malformed> {
        let (mut key, mut value) = (&[][..], None);
        for field in Fields(message) {
            match field? {
                (1, text) => key = text.bytes(),
                (2, one) => value = self.value(one.bytes(), depth)?,
                _ => {}
            }
        }
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Ok(None);
        }
        Ok(value.map(|value| (text(key, KEY_BYTES_MAX), value)))
    }

    /// An `AnyValue`; one of nothing is an empty text. None: there is no room left.
    fn value(&mut self, message: &[u8], depth: usize) -> Result<Option<Value>, Malformed> {
        if self.values == 0 {
            return Ok(None);
        }
        self.values -= 1;
        let mut found = Value::Text(Text::default());
        for field in Fields(message) {
            let (number, value) = field?;
            found = match number {
                1 => Value::Text(text(value.bytes(), VALUE_BYTES_MAX)),
                2 => Value::Bool(value.number() != 0),
                3 => Value::Int(value.number() as i64),
                4 => Value::Float(f64::from_bits(value.number())),
                5 => Value::List(self.list(value.bytes(), depth + 1)?),
                6 => Value::Map(self.map(value.bytes(), depth + 1)?),
                7 => Value::Bytes(value.bytes()[..value.bytes().len().min(VALUE_BYTES_MAX)].into()),
                _ => continue,
            };
        }
        Ok(Some(found))
    }

    fn list(&mut self, message: &[u8], depth: usize) -> Result<Vec<Value>, Malformed> {
        let mut list = Vec::new();
        for field in Fields(message) {
            if let (1, one) = field?
                && depth <= DEPTH_MAX
            {
                list.extend(self.value(one.bytes(), depth)?);
            }
        }
        Ok(list)
    }

    fn map(&mut self, message: &[u8], depth: usize) -> Result<Vec<(Text, Value)>, Malformed> {
        let mut map = Vec::new();
        for field in Fields(message) {
            if let (1, one) = field?
                && depth <= DEPTH_MAX
            {
                map.extend(self.pair(one.bytes(), depth)?);
            }
        }
        Ok(map)
    }
}

/// What a record says: its text, or JSON of what is no text.
pub(super) fn body(message: &[u8], budget: &mut Budget) -> Result<Text, Malformed> {
    // The commonest by far, and the one that may be long.
    if let Some(Ok((1, only))) = Fields(message).next() {
        return Ok(text(only.bytes(), BODY_BYTES_MAX));
    }
    Ok(match budget.value(message, 0)? {
        None => Text::default(),
        Some(Value::Text(text)) => text,
        Some(value) => json(&value).to_string().into(),
    })
}

pub(super) fn json(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::String((**text).to_owned()),
        Value::Int(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Bytes(bytes) => Json::String(String::from_utf8_lossy(bytes).into_owned()),
        Value::List(list) => list.iter().map(json).collect(),
        Value::Map(map) => map.iter().map(|(key, value)| ((**key).to_owned(), json(value))).collect(),
    }
}

/// A text of at most so many bytes. What is no UTF-8 in it is replaced: a letter that an SDK got wrong is no reason to lose the rest.
pub(super) fn text(bytes: &[u8], most: usize) -> Text {
    let mut end = bytes.len().min(most);
    // Not within a character: those that continue one begin with these bits.
    while end > 0 && end < bytes.len() && bytes[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    if end == 0 {
        return Text::default();
    }
    let mut text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    // What stands for what is none is longer than that.
    text.truncate(text.floor_char_boundary(most));
    Text::from(text)
}

/// Most values of a span or record, with those within others.
const VALUES_MAX: usize = 4_096;
/// How deep lists and maps may lie in each other; what is deeper is left out.
const DEPTH_MAX: usize = 8;
/// Longest body of a record, before it is cut to size.
const BODY_BYTES_MAX: usize = 64 << 10;

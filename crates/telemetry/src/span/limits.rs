//! How much a span or a record may be, whoever sends it.
//!
//! The counts are the defaults of OpenTelemetry's SDKs (Span Limits, 128 of each); those of bytes have none there.

use super::{LogRecord, Span, Status, Text, Value};

/// Most attributes of a span, an event, a link or a record.
pub const ATTRIBUTES_MAX: usize = 128;
/// Most events of a span.
pub const EVENTS_MAX: usize = 128;
/// Most links of a span.
pub const LINKS_MAX: usize = 128;
/// Longest name of a span, an event, a service or a scope, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// Longest key of an attribute, in bytes; one with a longer key is left out.
pub const KEY_BYTES_MAX: usize = 256;
/// Longest value of an attribute in bytes, lists and maps with all that is in them; what is over is cut off.
pub const VALUE_BYTES_MAX: usize = 4 * 1024;
/// Longest attributes of one thing together, in bytes; those that come after are left out.
const ALL_BYTES_MAX: usize = 32 * 1024;
/// Longest body of a record, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// How deep lists and maps may lie in each other.
const DEPTH_MAX: usize = 8;

impl Span {
    /// Cuts to size what is over, and counts it in `dropped`.
    pub fn bound(&mut self) {
        for name in [&mut self.service, &mut self.instance, &mut self.scope, &mut self.name] {
            cut(name, NAME_BYTES_MAX);
        }
        // W3C Trace Context 3.3.1.5: at least 512 characters must be passed on.
        cut(&mut self.trace_state, 512);
        if let Status::Error(why) = &mut self.status {
            cut(why, VALUE_BYTES_MAX);
        }
        // One allowance for all of the span: a hundred events are not a hundred times as much.
        let mut left = ALL_BYTES_MAX;
        let mut dropped = attributes(&mut self.attributes, &mut left);
        dropped += shorten(&mut self.events, EVENTS_MAX) + shorten(&mut self.links, LINKS_MAX);
        for event in &mut self.events {
            cut(&mut event.name, NAME_BYTES_MAX);
            dropped += attributes(&mut event.attributes, &mut left);
        }
        for link in &mut self.links {
            dropped += attributes(&mut link.attributes, &mut left);
        }
        self.dropped = self.dropped.saturating_add(u32::try_from(dropped).unwrap_or(u32::MAX));
    }
}

impl LogRecord {
    /// Cuts to size what is over.
    pub fn bound(&mut self) {
        for name in [&mut self.service, &mut self.instance, &mut self.event] {
            cut(name, NAME_BYTES_MAX);
        }
        cut(&mut self.body, BODY_BYTES_MAX);
        attributes(&mut self.attributes, &mut ALL_BYTES_MAX.clone());
    }
}

/// Leaves out what is over; how many that were. `left` is how many bytes there may be.
fn attributes(kept: &mut Vec<(Text, Value)>, left: &mut usize) -> usize {
    let before = kept.len();
    kept.truncate(ATTRIBUTES_MAX);
    kept.retain_mut(|(key, value)| {
        let mut room = VALUE_BYTES_MAX.min(*left);
        if key.is_empty() || key.len() > KEY_BYTES_MAX || key.len() > room {
            return false;
        }
        let most = room;
        fit(value, &mut room, 0);
        *left = left.saturating_sub(most - room + key.len());
        true
    });
    if kept.capacity() > 2 * kept.len() {
        kept.shrink_to_fit();
    }
    before - kept.len()
}

/// Cuts a value to the room that is left, which becomes less.
fn fit(value: &mut Value, room: &mut usize, depth: usize) {
    match value {
        Value::Text(text) => {
            cut(text, *room);
            *room -= text.len();
        }
        Value::Bytes(bytes) => {
            if bytes.len() > *room {
                *bytes = bytes[..*room].into();
            }
            *room -= bytes.len();
        }
        // They lie in the element, which has its room.
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => {}
        Value::List(list) => {
            if depth == DEPTH_MAX {
                list.clear();
            }
            list.retain_mut(|value| {
                enough(room, 0) && {
                    fit(value, room, depth + 1);
                    true
                }
            });
            list.shrink_to_fit();
        }
        Value::Map(map) => {
            if depth == DEPTH_MAX {
                map.clear();
            }
            map.retain_mut(|(key, value)| {
                enough(room, key.len()) && {
                    fit(value, room, depth + 1);
                    true
                }
            });
            map.shrink_to_fit();
        }
    }
}

/// Takes the room of an element itself, if there is that much.
fn enough(room: &mut usize, more: usize) -> bool {
    let needed = size_of::<Value>() + more;
    let fits = *room >= needed;
    if fits {
        *room -= needed;
    }
    fits
}

fn shorten<T>(list: &mut Vec<T>, most: usize) -> usize {
    let over = list.len().saturating_sub(most);
    list.truncate(most);
    over
}

/// Cuts a text at the end of a character. What is cut is not kept in memory either.
fn cut(text: &mut Text, most: usize) {
    if text.len() > most {
        *text = Text::from(text[..text.floor_char_boundary(most)].to_owned());
    }
}

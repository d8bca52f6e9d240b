//! A line that a service wrote, as a record: JSON by the keys that logging libraries use, logfmt, or plain text, of which only a
//! level and the id of a trace are looked for. A line that is none of these is its own message; nothing is lost but colours.
//!
//! Where it came out is told as the conventions have it (`log.iostream`), and so is what stood there where the message is not all of
//! it (`log.record.original`). What it says of the time is believed within a day of when
//! it came.

mod fields;
mod logfmt;
mod plain;
mod time;

use std::borrow::Cow;

use crate::logs::Stream;
use crate::span::{LogRecord, Text, Value};
use fields::Fields;

/// The attribute that has the line itself (OpenTelemetry's semantic conventions, general attributes of logs).
const ORIGINAL: &str = "log.record.original";

/// Who has written a line, and when it came.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The service.
    pub service: Text,
    /// Which instance; empty if that is not known.
    pub instance: Text,
    /// Where it came out.
    pub stream: Stream,
    /// When it came, in nanoseconds since 1970.
    pub at_ns: u64,
}

/// A line as a record.
pub fn line(origin: Origin, text: &str) -> LogRecord {
    let text = without_colours(text);
    let fields = match text.trim_start().starts_with('{') {
        true => fields::json(text.trim()),
        false => logfmt::fields(text.trim()),
    };
    let mut record = match fields {
        Some(fields) => of_fields(fields, &text, origin.at_ns),
        None => of_text(&text, origin.at_ns),
    };
    record.service = origin.service;
    record.instance = origin.instance;
    let stream = match origin.stream {
        Stream::Stdout => Some("stdout"),
        Stream::Stderr => Some("stderr"),
        Stream::Colony => None,
    };
    record.attributes.extend(stream.map(|stream| ("log.iostream".into(), stream.into())));
    record
}

fn of_fields(mut fields: Fields, text: &str, at_ns: u64) -> LogRecord {
    let (trace_id, span_id) = fields.trace();
    let (at_ns, severity, message) = (fields.time(at_ns), fields.severity(), fields.message());
    let mut attributes = fields.rest();
    if message.is_some() {
        attributes.push((ORIGINAL.into(), text.to_owned().into()));
    }
    LogRecord {
        severity,
        body: message.unwrap_or_else(|| text.to_owned().into()),
        trace_id,
        span_id,
        attributes,
        ..empty(at_ns)
    }
}

fn of_text(text: &str, at_ns: u64) -> LogRecord {
    let (trace_id, span_id) = plain::trace(text);
    LogRecord {
        severity: plain::severity(text),
        body: text.to_owned().into(),
        trace_id,
        span_id,
        ..empty(at_ns)
    }
}

fn empty(at_ns: u64) -> LogRecord {
    LogRecord {
        at_ns,
        severity: 0,
        service: Text::default(),
        instance: Text::default(),
        event: Text::default(),
        body: Text::default(),
        attributes: Vec::<(Text, Value)>::new(),
        trace_id: None,
        span_id: None,
    }
}

/// Text without the escapes that colour it in a terminal (ECMA-48: `ESC [`, parameters, a letter).
fn without_colours(text: &str) -> Cow<'_, str> {
    if !text.contains('\x1b') {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\x1b' {
            clean.push(letter);
        } else if letters.next_if_eq(&'[').is_some() {
            letters.find(|letter| ('@'..='~').contains(letter));
        }
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests;

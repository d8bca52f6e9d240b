//! What can be told of a line of plain text: a level at its beginning, and the id of a trace.

use crate::json::unhex;
use crate::trace::{TRACEPARENT_LEN, TraceContext};

/// How far into a line a level is looked for: behind a time and a name.
const LOOKED_AT: usize = 96;

/// What words mean, by OpenTelemetry's numbers.
const LEVELS: [(&str, u8); 16] = [
    ("trace", 1),
    ("verbose", 1),
    ("debug", 5),
    ("dbg", 5),
    ("information", 9),
    ("info", 9),
    ("inf", 9),
    ("notice", 10),
    ("warning", 13),
    ("warn", 13),
    ("wrn", 13),
    ("error", 17),
    ("err", 17),
    ("critical", 21),
    ("fatal", 21),
    ("panic", 21),
];

/// What a level is that stands for itself.
pub(super) fn level(word: &str) -> Option<u8> {
    LEVELS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, severity)| *severity)
}

/// The first word of a line that is a level: in capitals, or set off as `[info]` or `info:`; 0 if there is none.
pub(super) fn severity(text: &str) -> u8 {
    let head = &text[..text.floor_char_boundary(LOOKED_AT)];
    let mut at = 0;
    for word in head.split_inclusive(|c: char| !c.is_ascii_alphabetic()) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
        let before = head[..at].chars().next_back();
        let after = head[at + bare.len()..].chars().next();
        at += word.len();
        let is_bounded = [before, after].iter().all(|c| c.is_none_or(|c| " \t[](){}<>:|,;".contains(c)));
        let is_set_off = bare.bytes().all(|byte| byte.is_ascii_uppercase())
            || (matches!(before, Some('[' | '(' | '<')) && matches!(after, Some(']' | ')' | '>')))
            || after == Some(':');
        if let Some(severity) = level(bare).filter(|_| is_bounded && is_set_off) {
            return severity;
        }
    }
    0
}

/// A trace that is named in a line: `trace_id=...`, `"traceId": "..."`, a `traceparent`.
pub(super) fn trace(text: &str) -> (Option<[u8; 16]>, Option<[u8; 8]>) {
    let parent = after(text, &["traceparent"], TRACEPARENT_LEN);
    if let Some(parent) = parent.and_then(|parent| TraceContext::parse(parent.as_bytes())) {
        return (Some(parent.trace_id), Some(parent.span_id));
    }
    let trace_id = after(text, &["trace_id", "traceId", "traceID", "trace.id"], 32).and_then(unhex);
    let span_id = after(text, &["span_id", "spanId", "spanID", "span.id"], 16).and_then(unhex);
    (trace_id.filter(|id| *id != [0; 16]), span_id.filter(|id| *id != [0; 8]))
}

/// So many bytes behind a name and what stands between it and its value.
fn after<'t>(text: &'t str, names: &[&str], length: usize) -> Option<&'t str> {
    let (at, name) = names.iter().find_map(|name| Some((text.find(name)?, name)))?;
    let rest = text[at + name.len()..].trim_start_matches(['"', '\'', '=', ':', ' ', '[']);
    rest.get(..length)
}

//! Overlays: one tree laid over another.
//!
//! Maps merge key by key; lists and scalars replace; `null` removes a key. Every node keeps the
//! span that it came with, so an error in an overlay is drawn in the overlay.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::yaml::{Entry, Node, Value, clip};

/// Lays `over` over `base`.
pub(crate) fn merge(base: &mut Node, over: Node, found: &mut Vec<Diagnostic>) {
    match (&mut base.value, over) {
        (Value::Map(entries), Node { value: Value::Map(overlay), .. }) => {
            for entry in overlay {
                merge_entry(entries, entry, found);
            }
        }
        (_, over) if over.is_null() => {}
        (_, over) => *base = over,
    }
}

fn merge_entry(entries: &mut Vec<Entry>, over: Entry, found: &mut Vec<Diagnostic>) {
    let place = entries.iter().position(|entry| entry.key == over.key);
    match place {
        Some(place) if over.value.is_null() => {
            entries.remove(place);
        }
        Some(place) => {
            let mergeable =
                matches!((&entries[place].value.value, &over.value.value), (Value::Map(_), Value::Map(_)));
            if !mergeable {
                entries[place].key_span = over.key_span;
            }
            merge(&mut entries[place].value, over.value, found);
        }
        None if over.value.is_null() => found.push(nothing_to_remove(&over)),
        None => entries.push(over),
    }
}

fn nothing_to_remove(over: &Entry) -> Diagnostic {
    let key = clip(&over.key);
    Diagnostic::warning(codes::OVERLAY, over.key_span, format!("there is no `{key}` here to remove"))
        .label("an empty value in an overlay removes the key")
        .help(format!("to add `{key}` with its defaults, write `{key}: {{}}`; else leave this line out"))
}

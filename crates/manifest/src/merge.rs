//! Overlays: one tree laid over another.
//!
//! Maps merge key by key; lists and scalars replace; `null` removes a key. Every node keeps the
//! span that it came with, so an error in an overlay is drawn in the overlay.

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::yaml::{Entry, Node, Value, clip};

/// Lays `over` over `base`, and says what that took out.
pub(crate) fn merge(base: &mut Node, over: Node, found: &mut Vec<Diagnostic>) -> Vec<Removed> {
    let mut merge = Merge { found, removed: Vec::new() };
    merge.lay(base, over, base.span);
    merge.removed
}

/// A key that an overlay took out.
#[derive(Debug)]
pub(crate) struct Removed {
    key: String,
    /// Where the overlay says so.
    at: Span,
    /// The map that it was in, and the key of that.
    map: Span,
    map_key: Span,
}

impl Removed {
    /// Draws what is said of a missing key where it was taken out.
    pub fn explain(&self, one: &mut Diagnostic) {
        let named = one.message.contains(&format!("`{}`", self.key));
        let (span, map) = (one.span, self.map);
        let in_map = span.file == map.file && span.start >= map.start && span.end <= map.end;
        let lacks_it = match one.code {
            codes::NO_ROUTES => self.key == "routes" && span == self.map_key,
            codes::RUN_OR_URL => named && span == self.map_key,
            codes::NO_SERVICES => self.key == "services",
            codes::MISSING_KEY => named && in_map,
            _ => false,
        };
        if lacks_it {
            let label = std::mem::replace(&mut one.label, "taken out here".to_owned());
            one.labels.push((std::mem::replace(&mut one.span, self.at), label));
        }
    }
}

struct Merge<'a> {
    found: &'a mut Vec<Diagnostic>,
    removed: Vec<Removed>,
}

impl Merge<'_> {
    fn lay(&mut self, base: &mut Node, over: Node, key: Span) {
        let map = base.span;
        match (&mut base.value, over) {
            (Value::Map(entries), Node { value: Value::Map(overlay), .. }) => {
                for entry in overlay {
                    self.lay_entry(entries, entry, (map, key));
                }
            }
            (_, over) if over.is_null() => {}
            (_, over) => *base = over,
        }
    }

    fn lay_entry(&mut self, entries: &mut Vec<Entry>, over: Entry, (map, map_key): (Span, Span)) {
        let place = entries.iter().position(|entry| entry.key == over.key);
        match place {
            Some(place) if over.value.is_null() => {
                entries.remove(place);
                self.removed.push(Removed { key: over.key, at: over.key_span, map, map_key });
            }
            Some(place) => {
                let mergeable = matches!(
                    (&entries[place].value.value, &over.value.value),
                    (Value::Map(_), Value::Map(_))
                );
                if !mergeable {
                    entries[place].key_span = over.key_span;
                }
                let key = entries[place].key_span;
                self.lay(&mut entries[place].value, over.value, key);
            }
            None if over.value.is_null() => self.found.push(nothing_to_remove(&over)),
            None => entries.push(over),
        }
    }
}

fn nothing_to_remove(over: &Entry) -> Diagnostic {
    let key = clip(&over.key);
    Diagnostic::warning(codes::OVERLAY, over.key_span, format!("there is no `{key}` here to remove"))
        .label("an empty value in an overlay removes the key")
        .help(format!("to add `{key}` with its defaults, write `{key}: {{}}`; else leave this line out"))
}

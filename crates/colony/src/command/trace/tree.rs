//! The spans of a trace in the order of their drawing: each below what caused it, and those with one cause by when they began.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Deepest that is drawn further to the right.
const DEPTH_MAX: usize = 12;

/// A span, and how deep it lies.
pub(super) struct Row<'t> {
    pub(super) span: &'t Value,
    pub(super) depth: usize,
    /// How long it lay between whoever handed it over and whoever took it, in nanoseconds.
    pub(super) waited_ns: u64,
}

pub(super) fn rows(spans: &[Value]) -> Vec<Row<'_>> {
    let by_id: BTreeMap<&str, &Value> = spans.iter().map(|span| (id(span), span)).collect();
    let mut caused: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    let mut first = Vec::new();
    for span in spans {
        match span["parent_id"].as_str().filter(|parent| by_id.contains_key(parent) && *parent != id(span)) {
            Some(parent) => caused.entry(parent).or_default().push(span),
            None => first.push(span),
        }
    }
    let mut rows = Vec::new();
    let mut seen = BTreeSet::new();
    // What causes itself in a circle has no first: the rest is drawn as it comes.
    for span in first.into_iter().chain(spans) {
        let mut left = vec![(span, 0)];
        while let Some((span, depth)) = left.pop() {
            if !seen.insert(id(span)) {
                continue;
            }
            let parent = span["parent_id"].as_str().and_then(|parent| by_id.get(parent));
            rows.push(Row {
                span,
                depth: depth.min(DEPTH_MAX),
                waited_ns: parent.map_or(0, |parent| waited(span, parent)),
            });
            let below = caused.get(id(span)).into_iter().flatten().rev();
            left.extend(below.map(|span| (*span, depth + 1)));
        }
    }
    rows
}

fn id(span: &Value) -> &str {
    span["span_id"].as_str().unwrap_or_default()
}

/// From the end of what published a message to the beginning of what works on it.
fn waited(span: &Value, parent: &Value) -> u64 {
    if span["kind"] != "consumer" || parent["kind"] != "producer" {
        return 0;
    }
    let number = |span: &Value, key: &str| span[key].as_u64().unwrap_or(0);
    let handed_over_ns = number(parent, "start_us") * 1_000 + number(parent, "duration_ns");
    (number(span, "start_us") * 1_000).saturating_sub(handed_over_ns)
}

//! Where each key of a manifest was written, as it is after overlays and variables: an answer to "why is this
//! value what it is".

use std::collections::{BTreeMap, BTreeSet};

use crate::Input;
use crate::diagnostic::{File, Span};
use crate::secrets::Mask;
use crate::substitute::is_variable_name;
use crate::yaml::{Node, Value};

/// A place in one of the files that a manifest is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user named it.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Environment variables that the value there is made of, whether or not they were set.
    pub variables: Vec<String>,
}

/// Where the keys of a manifest were written.
///
/// A key's name is its way from the top, `services.app.calls.cart.timeout`; an item of a list goes by its
/// number, `gateway.routes[0].path`, and a text among `calls` by itself.
/// Without any, nothing was set anywhere.
#[derive(Clone, Debug, Default)]
pub struct Places {
    keys: BTreeMap<String, Spans>,
    files: Vec<File>,
}

#[derive(Clone, Copy, Debug)]
struct Spans {
    key: Span,
    /// None: a key without a value, which counts as left out.
    value: Option<Span>,
}

impl Places {
    /// Looks at all of a manifest's files, whether or not it is valid.
    pub fn of(input: &Input) -> Places {
        let mut mask = Mask::default();
        let root = crate::tree(input, &mut mask, &mut Vec::new());
        let sources = std::iter::once(&input.base).chain(&input.overlays);
        let files = sources.map(|source| File::new(source, &mask)).collect();
        let mut places = Places { keys: BTreeMap::new(), files };
        if let Some(crate::Tree { root, .. }) = root {
            places.look("", root.span, &root);
        }
        places
    }

    /// Where the key's value is.
    pub fn value(&self, key: &str) -> Option<Place> {
        self.keys.get(key).and_then(|spans| spans.value).map(|span| self.place(span))
    }

    /// Where the key is, also one without a value.
    pub fn key(&self, key: &str) -> Option<Place> {
        self.keys.get(key).map(|spans| self.place(spans.key))
    }

    /// Whether the key's value is a map with keys of its own.
    pub(super) fn has_below(&self, key: &str) -> bool {
        let below = format!("{key}.");
        self.keys.range(below.clone()..).next().is_some_and(|(name, _)| name.starts_with(&below))
    }

    fn look(&mut self, name: &str, key: Span, node: &Node) {
        let value = (!node.is_null()).then_some(node.span);
        self.keys.insert(name.to_owned(), Spans { key, value });
        match &node.value {
            Value::Scalar(_) => {}
            Value::Map(entries) => {
                for entry in entries {
                    let dot = if name.is_empty() { "" } else { "." };
                    self.look(&format!("{name}{dot}{}", entry.key), entry.key_span, &entry.value);
                }
            }
            Value::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    match &item.value {
                        Value::Scalar(scalar) if name.ends_with(".calls") => {
                            let spans = Spans { key: item.span, value: None };
                            self.keys.insert(format!("{name}.{}", scalar.text), spans);
                        }
                        _ => self.look(&format!("{name}[{at}]"), item.span, item),
                    }
                }
            }
        }
    }

    fn place(&self, span: Span) -> Place {
        let file = &self.files[(span.file as usize).min(self.files.len() - 1)];
        let (line, column) = file.position(span.start);
        let text = file.text.get(span.start as usize..span.end as usize).unwrap_or_default();
        Place { file: file.name.clone(), line, column, variables: variables(text) }
    }
}

/// The variables named in a text, `${NAME}` or `${NAME:default}`, each once. Of a map or a list only what
/// stands between its brackets is looked at, which is where a span goes.
fn variables(text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let openings = text.match_indices("${").filter(|(at, _)| !text[..*at].ends_with('$'));
    let names = openings.filter_map(|(at, _)| text[at + 2..].split([':', '}']).next());
    names.filter(|name| is_variable_name(name) && seen.insert(*name)).map(str::to_owned).collect()
}

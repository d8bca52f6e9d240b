//! YAML as a tree that remembers where everything stood, so that errors can point.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

/// A place in the file, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub line: usize,
    pub column: usize,
}

impl From<&Marker> for At {
    fn from(mark: &Marker) -> At {
        At { line: mark.line(), column: mark.col() + 1 }
    }
}

/// One value and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub at: At,
    pub value: Value,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Text as written; only a plain one (not quoted) can be a number, a truth value or null.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A mapping's key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub at: At,
    pub text: String,
}

impl Node {
    /// The scalar by YAML's core schema (1.2.2, 10.3.2).
    pub(super) fn scalar(&self) -> Option<serde_json::Value> {
        let Value::Scalar { text, plain } = &self.value else { return None };
        if !plain {
            return Some(text.as_str().into());
        }
        Some(match text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => serde_json::Value::Null,
            "true" | "True" | "TRUE" => true.into(),
            "false" | "False" | "FALSE" => false.into(),
            text => number(text).unwrap_or_else(|| text.into()),
        })
    }
}

fn number(text: &str) -> Option<serde_json::Value> {
    let unsigned = text.trim_start_matches(['-', '+']);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(serde_json::Value::Number)
}

/// Reads the file's only document; `None` when it holds nothing.
pub(super) fn parse(text: &str) -> Result<Option<Node>, (At, String)> {
    let mut reader = Reader { events: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
    let mut root = None;
    while let Some((event, at)) = reader.next()? {
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::StreamEnd => {}
            _ if root.is_some() => return Err((at, "a scenario file holds one document".to_owned())),
            event => root = Some(reader.node(event, at, 0)?),
        }
    }
    let empty = |node: &Node| matches!(&node.value, Value::Scalar { text, plain: true } if text.is_empty());
    Ok(root.filter(|node| !empty(node)))
}

struct Reader<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, At)>, (At, String)> {
        match self.events.next() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, At::from(&span.start)))),
            Some(Err(error)) => Err((At::from(error.marker()), error.info().to_owned())),
        }
    }

    fn within(&mut self) -> Result<(Event<'a>, At), (At, String)> {
        self.next()?.ok_or((At { line: 1, column: 1 }, "the file ends too early".to_owned()))
    }

    fn node(&mut self, event: Event<'a>, at: At, depth: usize) -> Result<Node, (At, String)> {
        self.nodes += 1;
        if self.nodes > NODES_MAX || depth > DEPTH_MAX {
            return Err((at, format!("more than {NODES_MAX} values, or {DEPTH_MAX} levels, are too many")));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                (Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, at),
            _ => return Err((at, "a value is missing".to_owned())),
        };
        let node = Node { at, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, (At, String)> {
        let mut items = Vec::new();
        loop {
            match self.within()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, at) => items.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, (At, String)> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let (key, at) = match self.within()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(entries)),
                (Event::Scalar(text, ..), at) => (text.into_owned(), at),
                (_, at) => return Err((at, "a key must be text".to_owned())),
            };
            if let Some((first, _)) = entries.iter().find(|(known, _)| known.text == key) {
                return Err((at, format!("`{key}` stands here twice, first on line {}", first.at.line)));
            }
            let (event, value_at) = self.within()?;
            let value = self.node(event, value_at, depth + 1)?;
            entries.push((Key { at, text: key }, value));
        }
    }

    fn alias(&mut self, anchor: usize, at: At) -> Result<Node, (At, String)> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err((at, "an alias names an anchor before it".to_owned()));
        };
        self.nodes += count(&node);
        if self.nodes > NODES_MAX {
            return Err((at, format!("aliases spell out more than {NODES_MAX} values")));
        }
        Ok(node)
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } => 0,
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(entries) => entries.iter().map(|(_, value)| count(value)).sum(),
    }
}

/// Far above any scenario, far below what aliases of aliases can ask for.
const NODES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 64;

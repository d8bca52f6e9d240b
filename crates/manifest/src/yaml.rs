//! YAML as a tree in which every node knows where it came from.
//!
//! Built from parser events rather than from a document, for spans and so that duplicate keys are
//! seen. Aliases are expanded by copying, which a hostile document could use to grow without end:
//! hence the bounds on nesting, on nodes and on text, each an error of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax;

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub span: Span,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub text: String,
    pub style: Style,
    /// Came from a secret variable, at least in part.
    pub secret: bool,
}

/// What tells a number from a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes: a number, `true`, nothing, or text, by its looks.
    Plain,
    /// In quotes or a block: text.
    Quoted,
    /// Lacks a variable, which has been reported: not to be looked at.
    Broken,
    /// Came out of `${...}`: whatever is asked for, as quotes are often needed around it.
    Substituted,
}

impl Node {
    /// Nothing: `~`, `null`, or no text at all.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.style == Style::Plain
            && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    pub fn is_secret(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.secret)
    }

    /// Where to point at: the scalar, or the first line of a map or list.
    pub fn head(&self) -> Span {
        match &self.value {
            Value::Map(entries) => entries.first().map_or(self.span, |entry| entry.key_span),
            Value::List(items) => items.first().map_or(self.span, Node::head),
            Value::Scalar(_) => self.span,
        }
    }

    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Node::size).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
        }
    }
}

/// Reads one file. None: it has an error that leaves nothing to look at, which has been reported.
pub(crate) fn parse(text: &str, file: u32, found: &mut Vec<Diagnostic>) -> Option<Node> {
    let mut loader = Loader::new(text, file, found);
    match loader.document() {
        Ok(node) => Some(node),
        Err(fatal) => {
            loader.found.push(*fatal);
            None
        }
    }
}

/// Reads all documents of a file. Those behind an error that leaves nothing to look at are left out with it.
pub(crate) fn parse_all(text: &str, file: u32, found: &mut Vec<Diagnostic>) -> Vec<Node> {
    let mut loader = Loader::new(text, file, found);
    let mut documents = Vec::new();
    if let Err(fatal) = loader.documents(|document| documents.push(document)) {
        loader.found.push(*fatal);
    }
    documents
}

type Fatal = Box<Diagnostic>;

struct Loader<'a> {
    text: &'a str,
    file: u32,
    parser: Parser<'a, StrInput<'a>>,
    /// Byte offset of each character; empty if the text is ASCII, where they are the same.
    offsets: Vec<u32>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    found: &'a mut Vec<Diagnostic>,
}

impl<'a> Loader<'a> {
    fn new(text: &'a str, file: u32, found: &'a mut Vec<Diagnostic>) -> Self {
        let offsets = match text.is_ascii() {
            true => Vec::new(),
            false => text.char_indices().map(|(at, _)| at as u32).chain([text.len() as u32]).collect(),
        };
        let parser = Parser::new_from_str(if text.len() > TEXT_BYTES_MAX { "" } else { text });
        Self { text, file, parser, offsets, anchors: HashMap::new(), nodes: 0, found }
    }

    fn document(&mut self) -> Result<Node, Fatal> {
        let mut all = Vec::new();
        let mut second = None;
        self.documents(|document| match all.is_empty() {
            true => all.push(document),
            false => second = second.or(Some(document.span)),
        })?;
        match second {
            Some(at) => Err(second_document(at)),
            None => Ok(all.pop().unwrap_or_else(|| nothing(Span { file: self.file, start: 0, end: 0 }))),
        }
    }

    fn documents(&mut self, mut take: impl FnMut(Node)) -> Result<(), Fatal> {
        if self.text.len() > TEXT_BYTES_MAX {
            let span = Span { file: self.file, start: 0, end: 0 };
            return Err(fatal(span, format!("the file is larger than {} MiB", TEXT_BYTES_MAX >> 20)));
        }
        loop {
            let (event, at) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                event => take(self.node(event, at, 0)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Fatal> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let span = self.span(span.start.index(), span.end.index());
                Ok((event, span))
            }
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, self.span(usize::MAX, usize::MAX))),
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        let byte = |index: usize| match self.offsets.len() {
            0 => index.min(self.text.len()) as u32,
            len => self.offsets[index.min(len - 1)],
        };
        let (start, end) = (byte(start), byte(end));
        Span { file: self.file, start, end: end.max(start) }
    }

    fn node(&mut self, event: Event<'a>, at: Span, depth: usize) -> Result<Node, Fatal> {
        self.count(1, at)?;
        if depth > DEPTH_MAX {
            return Err(fatal(at, format!("nested more than {DEPTH_MAX} levels deep")));
        }
        let (anchor, node) = match event {
            Event::Alias(id) => return self.alias(id, at),
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, self.scalar(&text, style, tag.as_deref(), at)?)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), "seq", at)?;
                (anchor, self.list(at, depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), "map", at)?;
                (anchor, self.map(at, depth)?)
            }
            _ => return Err(fatal(at, "this is not a value")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, at: Span) -> Result<(), Fatal> {
        self.nodes += nodes;
        match self.nodes > NODES_MAX {
            true => Err(fatal(at, format!("more than {NODES_MAX} values, with all aliases expanded"))),
            false => Ok(()),
        }
    }

    fn alias(&mut self, id: usize, at: Span) -> Result<Node, Fatal> {
        let Some(node) = self.anchors.get(&id) else {
            return Err(fatal(at, "this alias stands inside the value that it stands for"));
        };
        let node = node.clone();
        self.count(node.size(), at)?;
        Ok(node)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Span) -> Result<Node, Fatal> {
        let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
        if !is_text {
            refuse_tag(tag, "", at)?;
        }
        let style = match style {
            ScalarStyle::Plain if !is_text => Style::Plain,
            _ => Style::Quoted,
        };
        let value = Value::Scalar(Scalar { text: text.to_owned(), style, secret: false });
        Ok(Node { span: self.trimmed(at), value })
    }

    /// Without the line ends that a block scalar's span takes in.
    fn trimmed(&self, span: Span) -> Span {
        let text = self.text.get(span.start as usize..span.end as usize).unwrap_or_default();
        Span { end: span.start + text.trim_end().len() as u32, ..span }
    }

    fn list(&mut self, start: Span, depth: usize) -> Result<Node, Fatal> {
        let mut items = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Node { span: self.extent(start, at), value: Value::List(items) });
            }
            items.push(self.node(event, at, depth + 1)?);
        }
    }

    fn map(&mut self, start: Span, depth: usize) -> Result<Node, Fatal> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut places: BTreeMap<String, Span> = BTreeMap::new();
        let mut merged: Vec<Node> = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                self.merge_keys(&mut entries, merged);
                return Ok(Node { span: self.extent(start, at), value: Value::Map(entries) });
            }
            let (key, key_span) = self.key(event, at)?;
            let (event, at) = self.next()?;
            let value = self.node(event, at, depth + 1)?;
            if key == "<<" {
                merged.push(value);
            } else if let Some(first) = places.get(&key) {
                self.found.push(duplicate(&key, key_span, *first));
            } else {
                places.insert(key.clone(), key_span);
                entries.push(Entry { key, key_span, value });
            }
        }
    }

    fn key(&mut self, event: Event<'a>, at: Span) -> Result<(String, Span), Fatal> {
        match event {
            Event::Scalar(text, ..) => Ok((text.into_owned(), self.trimmed(at))),
            Event::Alias(id) => match self.anchors.get(&id).map(|node| &node.value) {
                Some(Value::Scalar(scalar)) => Ok((scalar.text.clone(), at)),
                _ => Err(fatal(at, "a key must be a plain word")),
            },
            _ => Err(fatal(at, "a key must be a plain word, not a list or a map")
                .map_help("a value that begins with `{` or `[` needs quotes if it is meant as text")),
        }
    }

    /// `<<: *base`: keys of the merged maps that the map does not have itself.
    fn merge_keys(&mut self, entries: &mut Vec<Entry>, merged: Vec<Node>) {
        let mut known: BTreeSet<String> = match merged.is_empty() {
            true => return,
            false => entries.iter().map(|own| own.key.clone()).collect(),
        };
        let maps = merged.into_iter().flat_map(|node| match node.value {
            Value::List(items) => items,
            value => vec![Node { span: node.span, value }],
        });
        for map in maps {
            let Value::Map(inherited) = map.value else {
                self.found.push(*fatal(map.span, "`<<` takes the keys of a map, and this is none"));
                continue;
            };
            entries.extend(inherited.into_iter().filter(|entry| known.insert(entry.key.clone())));
        }
    }

    /// A collection's span: its brackets if it has some, else its first character.
    fn extent(&self, start: Span, end: Span) -> Span {
        let bracketed =
            self.text.as_bytes().get(start.start as usize).is_some_and(|c| matches!(c, b'{' | b'['));
        if bracketed { Span { end: end.end.max(start.end), ..start } } else { start }
    }

    fn syntax(&self, error: &ScanError) -> Fatal {
        let info = error.info();
        let at = self.visible(self.span(error.marker().index(), error.marker().index() + 1));
        let line = self.text[..at.start as usize].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[line..].lines().next().unwrap_or_default();
        let mut one = *fatal(at, format!("this is not valid YAML: {}", syntax::words(info)));
        if let Some(help) = syntax::help(line, info) {
            one = one.help(help);
        }
        Box::new(one.label("the reader stopped here"))
    }

    /// At the end of the file there is nothing to underline: its last visible character instead.
    fn visible(&self, at: Span) -> Span {
        let rest = self.text.get(at.start as usize..).unwrap_or_default();
        if !rest.trim().is_empty() {
            return at;
        }
        let last = self.text.trim_end().char_indices().next_back();
        let (start, len) = last.map_or((0, 0), |(start, c)| (start, c.len_utf8()));
        Span { file: at.file, start: start as u32, end: (start + len) as u32 }
    }
}

fn duplicate(key: &str, again: Span, first: Span) -> Diagnostic {
    Diagnostic::error(codes::DUPLICATE_KEY, again, format!("the key `{}` is given twice", clip(key)))
        .label("given again here")
        .also(first, "first given here")
        .help("keep one of the two")
}

fn refuse_tag(tag: Option<&Tag>, allowed: &str, at: Span) -> Result<(), Fatal> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == allowed) => {
            Err(fatal(at, "YAML tags have no meaning here").map_help("leave out the `!...`"))
        }
        _ => Ok(()),
    }
}

fn second_document(at: Span) -> Fatal {
    fatal(at, "a second document begins here")
        .map_help("a manifest is one document: remove the `---` before this")
}

fn fatal(span: Span, message: impl Into<String>) -> Fatal {
    Box::new(Diagnostic::error(codes::YAML, span, message))
}

trait MapHelp {
    fn map_help(self, text: &str) -> Self;
}

impl MapHelp for Fatal {
    fn map_help(mut self, text: &str) -> Self {
        self.help = Some(text.to_owned());
        self
    }
}

pub(crate) fn nothing(span: Span) -> Node {
    Node { span, value: Value::Scalar(Scalar { text: String::new(), style: Style::Plain, secret: false }) }
}

/// A text as a message quotes it: one line, not too long.
pub(crate) fn clip(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(QUOTE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

/// Longest text that a message quotes.
const QUOTE_CHARS_MAX: usize = 60;
/// Largest file. A manifest of 5,000 lines has about 200 KiB.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Deepest nesting. The manifest's own keys need 7.
const DEPTH_MAX: usize = 64;
/// Most values with all aliases expanded.
const NODES_MAX: usize = 500_000;

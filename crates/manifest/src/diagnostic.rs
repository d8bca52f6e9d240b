//! What is wrong with a manifest and where: collected by every phase, so that one run shows
//! everything, and kept apart from how it is drawn.

use serde_json::{Value, json};

use crate::secrets::Mask;

/// Whether a finding forbids using the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The manifest cannot be used.
    Error,
    /// It can be used, yet something is hardly meant as written.
    Warning,
}

impl Severity {
    /// The word for people and for JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// A range of bytes in one of the files of an [`crate::Input`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// 0: the base; from 1: the overlays in order.
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// `C0001` and up; [`crate::explain`] has the page.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, in a line. Never holds a secret value.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where it is.
    pub span: Span,
    /// What to write under the underlined source; may be empty.
    pub label: String,
    /// Other places that matter and what they are.
    pub labels: Vec<(Span, String)>,
}

impl Diagnostic {
    pub(crate) fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            help: None,
            span,
            label: String::new(),
            labels: Vec::new(),
        }
    }

    pub(crate) fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    pub(crate) fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    /// What to write instead: under the source if it is short, below the drawing if not.
    pub(crate) fn hint(self, text: &str) -> Self {
        match text.chars().count() <= LABEL_CHARS_MAX {
            true => self.label(text),
            false => self.help(text),
        }
    }

    pub(crate) fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push((span, text.into()));
        self
    }

    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Keys are quoted as written, and may have a secret default written in them.
    fn mask(&mut self, mask: &Mask) {
        let labels = self.labels.iter_mut().map(|(_, text)| text);
        let texts = [&mut self.message, &mut self.label].into_iter().chain(&mut self.help).chain(labels);
        for text in texts.filter(|text| text.contains("${")) {
            *text = mask.source(text);
        }
    }

    /// The page that explains the code, relative to the repository.
    pub fn page(&self) -> String {
        format!("docs/errors/{}.md", self.code)
    }
}

/// A file as diagnostics show it: secret defaults masked, line starts known.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub name: String,
    pub text: String,
    line_starts: Vec<usize>,
}

impl File {
    pub(crate) fn new(source: &crate::Source, mask: &Mask) -> Self {
        let text = mask.source(&source.text);
        let line_starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(newline, _)| newline + 1)).collect();
        Self { name: source.name.clone(), text, line_starts }
    }

    /// Line and column, both from 1, the column in characters.
    pub fn position(&self, offset: u32) -> (usize, usize) {
        let offset = (offset as usize).min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset) - 1;
        let before = self.text.get(self.line_starts[line]..offset).unwrap_or_default();
        (line + 1, before.chars().count() + 1)
    }
}

/// All findings of a run, in the order of the files and of their lines.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
    files: Vec<File>,
}

impl Diagnostics {
    pub(crate) fn new(found: Vec<Diagnostic>, input: &crate::Input, mask: &Mask) -> Self {
        Self::of(found, std::iter::once(&input.base).chain(&input.overlays), mask)
    }

    /// Findings in these files, to which their spans count.
    pub(crate) fn of<'a>(
        mut found: Vec<Diagnostic>,
        files: impl IntoIterator<Item = &'a crate::Source>,
        mask: &Mask,
    ) -> Self {
        found.iter_mut().for_each(|one| one.mask(mask));
        found.sort_by_key(|one| (one.span.file, one.span.start, one.severity));
        found.dedup();
        Self { found, files: files.into_iter().map(|source| File::new(source, mask)).collect() }
    }

    /// One more finding, in one of the same files.
    pub(crate) fn add(&mut self, one: Diagnostic) {
        let place = |one: &Diagnostic| (one.span.file, one.span.start, one.severity);
        let at = self.found.partition_point(|other| place(other) <= place(&one));
        self.found.insert(at, one);
    }

    /// Adds what was found in other files.
    pub fn append(&mut self, mut others: Diagnostics) {
        let before = self.files.len() as u32;
        for one in &mut others.found {
            let places = one.labels.iter_mut().map(|(span, _)| span);
            std::iter::once(&mut one.span).chain(places).for_each(|span| span.file += before);
        }
        self.found.append(&mut others.found);
        self.files.append(&mut others.files);
    }

    /// Every finding.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.found.iter()
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|one| one.severity == severity).count()
    }

    /// The name of the file that a span lies in, as the user typed it.
    pub fn file(&self, span: Span) -> &str {
        &self.source(span).name
    }

    /// Line and column of a span's first character, both from 1.
    pub fn position(&self, span: Span) -> (usize, usize) {
        self.source(span).position(span.start)
    }

    pub(crate) fn source(&self, span: Span) -> &File {
        &self.files[(span.file as usize).min(self.files.len() - 1)]
    }

    /// An array with an object for each finding: `code`, `severity`, `message`, `help`, `page`,
    /// `label`, `file`, `line`, `column`, `end_line`, `end_column` and `labels` (other places, each
    /// with `message` and its place). Lines and columns count from 1, columns in characters.
    pub fn to_json(&self) -> Value {
        self.found.iter().map(|one| self.one_to_json(one)).collect()
    }

    fn one_to_json(&self, one: &Diagnostic) -> Value {
        let mut object = self.place_to_json(one.span);
        object["code"] = one.code.into();
        object["severity"] = one.severity.as_str().into();
        object["message"] = one.message.as_str().into();
        object["help"] = one.help.as_deref().into();
        object["label"] = one.label.as_str().into();
        object["page"] = one.page().into();
        object["labels"] = one.labels.iter().map(|(span, text)| self.label_to_json(*span, text)).collect();
        object
    }

    fn label_to_json(&self, span: Span, text: &str) -> Value {
        let mut object = self.place_to_json(span);
        object["message"] = text.into();
        object
    }

    fn place_to_json(&self, span: Span) -> Value {
        let file = self.source(span);
        let (line, column) = file.position(span.start);
        let (end_line, end_column) = file.position(span.end);
        json!({
            "file": file.name, "line": line, "column": column, "end_line": end_line, "end_column": end_column,
        })
    }
}

/// Longest hint that fits beside the source.
const LABEL_CHARS_MAX: usize = 64;

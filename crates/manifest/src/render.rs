//! Diagnostics drawn under their source lines, by miette.

use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use crate::diagnostic::{Diagnostic, Diagnostics, Severity, Span};

impl Diagnostics {
    /// Every finding drawn under its source line, for a terminal of `width` columns; of very many
    /// the first hundred. An empty text if there is none.
    pub fn render(&self, width: usize, color: bool) -> String {
        let mut drawn: Vec<String> =
            self.iter().take(DRAWN_MAX).map(|one| self.draw(one, width, color)).collect();
        let more = self.iter().count().saturating_sub(DRAWN_MAX);
        if more > 0 {
            drawn.push(format!("and {more} more\n"));
        }
        drawn.join("\n")
    }

    fn draw(&self, one: &Diagnostic, width: usize, color: bool) -> String {
        let file = self.source(one.span);
        let drawing =
            Drawing { one, source: NamedSource::new(&file.name, file.text.clone()), help: self.help(one) };
        let mut out = String::new();
        let handler = GraphicalReportHandler::new_themed(theme(one, color))
            .with_width(width.max(WIDTH_MIN))
            .with_context_lines(1)
            .without_cause_chain()
            .with_links(false);
        if handler.render_report(&mut out, &drawing).is_err() {
            out = format!("{}[{}]: {}\n", one.severity.as_str(), one.code, one.message);
        }
        let lines: Vec<&str> = out.trim_start().lines().map(str::trim_end).collect();
        lines.join("\n") + "\n"
    }

    /// The help, and the labels that lie in another file than the drawn one.
    fn help(&self, one: &Diagnostic) -> Option<String> {
        let elsewhere = one.labels.iter().filter(|(span, _)| span.file != one.span.file);
        let notes = elsewhere.map(|(span, text)| {
            let (line, column) = self.position(*span);
            format!("{}:{line}:{column}: {text}", self.file(*span))
        });
        let lines: Vec<String> = notes.chain(one.help.clone()).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// A diagnostic in miette's terms.
#[derive(Debug)]
struct Drawing<'a> {
    one: &'a Diagnostic,
    source: NamedSource<String>,
    help: Option<String>,
}

impl fmt::Display for Drawing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.one.message)
    }
}

impl std::error::Error for Drawing<'_> {}

impl miette::Diagnostic for Drawing<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.one.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let text = self.source.inner();
        let label = (!self.one.label.is_empty()).then(|| self.one.label.clone());
        let (start, len) = drawable(text, self.one.span);
        let first = LabeledSpan::new_primary_with_span(label, (start, len));
        let same_file = self.one.labels.iter().filter(|(span, _)| span.file == self.one.span.file);
        let others = same_file
            .map(|(span, label)| LabeledSpan::new_with_span(Some(label.clone()), drawable(text, *span)));
        Some(Box::new(std::iter::once(first).chain(others)))
    }
}

/// Start and length of what to underline: within the text, and on the span's first line only, for
/// a bracket over a whole block hides more than it shows.
fn drawable(text: &str, span: Span) -> (usize, usize) {
    let start = (span.start as usize).min(text.len());
    let end = (span.end as usize).clamp(start, text.len());
    let line = text.get(start..end).unwrap_or_default().lines().next().unwrap_or_default();
    (start, line.trim_end().len())
}

/// miette's theme, with `error[C0003]:` in place of its cross.
fn theme(one: &Diagnostic, color: bool) -> GraphicalTheme {
    let mut theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let mark = format!("{}[{}]:", one.severity.as_str(), one.code);
    theme.characters.error = mark.clone();
    theme.characters.warning = mark;
    theme
}

/// Most findings drawn: nobody reads more at a time, and each costs a walk through its file.
const DRAWN_MAX: usize = 100;
/// Narrower terminals than this wrap by themselves.
const WIDTH_MIN: usize = 40;

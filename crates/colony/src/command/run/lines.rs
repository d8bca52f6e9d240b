//! What programs and their sidecars write: to the terminal, each line with a name in front, into a file, or both.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use supervisor::Output;
use telemetry::logs::Stream;

use crate::terminal;

/// How lines look on the terminal.
pub(super) struct Lines {
    json: bool,
    /// As `dapr run` has them, for who looks for that.
    as_dapr: bool,
    several: bool,
    width: usize,
    colours: bool,
}

/// Where the lines of one writer go.
#[derive(Clone)]
pub(super) struct Out {
    lines: Arc<Lines>,
    is_console: bool,
    file: Option<Arc<Mutex<File>>>,
    /// What a sidecar has said that is only in its file, until it is ready.
    unseen: Arc<Mutex<Option<String>>>,
}

impl Lines {
    pub(super) fn new(app_ids: &[&str], json: bool) -> Lines {
        let longest = app_ids.iter().map(|id| id.len() + SIDECAR.len()).max().unwrap_or_default();
        let as_dapr = std::env::args_os()
            .next()
            .is_some_and(|name| Path::new(&name).file_name().is_some_and(|name| name == "dapr"));
        Lines {
            json,
            as_dapr,
            several: app_ids.len() > 1,
            width: longest.max(WIDTH_MIN),
            colours: terminal::colours(),
        }
    }

    fn app(&self, app_id: &str, stream: Output, text: &str) -> String {
        if self.json {
            let object = json!({ "type": "output", "app_id": app_id, "stream": stream, "line": text });
            return format!("{object}\n");
        }
        match (self.as_dapr, self.several) {
            (true, false) => format!("== APP == {text}\n"),
            (true, true) => format!("== APP - {app_id} == {text}\n"),
            (false, _) => terminal::output_line(self.colours, self.width, app_id, of(stream), text),
        }
    }

    fn sidecar(&self, app_id: &str, text: &str) -> String {
        match (self.json, self.as_dapr) {
            (true, _) => format!("{text}\n"),
            (false, true) => format!("== DAPR == {text}\n"),
            (false, false) => {
                let name = format!("{app_id}{SIDECAR}");
                terminal::output_line(self.colours, self.width, &name, Stream::Colony, text)
            }
        }
    }
}

impl Out {
    pub(super) fn console(lines: Arc<Lines>) -> Out {
        Out::new(lines, true, None)
    }

    pub(super) fn new(lines: Arc<Lines>, is_console: bool, file: Option<File>) -> Out {
        let file = file.map(|file| Arc::new(Mutex::new(file)));
        let unseen = (!is_console).then(String::new);
        Out { lines, is_console, file, unseen: Arc::new(Mutex::new(unseen)) }
    }

    /// What colours and widths are for.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_console
    }

    /// A line that a program has written.
    pub(super) fn app(&self, app_id: &str, stream: Output, text: &str) {
        self.keep(text);
        if self.is_console {
            terminal::out(&self.lines.app(app_id, stream, text));
        }
    }

    /// One or several lines of a sidecar, each with its end.
    pub(super) fn sidecar(&self, app_id: &str, text: &str) {
        for line in text.lines() {
            self.keep(line);
            if self.is_console {
                terminal::out(&self.lines.sidecar(app_id, line));
            }
        }
        let mut unseen = self.unseen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unseen) = unseen.as_mut().filter(|unseen| unseen.len() < UNSEEN_BYTES_MAX) {
            unseen.push_str(text);
        }
    }

    /// It is ready: what it has said is in its file for who looks for it.
    pub(super) fn settle(&self) {
        *self.unseen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Shows on the terminal what a sidecar has said that did not get ready: why that is.
    pub(super) fn disclose(&self, app_id: &str) {
        let unseen = self.unseen.lock().unwrap_or_else(PoisonError::into_inner).take();
        for line in unseen.unwrap_or_default().lines() {
            terminal::out(&self.lines.sidecar(app_id, line));
        }
    }

    fn keep(&self, line: &str) {
        if let Some(file) = &self.file {
            // As with a terminal that nobody looks at: the program goes on where there is no room for what it writes.
            let _ = writeln!(file.lock().unwrap_or_else(PoisonError::into_inner), "{line}");
        }
    }
}

fn of(stream: Output) -> Stream {
    match stream {
        Output::Stdout => Stream::Stdout,
        Output::Stderr => Stream::Stderr,
    }
}

/// What a sidecar is called, behind its program's name.
const SIDECAR: &str = ".sidecar";
/// After how much of what a sidecar says before it is ready no more is kept for the terminal.
const UNSEEN_BYTES_MAX: usize = 64 << 10;
/// Narrowest column of names.
const WIDTH_MIN: usize = 12;

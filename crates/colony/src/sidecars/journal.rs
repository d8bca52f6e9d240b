//! What a sidecar prints: lines for people, or objects for programs.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::Listeners;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args::Sidecar;
use crate::terminal::{self, Style, paint};

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

/// What lines are written on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Terminal {
    pub(crate) width: usize,
    pub(crate) colours: bool,
}

/// Where lines go.
#[derive(Clone)]
pub(crate) struct Journal {
    json: bool,
    least: Level,
    app_id: String,
    terminal: Terminal,
    out: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Journal {
    /// Of an application, whose lines `out` gets with their ends.
    pub(crate) fn new(
        args: &Sidecar,
        terminal: Terminal,
        out: impl Fn(&str) + Send + Sync + 'static,
    ) -> Journal {
        let least = match args.log_level.as_str() {
            "debug" | "info" => Level::Info,
            "warn" => Level::Warn,
            _ => Level::Error,
        };
        let app_id = args.app_id.clone();
        Journal { json: args.log_as_json, least, app_id, terminal, out: Arc::new(out) }
    }

    /// On this process' standard output.
    pub(crate) fn here(args: &Sidecar) -> Journal {
        let terminal = Terminal { width: terminal::width(), colours: terminal::colours() };
        Journal::new(args, terminal, terminal::out)
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    pub(crate) fn say(&self, level: Level, line: &str) {
        self.tell(level, line, json!({}));
    }

    /// A line that programs know by the word `event` in it, with what else there is to it.
    pub(crate) fn event(&self, level: Level, event: &str, line: &str, mut details: Value) {
        details["event"] = event.into();
        self.tell(level, line, details);
    }

    /// Something for people alone, over several lines.
    pub(crate) fn draw(&self, drawing: impl FnOnce(Terminal) -> String) {
        if !self.json {
            (self.out)(&drawing(self.terminal));
        }
    }

    /// What another process has written in this journal's name.
    pub(crate) fn pass_on(&self, text: &str) {
        (self.out)(text);
    }

    /// All is served; a program finds the ports in the object.
    pub(crate) fn ready(&self, listeners: &Addresses, folder: &Path, took: Duration) {
        let Addresses { http, grpc } = listeners;
        let line = format!(
            "sidecar of {}: HTTP on {}, gRPC on {}, data in {} ({})",
            self.app_id,
            http.join(", "),
            grpc.join(", "),
            folder.display(),
            terminal::time(took)
        );
        let details =
            json!({ "event": "ready", "http": http, "grpc": grpc, "data": folder.display().to_string() });
        self.tell(Level::Info, &line, details);
    }

    fn tell(&self, level: Level, line: &str, details: Value) {
        if level < self.least {
            return;
        }
        if !self.json {
            let colours = self.terminal.colours;
            let mark = match level {
                Level::Info => String::new(),
                Level::Warn => format!("{} ", paint(colours, Style::Warn, "warning:")),
                Level::Error => format!("{} ", paint(colours, Style::Bad, "error:")),
            };
            return (self.out)(&format!("{mark}{line}\n"));
        }
        let mut object = details;
        object["app_id"] = self.app_id.as_str().into();
        object["level"] = level.word().into();
        object["msg"] = line.into();
        object["type"] = "log".into();
        object["unix_ms"] =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64).into();
        (self.out)(&format!("{object}\n"));
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

/// Where an application is served.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) http: Vec<String>,
    pub(crate) grpc: Vec<String>,
}

impl Addresses {
    pub(crate) fn of(listeners: &Listeners) -> Addresses {
        let text = |all: &[api::Listener]| all.iter().map(ToString::to_string).collect();
        Addresses { http: text(&listeners.http), grpc: text(&listeners.grpc) }
    }
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warn => "warning",
            Level::Error => "error",
        }
    }
}

//! What a sidecar prints: lines for people, or objects for programs.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::Server;
use serde_json::{Value, json};

use crate::args::Sidecar;
use crate::terminal::{self, Style, paint};

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Info,
    Warn,
    Error,
}

/// Where lines go.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    json: bool,
    least: Level,
    app_id: String,
}

impl Journal {
    pub(super) fn new(args: &Sidecar) -> Journal {
        let least = match args.log_level.as_str() {
            "debug" | "info" => Level::Info,
            "warn" => Level::Warn,
            _ => Level::Error,
        };
        Journal { json: args.log_as_json, least, app_id: args.app_id.clone() }
    }

    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn say(&self, level: Level, line: &str) {
        self.tell(level, line, json!({}));
    }

    /// All is served; a program finds the ports in the object.
    pub(super) fn ready(&self, server: &Server, app_id: &str, folder: &Path, took: Duration) {
        let text = |addresses: Vec<std::net::SocketAddr>| -> Vec<String> {
            addresses.iter().map(ToString::to_string).collect()
        };
        let (http, grpc) = (text(server.http_addresses()), text(server.grpc_addresses()));
        let line = format!(
            "sidecar of {app_id}: HTTP on {}, gRPC on {}, data in {} ({})",
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
            let mark = match level {
                Level::Info => String::new(),
                Level::Warn => format!("{} ", paint(terminal::colours(), Style::Warn, "warning:")),
                Level::Error => format!("{} ", paint(terminal::colours(), Style::Bad, "error:")),
            };
            terminal::out(&format!("{mark}{line}\n"));
            return;
        }
        let mut object = details;
        object["app_id"] = self.app_id.as_str().into();
        object["level"] = level.word().into();
        object["msg"] = line.into();
        object["type"] = "log".into();
        object["unix_ms"] =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64).into();
        terminal::out(&format!("{object}\n"));
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

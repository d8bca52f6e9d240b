//! What `colony up` prints: aligned lines for people, one JSON object a line for programs. Also
//! keeps the lines for `colony logs`.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use manifest::valid;
use mesh::FaultStatus;
use serde_json::{Value, json};
use supervisor::{Event, NotReady, Observer, Output};
use telemetry::alerts::{Change, Changes, Turn};
use telemetry::logs::Stream;
use telemetry::redact::Redactor;

use super::lines::{ERROR, INFO, Lines, Said, WARN};
use super::{Node, reload};
use crate::args::Up;
use crate::faults;
use crate::terminal::{self, Style, pad, paint, time};

/// Narrowest column of names.
const NAME_WIDTH_MIN: usize = 12;

/// Writes what happens to standard output and into the log window.
pub(crate) struct Printer {
    json: bool,
    quiet: bool,
    colours: bool,
    width: AtomicUsize,
    redactor: RwLock<Redactor>,
    lines: Lines,
    /// What was done to the system lately, for who looks for the cause of an alert.
    changes: Arc<Mutex<Changes>>,
    /// The console's link.
    console: OnceLock<String>,
}

impl Printer {
    pub(crate) fn new(up: &Up, manifest: &valid::Manifest, lines: Lines) -> Printer {
        let printer = Printer {
            json: up.json,
            quiet: up.quiet,
            colours: terminal::colours(),
            width: AtomicUsize::new(NAME_WIDTH_MIN),
            redactor: RwLock::default(),
            lines,
            changes: Arc::default(),
            console: OnceLock::new(),
        };
        printer.renamed(manifest);
        printer
    }

    /// Takes on the names and secrets of a manifest.
    pub(crate) fn renamed(&self, manifest: &valid::Manifest) {
        let longest = manifest.services.keys().map(|name| name.len() + "-1".len()).max().unwrap_or(0);
        self.width.store(longest.max(NAME_WIDTH_MIN), Ordering::Relaxed);
        let redactor = Redactor::new(manifest.secrets.clone());
        *self.redactor.write().unwrap_or_else(PoisonError::into_inner) = redactor;
    }

    /// The head, before anything is ready.
    pub(crate) fn begin(&self, node: &Node, console: Option<&str>, warnings: &str) {
        let (source, gateway, name) = (&node.source, node.gateway(), node.current().manifest.name.clone());
        if self.json {
            return self.object(json!({
                "event": "up", "name": name, "gateway": gateway, "console": console, "metrics": node.metrics,
                "ca": node.authority(), "data": source.data_dir(),
            }));
        }
        let mut text = String::new();
        let version = env!("CARGO_PKG_VERSION");
        let _ =
            writeln!(text, "\n  {} {version}  {}\n", paint(self.colours, Style::Bold, &name), source.shown);
        if let Some(gateway) = &gateway {
            self.row(&mut text, "gateway", gateway, Style::Bold);
        }
        if let Some(console) = console {
            self.row(&mut text, "console", console, Style::Plain);
            let _ = self.console.set(console.to_owned());
        }
        if let Some(ca) = node.authority() {
            let trust = format!("trust {} (`colony certs` says how)", ca.display());
            self.row(&mut text, "dev CA", &trust, Style::Plain);
        }
        if let Some(metrics) = &node.metrics {
            self.row(&mut text, "metrics", metrics, Style::Plain);
        }
        self.row(&mut text, "data", &source.data_dir().display().to_string(), Style::Plain);
        text.push('\n');
        text.push_str(warnings);
        terminal::out(&text);
    }

    /// Everything is ready: what to do now.
    pub(crate) fn all_ready(&self, node: &Node) {
        let took = node.started.elapsed();
        let rss = super::rss_kib().unwrap_or(0);
        if self.json {
            return self
                .object(json!({ "event": "all-ready", "took_ms": took.as_millis() as u64, "rss_kib": rss }));
        }
        let colony = std::env::args().next().unwrap_or_else(|| "colony".to_owned());
        let mut text = String::from("\n");
        let ready = format!("in {}; colony itself uses {:.0} MiB", time(took), rss as f64 / 1024.0);
        self.row(&mut text, "all ready", &ready, Style::Good);
        text.push('\n');
        if let Some(gateway) = node.gateway() {
            self.row(&mut text, "open", &gateway, Style::Bold);
        }
        if let Some(console) = self.console.get() {
            self.row(&mut text, "see", console, Style::Plain);
        }
        self.row(&mut text, "look", &format!("{colony} status"), Style::Plain);
        // The load generator does not speak TLS.
        if node.gateway().is_some() && node.tls().is_none() {
            let scenario =
                scenario(&node.source.root).map(|name| format!(" --scenario {name}")).unwrap_or_default();
            self.row(&mut text, "load", &format!("{colony} load --rate 200{scenario}"), Style::Plain);
        }
        self.row(&mut text, "stop", "Ctrl-C", Style::Plain);
        text.push('\n');
        terminal::out(&text);
    }

    /// Some services are not ready and will not be by themselves; the others run.
    pub(crate) fn not_ready(&self, services: &[NotReady]) {
        if self.json {
            return self.object(json!({ "event": "not-ready", "services": services }));
        }
        let mut text = String::from("\n");
        for service in services {
            let _ = writeln!(text, "  {} {service}", paint(self.colours, Style::Bad, "not ready:"));
            for line in &service.last_lines {
                let _ = writeln!(text, "      {}", self.redact(line));
            }
        }
        let _ = writeln!(
            text,
            "\n  The others run. A change of the manifest is taken on at once; Ctrl-C stops.\n"
        );
        terminal::out(&text);
    }

    /// Somebody, or the node itself, has done something to the system.
    pub(crate) fn changed(&self, kind: &'static str, text: String) -> Change {
        let text = self.redact(&text);
        let change = Change { at_ms: unix_ms(), kind: kind.into(), text };
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).note(change.clone());
        change
    }

    /// What was to be done was refused.
    pub(crate) fn unchanged(&self, change: &Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).forget(change);
    }

    /// What was done to the system lately.
    pub(crate) fn changes(&self) -> Arc<Mutex<Changes>> {
        self.changes.clone()
    }

    /// An alert begins or is over.
    pub(crate) fn alert(&self, turn: &Turn) {
        let (event, said, alert) = match turn {
            Turn::Fired(alert) => ("alert-fires", "alert", alert),
            Turn::Resolved(alert) => ("alert-over", "over", alert),
        };
        let text = self.redact(&alert.summary);
        let severity = if said == "over" { INFO } else { ERROR };
        self.of_colony(event, severity, &format!("{said}: {text}"));
        match self.json {
            true => self.object(json!({ "event": event, "alert": self.redacted(json!(alert)) })),
            false => {
                let style = if said == "over" { Style::Good } else { Style::Bad };
                terminal::out(&format!("  {} {text}\n", paint(self.colours, style, &format!("{said}:"))));
            }
        }
    }

    /// What a reload did; nothing, if it did nothing.
    pub(crate) fn reloaded(&self, report: &Value) {
        if report["applied"] == true && report["changes"].as_array().is_none_or(Vec::is_empty) {
            return;
        }
        let text = self.redact(reload::render(report, false).trim());
        let severity = if report["applied"] == true { INFO } else { ERROR };
        let event = "reloaded";
        self.lines.noted(&Said { service: "colony", instance: "colony", event, severity, text: &text });
        if report["applied"] == true {
            let what = report["changes"].as_array().into_iter().flatten();
            let what: Vec<&str> = what.filter_map(|change| change["what"].as_str()).take(5).collect();
            self.changed("reload", format!("the manifest was taken on: {}", what.join(", ")));
        }
        if self.json {
            let mut object = report.clone();
            object["event"] = "reloaded".into();
            return self.object(object);
        }
        terminal::out(&format!("\n{}\n", reload::render(report, self.colours)));
    }

    pub(crate) fn ending(&self) {
        match self.json {
            true => self.object(json!({ "event": "ending" })),
            false => terminal::out(&format!(
                "\n  {} finishing what is in flight; Ctrl-C again exits at once\n",
                paint(self.colours, Style::Bold, "stopping:")
            )),
        }
    }

    pub(crate) fn ended(&self, after: Duration) {
        match self.json {
            true => self.object(json!({ "event": "ended", "uptime_ms": after.as_millis() as u64 })),
            false => terminal::out(&format!("  stopped; it was up for {}\n", time(after))),
        }
    }

    /// A line of the application API beside an instance.
    pub(crate) fn of_api(&self, service: &str, instance: &str, text: &str) {
        let text = self.redact(text);
        self.lines.said(&Said { service, instance, event: "", severity: INFO, text: &text });
        if self.json {
            return self
                .object(json!({ "event": "api", "service": service, "instance": instance, "text": text }));
        }
        let name = pad(self.colours, Style::Name, instance, self.width.load(Ordering::Relaxed));
        terminal::out(&format!("  {name}  {}\n", paint(self.colours, Style::Dim, &text)));
    }

    /// A sentence about the node itself.
    pub(crate) fn note(&self, text: &str) {
        self.of_colony("note", WARN, text);
        match self.json {
            true => self.object(json!({ "event": "note", "text": text })),
            false => terminal::out(&format!("  {} {text}\n", paint(self.colours, Style::Warn, "note:"))),
        }
    }

    pub(crate) fn fault_begins(&self, fault: &FaultStatus) {
        let lasts = time(Duration::from_millis(fault.remaining_ms));
        self.fault("fault-begins", fault, None, &format!("{}, for {lasts}", faults::sentence(fault)));
    }

    /// `why` in a word for programs, `said` for people.
    pub(crate) fn fault_ended(&self, fault: &FaultStatus, why: &str, said: &str) {
        let text = format!("{} {said}; it struck {}", faults::sentence(fault), faults::struck(fault));
        self.fault("fault-ended", fault, Some(why), &text);
    }

    fn fault(&self, event: &str, fault: &FaultStatus, why: Option<&str>, text: &str) {
        let text = self.redact(text);
        self.of_colony(event, WARN, &format!("fault {text}"));
        self.changed("fault", text.clone());
        match self.json {
            true => {
                let mut object = json!({ "event": event, "fault": self.redacted(json!(fault)) });
                if let Some(why) = why {
                    object["why"] = why.into();
                }
                self.object(object);
            }
            false => terminal::out(&format!("  {} {text}\n", paint(self.colours, Style::Warn, "fault:"))),
        }
    }

    /// What Colony says of itself.
    fn of_colony(&self, event: &str, severity: u8, text: &str) {
        self.lines.said(&Said { service: "colony", instance: "colony", event, severity, text });
    }

    fn row(&self, text: &mut String, name: &str, value: &str, style: Style) {
        let width = self.width.load(Ordering::Relaxed);
        let _ = writeln!(
            text,
            "  {}  {}",
            pad(self.colours, Style::Dim, name, width),
            paint(self.colours, style, value)
        );
    }

    fn object(&self, mut object: Value) {
        object["unix_ms"] = unix_ms().into();
        terminal::out(&format!("{object}\n"));
    }

    /// A document without the secrets in any of its texts.
    pub(crate) fn redacted(&self, value: Value) -> Value {
        match value {
            Value::String(text) => self.redact(&text).into(),
            Value::Array(all) => all.into_iter().map(|one| self.redacted(one)).collect(),
            Value::Object(all) => all.into_iter().map(|(key, one)| (key, self.redacted(one))).collect(),
            other => other,
        }
    }

    pub(crate) fn redact(&self, text: &str) -> String {
        self.redactor.read().unwrap_or_else(PoisonError::into_inner).redact(text).into_owned()
    }

    /// One line for people about an event; None: not worth a line of its own.
    fn said(&self, event: &Event) -> Option<(String, String, Style)> {
        let name = event.instance().or(event.service()).unwrap_or("colony").to_owned();
        let text = match event {
            Event::Starting { .. } | Event::Waiting { .. } | Event::Stopping { .. } => return None,
            Event::Ready { took, .. } => {
                return Some((name, format!("ready in {}", time(*took)), Style::Good));
            }
            Event::Building { command, .. } => {
                return Some((name, format!("building: {}", self.redact(command)), Style::Plain));
            }
            Event::Built { took, .. } => {
                return Some((name, format!("built in {}", time(*took)), Style::Plain));
            }
            Event::Stopped { .. } => return Some((name, "stopped".to_owned(), Style::Dim)),
            other => self.redact(&other.to_string()),
        };
        let text = text.strip_prefix(&format!("{name}: ")).unwrap_or(&text).to_owned();
        let style = if event.is_problem() { Style::Bad } else { Style::Warn };
        Some((name, text, style))
    }
}

impl Observer for Printer {
    fn line(&self, service: &str, instance: &str, stream: Output, text: &str) {
        let text = self.redact(text);
        let stream = match stream {
            Output::Stdout => Stream::Stdout,
            Output::Stderr => Stream::Stderr,
        };
        self.lines.written(service, instance, stream, &text);
        if self.quiet {
            return;
        }
        if self.json {
            return self.object(json!({
                "event": "output", "service": service, "instance": instance, "stream": stream, "text": text,
            }));
        }
        terminal::out(&terminal::output_line(
            self.colours,
            self.width.load(Ordering::Relaxed),
            instance,
            stream,
            &text,
        ));
    }

    fn event(&self, event: &Event) {
        let (service, instance) = (event.service().unwrap_or("colony"), event.instance());
        let text = self.redact(&event.to_string());
        if let Event::Restarting { .. } | Event::CrashLoop { .. } | Event::Killed { .. } = event {
            self.changed("restart", text.lines().next().unwrap_or_default().to_owned());
        }
        if let Event::RolledBack { .. } = event {
            self.changed("rollout", text.clone());
        }
        let object = serde_json::to_value(event).unwrap_or_default();
        self.lines.said(&Said {
            service,
            instance: instance.unwrap_or(service),
            event: object["event"].as_str().unwrap_or_default(),
            severity: if event.is_problem() { ERROR } else { INFO },
            text: &text,
        });
        if self.json {
            return self.object(self.redacted(object));
        }
        if let Some((name, text, style)) = self.said(event) {
            let width = self.width.load(Ordering::Relaxed);
            let name = pad(self.colours, Style::Name, &name, width);
            terminal::out(&format!("  {name}  {}\n", paint(self.colours, style, &text)));
        }
    }
}

/// A load scenario that lies beside the manifest, by its name.
fn scenario(root: &Path) -> Option<String> {
    let files = std::fs::read_dir(root).ok()?.flatten().map(|entry| entry.path());
    let mut names: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .filter(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("\njourneys:")))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names.into_iter().next()
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

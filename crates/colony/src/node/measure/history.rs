//! What the node remembers of its metrics: sampled every few seconds into the window and onto disk, held against objectives,
//! and what is amiss told to who is to know.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use telemetry::alerts::{Alert, Board, Change, Changes, Past, Turn};
use telemetry::catalogue as names;
use telemetry::exposition::Sample;
use telemetry::series::disk::{Bounds, Disk};
use telemetry::series::{Frame, Settings, Window};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use super::amiss::{self, Growth};
use super::objectives::{Detail, Objectives, Standing};
use super::webhook::Post;
use crate::node::printer::Printer;
use crate::node::{Node, TELEMETRY, unix_ms};

/// How often everything is looked at.
pub(super) const EVERY: Duration = Duration::from_secs(5);
/// How often a collector is sent what the node has measured: the default of OpenTelemetry's SDKs, in milliseconds.
const SENT_EVERY_MS: u64 = 60_000;
/// Every how many looks what was counted of objectives, what fires, and what was done, is written down, if not before: once a minute.
const WRITTEN_EVERY: u64 = 12;

/// What is remembered.
pub(in crate::node) struct Measures {
    folder: PathBuf,
    window: Mutex<Window>,
    disk: Mutex<Option<Disk>>,
    objectives: Mutex<Objectives>,
    board: Mutex<Board>,
    growth: Mutex<Growth>,
    changes: Arc<Mutex<Changes>>,
    post: Post,
    /// Alerts that there was no room for.
    unsent: AtomicU64,
    /// When a collector was sent what the node has measured.
    sent_ms: AtomicU64,
}

impl Measures {
    /// Nothing yet. What an earlier node has left is read when the looking begins.
    pub(in crate::node) fn new(data: &std::path::Path, printer: Arc<Printer>) -> Measures {
        Measures {
            folder: data.join(TELEMETRY).join("metrics"),
            window: Mutex::new(Window::new(Settings::default())),
            disk: Mutex::default(),
            objectives: Mutex::default(),
            board: Mutex::default(),
            growth: Mutex::default(),
            changes: printer.changes(),
            post: Post::open(printer),
            unsent: AtomicU64::new(0),
            sent_ms: AtomicU64::new(0),
        }
    }

    /// Looks every few seconds until it is aborted.
    pub(in crate::node) fn start(node: Arc<Node>) -> JoinHandle<()> {
        tokio::spawn(async move {
            let read = node.measures.clone();
            node.printer.changed("start", "the node was started".to_owned());
            if let Ok(Err(error)) = spawn_blocking(move || read.read()).await {
                node.printer.note(&format!("metrics are not kept over a restart: {error}"));
            }
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut writes = true;
            for tick in 1.. {
                ticks.tick().await;
                let (frame, was_told) = node.look().await;
                let measures = node.measures.clone();
                // At once where somebody was told something: after a kill they would be told again.
                let is_written = was_told || tick % WRITTEN_EVERY == 0;
                let written = spawn_blocking(move || measures.write(&frame, is_written)).await;
                if let Ok(Err(error)) = &written
                    && writes
                {
                    node.printer.note(&format!("metrics cannot be written: {error}"));
                }
                writes = !matches!(written, Ok(Err(_)));
            }
        })
    }

    fn read(&self) -> std::io::Result<()> {
        // Read apart, so that nobody waits meanwhile.
        let mut window = Window::new(Settings::default());
        let disk = Disk::open(&self.folder, Bounds::default(), unix_ms(), &mut window);
        *self.objectives() = Objectives::read(&self.folder.join(OBJECTIVES));
        let earlier = std::fs::read(self.folder.join(CHANGES)).ok();
        let earlier = earlier.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        lock(&self.changes).restore(earlier.unwrap_or_default());
        let fired = std::fs::read(self.folder.join(ALERTS)).ok();
        let fired = fired.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        lock(&self.board).restore(unix_ms(), fired.unwrap_or_default());
        *self.window() = window;
        *lock(&self.disk) = Some(disk?);
        Ok(())
    }

    fn write(&self, frame: &Frame, with_kept: bool) -> std::io::Result<()> {
        if let Some(disk) = &mut *lock(&self.disk) {
            disk.write(frame, &self.window())?;
        }
        if with_kept {
            self.keep()?;
        }
        Ok(())
    }

    /// Writes down what was counted of objectives, what fires, and what was done to the system.
    pub(in crate::node) fn keep(&self) -> std::io::Result<()> {
        let counted = self.objectives().written();
        let fires = serde_json::to_vec(&lock(&self.board).kept())?;
        let changes = serde_json::to_vec(&self.changes(0, u64::MAX))?;
        for (name, written) in [(OBJECTIVES, counted), (ALERTS, fires), (CHANGES, changes)] {
            let (path, next) = (self.folder.join(name), self.folder.join(name).with_extension("new"));
            std::fs::write(&next, written)?;
            std::fs::rename(next, path)?;
        }
        Ok(())
    }

    pub(in crate::node) fn window(&self) -> MutexGuard<'_, Window> {
        lock(&self.window)
    }

    fn objectives(&self) -> MutexGuard<'_, Objectives> {
        lock(&self.objectives)
    }

    /// How objectives stand.
    pub(in crate::node) fn standings(&self) -> Vec<Standing> {
        self.objectives().standings(unix_ms())
    }

    /// How objectives stand, for who looks closer.
    pub(in crate::node) fn details(&self) -> Vec<Detail> {
        self.objectives().details(unix_ms())
    }

    /// What was done to the system in a range, in order.
    pub(in crate::node) fn changes(&self, from_ms: u64, to_ms: u64) -> Vec<Change> {
        lock(&self.changes).between(from_ms, to_ms).cloned().collect()
    }

    /// Alerts that are over, the last one first, with what changed at that time.
    pub(in crate::node) fn past_alerts(&self) -> Vec<Value> {
        let past: Vec<Past> = lock(&self.board).past().cloned().collect();
        let changes = lock(&self.changes);
        let told = |past: Past| {
            let beside = changes.beside_past(&past);
            let mut told = json!(past);
            told["changes"] = json!(beside);
            told
        };
        past.into_iter().map(told).collect()
    }

    /// Alerts that fire, with what changed at that time.
    pub(in crate::node) fn alerts(&self) -> Vec<Value> {
        let changes = lock(&self.changes);
        let told = |alert: Alert| {
            let beside = changes.beside(&alert);
            let mut told = json!(alert);
            told["changes"] = json!(beside);
            told
        };
        lock(&self.board).firing().into_iter().map(told).collect()
    }

    /// Whether it is time to send a collector what the node has measured.
    fn is_own_due(&self, now_ms: u64) -> bool {
        let last = self.sent_ms.load(Relaxed);
        let is_due = now_ms.saturating_sub(last) >= SENT_EVERY_MS;
        if is_due {
            self.sent_ms.store(now_ms, Relaxed);
        }
        is_due
    }

    /// What this itself has to tell.
    pub(super) fn gather(&self, out: &mut Vec<Sample>) {
        self.objectives().gather(unix_ms(), out);
        let firing = lock(&self.board).firing();
        for severity in [telemetry::alerts::Severity::Page, telemetry::alerts::Severity::Ticket] {
            let count = firing.iter().filter(|alert| alert.severity == severity).count();
            out.push(Sample::number(&names::ALERTS, &[severity.word()], count as f64));
        }
        let (series, dropped) = {
            let window = self.window();
            (window.len(), window.dropped())
        };
        out.push(Sample::number(&names::TELEMETRY_SERIES, &[], series as f64));
        out.push(Sample::number(&names::TELEMETRY_DROPPED, &["samples"], dropped as f64));
        let unsent = self.unsent.load(Relaxed);
        out.push(Sample::number(&names::TELEMETRY_DROPPED, &["alerts"], unsent as f64));
    }
}

impl Node {
    /// Looks at everything once: what is amiss is told, and what changed is returned to be written; and whether anything was told.
    async fn look(&self) -> (Frame, bool) {
        let mut samples = super::gather(self).await;
        let (now, measures) = (unix_ms(), &self.measures);
        let (slo, alerts) = {
            let current = self.current();
            (current.manifest.slo.clone(), current.manifest.alerts.clone())
        };
        let mut conditions = measures.objectives().update(now, &slo, &samples);
        conditions.extend(amiss::conditions(now, &samples, &mut lock(&measures.growth)));
        let turns = lock(&measures.board).update(now, conditions);
        for turn in &turns {
            self.printer.alert(turn);
            let Some(to) = &alerts else { continue };
            if !measures.post.send(to, self.letter(turn)) {
                measures.unsent.fetch_add(1, Relaxed);
            }
        }
        if measures.is_own_due(now) {
            let name = self.current().manifest.name.clone();
            self.otlp.send_own(&samples, &name);
        }
        self.otlp.board().samples(now, &mut samples);
        (measures.window().push(now, &samples), !turns.is_empty())
    }

    /// What is posted: documented in `docs/telemetry/slos.md`.
    fn letter(&self, turn: &Turn) -> Value {
        let (status, alert) = match turn {
            Turn::Fired(alert) => ("firing", alert),
            Turn::Resolved(alert) => ("resolved", alert),
        };
        let changes: Vec<Change> = lock(&self.measures.changes).beside(alert);
        self.printer.redacted(json!({
            "version": 1,
            "status": status,
            "system": self.current().manifest.name.clone(),
            "alert": { "key": alert.key, "severity": alert.severity, "summary": alert.summary },
            "since_ms": alert.since_ms,
            "at_ms": unix_ms(),
            "changes": changes,
        }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const OBJECTIVES: &str = "objectives.json";
const ALERTS: &str = "alerts.json";
const CHANGES: &str = "changes.json";

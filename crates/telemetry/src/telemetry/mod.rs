//! Telemetry of a node as one handle: a [`Recorder`] for whoever has something to say, queries for whoever wants to know, and a
//! thread in between that gathers, decides, and writes the window.
//!
//! ```text
//! Recorder ─► inbox ─► thread, every 50 ms: sampler ─► what is kept, in memory ─► tail, every second ─► blocks
//!                         │                  ├ traces not decided on ┐                  │                   │
//!                         └► taps            │                       └────── queries ───┴───────────────────┘
//!                                            └► beside the tail, every second, until they are decided on
//! ```
//!
//! Handing over never waits: what there is no room for is dropped and counted ([`Stats`]). Whatever was handed over is found by
//! queries some 50 ms later, decided on or not, written or not. Queries read the disk where they must: ask them where waiting for
//! it stalls nobody (`spawn_blocking`).

mod live;
mod state;
mod thread;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::query::{
    Heat, HeatQuery, LOOKED_AT_MAX, LogQuery, Logs, Range, Services, Trace, TraceQuery, Traces, View,
};
use crate::recorder::{self, Inbox, Recorder};
use crate::sample::{Counts, Limits};
use crate::window::{self, Reader};
pub use live::Live;
use state::State;

/// What is kept, and where.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder; made if it is not there. `telemetry` of the node's data.
    pub dir: PathBuf,
    /// What the window takes on the disk at most, in bytes. Default 512 MiB.
    pub bytes_max: u64,
    /// How far it reaches back. Default 24 h.
    pub age_max: Duration,
    /// Records handed over that are not taken yet, for which there is room. Default 16,384: most of a second at 2,000 requests/s. Together
    /// they have [`recorder::BYTES_MAX`] at most.
    pub inbox: usize,
    /// Makes decisions of one node unlike another's.
    pub seed: u64,
}

impl Config {
    /// The defaults, in this folder.
    pub fn new(dir: impl Into<PathBuf>) -> Config {
        Config {
            dir: dir.into(),
            bytes_max: 512 << 20,
            age_max: Duration::from_secs(86_400),
            inbox: 16_384,
            seed: 0,
        }
    }
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    shared: Arc<Shared>,
    recorder: Recorder,
}

/// What the thread and the queries share.
struct Shared {
    state: Mutex<State>,
    reader: Arc<Reader>,
    /// The newest number of what is live.
    newest: tokio::sync::watch::Sender<u64>,
    ending: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
    inbox_dropped: AtomicU64,
}

/// Which records a tap gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tap {
    /// All that is handed over, as it comes.
    All,
    /// Spans of traces that are kept, when that is decided; and all records of logs, as they come.
    Kept,
}

/// What is held, and what was lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// What became of traces.
    #[serde(flatten)]
    pub counts: Counts,
    /// Traces that are not decided on.
    pub open_traces: usize,
    /// What they take in memory, in bytes.
    pub open_bytes: usize,
    /// Handed over and dropped, for there was no room.
    pub inbox_dropped: u64,
    /// Spans of traces that were not among the share that is recorded.
    pub left_out: u64,
    /// What the window takes on the disk, in bytes.
    pub disk_bytes: u64,
    /// How many blocks that is.
    pub blocks: usize,
    /// Spans and records that are in memory and not in a block.
    pub unsealed: usize,
    /// Places on the disk that were not whole.
    pub damaged: u64,
    /// Spans and records that could not be written.
    pub lost: u64,
    /// Why not, the last time.
    pub write_error: Option<String>,
}

impl Telemetry {
    /// Opens the window and begins to take what is recorded.
    ///
    /// # Errors
    ///
    /// The folder cannot be made, read or written.
    pub fn start(config: Config) -> io::Result<Telemetry> {
        let now_ms = unix_ms();
        let age_ms = u64::try_from(config.age_max.as_millis()).unwrap_or(u64::MAX);
        let (window, contents) = window::Window::open(&config.dir, config.bytes_max, age_ms, now_ms)?;
        let limits = Limits {
            window_bytes: config.bytes_max / 2,
            window_s: config.age_max.as_secs().max(1),
            ..Limits::default()
        };
        let mut state = State::new(contents, limits, config.seed);
        state.disk_bytes = window.bytes();
        let (recorder, inbox) = recorder::channel(config.inbox);
        let telemetry = Telemetry { shared: Shared::new(state), recorder };
        let shared = telemetry.shared.clone();
        let thread = std::thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(move || thread::run(&shared, &inbox, window))?;
        *telemetry.shared.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(telemetry)
    }

    /// What was kept in a folder, without anybody who writes there: for when no node runs. What is recorded is dropped.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn read(dir: &Path) -> io::Result<Telemetry> {
        let contents = window::read(dir)?;
        let (recorder, _) = recorder::channel(1);
        Ok(Telemetry { shared: Shared::new(State::new(contents, Limits::default(), 0)), recorder })
    }

    /// Where to hand spans and records over. Clone it for each thread.
    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// A copy of what is recorded, for who sends it elsewhere; with room for so many records, beyond which they are dropped and
    /// counted there ([`Inbox::dropped`]). It ends when the [`Inbox`] is dropped.
    pub fn tap(&self, which: Tap, room: usize) -> Inbox {
        let (to, from) = recorder::channel(room);
        self.shared.state().taps.push((which, to));
        from
    }

    /// A trace by its id, with its logs; what is there of it yet, if it goes on.
    pub fn trace(&self, trace_id: &[u8; 16]) -> Option<Trace> {
        self.view().trace(trace_id)
    }

    /// Traces by what they have, newest first.
    pub fn traces(&self, query: &TraceQuery) -> Traces {
        self.view().traces(query)
    }

    /// Records of logs by what they have, newest first.
    pub fn logs(&self, query: &LogQuery) -> Logs {
        self.view().logs(query)
    }

    /// How many took how long when.
    pub fn heat(&self, query: &HeatQuery) -> Heat {
        self.view().heat(query)
    }

    /// What services answered and who called whom, in traces that began in this time.
    pub fn services(&self, range: Range) -> Services {
        self.view().services(range)
    }

    /// What is new since this number; 0: nothing yet, only the number to go on from. Asked at least every ten seconds, for nothing
    /// is gathered while nobody looks on: after [`Telemetry::changed`], or when that took so long.
    pub fn live(&self, since: u64) -> Live {
        self.shared.state().live.since(since)
    }

    /// Waits until there is something newer than this number. Safe to cancel.
    pub async fn changed(&self, since: u64) {
        let mut newest = self.shared.newest.subscribe();
        // The sender lives as long as this borrow of it, so the wait has no other end.
        let _ = newest.wait_for(|newest| *newest > since).await;
    }

    /// What is held, and what was lost.
    pub fn stats(&self) -> Stats {
        let mut stats = self.shared.state().stats();
        stats.damaged += self.shared.reader.damaged();
        stats.inbox_dropped = self.shared.inbox_dropped.load(Relaxed);
        stats.left_out = self.recorder.share().total_left_out();
        stats
    }

    /// Decides on what is open, writes what is not written, and ends the thread; waits for that. What is recorded later is dropped.
    pub fn end(&self) {
        self.shared.ending.store(true, Relaxed);
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }

    fn view(&self) -> View {
        let state = self.shared.state();
        View {
            parts: state.sampler.open().chain(state.parts.iter().cloned()).collect(),
            logs: state.logs.clone(),
            spans: state.span_blocks.clone(),
            log_blocks: state.log_blocks.clone(),
            reader: self.shared.reader.clone(),
            looked_at_max: LOOKED_AT_MAX,
        }
    }
}

impl Shared {
    fn new(state: State) -> Arc<Shared> {
        Arc::new(Shared {
            newest: tokio::sync::watch::Sender::new(state.live.newest()),
            state: Mutex::new(state),
            reader: Arc::default(),
            ending: AtomicBool::new(false),
            thread: Mutex::default(),
            inbox_dropped: AtomicU64::new(0),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests;

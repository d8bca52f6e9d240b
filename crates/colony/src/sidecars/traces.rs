//! Spans of an application that belongs to no node: where they go, as long as it is served here.
//!
//! Whoever serves the application sends them, by what its own process has around it. When it ends, or is told to send elsewhere, what is
//! left is sent beside all else, for a moment: nobody waits for it but the end of the process.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::config::Spans;
use telemetry::Recorder;
use telemetry::otlp::export::Exporter;
use telemetry::recorder::channel;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::journal::{Journal, Level};
use crate::failure::Failure;
use crate::lower::telemetry::{Collector, Tracing as Wanted, exporter};

/// Who says what is recorded of an application.
#[derive(Clone, Debug, Default)]
pub(crate) enum Tracing {
    /// Its configuration and its environment.
    #[default]
    Own,
    /// The node that it belongs to.
    OfNode(Option<Spans>),
}

/// Where the spans of an application go at the moment.
pub(super) struct Traces<'a> {
    journal: &'a Journal,
    endings: Endings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: Option<Sending>,
    /// What takes the place of that when it is taken on.
    next: Option<Option<Sending>>,
}

/// Sends to a collector, until it is dropped; then what is left.
struct Sending {
    collector: Collector,
    recorder: Recorder,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

/// Who sends what is left, in this process.
#[derive(Clone, Default)]
pub(super) struct Endings(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl<'a> Traces<'a> {
    pub(super) fn new(journal: &'a Journal, endings: Endings) -> Traces<'a> {
        Traces { journal, endings, state: Mutex::default() }
    }

    /// Has spans made and sent as it is wanted, once it is [taken on](Traces::taken_on).
    ///
    /// # Errors
    ///
    /// If nothing can be sent to the collector as it is said.
    pub(super) fn wanted(&self, wanted: Option<Wanted>) -> Result<Option<Spans>, Failure> {
        let mut state = self.state();
        let Some(Wanted { rate, to, service }) = wanted else {
            state.next = Some(None);
            return Ok(None);
        };
        let recorder = match to {
            None => {
                state.next = Some(None);
                None
            }
            Some(to) => match &state.now {
                Some(now) if now.collector == to => {
                    let recorder = now.recorder.clone();
                    state.next = None;
                    Some(recorder)
                }
                _ => {
                    let sending = Sending::start(to, self.journal.clone())?;
                    let recorder = sending.recorder.clone();
                    state.next = Some(Some(sending));
                    Some(recorder)
                }
            },
        };
        Ok(Some(Spans { recorder, service, instance: String::new(), unsampled: false, rate }))
    }

    /// What was wanted last holds from now on.
    pub(super) fn taken_on(&self) {
        let mut state = self.state();
        let Some(next) = state.next.take() else { return };
        if let Some(Sending { collector, .. }) = &next {
            let places: Vec<&str> = collector.to.iter().map(|(_, to)| to.as_str()).collect();
            self.journal.say(Level::Info, &format!("spans are sent to {}", places.join(", ")));
        }
        let before = std::mem::replace(&mut state.now, next);
        self.endings.add(before);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Traces<'_> {
    fn drop(&mut self) {
        let now = self.state().now.take();
        self.endings.add(now);
    }
}

impl Sending {
    fn start(collector: Collector, journal: Journal) -> Result<Sending, Failure> {
        let config = exporter(&collector, RandomState::new().hash_one(std::process::id()))?;
        let (recorder, inbox) = channel(ROOM);
        let (stop, stopped) = oneshot::channel::<()>();
        let exporter = Arc::new(Exporter::new(config));
        let sending = async move {
            tokio::select! {
                () = exporter.run(inbox, async { drop(stopped.await) }) => {}
                () = telling(&exporter, &journal) => {}
            }
        };
        Ok(Sending { collector, recorder, stop, ended: tokio::spawn(sending) })
    }
}

impl Endings {
    fn add(&self, ending: Option<Sending>) {
        let Some(Sending { stop, ended, .. }) = ending else { return };
        drop(stop);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| !one.is_finished());
        all.push(ended);
    }

    /// Waits until all is sent, or given up.
    pub(super) async fn finish(&self) {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for one in all {
            let _ = one.await;
        }
    }
}

/// Tells that spans do not arrive, and that they do again.
async fn telling(exporter: &Exporter, journal: &Journal) {
    let mut is_told = false;
    loop {
        sleep(LOOK_EVERY).await;
        match exporter.sent().trouble {
            Some(why) if !is_told => {
                journal.say(Level::Warn, &format!("spans do not arrive: {why}"));
                is_told = true;
            }
            None if is_told => {
                journal.say(Level::Info, "spans arrive again");
                is_told = false;
            }
            _ => {}
        }
    }
}

/// Spans for which there is room until they are taken, ten times a second.
const ROOM: usize = 4_096;
/// How often it is looked whether spans arrive.
const LOOK_EVERY: Duration = Duration::from_secs(2);

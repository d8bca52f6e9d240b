//! What is learned of a request while it is answered, and belongs to its span: which commits it waited for, and who produced what it
//! was handed.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use engine::commits::{Commit, Commits, watched};
use telemetry::TraceContext;
use telemetry::span::LINKS_MAX;

tokio::task_local! {
    static NOTES: Option<Arc<Notes>>;
}

/// What was learned.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    commits: Arc<Commits>,
    producers: Mutex<Vec<TraceContext>>,
}

/// Answers a request, and has noted what there is to note, if anybody wants it.
pub(crate) fn noting<F: Future>(notes: Option<Arc<Notes>>, answer: F) -> impl Future<Output = F::Output> {
    let commits = notes.as_ref().map(|notes| Arc::clone(&notes.commits));
    NOTES.scope(notes, watched(commits, answer))
}

/// Whoever asks is handed what was produced by this span, if it is one.
pub(crate) fn received(traceparent: &[u8]) {
    let note = |notes: &Option<Arc<Notes>>| {
        if let (Some(notes), Some(producer)) = (notes, TraceContext::parse(traceparent)) {
            let mut producers = notes.producers.lock().unwrap_or_else(PoisonError::into_inner);
            if producers.len() < LINKS_MAX {
                producers.push(producer);
            }
        }
    };
    // Elsewhere than in a request nobody wants it.
    let _ = NOTES.try_with(note);
}

impl Notes {
    /// All of it.
    pub(super) fn take(&self) -> (Vec<Commit>, Vec<TraceContext>) {
        let producers = std::mem::take(&mut *self.producers.lock().unwrap_or_else(PoisonError::into_inner));
        (self.commits.take(), producers)
    }
}

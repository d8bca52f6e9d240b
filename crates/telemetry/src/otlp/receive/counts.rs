//! How much was received, for people.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use crate::otlp::{Signal, Taken};

/// Counters of what is received.
#[derive(Debug, Default)]
pub struct Counts {
    accepted: [AtomicU64; 3],
    rejected: AtomicU64,
    dropped: AtomicU64,
    malformed: AtomicU64,
    refused: AtomicU64,
}

/// What has been received since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Received {
    /// Spans that were taken.
    pub spans: u64,
    /// Records of logs that were taken.
    pub logs: u64,
    /// Points of metrics that were taken.
    pub points: u64,
    /// What was not taken, for something is wrong with it.
    pub rejected: u64,
    /// What was not taken, for there was no room.
    pub dropped: u64,
    /// Requests that could not be read.
    pub malformed: u64,
    /// Requests that were told to come again later.
    pub refused: u64,
}

impl Counts {
    pub(super) fn taken(&self, signal: Signal, taken: &Taken) {
        self.accepted[signal as usize].fetch_add(taken.accepted, Relaxed);
        self.rejected.fetch_add(taken.rejected - taken.dropped, Relaxed);
        self.dropped.fetch_add(taken.dropped, Relaxed);
    }

    pub(super) fn malformed(&self) {
        self.malformed.fetch_add(1, Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn received(&self) -> Received {
        let accepted = |signal: Signal| self.accepted[signal as usize].load(Relaxed);
        Received {
            spans: accepted(Signal::Traces),
            logs: accepted(Signal::Logs),
            points: accepted(Signal::Metrics),
            rejected: self.rejected.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            malformed: self.malformed.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }
}

//! What the thread and the queries share, behind one lock that each holds for a moment.

use std::sync::Arc;

use super::live::LiveWindow;
use super::{Stats, Tap};
use crate::part::{KeptLog, Part};
use crate::recorder::{Record, Recorder};
use crate::sample::{Limits, Sampler};
use crate::span::{LogRecord, Span};
use crate::window::{Block, Contents, Row};

pub(super) struct State {
    pub(super) sampler: Sampler,
    /// Kept, and in no block; the first of them are in the tail.
    pub(super) parts: Vec<Part>,
    pub(super) logs: Vec<Arc<KeptLog>>,
    pub(super) unsealed_spans: usize,
    pub(super) unsealed_bytes: usize,
    pub(super) unsealed_log_bytes: usize,
    pub(super) span_blocks: Vec<Arc<Block>>,
    pub(super) log_blocks: Vec<Arc<Block>>,
    pub(super) live: LiveWindow,
    pub(super) taps: Vec<(Tap, Recorder)>,
    pub(super) disk_bytes: u64,
    pub(super) damaged: u64,
    pub(super) lost: u64,
    pub(super) write_error: Option<String>,
    newest_log: u64,
}

impl State {
    pub(super) fn new(contents: Contents, limits: Limits, seed: u64) -> State {
        let in_blocks = contents.logs.iter().map(|block| block.zone.newest);
        let newest_log = in_blocks.chain(contents.records.iter().map(|log| log.seq)).max().unwrap_or(0);
        let mut state = State {
            sampler: Sampler::new(limits, seed),
            unsealed_spans: 0,
            unsealed_bytes: 0,
            unsealed_log_bytes: 0,
            parts: contents.parts,
            logs: contents.records,
            span_blocks: contents.spans,
            log_blocks: contents.logs,
            live: LiveWindow::default(),
            taps: Vec::new(),
            disk_bytes: 0,
            damaged: contents.damaged,
            lost: 0,
            write_error: None,
            newest_log,
        };
        state.go_on(contents.undecided);
        state
    }

    /// Takes what an earlier process had not decided on. It is on the disk already.
    fn go_on(&mut self, undecided: Vec<Part>) {
        let mut kept = Vec::new();
        for span in undecided.into_iter().flat_map(|part| part.spans) {
            self.sampler.span(0, span, &mut kept);
        }
        drop(self.sampler.unsaved());
        self.keep(kept);
    }

    /// Takes what was recorded.
    pub(super) fn take(&mut self, now_ms: u64, record: Record) {
        self.give(Tap::All, &record);
        match record {
            Record::Span(span) => {
                let mut kept = Vec::new();
                let span = Arc::from(span);
                self.live.span(now_ms, &span);
                self.sampler.span(now_ms, span, &mut kept);
                self.keep(kept);
            }
            Record::Log(log) => self.log(*log),
        }
    }

    /// Keeps what was decided to be kept.
    pub(super) fn keep(&mut self, kept: Vec<Part>) {
        for part in kept {
            if self.taps.iter().any(|(which, _)| *which == Tap::Kept) {
                for span in &part.spans {
                    self.give(Tap::Kept, &Record::Span(Box::new(Span::clone(span))));
                }
            }
            self.unsealed_spans += part.spans.len();
            self.unsealed_bytes += Row::bytes(&part);
            self.live.kept(&part);
            self.parts.push(part);
        }
    }

    fn log(&mut self, record: LogRecord) {
        if self.taps.iter().any(|(which, _)| *which == Tap::Kept) {
            self.give(Tap::Kept, &Record::Log(Box::new(record.clone())));
        }
        self.newest_log += 1;
        let log = Arc::new(KeptLog { seq: self.newest_log, record });
        self.unsealed_log_bytes += Row::bytes(&log);
        self.live.log(&log);
        self.logs.push(log);
    }

    /// A copy to the taps of one kind; those whose other end is gone are forgotten.
    fn give(&mut self, wanted: Tap, record: &Record) {
        self.taps.retain(|(which, to)| *which != wanted || to.give(record.clone()));
    }

    pub(super) fn stats(&self) -> Stats {
        let (open_traces, open_bytes) = self.sampler.gathered();
        Stats {
            counts: self.sampler.counts(),
            open_traces,
            open_bytes,
            inbox_dropped: 0,
            left_out: 0,
            disk_bytes: self.disk_bytes,
            blocks: self.span_blocks.len() + self.log_blocks.len(),
            unsealed: self.unsealed_spans + self.logs.len(),
            damaged: self.damaged,
            lost: self.lost,
            write_error: self.write_error.clone(),
        }
    }
}

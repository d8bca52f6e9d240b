//! What is kept on the disk, in the folder `telemetry` of a node's data: spans and records of logs, bounded in size and age.
//!
//! Two halves, `spans-N` and `logs-N` with a tail each (`half`), of files of blocks (`file`) of columns (`columns`); beside them
//! `spans-open-N`, what came of traces that are not decided on (`undecided`). Of each block a
//! zone is in memory, which says what it cannot have. The oldest file goes first, of the half that takes more: a flood of records
//! does not wash spans away, nor the other way round.

mod bytes;
mod columns;
mod file;
mod half;
mod reader;
mod records;
mod row;
mod spans;
mod undecided;
mod zone;

pub(crate) use file::Block;
pub(crate) use reader::Reader;
pub(crate) use row::Row;
pub(crate) use zone::Zone;

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::part::{KeptLog, Part};
use half::{Found, Half};
use undecided::Undecided;

/// A file is this share of the window, so that what is removed at a time is little.
const FILES: u64 = 64;
/// The smallest file.
const FILE_BYTES_MIN: u64 = 64 << 10;
/// A file is not appended to when it is this share of the age that the window reaches back.
const FILES_BY_AGE: u64 = 24;

/// Writes the window; one process at a time, which the node's lock on its data folder sees to.
pub(crate) struct Window {
    spans: Half<Part>,
    logs: Half<Arc<KeptLog>>,
    undecided: Undecided,
    bytes_max: u64,
    ms_max: u64,
    /// Held as long as it is written.
    _lock: File,
}

/// What was on the disk.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) spans: Vec<Arc<Block>>,
    pub(crate) logs: Vec<Arc<Block>>,
    /// Of tails, when nothing is to be written.
    pub(crate) parts: Vec<Part>,
    /// The same.
    pub(crate) records: Vec<Arc<KeptLog>>,
    /// Of traces that were not decided on.
    pub(crate) undecided: Vec<Part>,
    /// How many places were not whole.
    pub(crate) damaged: u64,
}

/// What is there, without a change to it: for when no node runs.
pub(crate) fn read(dir: &Path) -> io::Result<Contents> {
    let (_, spans) = Half::<Part>::find(dir, SPANS)?;
    let (_, logs) = Half::<Arc<KeptLog>>::find(dir, LOGS)?;
    let (_, mut undecided, damaged) = Undecided::find(dir)?;
    leave_out(&mut undecided, &spans.rows);
    Ok(Contents {
        damaged: spans.damaged + logs.damaged + damaged,
        undecided,
        spans: spans.blocks,
        logs: logs.blocks,
        parts: spans.rows,
        records: logs.rows,
    })
}

const SPANS: &str = "spans";
const LOGS: &str = "logs";

impl Window {
    /// Opens it to be written, and says what is there.
    pub(crate) fn open(
        dir: &Path,
        bytes_max: u64,
        ms_max: u64,
        now_ms: u64,
    ) -> io::Result<(Window, Contents)> {
        std::fs::create_dir_all(dir)?;
        let lock = File::create(dir.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::ResourceBusy, "another process writes there")
            }
            TryLockError::Error(error) => error,
        })?;
        let file_bytes = (bytes_max / FILES).max(FILE_BYTES_MIN);
        let file_ms = (ms_max / FILES_BY_AGE).max(1);
        let (mut spans, found_spans) = Half::<Part>::find(dir, SPANS)?;
        let (mut logs, found_logs) = Half::<Arc<KeptLog>>::find(dir, LOGS)?;
        let (mut open, mut undecided, damaged) = Undecided::find(dir)?;
        leave_out(&mut undecided, &found_spans.rows);
        open.begin(bytes_max);
        // Said before the tail that tells it is gone.
        let left: HashSet<[u8; 16]> = undecided.iter().map(|part| part.trace_id).collect();
        let over = open.over(|trace_id| left.contains(trace_id));
        open.write(&[], &over, now_ms)?;
        let damaged = found_spans.damaged + found_logs.damaged + damaged;
        let begin = |found: &mut Vec<Arc<Block>>, block: Option<Arc<Block>>| found.extend(block);
        let Found { blocks: mut span_blocks, rows, .. } = found_spans;
        begin(&mut span_blocks, spans.begin(file_bytes, file_ms, &rows, now_ms)?);
        let Found { blocks: mut log_blocks, rows, .. } = found_logs;
        begin(&mut log_blocks, logs.begin(file_bytes, file_ms, &rows, now_ms)?);
        let contents =
            Contents { spans: span_blocks, logs: log_blocks, undecided, damaged, ..Contents::default() };
        Ok((Window { spans, logs, undecided: open, bytes_max, ms_max, _lock: lock }, contents))
    }

    /// Appends to the tails what has come since the last time. What the spans took on the disk.
    pub(crate) fn append(&mut self, parts: &[Part], logs: &[Arc<KeptLog>], now_ms: u64) -> io::Result<u64> {
        let mut bytes = 0;
        if !parts.is_empty() {
            bytes = self.spans.append(parts, now_ms)?;
        }
        if !logs.is_empty() {
            self.logs.append(logs, now_ms)?;
        }
        Ok(bytes)
    }

    /// Whether there is room for what is not decided on.
    pub(crate) fn has_room_for_undecided(&self) -> bool {
        self.undecided.has_room()
    }

    /// Traces of which something was saved and that are not open any more. They are not told again.
    pub(crate) fn over(&mut self, is_open: impl Fn(&[u8; 16]) -> bool) -> Vec<[u8; 16]> {
        self.undecided.over(is_open)
    }

    /// Saves what has come of traces that are not decided on, and says which are not open any more: after [`Window::append`] of what was
    /// kept of them, or a crash in between would lose it.
    pub(crate) fn save(&mut self, parts: &[Part], over: &[[u8; 16]], now_ms: u64) -> io::Result<()> {
        self.undecided.write(parts, over, now_ms)
    }

    /// Packs all parts that are in the tail into a block; and how much it is.
    pub(crate) fn seal_parts(&mut self, parts: &[Part], now_ms: u64) -> io::Result<(Arc<Block>, u64)> {
        self.spans.seal(parts, now_ms)
    }

    /// The same for records.
    pub(crate) fn seal_logs(&mut self, logs: &[Arc<KeptLog>], now_ms: u64) -> io::Result<Arc<Block>> {
        Ok(self.logs.seal(logs, now_ms)?.0)
    }

    /// What it takes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.spans.bytes() + self.logs.bytes() + self.undecided.bytes()
    }

    /// Removes what is too old or too much; which files.
    pub(crate) fn trim(&mut self, now_ms: u64) -> Vec<PathBuf> {
        let mut removed = Vec::new();
        let oldest = now_ms.saturating_sub(self.ms_max);
        while self.spans.oldest_is_before(oldest) {
            removed.extend(self.spans.remove_oldest());
        }
        while self.logs.oldest_is_before(oldest) {
            removed.extend(self.logs.remove_oldest());
        }
        while self.bytes() > self.bytes_max {
            let more_spans = self.spans.bytes() >= self.logs.bytes();
            let gone = if more_spans { self.spans.remove_oldest() } else { self.logs.remove_oldest() };
            match gone {
                Some(path) => removed.push(path),
                None => break,
            }
        }
        removed
    }
}

/// What was decided on and written, but for the last word that it is: the process ended in between.
fn leave_out(undecided: &mut Vec<Part>, kept: &[Part]) {
    let open: HashSet<[u8; 16]> = undecided.iter().map(|part| part.trace_id).collect();
    let of_open = kept.iter().filter(|part| open.contains(&part.trace_id));
    let known: HashSet<_> =
        of_open.flat_map(|part| &part.spans).map(|span| (span.trace_id, span.span_id)).collect();
    for part in &mut *undecided {
        part.spans.retain(|span| !known.contains(&(span.trace_id, span.span_id)));
    }
    undecided.retain(|part| !part.spans.is_empty());
}

#[cfg(test)]
mod tests;

//! What is kept on the disk, in the folder `telemetry` of a node's data: spans and records of logs, bounded in size and age.
//!
//! Two halves, `spans-N` and `logs-N` with a tail each (`half`), of files of blocks (`file`) of columns (`columns`). Of each block a
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
mod zone;

pub(crate) use file::Block;
pub(crate) use reader::Reader;
pub(crate) use row::Row;
pub(crate) use zone::Zone;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::part::{KeptLog, Part};
use half::{Found, Half};

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
    /// How many places were not whole.
    pub(crate) damaged: u64,
}

/// What is there, without a change to it: for when no node runs.
pub(crate) fn read(dir: &Path) -> io::Result<Contents> {
    let (_, spans) = Half::<Part>::find(dir, SPANS)?;
    let (_, logs) = Half::<Arc<KeptLog>>::find(dir, LOGS)?;
    Ok(Contents {
        damaged: spans.damaged + logs.damaged,
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
        let damaged = found_spans.damaged + found_logs.damaged;
        let begin = |found: &mut Vec<Arc<Block>>, block: Option<Arc<Block>>| found.extend(block);
        let Found { blocks: mut span_blocks, rows, .. } = found_spans;
        begin(&mut span_blocks, spans.begin(file_bytes, file_ms, &rows, now_ms)?);
        let Found { blocks: mut log_blocks, rows, .. } = found_logs;
        begin(&mut log_blocks, logs.begin(file_bytes, file_ms, &rows, now_ms)?);
        let contents = Contents { spans: span_blocks, logs: log_blocks, damaged, ..Contents::default() };
        Ok((Window { spans, logs, bytes_max, ms_max, _lock: lock }, contents))
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
        self.spans.bytes() + self.logs.bytes()
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

#[cfg(test)]
mod tests;

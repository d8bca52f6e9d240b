//! The thread that takes what was recorded, decides, and writes.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::{Shared, State, unix_ms};
use crate::part::{KeptLog, Part};
use crate::recorder::Inbox;
use crate::window::{Row, Window};

/// How often it looks into the inbox.
const EVERY: Duration = Duration::from_millis(50);
/// Most records that are taken while the lock is held.
const LOT: usize = 1_024;
/// How often tails are written.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// So many spans or records make a block, or so many bytes in memory, or so long a time.
const BLOCK_COUNT: usize = 4_096;
const BLOCK_BYTES: usize = 4 << 20;
const BLOCK_EVERY: Duration = Duration::from_secs(600);
/// What may wait in memory when nothing can be written, in blocks.
const WAITING_BLOCKS_MAX: usize = 4;

/// How far it has come with writing.
struct Writer {
    window: Window,
    /// How many of the first parts and records are in the tails.
    parts_written: usize,
    logs_written: usize,
    written_at: Instant,
    parts_sealed_at: Instant,
    logs_sealed_at: Instant,
}

/// Goes on until it shall end.
pub(super) fn run(shared: &Shared, inbox: &Inbox, window: Window) {
    let started = Instant::now();
    let mut writer = Writer {
        window,
        parts_written: 0,
        logs_written: 0,
        written_at: started,
        parts_sealed_at: started,
        logs_sealed_at: started,
    };
    loop {
        let is_ending = shared.ending.load(Relaxed);
        let now_ms = started.elapsed().as_millis() as u64;
        take(shared, inbox, now_ms);
        decide(shared, now_ms, is_ending);
        if is_ending || writer.written_at.elapsed() >= WRITE_EVERY {
            writer.written_at = Instant::now();
            writer.write(shared);
        }
        if is_ending {
            return;
        }
        std::thread::park_timeout(EVERY);
    }
}

fn take(shared: &Shared, inbox: &Inbox, now_ms: u64) {
    loop {
        let mut taken = 0;
        let mut state = shared.state();
        for record in inbox.take(LOT) {
            taken += 1;
            state.take(now_ms, record);
        }
        if taken < LOT {
            break;
        }
    }
    shared.inbox_dropped.store(inbox.dropped(), Relaxed);
}

fn decide(shared: &Shared, now_ms: u64, is_ending: bool) {
    let mut state = shared.state();
    let state = &mut *state;
    let mut kept = Vec::new();
    if is_ending {
        state.sampler.end(&mut kept);
    }
    state.sampler.tick(now_ms, &mut kept);
    state.keep(kept);
    state.live.tick(now_ms, &state.sampler);
    let newest = state.live.newest();
    if *shared.newest.borrow() != newest {
        shared.newest.send_replace(newest);
    }
}

impl Writer {
    fn write(&mut self, shared: &Shared) {
        let done =
            self.append(shared).and_then(|()| self.seal_parts(shared)).and_then(|()| self.seal_logs(shared));
        let removed = self.window.trim(unix_ms());
        let mut state = shared.state();
        state.disk_bytes = self.window.bytes();
        forget(&mut state, &removed);
        if let Err(error) = done {
            state.write_error = Some(error.to_string());
            self.drop_what_is_too_much(&mut state);
        }
    }

    fn append(&mut self, shared: &Shared) -> io::Result<()> {
        let (parts, logs, undecided, over) = {
            let mut state = shared.state();
            let has_room = self.window.has_room_for_undecided();
            let undecided = if has_room { state.sampler.unsaved() } else { Vec::new() };
            let over = self.window.over(|trace_id| state.sampler.is_open(trace_id));
            let parts = state.parts[self.parts_written..].to_vec();
            (parts, state.logs[self.logs_written..].to_vec(), undecided, over)
        };
        self.window.append(&parts, &logs, unix_ms())?;
        self.parts_written += parts.len();
        self.logs_written += logs.len();
        self.window.save(&undecided, &over, unix_ms())
    }

    fn seal_parts(&mut self, shared: &Shared) -> io::Result<()> {
        let is_time = self.parts_sealed_at.elapsed() >= BLOCK_EVERY;
        let (parts, bytes): (Vec<Part>, usize) = {
            let state = shared.state();
            let is_enough = state.unsealed_spans >= BLOCK_COUNT || state.unsealed_bytes >= BLOCK_BYTES;
            if state.parts.is_empty() || !(is_enough || is_time) {
                return Ok(());
            }
            let parts = state.parts[..self.parts_written].to_vec();
            let bytes = parts.iter().map(Row::bytes).sum();
            (parts, bytes)
        };
        let (block, packed) = self.window.seal_parts(&parts, unix_ms())?;
        self.parts_sealed_at = Instant::now();
        self.parts_written = 0;
        let mut state = shared.state();
        state.parts.drain(..parts.len());
        state.unsealed_spans -= parts.iter().map(Row::count).sum::<usize>();
        state.unsealed_bytes -= bytes;
        state.span_blocks.push(block);
        state.sampler.written(bytes, usize::try_from(packed).unwrap_or(usize::MAX));
        Ok(())
    }

    fn seal_logs(&mut self, shared: &Shared) -> io::Result<()> {
        let is_time = self.logs_sealed_at.elapsed() >= BLOCK_EVERY;
        let logs: Vec<Arc<KeptLog>> = {
            let state = shared.state();
            let is_enough = state.logs.len() >= BLOCK_COUNT || state.unsealed_log_bytes >= BLOCK_BYTES;
            if state.logs.is_empty() || !(is_enough || is_time) {
                return Ok(());
            }
            state.logs[..self.logs_written].to_vec()
        };
        let block = self.window.seal_logs(&logs, unix_ms())?;
        self.logs_sealed_at = Instant::now();
        self.logs_written = 0;
        let mut state = shared.state();
        state.logs.drain(..logs.len());
        state.unsealed_log_bytes -= logs.iter().map(Row::bytes).sum::<usize>();
        state.log_blocks.push(block);
        Ok(())
    }

    /// Nothing can be written, and memory is bounded: the oldest go, counted.
    fn drop_what_is_too_much(&mut self, state: &mut State) {
        let most = WAITING_BLOCKS_MAX * BLOCK_BYTES;
        while state.unsealed_bytes > most && !state.parts.is_empty() {
            let part = state.parts.remove(0);
            state.unsealed_bytes -= Row::bytes(&part);
            state.unsealed_spans -= part.count();
            state.lost += part.count() as u64;
            self.parts_written = self.parts_written.saturating_sub(1);
        }
        while state.unsealed_log_bytes > most && !state.logs.is_empty() {
            let log = state.logs.remove(0);
            state.unsealed_log_bytes -= Row::bytes(&log);
            state.lost += 1;
            self.logs_written = self.logs_written.saturating_sub(1);
        }
    }
}

/// Blocks of files that were removed.
fn forget(state: &mut State, removed: &[PathBuf]) {
    if removed.is_empty() {
        return;
    }
    state.span_blocks.retain(|block| !removed.iter().any(|path| block.is_in(path)));
    state.log_blocks.retain(|block| !removed.iter().any(|path| block.is_in(path)));
}

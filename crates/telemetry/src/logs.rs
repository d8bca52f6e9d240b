//! The last lines that a system's services wrote, kept in memory for `colony logs` and for whoever
//! asks why something fell over. Bounded in lines and bytes: the oldest go first, and a reader who
//! was too slow is told how many it missed.
//!
//! Lines are numbered from 1 in the order of their arrival, without gaps. A follower alternates
//! [`LogWindow::since`] and [`LogWindow::changed`], from the number that the former gave it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// A line that a service, or Colony about it, wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its place in the order of arrival.
    pub seq: u64,
    /// When it arrived, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Which service wrote it.
    pub service: String,
    /// Which of the service's instances.
    pub instance: String,
    /// Where it came out.
    pub stream: Stream,
    /// What it says, without its end of line; at most [`TEXT_BYTES_MAX`] and the mark of a cut.
    pub text: String,
}

/// Where a line came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// The service's standard output.
    Stdout,
    /// The service's standard error.
    Stderr,
    /// Colony says it about the service.
    Colony,
}

/// What came after a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// The lines, oldest first.
    pub lines: Vec<Line>,
    /// How many lines after the asked one had left the window already, of any service.
    pub dropped: u64,
    /// Where to go on from: everything up to this number is in `lines`, dropped, or of another
    /// service.
    pub next: u64,
}

/// The window. Shared behind an `Arc`: any number of writers and readers.
#[derive(Debug)]
pub struct LogWindow {
    lines_max: usize,
    bytes_max: usize,
    kept: Mutex<Kept>,
    newest: watch::Sender<u64>,
}

/// Numbered without gaps, up to `newest`.
#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Line>,
    bytes: usize,
    newest: u64,
}

/// The longest text that is kept of a line, in bytes; what is over is cut off and a mark says so.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;

impl LogWindow {
    /// Keeps up to `lines_max` lines of up to `bytes_max` bytes together, each counted with what it
    /// costs in memory. Either of them zero: lines are numbered and forgotten.
    pub fn new(lines_max: usize, bytes_max: usize) -> LogWindow {
        LogWindow { lines_max, bytes_max, kept: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Adds a line and wakes who waits for it. Returns its number.
    pub fn push(&self, unix_ms: u64, service: &str, instance: &str, stream: Stream, text: &str) -> u64 {
        let mut line = Line {
            seq: 0,
            unix_ms,
            service: service.to_owned(),
            instance: instance.to_owned(),
            stream,
            text: cut(text),
        };
        let mut kept = self.kept();
        line.seq = kept.newest + 1;
        kept.newest = line.seq;
        kept.bytes += bytes(&line);
        kept.lines.push_back(line);
        while kept.lines.len() > self.lines_max || kept.bytes > self.bytes_max {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= bytes(&oldest);
        }
        self.newest.send_replace(kept.newest);
        kept.newest
    }

    /// The last `n` lines, oldest first; of one service, or of all.
    pub fn tail(&self, service: Option<&str>, n: usize) -> Vec<Line> {
        let kept = self.kept();
        let wanted = kept.lines.iter().rev().filter(|line| is_of(line, service));
        let mut lines: Vec<Line> = wanted.take(n).cloned().collect();
        lines.reverse();
        lines
    }

    /// Up to `max` lines that came after number `seq`; of one service, or of all. Number 0 is before
    /// the first; a number that isn't given out yet counts as the newest.
    pub fn since(&self, seq: u64, service: Option<&str>, max: usize) -> Since {
        let kept = self.kept();
        let seq = seq.min(kept.newest);
        let gone = kept.newest - kept.lines.len() as u64;
        let known = usize::try_from(seq.saturating_sub(gone)).unwrap_or(usize::MAX);
        let newer = kept.lines.iter().skip(known);
        let lines: Vec<Line> = newer.filter(|line| is_of(line, service)).take(max).cloned().collect();
        let next = match lines.last() {
            Some(last) if lines.len() == max => last.seq,
            None if max == 0 => seq.max(gone),
            _ => kept.newest,
        };
        Since { lines, dropped: gone.saturating_sub(seq), next }
    }

    /// The newest line's number; 0 before the first.
    pub fn newest(&self) -> u64 {
        self.kept().newest
    }

    /// Waits until there is a line newer than number `seq`; at once if there is. Safe to cancel.
    pub async fn changed(&self, seq: u64) {
        let mut newest = self.newest.subscribe();
        // The sender lives as long as this borrow of it, so the wait has no other end.
        let _ = newest.wait_for(|newest| *newest > seq).await;
    }

    /// A thread that panicked over a push leaves at worst a line out.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_of(line: &Line, service: Option<&str>) -> bool {
    service.is_none_or(|service| line.service == service)
}

/// What a line costs in memory.
fn bytes(line: &Line) -> usize {
    size_of::<Line>() + line.service.len() + line.instance.len() + line.text.len()
}

fn cut(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let kept = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    format!("{kept}… [{} bytes cut]", text.len() - kept.len())
}

#[cfg(test)]
mod tests;

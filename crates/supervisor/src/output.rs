//! What processes write: cut into lines, handed to the observer at once, the last ones kept for the report
//! of a crash.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The last lines of one process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    pub fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= TAIL_LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Reads to the end and gives each line to `sink`, without its end; the last one also when it has none.
pub(crate) async fn pump(mut stream: impl AsyncRead + Unpin, mut sink: impl FnMut(&str)) {
    let mut lines = Lines::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = stream.read(&mut chunk).await {
        lines.feed(&chunk[..length], &mut sink);
    }
    lines.finish(&mut sink);
}

/// Cuts bytes into lines of at most [`LINE_BYTES_MAX`].
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            for part in piece.chunks(LINE_BYTES_MAX) {
                if self.begun.len() + part.len() > LINE_BYTES_MAX {
                    self.finish(sink);
                }
                self.begun.extend_from_slice(part);
            }
            if self.begun.ends_with(b"\n") {
                self.begun.pop();
                self.deliver(sink);
            }
        }
    }

    fn finish(&mut self, sink: &mut impl FnMut(&str)) {
        if !self.begun.is_empty() {
            self.deliver(sink);
        }
    }

    fn deliver(&mut self, sink: &mut impl FnMut(&str)) {
        let line = self.begun.strip_suffix(b"\r").unwrap_or(&self.begun);
        sink(&String::from_utf8_lossy(line));
        self.begun.clear();
    }
}

/// A longer line comes in pieces of this size.
const LINE_BYTES_MAX: usize = 16 * 1024;
const CHUNK_BYTES: usize = 8 * 1024;
/// How many last lines a crash report has.
const TAIL_LINES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        let mut sink = |line: &str| all.push(line.to_owned());
        chunks.iter().for_each(|chunk| lines.feed(chunk, &mut sink));
        lines.finish(&mut sink);
        all
    }

    #[test]
    fn lines_are_put_together_and_the_last_needs_no_end() {
        assert_eq!(lines(&[b"one\ntw", b"o\r\n\nthr", b"ee"]), ["one", "two", "", "three"]);
        assert_eq!(lines(&[b"a\xffb\n"]), ["a\u{fffd}b"]);
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let long = vec![b'x'; LINE_BYTES_MAX * 2 + 5];
        let lines = lines(&[&long, b"\nnext\n"]);
        assert!(lines.iter().all(|line| line.len() <= LINE_BYTES_MAX));
        assert_eq!(lines.concat().len(), long.len() + 4);
        assert_eq!(lines.last().unwrap(), "next");
    }

    #[test]
    fn the_tail_keeps_the_last() {
        let tail = Tail::default();
        (0..50).for_each(|n| tail.push(&n.to_string()));
        assert_eq!((tail.lines().len(), tail.lines().last().unwrap().as_str()), (TAIL_LINES_MAX, "49"));
    }
}

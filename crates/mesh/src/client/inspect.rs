//! Watches the bytes of an HTTP/1.1 client for heads that carry both `Transfer-Encoding` and
//! `Content-Length`.
//!
//! Such a request is how smuggling begins: two parsers in a row may disagree on where it ends (RFC
//! 9112 section 6.1). hyper follows `Transfer-Encoding` and closes, which is safe for itself, but
//! hides that both were there; we refuse. The watch follows heads and sized bodies through the
//! stream; after a chunked body it waits to be told that the next head begins.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the watch and the service tell each other.
#[derive(Default)]
pub(crate) struct HeadWatch {
    conflict: AtomicBool,
    head_begins: AtomicBool,
}

impl HeadWatch {
    /// Whether a head with conflicting lengths has come over this connection.
    pub(crate) fn conflict(&self) -> bool {
        self.conflict.load(Ordering::Relaxed)
    }

    /// A chunked request has been answered: what comes now is a head.
    pub(crate) fn expect_head(&self) {
        self.head_begins.store(true, Ordering::Relaxed);
    }
}

/// A stream that is watched as it is read.
pub(crate) struct Inspected<S> {
    stream: S,
    scan: Scan,
    watch: Arc<HeadWatch>,
}

impl<S> Inspected<S> {
    pub(crate) fn new(stream: S, watch: Arc<HeadWatch>) -> Inspected<S> {
        Inspected { stream, scan: Scan::default(), watch }
    }

    fn look(&mut self, bytes: &[u8]) {
        if self.watch.head_begins.swap(false, Ordering::Relaxed) {
            self.scan = Scan::default();
        }
        if self.scan.feed(bytes) {
            self.watch.conflict.store(true, Ordering::Relaxed);
        }
    }
}

/// Where in the stream we are.
#[derive(Debug)]
struct Scan {
    at: At,
    /// The beginning of the current line, as much as tells the two headers and a length.
    line: [u8; LINE_MAX],
    length: usize,
    chunked: bool,
    sized: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Head,
    Body {
        left: u64,
    },
    /// In a chunked body, until told otherwise.
    Lost,
}

/// Enough for `content-length:` and twenty digits with some space.
const LINE_MAX: usize = 48;

impl Default for Scan {
    fn default() -> Scan {
        Scan { at: At::Head, line: [0; LINE_MAX], length: 0, chunked: false, sized: None }
    }
}

impl Scan {
    /// True if a head that ended in `bytes` had both lengths.
    fn feed(&mut self, mut bytes: &[u8]) -> bool {
        let mut conflict = false;
        while !bytes.is_empty() {
            match self.at {
                At::Lost => return conflict,
                At::Body { left } => {
                    let skipped = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    bytes = &bytes[skipped..];
                    let left = left - skipped as u64;
                    self.at = if left == 0 { At::Head } else { At::Body { left } };
                }
                At::Head => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let part = &bytes[..end.unwrap_or(bytes.len())];
                    let room = LINE_MAX - self.length.min(LINE_MAX);
                    let kept = part.len().min(room);
                    self.line[self.length..self.length + kept].copy_from_slice(&part[..kept]);
                    self.length += kept;
                    let Some(end) = end else { return conflict };
                    bytes = &bytes[end + 1..];
                    conflict |= self.line_ends();
                }
            }
        }
        conflict
    }

    fn line_ends(&mut self) -> bool {
        let line = self.line[..self.length].trim_ascii_end();
        self.length = 0;
        if line.is_empty() {
            let conflict = self.chunked && self.sized.is_some();
            let at = match (self.chunked, self.sized) {
                (true, _) => At::Lost,
                (false, Some(left)) if left > 0 => At::Body { left },
                _ => At::Head,
            };
            *self = Scan { at, ..Scan::default() };
            return conflict;
        }
        match line[0] | 0x20 {
            b't' if starts(line, b"transfer-encoding") => self.chunked = true,
            b'c' if starts(line, b"content-length") => {
                let value = line.splitn(2, |byte| *byte == b':').nth(1).unwrap_or_default();
                self.sized =
                    Some(std::str::from_utf8(value.trim_ascii()).map_or(0, |v| v.parse().unwrap_or(0)));
            }
            _ => {}
        }
        false
    }
}

/// Whether a line is the field `name`, also with the space before the colon that some parsers allow.
fn starts(line: &[u8], name: &[u8]) -> bool {
    line.len() > name.len()
        && line[..name.len()].eq_ignore_ascii_case(name)
        && line[name.len()..].trim_ascii_start().first() == Some(&b':')
}

impl<S: AsyncRead + Unpin> AsyncRead for Inspected<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if polled.is_ready() && buf.filled().len() > before {
            this.look(&buf.filled()[before..]);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Inspected<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOTH: &str =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn both_lengths_are_seen_in_any_case_and_order() {
        assert!(Scan::default().feed(BOTH.as_bytes()));
        assert!(Scan::default().feed(BOTH.to_ascii_uppercase().as_bytes()));
        let spaced = "GET / HTTP/1.1\r\ntransfer-encoding : chunked\r\ncontent-length : 1\r\n\r\n";
        assert!(Scan::default().feed(spaced.as_bytes()));
    }

    #[test]
    fn one_length_is_fine_and_bodies_are_not_read_as_heads() {
        let body = "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n";
        let sized = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let mut scan = Scan::default();
        assert!(!scan.feed(sized.as_bytes()));
        assert_eq!(scan.at, At::Head);
        assert!(
            !scan.feed(format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}").as_bytes())
        );
        assert_eq!(scan.at, At::Lost);
    }

    #[test]
    fn a_conflict_behind_a_pipelined_request_is_seen() {
        assert!(Scan::default().feed(format!("GET / HTTP/1.1\r\nHost: a\r\n\r\n{BOTH}").as_bytes()));
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_does_not_matter(cuts in proptest::collection::vec(0usize..120, 0..6)) {
            let text = format!("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc{BOTH}");
            let mut scan = Scan::default();
            let (mut from, mut seen) = (0, false);
            let mut cuts = cuts;
            cuts.sort_unstable();
            for cut in cuts.into_iter().map(|cut| cut.min(text.len())).chain([text.len()]) {
                seen |= scan.feed(&text.as_bytes()[from..cut]);
                from = cut;
            }
            prop_assert!(seen);
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            Scan::default().feed(&bytes);
        }
    }
}

//! What an HTTP/2 server says first: SETTINGS, which tell whether it takes an extended CONNECT (RFC 8441
//! section 3). A client may not send one before it knows, and the library that speaks HTTP/2 does not
//! tell when it does; so the first frame is read here, too, as it passes by.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use crate::io::Stream;

/// Length of a frame's head (RFC 9113 section 4.1).
const FRAME_HEAD_BYTES: usize = 9;
/// Largest payload that a server may send before it was allowed more (RFC 9113 section 4.2).
const PAYLOAD_BYTES_MAX: usize = 16 << 10;
const SETTINGS: u8 = 4;
const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// Whether the server takes an extended CONNECT. None: it has not said yet.
pub(crate) type Heard = watch::Receiver<Option<bool>>;

/// A stream whose first frame is listened to.
pub(crate) struct Greeted {
    stream: Stream,
    /// None: it has been heard.
    listening: Option<Listening>,
}

struct Listening {
    tell: watch::Sender<Option<bool>>,
    seen: Vec<u8>,
}

impl Greeted {
    pub(crate) fn new(stream: Stream) -> (Greeted, Heard) {
        let (tell, heard) = watch::channel(None);
        (Greeted { stream, listening: Some(Listening { tell, seen: Vec::new() }) }, heard)
    }

    fn listen(&mut self, came: &[u8]) {
        let Some(listening) = &mut self.listening else { return };
        listening.seen.extend_from_slice(came);
        if let Some(takes) = takes_connect(&listening.seen) {
            listening.tell.send_replace(Some(takes));
            self.listening = None;
        }
    }
}

/// What the first frame says. None: it is not whole.
fn takes_connect(bytes: &[u8]) -> Option<bool> {
    let head = bytes.first_chunk::<FRAME_HEAD_BYTES>()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    if head[3] != SETTINGS || length > PAYLOAD_BYTES_MAX {
        return Some(false);
    }
    let payload = bytes.get(FRAME_HEAD_BYTES..FRAME_HEAD_BYTES + length)?;
    let mut takes = false;
    for setting in payload.chunks_exact(6) {
        if u16::from_be_bytes([setting[0], setting[1]]) == ENABLE_CONNECT_PROTOCOL {
            takes = setting[2..] == [0, 0, 0, 1];
        }
    }
    Some(takes)
}

impl AsyncRead for Greeted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.listen(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Greeted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(all: &[(u16, u32)]) -> Vec<u8> {
        let mut frame = vec![0, 0, 6 * all.len() as u8, SETTINGS, 0, 0, 0, 0, 0];
        for (id, value) in all {
            frame.extend(id.to_be_bytes());
            frame.extend(value.to_be_bytes());
        }
        frame
    }

    #[test]
    fn the_first_frame_tells_once_it_is_whole() {
        for (all, takes) in [
            (&[][..], false),
            (&[(3, 100)][..], false),
            (&[(3, 100), (8, 1)][..], true),
            (&[(8, 1), (8, 0)][..], false),
            (&[(8, 256)][..], false),
        ] {
            let frame = settings(all);
            for end in 0..frame.len() {
                assert_eq!(takes_connect(&frame[..end]), None, "{all:?} up to {end}");
            }
            assert_eq!(takes_connect(&frame), Some(takes), "{all:?}");
            assert_eq!(takes_connect(&[&frame[..], b"more"].concat()), Some(takes), "{all:?}");
        }
    }

    #[test]
    fn what_is_no_greeting_is_not_waited_for() {
        assert_eq!(takes_connect(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Some(false));
        assert_eq!(takes_connect(&[1, 0, 0, SETTINGS, 0, 0, 0, 0, 0]), Some(false));
    }
}

//! Bodies, read as a whole and never beyond their bound.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;

/// Why a body was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is longer than may be.
    TooLarge,
    /// Nothing came for long.
    Stalled,
    /// It breaks off, or is not as HTTP has it.
    Broken(String),
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unread::TooLarge => f.write_str("error reading the body: stream too large"),
            Unread::Stalled => write!(f, "error reading the body: nothing came for {} s", IDLE.as_secs()),
            Unread::Broken(why) => write!(f, "error reading the body: {why}"),
        }
    }
}

/// All of a body. One that comes in one piece is not copied.
pub(super) async fn read<B>(mut body: B, bytes_max: usize) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    if body.size_hint().lower() > bytes_max as u64 {
        discard(body).await;
        return Err(Unread::TooLarge);
    }
    let Some(first) = piece(&mut body).await? else { return Ok(Bytes::new()) };
    if first.len() <= bytes_max && body.is_end_stream() {
        return Ok(first);
    }
    let mut all = BytesMut::from(first);
    loop {
        if all.len() > bytes_max {
            discard(body).await;
            return Err(Unread::TooLarge);
        }
        match piece(&mut body).await? {
            Some(more) => all.extend_from_slice(&more),
            None => return Ok(all.freeze()),
        }
    }
}

/// What comes next of it.
async fn piece<B>(body: &mut B) -> Result<Option<Bytes>, Unread>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    loop {
        match timeout(IDLE, body.frame()).await {
            Err(_) => return Err(Unread::Stalled),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(Unread::Broken(error.to_string())),
            // Trailers say nothing here.
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// Lets a client that is still sending get as far as to read the answer, which a connection that is closed at once
/// would take from it; not one that goes on and on.
async fn discard<B>(mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut bytes = 0;
    while bytes < DISCARDED_BYTES_MAX
        && let Ok(Some(piece)) = piece(&mut body).await
    {
        bytes += piece.len();
    }
}

/// Longest silence inside of a body.
const IDLE: Duration = Duration::from_secs(60);
/// How much more is taken of a body that is too large.
const DISCARDED_BYTES_MAX: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::FutureExt;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    /// Reads what comes in these pieces.
    fn read_pieces(pieces: &[&'static str], bytes_max: usize) -> Result<Bytes, Unread> {
        let frames =
            pieces.iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes()))));
        let body = StreamBody::new(stream::iter(frames.collect::<Vec<_>>()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        read(body, bytes_max).now_or_never().expect("all is there")
    }

    #[test]
    fn pieces_are_put_together_up_to_the_bound() {
        assert_eq!(read_pieces(&[], 0), Ok(Bytes::new()));
        assert_eq!(read_pieces(&["abc"], 3), Ok(Bytes::from("abc")));
        assert_eq!(read_pieces(&["a", "", "bc"], 3), Ok(Bytes::from("abc")));
        assert_eq!(read_pieces(&["abcd"], 3), Err(Unread::TooLarge));
        assert_eq!(read_pieces(&["ab", "cd", "ef"], 3), Err(Unread::TooLarge));
    }
}

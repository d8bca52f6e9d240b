//! Following a store of streams: what has happened since, then what happens, as server-sent events.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Method};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use serde::Deserialize;

use super::durable::{DurableJournal, DurableShelf};
use super::{Follower, Kept, Shelf};
use crate::context::Context;
use crate::problem::Problem;
use crate::remote::Call;

/// Where a follower begins.
pub enum Since {
    /// At the first event there is, each time that the process starts: it keeps what it learns in memory.
    Start,
    /// After the last event that it has had, in whichever process, by what lies on this shelf.
    Kept(DurableShelf<String>),
}

impl<E: Kept> DurableJournal<E> {
    /// Tells the follower everything, for as long as the process lives.
    pub async fn follow(self: Arc<Self>, since: Since, follower: Arc<dyn Follower<E>>) {
        let mut place = None;
        let mut wait = WAIT_MIN;
        loop {
            let before = place.clone();
            let ended = self.follow_once(&since, &mut place, &*follower).await;
            if let (Err(problem), true) = (ended, wait > WAIT_MIN) {
                eprintln!("marketplace: following {}: {}", self.store, problem.detail);
            }
            wait = if before == place { (wait * 2).min(WAIT_MAX) } else { WAIT_MIN };
            tokio::time::sleep(wait).await;
        }
    }

    async fn follow_once(
        &self,
        since: &Since,
        place: &mut Option<String>,
        follower: &dyn Follower<E>,
    ) -> Result<(), Problem> {
        self.define().await?;
        if let (None, Since::Kept(shelf)) = (&place, since) {
            *place = shelf.get(self.store).await?.map(|item| item.value);
        }
        let path = format!("/streams/{}", self.store);
        let mut call =
            Call::new(Method::GET, &path).header("accept", HeaderValue::from_static("text/event-stream"));
        if let Some(place) = place.as_deref().and_then(|place| HeaderValue::from_str(place).ok()) {
            call = call.header("last-event-id", place);
        }
        let mut events = Events { body: self.sidecar.0.open(&call).await?, text: Vec::new() };
        let mut had = 0;
        loop {
            // There is something to be kept, but not for each event: when there are some, or none for a while.
            let next = match had > 0 {
                true => tokio::time::timeout(KEEP_AFTER, events.next()).await.ok(),
                false => Some(events.next().await),
            };
            if let (Since::Kept(shelf), Some(place)) = (since, &*place)
                && (had >= KEEP_EVERY || next.is_none())
            {
                // Of several processes that follow each has had what it says: whoever writes last, nothing is left out.
                shelf.write(self.store, place).await?;
                had = 0;
            }
            let Some(next) = next else {
                had = 0;
                continue;
            };
            let Some((id, data)) = next? else { return Ok(()) };
            match serde_json::from_slice::<Told<E>>(&data) {
                Ok(Told { stream, data, metadata }) => {
                    Context::of_noted(&metadata).scope(follower.take(&stream, data)).await?;
                }
                Err(e) => eprintln!("marketplace: an event of {} that cannot be read: {e}", self.store),
            }
            *place = Some(id);
            had += 1;
        }
    }
}

#[derive(Deserialize)]
struct Told<E> {
    stream: String,
    data: E,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), as far as they are used here.
struct Events<B> {
    body: B,
    text: Vec<u8>,
}

impl<B> Events<B>
where
    B: Body<Data = Bytes, Error: Display> + Unpin,
{
    /// The id and the data of the next event; None at the end. An error if not even a comment comes for [`QUIET_TIME_MAX`].
    /// Nothing is lost if nobody waits for it to the end.
    async fn next(&mut self) -> Result<Option<(String, Vec<u8>)>, Problem> {
        loop {
            if let Some(end) = self.end() {
                let event: Vec<u8> = self.text.drain(..end + 2).collect();
                match fields(&event) {
                    Some(found) => return Ok(Some(found)),
                    None => continue,
                }
            }
            if self.text.len() > EVENT_BYTES_MAX {
                return Err(broke_off("an event is too large"));
            }
            match tokio::time::timeout(QUIET_TIME_MAX, self.body.frame()).await {
                Err(_) => return Err(broke_off("no sign of life")),
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => {
                    let frame = frame.map_err(|e| broke_off(&e.to_string()))?;
                    self.text.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
                }
            }
        }
    }

    fn end(&self) -> Option<usize> {
        self.text.windows(2).position(|two| two == b"\n\n")
    }
}

fn broke_off(why: &str) -> Problem {
    Problem::unavailable("storage", format!("what is followed broke off: {why}"))
}

/// None if it is a comment, or says that something went wrong: then the answer ends, too.
fn fields(event: &[u8]) -> Option<(String, Vec<u8>)> {
    let (mut id, mut data) = (None, None);
    for line in event.split(|byte| *byte == b'\n') {
        if let Some(rest) = line.strip_prefix(b"id: ") {
            id = Some(String::from_utf8_lossy(rest).into_owned());
        } else if let Some(rest) = line.strip_prefix(b"data: ") {
            data = Some(rest.to_vec());
        }
    }
    Some((id?, data?))
}

/// First and longest wait before it is tried again.
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);
/// A comment comes every 15 s where nothing else does.
const QUIET_TIME_MAX: Duration = Duration::from_secs(60);
/// The place is kept after that many events, or when nothing has come for so long.
const KEEP_EVERY: usize = 32;
const KEEP_AFTER: Duration = Duration::from_millis(200);
/// Largest event that is read, bytes.
const EVENT_BYTES_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Frame;
    use std::pin::Pin;
    use std::task::{Context as TaskContext, Poll, ready};
    use tokio::time::Sleep;

    #[test]
    fn an_event_has_an_id_and_data_and_a_comment_has_none() {
        assert_eq!(fields(b"id: 1.5\ndata: {}\n\n"), Some(("1.5".to_owned(), b"{}".to_vec())));
        assert_eq!(fields(b": nothing for a while\n\n"), None);
        assert_eq!(fields(b"event: error\ndata: {}\n\n"), None);
    }

    /// Comes in these pieces, each after so long, and then says nothing more.
    struct Pieces(std::vec::IntoIter<&'static str>, Pin<Box<Sleep>>);

    const APART: Duration = Duration::from_secs(15);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut TaskContext<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            ready!(self.1.as_mut().poll(cx));
            let Some(piece) = self.0.next() else { return Poll::Pending };
            self.1 = Box::pin(tokio::time::sleep(APART));
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn comments_are_signs_of_life_and_without_one_it_is_over() {
        let mut pieces = vec![": nothing for a while\n\n"; 40];
        pieces.push("id: 1\ndata: {}\n\n");
        let body = Pieces(pieces.into_iter(), Box::pin(tokio::time::sleep(APART)));
        let mut events = Events { body, text: Vec::new() };
        assert_eq!(events.next().await.unwrap(), Some(("1".to_owned(), b"{}".to_vec())), "after ten minutes");
        assert!(events.next().await.unwrap_err().detail.contains("no sign of life"));
    }
}

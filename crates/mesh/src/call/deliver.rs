//! What becomes of an upstream's answer: it streams on to the client, or is thrown away for a retry.

use std::task::{Poll, ready};
use std::time::Duration;

use http::StatusCode;

use super::attempt::Reply;
use super::{Outgoing, Place};
use crate::message::fields::{Fields, Id};
use crate::request::answer::{Answer, Body, From, Tunnel};
use crate::request::headers;

/// Most bytes of an answer that is thrown away for a retry, read so that its connection lives on.
const DRAIN_BYTES_MAX: usize = 64 << 10;
/// Longest time spent on that.
const DRAIN_TIME_MAX: Duration = Duration::from_millis(500);

/// Makes the answer the client's: its body streams on, its connection returns to the pool.
pub(super) fn deliver(reply: Reply, outgoing: &Outgoing<'_>, place: Option<Place>) -> Answer {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let Reply { mut fields, from, mut lease, .. } = reply;
    lease.place = place;
    let body = match from {
        From::Switched(io) => Body::Tunnel(Tunnel { io, lease }),
        from => {
            headers::strip_hop_by_hop(&mut fields);
            let idle = (!streams(&fields)).then_some(outgoing.body_idle);
            Body::upstream(from, lease, idle, outgoing.body.clone())
        }
    };
    if !matches!(body, Body::Full(_)) {
        outgoing.trace.streams();
    }
    Answer { status, fields, body, close: false }
}

/// Whether an answer may rightly be silent for long: server-sent events and gRPC streams.
fn streams(fields: &Fields) -> bool {
    fields.get(Id::ContentType).is_some_and(|value| {
        value.starts_with(b"text/event-stream") || value.starts_with(b"application/grpc")
    })
}

/// Reads an answer that nobody wants to its end, so that its connection can be used again.
pub(super) fn throw_away(reply: Reply, idle: Duration) {
    let mut body = Body::upstream(reply.from, reply.lease, Some(idle), None);
    if body.is_empty() {
        return;
    }
    tokio::task::spawn_local(async move {
        let (mut left, mut away) = (DRAIN_BYTES_MAX, Vec::new());
        let reading = std::future::poll_fn(|cx| {
            loop {
                away.clear();
                let more = ready!(body.poll(cx, &mut away));
                match left.checked_sub(away.len()) {
                    Some(rest) if more == Ok(true) => left = rest,
                    _ => return Poll::Ready(()),
                }
            }
        });
        let _ = tokio::time::timeout(DRAIN_TIME_MAX, reading).await;
    });
}

//! What becomes of an upstream's answer: it streams on to the client, or is thrown away for a retry.

use std::time::Duration;

use http::{Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::attempt::Answer;
use super::{Outgoing, Permit};
use crate::core::Core;
use crate::request::body::Body;

/// Most bytes of an answer that is thrown away for a retry, read so that its connection lives on.
const DRAIN_BYTES_MAX: usize = 64 << 10;
/// Longest time spent on that.
const DRAIN_TIME_MAX: Duration = Duration::from_millis(500);

/// Makes the answer the client's: its body streams on, its connection returns to the pool.
pub(super) fn deliver(
    answer: Answer,
    outgoing: &mut Outgoing,
    permit: Option<Permit>,
    core: &Core,
) -> Response<Body> {
    let switches = answer.switches_protocols();
    let Answer { mut response, mut lease } = answer;
    lease.permit = permit;
    if switches {
        let upstream = hyper::upgrade::on(&mut response);
        let (head, _) = response.into_parts();
        if let Some(client) = outgoing.upgrade.take() {
            core.tunnel(client, upstream, lease);
        }
        return Response::from_parts(head, Body::empty());
    }
    let idle = (!streams(&response)).then_some(outgoing.body_idle);
    lease.upload = outgoing.body.clone();
    let (head, incoming) = response.into_parts();
    Response::from_parts(head, Body::upstream(incoming, lease, idle))
}

/// Whether an answer may rightly be silent for long: server-sent events and gRPC streams.
fn streams(response: &Response<Incoming>) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().starts_with(b"text/event-stream")
            || value.as_bytes().starts_with(b"application/grpc")
    })
}

/// Reads an answer that nobody wants to its end, so that its connection can be used again.
pub(super) fn throw_away(answer: Answer, idle: Duration) {
    let (_, incoming) = answer.response.into_parts();
    let mut body = Body::upstream(incoming, answer.lease, Some(idle));
    tokio::task::spawn_local(async move {
        let reading = async {
            let mut left = DRAIN_BYTES_MAX;
            while let Some(Ok(frame)) = body.frame().await {
                let size = frame.data_ref().map_or(0, |data| data.len());
                match left.checked_sub(size) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        let _ = tokio::time::timeout(DRAIN_TIME_MAX, reading).await;
    });
}

//! By when a caller over HTTP wants its answer: `X-Request-Deadline`, as services have it from the gateway and sidecars of a node
//! (`policy::deadline` says why it has a time and an instant). What comes in gRPC's own field is `grpc/deadline.rs`'s.
//!
//! A request's header is written anew when it arrives, with the instant by the clock of this process, so that it says how much
//! is left whenever it is read after that: by a call to another application, which is told, or the next try of it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use policy::deadline::header::{self, Node};
use policy::deadline::{Text, grpc};
use policy::{Deadline, Time};
use tokio::time::timeout;
use tonic::Code;

use crate::error::Error;

/// The deadline of a request that arrives now. What cannot be read is ignored, as it is everywhere else; of several the soonest
/// counts.
pub(crate) fn arrived(headers: &mut HeaderMap) -> Option<Deadline> {
    if !headers.contains_key(HEADER) {
        return None;
    }
    let now = now();
    let all = headers.get_all(HEADER).iter();
    let left = all.filter_map(|value| header::parse(value.as_bytes(), now, CLOCK.node)).min();
    match left {
        Some(left) => write(headers, left, now),
        None => drop(headers.remove(HEADER)),
    }
    left.map(|left| Deadline::after(now, Some(left)))
}

/// The answer, or that it was too late. Where no time is left nothing is begun.
///
/// # Errors
///
/// If it was too late, or as the answer is.
pub(crate) async fn within<T>(
    deadline: Deadline,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let now = now();
    if deadline.has_passed(now) {
        return Err(passed());
    }
    match deadline.within(now, None) {
        Some(left) => timeout(left, answer).await.unwrap_or_else(|_| Err(passed())),
        None => answer.await,
    }
}

/// Has a request that is passed on say how much is left now.
pub(crate) fn pass_on(headers: &mut HeaderMap) {
    if headers.contains_key(HEADER) {
        let now = now();
        match left(headers, now) {
            Some(left) => write(headers, left, now),
            None => drop(headers.remove(HEADER)),
        }
    }
}

/// The same where gRPC is spoken, which has a field of its own.
pub(crate) fn pass_on_grpc(headers: &mut HeaderMap) {
    if let Some(left) = left(headers, now())
        && let Some(value) = value(grpc::write(left))
    {
        headers.insert(GRPC, value);
    }
    headers.remove(HEADER);
}

/// Says in HTTP's header what a caller has said in gRPC's.
pub(crate) fn of_grpc(headers: &mut HeaderMap) {
    headers.remove(HEADER);
    if let Some(left) = headers.get(GRPC).and_then(|value| grpc::parse(value.as_bytes())) {
        write(headers, left, now());
    }
}

fn left(headers: &HeaderMap, now: Time) -> Option<Duration> {
    headers.get(HEADER).and_then(|value| header::parse(value.as_bytes(), now, CLOCK.node))
}

fn write(headers: &mut HeaderMap, left: Duration, now: Time) {
    if let Some(value) = value(header::write(left, now, CLOCK.node)) {
        headers.insert(HEADER, value);
    }
}

fn value(text: Text) -> Option<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

fn passed() -> Error {
    let message = "the caller's deadline has passed";
    Error::new("ERR_DEADLINE_EXCEEDED", StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded, message)
}

/// Since this process first asked.
fn now() -> Time {
    Time::from_nanos(u64::try_from(CLOCK.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

struct Clock {
    origin: Instant,
    node: Node,
}

static CLOCK: LazyLock<Clock> =
    LazyLock::new(|| Clock { origin: Instant::now(), node: Node::of(RandomState::new().hash_one(0)) });

/// Where it is said.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-deadline");
const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    fn told(headers: &HeaderMap) -> Duration {
        left(headers, now()).expect("a deadline")
    }

    #[test]
    fn the_soonest_counts_and_what_is_none_is_not_there() {
        let mut two = headers(&[(HEADER, "900"), (HEADER, "70"), (HEADER, "soon")]);
        assert!(arrived(&mut two).is_some() && told(&two) <= Duration::from_millis(70));
        assert_eq!(two.get_all(HEADER).iter().count(), 1);
        let mut none = headers(&[(HEADER, "soon")]);
        assert_eq!((arrived(&mut none), none.len()), (None, 0));
        assert_eq!(arrived(&mut HeaderMap::new()), None);
    }

    #[test]
    fn what_is_passed_on_is_never_more() {
        let mut passed_on = headers(&[(HEADER, "5000")]);
        arrived(&mut passed_on);
        let before = told(&passed_on);
        pass_on(&mut passed_on);
        assert!(told(&passed_on) <= before);
        pass_on_grpc(&mut passed_on);
        let timeout = grpc::parse(passed_on[GRPC].as_bytes()).expect("a time");
        assert!(timeout <= before && !passed_on.contains_key(HEADER));
        of_grpc(&mut passed_on);
        assert!(told(&passed_on) <= timeout);
    }
}

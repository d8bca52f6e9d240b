//! Requests that go no further than here: an `OPTIONS` about the gateway as a whole (RFC 9110 section 9.3.7),
//! and what was forwarded as often as its sender allows (section 7.6.2).

use http::{Method, StatusCode};

use crate::message::fields::{Fields, Id};
use crate::message::head::RequestHead;
use crate::request::answer::{Answer, Body};
use crate::request::problem::{Kind, Problem};

/// What the gateway takes of itself; which of them a service takes, only the service knows.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// The answer to a request that goes no further. None: it does, and this hop is counted.
pub(crate) fn answer(head: &mut RequestHead, edge: bool) -> Option<Result<Answer, Problem>> {
    if !matches!(head.method, Method::OPTIONS | Method::TRACE) {
        return None;
    }
    // `*` names no resource: from outside the gateway is the server that is asked, for none of the
    // services stands for all.
    if edge && head.target() == "*" {
        return Some(Ok(allowed()));
    }
    match head.fields.get(Id::MaxForwards).and_then(number)?.checked_sub(1) {
        Some(left) => {
            head.fields.remove(Id::MaxForwards);
            head.fields.push(b"max-forwards", left.to_string().as_bytes());
            None
        }
        None if head.method == Method::OPTIONS => Some(Ok(allowed())),
        None => Some(Err(no_trace())),
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    let digits =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits?.parse().ok()
}

fn allowed() -> Answer {
    let mut fields = Fields::default();
    fields.push(b"allow", METHODS.as_bytes());
    Answer { status: StatusCode::OK, fields, body: Body::empty(), close: false }
}

/// The request as it came here would show a client what those before have added to it, credentials too.
fn no_trace() -> Problem {
    let detail = "`Max-Forwards` is 0, and no `TRACE` is answered here";
    let mut problem = Problem::new(Kind::MethodNotAllowed, detail);
    problem.allow = Some(METHODS.to_owned());
    problem
}

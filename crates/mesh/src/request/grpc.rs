//! Errors that Colony itself answers calls of gRPC with: what a client of gRPC understands in place of a
//! problem document. HTTP 200 without a body, the status in the head ("Trailers-Only" of gRPC over HTTP/2).
//!
//! The statuses are what gRPC's own libraries would have said of the same trouble, after its status codes'
//! descriptions, and not what a client makes of an HTTP status for want of anything better.

use std::io::Write;

use http::StatusCode;

use crate::message::fields::{Fields, Id};
use crate::request::answer::{Answer, Body};
use crate::request::problem::{Kind, Problem};

/// Longest text of a message: what says more is not read, and heads have bounds.
const MESSAGE_BYTES_MAX: usize = 1024;

/// The status of gRPC that stands for a kind of trouble.
fn status(kind: Kind) -> u8 {
    match kind {
        Kind::Timeout => DEADLINE_EXCEEDED,
        Kind::UndeclaredCall => PERMISSION_DENIED,
        // Not UNAVAILABLE, which clients retry as a matter of course: at a limit, or where others go first, that
        // would be a storm.
        Kind::RateLimited | Kind::Shed => RESOURCE_EXHAUSTED,
        Kind::HeadTooLarge | Kind::BodyTooLarge => RESOURCE_EXHAUSTED,
        Kind::NoRoute | Kind::MethodNotAllowed | Kind::UnknownService | Kind::NoUpgrade => UNIMPLEMENTED,
        Kind::BadRequest | Kind::BadAnswer => INTERNAL,
        Kind::BodyIdle => CANCELLED,
        Kind::Overloaded
        | Kind::CircuitOpen
        | Kind::NoInstance
        | Kind::ConnectFailed
        | Kind::ConnectionLost
        | Kind::FaultInjected => UNAVAILABLE,
    }
}

/// What ends an answer whose server is gone in the middle of it. A reset would be taken for an error of the
/// protocol.
pub(crate) fn lost() -> Fields {
    let mut fields = Fields::default();
    fields.push(b"grpc-status", status(Kind::ConnectionLost).to_string().as_bytes());
    fields.push(b"grpc-message", b"connection-lost: the answer broke off");
    fields
}

const CANCELLED: u8 = 1;
const UNKNOWN: u8 = 2;
const DEADLINE_EXCEEDED: u8 = 4;
const PERMISSION_DENIED: u8 = 7;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

/// The status that stands among these fields.
pub(crate) fn status_in(fields: &Fields) -> Option<u16> {
    std::str::from_utf8(fields.get(Id::GrpcStatus)?).ok()?.parse().ok()
}

/// The status of gRPC that stands for an error of HTTP, after gRPC's "HTTP to gRPC Status Code Mapping".
pub(crate) fn of_http(status: u16) -> u16 {
    let status = match status {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    };
    status.into()
}

/// A problem as a client of gRPC gets it. When it is worth asking again stands in
/// `grpc-retry-pushback-ms`, which its libraries obey when they retry (gRPC A6).
pub(crate) fn answer(problem: &Problem, request_id: &[u8]) -> Answer {
    let mut fields = Fields::default();
    fields.push(b"content-type", b"application/grpc");
    fields.push(b"grpc-status", status(problem.kind).to_string().as_bytes());
    let remedy = problem.remedy.as_ref().map(|remedy| format!(" ({remedy})")).unwrap_or_default();
    let message = format!("{}: {}{remedy}", problem.kind.name(), problem.detail);
    fields.push(b"grpc-message", &percent_encoded(&message));
    if let Some(wait) = problem.retry_after {
        let millis = wait.as_nanos().div_ceil(1_000_000);
        fields.push(b"grpc-retry-pushback-ms", millis.to_string().as_bytes());
    }
    fields.push(b"x-request-id", request_id);
    let close = problem.kind.is_clients_fault();
    Answer { status: StatusCode::OK, fields, body: Body::empty(), close }
}

/// As `grpc-message` is written: printable ASCII but for `%` as it is, all other bytes of UTF-8 by number.
fn percent_encoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for character in text.chars() {
        let mut room = [0; 4];
        let bytes = character.encode_utf8(&mut room).as_bytes();
        if out.len() + 3 * bytes.len() > MESSAGE_BYTES_MAX {
            break;
        }
        match bytes {
            [byte @ (b' '..=b'$' | b'&'..=b'~')] => out.push(*byte),
            bytes => bytes.iter().for_each(|byte| {
                let _ = write!(out, "%{byte:02X}");
            }),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_is_printable_ascii_and_not_endless() {
        assert_eq!(percent_encoded("50% of \u{fc}\n~"), b"50%25 of %C3%BC%0A~");
        assert!(percent_encoded(&"\u{20ac}".repeat(5000)).len() <= MESSAGE_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn what_is_encoded_can_be_decoded(text in "\\PC{0,80}") {
            let encoded = percent_encoded(&text);
            prop_assert!(encoded.iter().all(|byte| (b' '..=b'~').contains(byte)));
            let (mut decoded, mut rest) = (Vec::new(), encoded.as_slice());
            while let Some((first, more)) = rest.split_first() {
                rest = more;
                match first {
                    b'%' => {
                        let digits = std::str::from_utf8(&rest[..2]).unwrap();
                        decoded.push(u8::from_str_radix(digits, 16).unwrap());
                        rest = &rest[2..];
                    }
                    byte => decoded.push(*byte),
                }
            }
            prop_assert_eq!(String::from_utf8(decoded).unwrap(), text);
        }
    }
}

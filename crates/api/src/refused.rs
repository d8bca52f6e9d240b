//! What the engine refuses, as an API says it. The code names the block and the kind, so that a program can act on it, and the
//! sentence what was being done.

use engine::Kind;
use http::StatusCode;
use tonic::Code;

use crate::error::{Details, Error};

/// Which code a block has for a kind: [`codes!`](crate::refused::codes) makes one.
pub(crate) type Codes = fn(Kind) -> &'static str;

/// The codes of a block.
macro_rules! codes {
    ($block:literal) => {
        |kind| match kind {
            engine::Kind::Invalid => concat!("ERR_", $block, "_INVALID"),
            engine::Kind::TooLarge => concat!("ERR_", $block, "_TOO_LARGE"),
            engine::Kind::NotFound => concat!("ERR_", $block, "_NOT_FOUND"),
            engine::Kind::Exists => concat!("ERR_", $block, "_EXISTS"),
            engine::Kind::Conflict | engine::Kind::Reused => concat!("ERR_", $block, "_CONFLICT"),
            engine::Kind::Fenced => concat!("ERR_", $block, "_FENCED"),
            engine::Kind::Gone => concat!("ERR_", $block, "_GONE"),
            engine::Kind::Limit => concat!("ERR_", $block, "_LIMIT"),
            engine::Kind::Unavailable => concat!("ERR_", $block, "_UNAVAILABLE"),
            engine::Kind::Busy => concat!("ERR_", $block, "_BUSY"),
            engine::Kind::Full => concat!("ERR_", $block, "_FULL"),
            engine::Kind::Failed => concat!("ERR_", $block, "_FAILED"),
            engine::Kind::InDoubt => concat!("ERR_", $block, "_IN_DOUBT"),
            engine::Kind::Lost => concat!("ERR_", $block, "_LOST"),
            engine::Kind::Closed => concat!("ERR_", $block, "_CLOSED"),
        }
    };
}
pub(crate) use codes;

/// What went wrong with something: `doing` is what was being done, such as `sending to`.
pub(crate) fn refused(
    codes: Codes,
    resource: (&'static str, &str),
    doing: &str,
    error: &engine::Error,
) -> Error {
    let kind = error.kind();
    let (status, grpc) = statuses(kind);
    let code = codes(kind);
    let message = format!("failed {doing} {} {}: {error}", resource.0, resource.1);
    let details = Details {
        resource: Some((resource.0, resource.1.to_owned())),
        reason: code.strip_prefix("ERR_").unwrap_or(code),
        ..Details::default()
    };
    Error::new(code, status, grpc, message).with(details)
}

fn statuses(kind: Kind) -> (StatusCode, Code) {
    match kind {
        Kind::Invalid => (StatusCode::BAD_REQUEST, Code::InvalidArgument),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidArgument),
        Kind::NotFound => (StatusCode::NOT_FOUND, Code::NotFound),
        Kind::Exists => (StatusCode::CONFLICT, Code::AlreadyExists),
        Kind::Conflict | Kind::Reused => (StatusCode::CONFLICT, Code::Aborted),
        Kind::Fenced => (StatusCode::CONFLICT, Code::FailedPrecondition),
        Kind::Gone => (StatusCode::GONE, Code::OutOfRange),
        Kind::Limit => (StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted),
        Kind::Unavailable | Kind::Busy | Kind::Closed => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
        Kind::Full => (StatusCode::INSUFFICIENT_STORAGE, Code::ResourceExhausted),
        Kind::Failed => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
        Kind::InDoubt => (StatusCode::INTERNAL_SERVER_ERROR, Code::Unknown),
        Kind::Lost => (StatusCode::INTERNAL_SERVER_ERROR, Code::DataLoss),
    }
}

//! What who sends is answered: `Export...ServiceResponse`, or a `Status` that says what is wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::json;

use super::wire::{put_bytes, put_in, put_some, put_varint};
use super::{Signal, Taken};

/// The answer to a request that was taken, in part at least. Empty if all of it was.
pub(super) fn taken(taken: &Taken) -> Vec<u8> {
    let mut out = Vec::new();
    if taken.rejected > 0 {
        put_in(&mut out, 1, |out| {
            put_varint(out, 1, taken.rejected);
            put_some(out, 2, taken.why.as_bytes());
        });
    }
    out
}

/// The same in JSON.
pub(super) fn taken_json(signal: Signal, taken: &Taken) -> Vec<u8> {
    let count = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Logs => "rejectedLogRecords",
        Signal::Metrics => "rejectedDataPoints",
    };
    let answer = match taken.rejected {
        0 => json!({}),
        rejected => {
            json!({ "partialSuccess": { count: rejected.to_string(), "errorMessage": taken.why } })
        }
    };
    answer.to_string().into_bytes()
}

/// A `google.rpc.Status`; with `retry_s` it says after how many seconds to come again.
pub(super) fn status(code: u32, message: &str, retry_s: Option<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, 1, u64::from(code));
    put_some(&mut out, 2, message.as_bytes());
    if let Some(seconds) = retry_s {
        put_in(&mut out, 3, |out| {
            put_bytes(out, 1, RETRY_INFO.as_bytes());
            put_in(out, 2, |out| put_in(out, 1, |out| put_varint(out, 1, seconds)));
        });
    }
    out
}

/// The same in JSON.
pub(super) fn status_json(code: u32, message: &str) -> Vec<u8> {
    json!({ "code": code, "message": message }).to_string().into_bytes()
}

/// The same as gRPC carries it in its trailers.
pub(super) fn status_trailer(code: u32, message: &str, retry_s: u64) -> String {
    STANDARD_NO_PAD.encode(status(code, message, Some(retry_s)))
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

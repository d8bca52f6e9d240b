//! Payloads as they are shown: as text where they are text, and not more of them than one reads.

use ::telemetry::trace::TraceContext;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use machine::topic::Header;
use serde_json::{Value, json};

/// Most bytes of a payload that are told.
const SHOWN_BYTES_MAX: usize = 16 << 10;

/// `text`, or `base64` where it is none; `bytes` is how many there are, `cut` whether these are not all.
pub(super) fn told(payload: &[u8]) -> Value {
    told_up_to(SHOWN_BYTES_MAX, payload)
}

/// The same, and so many bytes of it at most.
pub(super) fn told_up_to(max: usize, payload: &[u8]) -> Value {
    let cut = payload.len() > max;
    let shown = &payload[..payload.len().min(max)];
    let text = match std::str::from_utf8(shown) {
        Ok(text) => Some(text),
        // Cut in the middle of a letter.
        Err(error) if cut && error.error_len().is_none() => {
            std::str::from_utf8(&shown[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    match text {
        Some(text) => json!({ "text": text, "bytes": payload.len(), "cut": cut }),
        None => json!({ "base64": STANDARD.encode(shown), "bytes": payload.len(), "cut": cut }),
    }
}

/// The trace that a `traceparent` belongs to.
pub(super) fn trace(parent: &[u8]) -> Option<String> {
    let context = TraceContext::parse(parent)?;
    Some(context.trace_id.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The trace in which something was sent: by its headers, or as a CloudEvent says it
/// (extension for distributed tracing of CloudEvents 1.0).
pub(super) fn trace_of(headers: &[Header], payload: &[u8]) -> Option<String> {
    let of_header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(TRACEPARENT));
    if let Some(header) = of_header {
        return trace(&header.value);
    }
    let event: Event<'_> = serde_json::from_slice(payload).ok()?;
    trace(event.traceparent.as_bytes())
}

const TRACEPARENT: &str = "traceparent";

#[derive(serde::Deserialize)]
struct Event<'a> {
    traceparent: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_and_the_rest_is_base64() {
        assert_eq!(told(b"{}"), json!({ "text": "{}", "bytes": 2, "cut": false }));
        assert_eq!(told(&[0xff])["base64"], "/w==");
        let long = "é".repeat(SHOWN_BYTES_MAX);
        let shown = told(format!("a{long}").as_bytes());
        assert_eq!(
            (shown["text"].as_str().map(str::len), shown["cut"].as_bool()),
            (Some(SHOWN_BYTES_MAX - 1), Some(true))
        );
        assert_eq!(told_up_to(3, b"abcd"), json!({ "text": "abc", "bytes": 4, "cut": true }));
    }

    #[test]
    fn a_message_is_known_by_its_headers_or_as_an_event_to_be_of_a_trace() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let header = |value: &str| Header { name: "Traceparent".to_owned(), value: value.to_owned().into() };
        let event = format!(r#"{{"specversion":"1.0","traceparent":"{parent}","data":{{}}}}"#);
        let found = Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned());
        assert_eq!(trace_of(&[header(parent)], b"any"), found);
        assert_eq!(trace_of(&[], event.as_bytes()), found);
        assert_eq!(trace_of(&[header("00-x")], b"any"), None);
        assert_eq!(trace_of(&[], b"[1]"), None);
    }
}

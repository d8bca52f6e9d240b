//! Payloads as they are shown: as text where they are text, and not more of them than one reads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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
}

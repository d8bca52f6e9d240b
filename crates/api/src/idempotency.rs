//! `Idempotency-Key`: a write that comes again under the same key is not done again, and gets the answer of the first time
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! A key is the application's, and good for a day. What was asked for goes with it as a hash, so that another request under
//! the same key is told so.

use engine::blocks::Idempotency;
use http::{HeaderMap, StatusCode};
use tonic::Code;
use xxhash_rust::xxh64::Xxh64;

use crate::error::Error;

/// The key of a request, if it has one. The draft has it in quotes; most clients have not.
///
/// # Errors
///
/// If there is one that is none.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let mut given = headers.get_all(HEADER).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim).filter(|_| given.next().is_none());
    let key = text.map(|text| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text));
    let fits = |key: &&str| (1..=KEY_BYTES_MAX).contains(&key.len());
    key.filter(fits)
        .map(Some)
        .ok_or_else(|| refused(format!("{HEADER} is one key of 1 to {KEY_BYTES_MAX} visible characters")))
}

/// What a request is done once under: its parts are what it asks for.
pub(crate) fn once(app_id: &str, key: &str, parts: &[&[u8]]) -> Idempotency {
    let mut hash = Xxh64::new(0);
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Idempotency {
        scope: app_id.to_owned(),
        key: key.to_owned(),
        fingerprint: hash.digest(),
        remember_ms: REMEMBERED_MS,
    }
}

/// For what cannot be done once.
///
/// # Errors
///
/// If there is a key.
pub(crate) fn none(headers: &HeaderMap, why: &str) -> Result<(), Error> {
    match headers.contains_key(HEADER) {
        true => Err(refused(format!("this takes no {HEADER}: {why}"))),
        false => Ok(()),
    }
}

/// What is wrong with a key.
pub(crate) fn refused(message: String) -> Error {
    Error::new("ERR_IDEMPOTENCY_KEY", StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
}

/// Why a binding takes no key.
pub(crate) const BEHIND_A_BINDING: &str =
    "who is behind a binding does not remember what was asked under a key";
/// Why a shutdown takes no key.
pub(crate) const AFTER_THE_END: &str =
    "what has ended remembers nothing, and what has begun since would be ended again";
/// Where a key is given, over HTTP and gRPC alike.
pub(crate) const HEADER: &str = "idempotency-key";
/// Longest key.
const KEY_BYTES_MAX: usize = 255;
/// For how long the answer is remembered: a day.
const REMEMBERED_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_with_quotes_or_without() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HEADER, value.parse().unwrap());
            }
            key(&headers).map(|key| key.map(str::to_owned)).map_err(|error| error.code)
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["abc"]), Ok(Some("abc".to_owned())));
        assert_eq!(of(&["\"a b\""]), Ok(Some("a b".to_owned())));
        for odd in [&[""][..], &["\"\""], &["a", "b"]] {
            assert_eq!(of(odd), Err("ERR_IDEMPOTENCY_KEY"), "{odd:?}");
        }
    }

    #[test]
    fn another_request_has_another_fingerprint() {
        let of = |parts: &[&[u8]]| once("shop", "k", parts).fingerprint;
        assert_eq!(of(&[b"POST", b"/a"]), of(&[b"POST", b"/a"]));
        assert_ne!(of(&[b"POST", b"/a"]), of(&[b"POST/", b"a"]));
    }
}

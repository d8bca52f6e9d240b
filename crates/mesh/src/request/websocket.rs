//! WebSocket's handshake, which differs by the version of HTTP that carries it: in HTTP/1.1 an upgrade
//! with a key and its proof (RFC 6455 section 4), in HTTP/2 an extended CONNECT without (RFC 8441).
//!
//! In between a handshake is always the one of HTTP/1.1, with a key. Where a side speaks HTTP/2 that is
//! made or taken out there, so that each protocol meets each other and none knows of the others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::Rng;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::message::fields::Fields;

/// What `Upgrade` and `:protocol` call it.
pub(crate) const NAME: &str = "websocket";

const KEY: &str = "sec-websocket-key";
const ACCEPT: &str = "sec-websocket-accept";
/// What the proof is made with (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether this protocol is it.
pub(crate) fn is(protocol: &[u8]) -> bool {
    protocol.eq_ignore_ascii_case(NAME.as_bytes())
}

/// The key of a handshake.
pub(crate) fn key(fields: &Fields) -> Option<&[u8]> {
    fields.named(KEY)
}

/// Gives a handshake that came without one a key. Nobody has to be unable to guess it: it shows that
/// the server means this handshake and does not repeat an older one.
pub(crate) fn add_key(fields: &mut Fields, rng: &mut Rng) {
    let nonce = [rng.next_u64().to_ne_bytes(), rng.next_u64().to_ne_bytes()].concat();
    fields.remove_named(KEY.as_bytes());
    fields.push(KEY.as_bytes(), STANDARD.encode(nonce).as_bytes());
}

/// As HTTP/2 has it: with neither key nor proof.
pub(crate) fn without_keys(fields: &Fields) -> Fields {
    let mut fields = fields.clone();
    fields.remove_named(KEY.as_bytes());
    fields.remove_named(ACCEPT.as_bytes());
    fields
}

/// Whether an answer proves that the server has understood the handshake with this key.
pub(crate) fn is_proven(answer: &Fields, key: &[u8]) -> bool {
    answer.named(ACCEPT).is_some_and(|proof| proof == accept(key).as_bytes())
}

/// Makes the head of an upgrade out of that of an answer from HTTP/2.
pub(crate) fn add_proof(answer: &mut Fields, key: &[u8]) {
    answer.push(b"connection", b"upgrade");
    answer.push(b"upgrade", NAME.as_bytes());
    answer.remove_named(ACCEPT.as_bytes());
    answer.push(ACCEPT.as_bytes(), accept(key).as_bytes());
}

/// What to do about an upstream that cannot be reached by it in HTTP/2.
pub(crate) fn remedy(upstream: &str) -> String {
    format!("declare `protocol: http1` for {upstream} if it can speak that")
}

fn accept(key: &[u8]) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_the_rfc() {
        let mut fields = Fields::default();
        add_proof(&mut fields, b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(fields.named(ACCEPT), Some(&b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="[..]));
        assert!(is_proven(&fields, b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(!is_proven(&fields, b"AQIDBAUGBwgJCgsMDQ4PEA=="));
        assert!(!is_proven(&Fields::default(), b"dGhlIHNhbXBsZSBub25jZQ=="));
    }

    #[test]
    fn a_key_is_made_of_sixteen_bytes_and_replaces_any_other() {
        let mut fields = Fields::default();
        fields.push(b"Sec-WebSocket-Key", b"mine");
        add_key(&mut fields, &mut Rng::new(1));
        let made = key(&fields).expect("a key").to_vec();
        assert_eq!((made.len(), STANDARD.decode(&made).expect("base64").len()), (24, 16));
        assert_eq!(key(&without_keys(&fields)), None);
    }
}

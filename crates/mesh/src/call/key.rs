//! The part of a request by which a hashing balancer chooses, so that equal ones come to the same
//! instance.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use policy::{Rng, balance::hash::hash};

use crate::client::serve::Client;
use crate::config::HashKey;
use crate::message::fields::{Fields, Id};
use crate::message::head::RequestHead;

/// A request's key.
#[derive(Default)]
pub(crate) struct Key {
    /// None: it has none, or the call wants none.
    pub(crate) hash: Option<u64>,
    /// The cookie that the client is given to come back with.
    cookie: Option<String>,
}

/// Where a request came from.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    pub(crate) client: IpAddr,
    pub(crate) tls: bool,
}

impl Sender {
    pub(crate) fn of(client: &Client) -> Sender {
        Sender { client: client.peer.ip(), tls: client.spoken.tls() }
    }
}

impl Key {
    /// The key of a request.
    pub(crate) fn of(by: &HashKey, head: &RequestHead, Sender { client, tls }: Sender, rng: &mut Rng) -> Key {
        match by {
            HashKey::Header(name) => Key::hashed(head.fields.named(name)),
            HashKey::Segment(nth) => Key::hashed(segment(head.path(), *nth).map(str::as_bytes)),
            HashKey::Client => match client.to_canonical() {
                IpAddr::V4(ip) => Key::hashed(Some(&ip.octets())),
                IpAddr::V6(ip) => Key::hashed(Some(&ip.octets())),
            },
            HashKey::Cookie { name, ttl } => match (cookie(&head.fields, name), ttl) {
                (Some(value), _) => Key::hashed(Some(value)),
                (None, Some(ttl)) => Key::given(name, *ttl, tls, rng),
                (None, None) => Key::default(),
            },
        }
    }

    /// The key that a request has whoever sends it, and whenever.
    pub(crate) fn brought(by: &HashKey, head: &RequestHead) -> Option<u64> {
        if *by == HashKey::Client {
            return None;
        }
        let nobody = Sender { client: IpAddr::V4(Ipv4Addr::UNSPECIFIED), tls: false };
        let key = Key::of(by, head, nobody, &mut Rng::new(0));
        key.hash.filter(|_| key.cookie.is_none())
    }

    /// Gives the client its cookie, if it needs one.
    pub(crate) fn give(&self, answer: &mut Fields) {
        if let Some(cookie) = &self.cookie {
            answer.push(b"set-cookie", cookie.as_bytes());
        }
    }

    fn hashed(value: Option<&[u8]>) -> Key {
        Key { hash: value.filter(|value| !value.is_empty()).map(hash), cookie: None }
    }

    fn given(name: &str, ttl: Duration, tls: bool, rng: &mut Rng) -> Key {
        let value = format!("{:016x}", rng.next_u64());
        let mut cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
        if !ttl.is_zero() {
            cookie.push_str(&format!("; Max-Age={}", ttl.as_secs().max(1)));
        }
        if tls {
            cookie.push_str("; Secure");
        }
        Key { hash: Some(hash(value.as_bytes())), cookie: Some(cookie) }
    }
}

/// The segment of a path that so many come before.
fn segment(path: &str, nth: usize) -> Option<&str> {
    path.split('/').nth(nth + 1)
}

/// The value of the first cookie of this name (RFC 6265 section 5.4).
pub(super) fn cookie<'f>(fields: &'f Fields, name: &str) -> Option<&'f [u8]> {
    let pairs = fields.all(Id::Cookie).flat_map(|field| field.split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let mut fields = Fields::default();
        fields.push(b"cookie", b"a=1; session-id=x;session=one ; b=2");
        fields.push(b"Cookie", b"late=two");
        assert_eq!(cookie(&fields, "session"), Some(b"one".as_slice()));
        assert_eq!(cookie(&fields, "late"), Some(b"two".as_slice()));
        assert_eq!(cookie(&fields, "sess"), None);
    }

    #[test]
    fn segments_are_counted_from_the_first() {
        assert_eq!(segment("/carts/7/items", 1), Some("7"));
        assert_eq!((segment("/carts", 1), segment("/", 0)), (None, Some("")));
    }
}

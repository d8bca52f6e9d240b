//! What streams and consumers are called, and which topics there can be.
//!
//! Names of streams and consumers have fewer characters than topics and groups: others are written `~XX`, since a server
//! formats texts with names in which `%` would mean something, and what is too long ends in a part of its SHA-256.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};

use crate::pubsub::Error;

/// A topic, if it can be a subject.
pub(super) fn subject(topic: &str) -> Result<&str, Error> {
    let odd = |why: &str| Err(Error::Invalid(format!("there can be no topic {topic:?} in NATS: {why}")));
    match () {
        () if topic.is_empty() || topic.split('.').any(str::is_empty) => {
            odd("between its dots there is something")
        }
        () if topic.len() > SUBJECT_BYTES_MAX => odd("it is too long"),
        () if topic.starts_with('$') => odd("what begins with `$` is the server's"),
        () if topic.contains(['*', '>']) => odd("`*` and `>` stand for other topics"),
        () if topic.contains(|c: char| c.is_whitespace() || c.is_control()) => odd("it has spaces"),
        () => Ok(topic),
    }
}

/// The stream that is made for a topic.
pub(super) fn stream(topic: &str) -> String {
    bounded(escaped(topic))
}

/// The consumer of a group for a topic.
pub(super) fn consumer(group: &str, topic: &str) -> String {
    // No escaped name has this sign: no two pairs are the same.
    bounded(format!("{}={}", escaped(group), escaped(topic)))
}

fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(byte.into()),
            _ => drop(write!(escaped, "~{byte:02X}")),
        }
    }
    escaped
}

fn bounded(mut name: String) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name;
    }
    let digest = digest(&SHA256, name.as_bytes());
    name.truncate(NAME_BYTES_MAX - 2 * DIGEST_BYTES - 1);
    name.push('+');
    for byte in &digest.as_ref()[..DIGEST_BYTES] {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// Longest subject: the server takes a few times as much for a whole line.
const SUBJECT_BYTES_MAX: usize = 1_024;
/// Longest name, as all servers take it.
const NAME_BYTES_MAX: usize = 200;
/// As much of a digest as is in a name.
const DIGEST_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_subject_can_be_is_refused() {
        for topic in ["orders", "orders.eu", "other/topic", "ö"] {
            assert!(subject(topic).is_ok(), "{topic}");
        }
        let long = "x".repeat(SUBJECT_BYTES_MAX + 1);
        for topic in ["", ".", "a..b", "a.", "$JS.API", "a.*", ">", "a b", "a\n", &long] {
            assert!(subject(topic).is_err(), "{topic:?}");
        }
    }

    #[test]
    fn no_two_have_the_same_name() {
        assert_eq!(stream("orders.eu"), "orders~2Eeu");
        assert_ne!(stream("a~2Eb"), stream("a.b"));
        assert_eq!(consumer("shop", "other/topic"), "shop=other~2Ftopic");
        assert_ne!(consumer("a", "b=c"), consumer("a=b", "c"));
        let (a, b) = ("x".repeat(300), format!("{}y", "x".repeat(299)));
        assert!(stream(&a) != stream(&b) && stream(&a).len() == NAME_BYTES_MAX);
    }
}

//! Ids of messages: random UUIDs (RFC 9562, version 4), unique rather than secret.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes ids: a counter under a hash whose key the machine has drawn.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    key: RandomState,
    last: AtomicU64,
}

/// An id as text.
#[derive(Clone, Copy)]
pub(crate) struct Id([u8; 36]);

impl Ids {
    /// One that nobody else has.
    pub(crate) fn next(&self) -> Id {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let halves = [0_u8, 1].map(|half| u128::from(self.key.hash_one((number, half))));
        Id::of(halves[0] << 64 | halves[1])
    }
}

impl Id {
    fn of(random: u128) -> Id {
        let bits = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let mut text = [b'-'; 36];
        let mut shift = 128;
        for (at, place) in text.iter_mut().enumerate() {
            if !matches!(at, 8 | 13 | 18 | 23) {
                shift -= 4;
                *place = DIGITS[(bits >> shift & 0xf) as usize];
            }
        }
        Id(text)
    }

    /// Its text.
    pub(crate) fn as_str(&self) -> &str {
        // It has nothing but digits and dashes.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_id_is_a_uuid_that_says_it_is_random() {
        assert_eq!(Id::of(0).as_str(), "00000000-0000-4000-8000-000000000000");
        assert_eq!(Id::of(u128::MAX).as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(
            Id::of(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210).as_str(),
            "01234567-89ab-4def-bedc-ba9876543210"
        );
    }

    #[test]
    fn no_two_are_the_same() {
        let ids = Ids::default();
        let others = Ids::default();
        let all: BTreeSet<String> =
            (0..1_000).flat_map(|_| [ids.next(), others.next()]).map(|id| id.as_str().to_owned()).collect();
        assert_eq!(all.len(), 2_000);
    }
}

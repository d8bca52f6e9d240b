//! The bytes of a key: where they lie, and how two keys are compared, which is what a state in memory does most.
//!
//! Up to 56 bytes lie in place, with zeros behind them. So two keys are compared eight bytes at a time as numbers, and nothing
//! is called: keys that stand beside each other begin alike, and differ in their second or third eight. Where one ends
//! within the other the zeros do no harm: they sort before all that there can be, and the length decides what they leave
//! equal.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// The bytes of a key.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum KeyBytes {
    /// In place; behind `length` there are zeros.
    Here { length: u8, bytes: [u8; USUAL] },
    /// Elsewhere, for they are more.
    Beyond(Vec<u8>),
}

impl KeyBytes {
    #[inline]
    pub fn new(bytes: &[u8]) -> KeyBytes {
        let mut new = KeyBytes::Here { length: 0, bytes: [0; USUAL] };
        new.extend(bytes);
        new
    }

    /// Adds bytes at the end.
    #[inline]
    pub fn extend(&mut self, more: &[u8]) {
        match self {
            KeyBytes::Here { length, bytes } => {
                let end = usize::from(*length) + more.len();
                match bytes.get_mut(usize::from(*length)..end) {
                    Some(room) => {
                        room.copy_from_slice(more);
                        *length = end as u8;
                    }
                    None => *self = KeyBytes::Beyond([self.as_slice(), more].concat()),
                }
            }
            KeyBytes::Beyond(bytes) => bytes.extend_from_slice(more),
        }
    }

    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            KeyBytes::Here { length, bytes } => &bytes[..usize::from(*length)],
            KeyBytes::Beyond(bytes) => bytes,
        }
    }

    /// How many bytes of memory they take besides their place.
    pub fn heap_bytes(&self) -> usize {
        match self {
            KeyBytes::Here { .. } => 0,
            KeyBytes::Beyond(bytes) => bytes.capacity(),
        }
    }
}

impl Ord for KeyBytes {
    #[inline]
    fn cmp(&self, other: &KeyBytes) -> Ordering {
        let (KeyBytes::Here { length, bytes }, KeyBytes::Here { length: others, bytes: other_bytes }) =
            (self, other)
        else {
            return self.as_slice().cmp(other.as_slice());
        };
        for (mine, its) in bytes.as_chunks::<8>().0.iter().zip(other_bytes.as_chunks::<8>().0) {
            let (mine, its) = (u64::from_be_bytes(*mine), u64::from_be_bytes(*its));
            if mine != its {
                return mine.cmp(&its);
            }
        }
        length.cmp(others)
    }
}

impl PartialOrd for KeyBytes {
    #[inline]
    fn partial_cmp(&self, other: &KeyBytes) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As a slice is hashed, which a key can be looked up by.
impl Hash for KeyBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

/// Room for the keys that are written most: with what else there is to it a key is as long as a line of the processor's cache.
const USUAL: usize = 56;

const _: () = assert!(USUAL.is_multiple_of(8) && size_of::<KeyBytes>() == 64);

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Bytes that are often alike, in pieces, as keys are.
    fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let byte = prop_oneof![Just(0), Just(1), Just(u8::MAX), any::<u8>()];
        vec(vec(byte, 0..20), 0..6)
    }

    fn put_together(pieces: &[Vec<u8>]) -> KeyBytes {
        let mut bytes = KeyBytes::new(&[]);
        pieces.iter().for_each(|piece| bytes.extend(piece));
        bytes
    }

    proptest! {
        #[test]
        fn they_are_what_was_put_together(pieces in pieces()) {
            let (bytes, whole) = (put_together(&pieces), pieces.concat());
            prop_assert_eq!(bytes.as_slice(), &whole[..]);
            prop_assert!(bytes == KeyBytes::new(&whole), "the same bytes are the same key");
        }

        #[test]
        fn they_sort_as_slices_do(a in pieces(), b in pieces(), shared in vec(any::<u8>(), 0..60)) {
            let with = |pieces: &[Vec<u8>]| [vec![shared.clone()], pieces.to_vec()].concat();
            for (a, b) in [(a.clone(), b.clone()), (with(&a), with(&b)), (with(&[]), with(&b))] {
                let (a, b, slices) = (put_together(&a), put_together(&b), a.concat().cmp(&b.concat()));
                prop_assert_eq!(a.cmp(&b), slices);
                prop_assert_eq!(a == b, slices.is_eq());
            }
        }
    }
}

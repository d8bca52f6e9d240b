//! Numbers and bytes packed one behind the other, and read again without trust: what does not fit is none.

/// Appends a number, seven bits to a byte (LEB128).
pub(super) fn put(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Appends a number that may be below zero and is mostly small (zigzag).
pub(super) fn put_signed(to: &mut Vec<u8>, number: i64) {
    put(to, ((number << 1) ^ (number >> 63)) as u64);
}

/// Appends the way from one number to the next, also where it wraps.
pub(super) fn put_step(to: &mut Vec<u8>, from: u64, at: u64) {
    put_signed(to, at.wrapping_sub(from) as i64);
}

/// Appends bytes with how many there are.
pub(super) fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

/// What is left to read.
#[derive(Clone, Copy)]
pub(super) struct Left<'b>(pub(super) &'b [u8]);

impl<'b> Left<'b> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(super) fn step(&mut self, from: u64) -> Option<u64> {
        Some(from.wrapping_add(self.signed()? as u64))
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn bytes(&mut self) -> Option<&'b [u8]> {
        let count = usize::try_from(self.number()?).ok()?;
        self.take(count)
    }

    /// How many of something follow in `column`, of which each takes a byte at least: no more than there is room for.
    pub(super) fn count(&mut self, column: &Left<'_>) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= column.0.len()).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_read(numbers: Vec<u64>, signed: Vec<i64>, from: u64) {
            let mut packed = Vec::new();
            numbers.iter().for_each(|number| put(&mut packed, *number));
            signed.iter().for_each(|number| put_signed(&mut packed, *number));
            numbers.iter().for_each(|number| put_step(&mut packed, from, *number));
            let mut left = Left(&packed);
            prop_assert!(numbers.iter().all(|number| left.number() == Some(*number)));
            prop_assert!(signed.iter().all(|number| left.signed() == Some(*number)));
            prop_assert!(numbers.iter().all(|number| left.step(from) == Some(*number)));
            prop_assert_eq!(left.number(), None);
        }
    }
}

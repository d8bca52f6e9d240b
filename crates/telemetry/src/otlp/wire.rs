//! Protobuf's encoding, as much of it as OTLP has.
//!
//! Written by hand and not generated, for what memory a request may cost: a generated decoder makes a list of all that is in a
//! message, and an empty span of two bytes becomes three hundred. Here a message is walked where it lies, and one span
//! is made at a time.

/// What is not protobuf, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub(super) &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// The value of a field, by how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire<'m> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'m [u8]),
    Fixed32(u32),
}

impl<'m> Wire<'m> {
    /// A number; of what is none, zero: a field of another type than it should be is as good as not there.
    pub fn number(self) -> u64 {
        match self {
            Wire::Varint(number) | Wire::Fixed64(number) => number,
            Wire::Fixed32(number) => u64::from(number),
            Wire::Bytes(_) => 0,
        }
    }

    /// Bytes; of a number none.
    pub fn bytes(self) -> &'m [u8] {
        if let Wire::Bytes(bytes) = self { bytes } else { &[] }
    }
}

/// The fields of a message, in the order in which they are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'m>(pub &'m [u8]);

impl<'m> Iterator for Fields<'m> {
    type Item = Result<(u32, Wire<'m>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'m> Fields<'m> {
    fn field(&mut self) -> Result<(u32, Wire<'m>), Malformed> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0);
        let number = number.ok_or(Malformed("a field has no number that there can be"))?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| SHORT)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.fixed()?)),
            _ => return Err(Malformed("a field is of a kind that there is not")),
        };
        Ok((number, wire))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for (at, byte) in self.0.iter().take(VARINT_BYTES_MAX).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.0 = &self.0[at + 1..];
                return Ok(number);
            }
        }
        Err(SHORT)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*bytes)
    }
}

const SHORT: Malformed = Malformed("the message ends within a field");
const VARINT_BYTES_MAX: usize = 10;

/// Writes a number in as few bytes as it takes.
pub(super) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn tag(out: &mut Vec<u8>, field: u32, kind: u32) {
    varint(out, u64::from(field << 3 | kind));
}

/// A field that is an `int64`, `uint32`, `bool` or a name of an enumeration.
pub(super) fn put_varint(out: &mut Vec<u8>, field: u32, number: u64) {
    tag(out, field, 0);
    varint(out, number);
}

/// A field that is a `fixed64`, `sfixed64` or a `double` by its bits.
pub(super) fn put_fixed64(out: &mut Vec<u8>, field: u32, number: u64) {
    tag(out, field, 1);
    out.extend_from_slice(&number.to_le_bytes());
}

/// A field that is a `fixed32`.
pub(super) fn put_fixed32(out: &mut Vec<u8>, field: u32, number: u32) {
    tag(out, field, 5);
    out.extend_from_slice(&number.to_le_bytes());
}

/// A field that is text or bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    tag(out, field, 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The same, left out if there is nothing.
pub(super) fn put_some(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_bytes(out, field, bytes);
    }
}

/// A field that is a message, which `write` writes.
pub(super) fn put_message<E>(
    out: &mut Vec<u8>,
    field: u32,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    tag(out, field, 2);
    let start = out.len();
    write(out)?;
    // How long it is stands before it, and is known now.
    let end = out.len();
    varint(out, (end - start) as u64);
    let length = out.len() - end;
    out[start..].rotate_right(length);
    Ok(())
}

/// The same, where nothing can go wrong.
pub(super) fn put_in(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let written = put_message(out, field, |out| {
        write(out);
        Ok::<_, std::convert::Infallible>(())
    });
    match written {
        Ok(()) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        put_varint(&mut out, 1, u64::MAX);
        put_fixed64(&mut out, 2, 7);
        put_in(&mut out, 3, |out| put_bytes(out, 200, &[1; 300]));
        put_fixed32(&mut out, 4, 9);
        put_some(&mut out, 5, b"");
        let fields: Vec<_> = Fields(&out).map(Result::unwrap).collect();
        let inner = fields[2].1.bytes();
        assert_eq!(fields[0], (1, Wire::Varint(u64::MAX)));
        assert_eq!(fields[1], (2, Wire::Fixed64(7)));
        assert_eq!(fields[3..], [(4, Wire::Fixed32(9))]);
        assert_eq!(Fields(inner).next(), Some(Ok((200, Wire::Bytes(&[1; 300])))));
    }

    #[test]
    fn what_is_cut_off_is_malformed_and_the_end() {
        for bad in [&[0x0a, 5, 1][..], &[0x80], &[0xff; 11], &[0x09, 1, 2], &[0x00, 1], &[0x0b]] {
            let mut fields = Fields(bad);
            assert!(fields.next().is_some_and(|field| field.is_err()), "{bad:?}");
            assert_eq!(fields.next(), None);
        }
    }
}

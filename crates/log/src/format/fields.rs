//! Numbers in bytes, one after the other, and what a file begins with in every version.

use super::{Defect, VERSION};

/// Takes numbers from the front of bytes.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*front)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

/// What a file begins with, in this and every later version: what it is, the version of what follows, and a checksum of the
/// two, by which a version that is not known is told from damage.
pub(super) fn prologue(magic: &[u8; 8]) -> [u8; PROLOGUE_BYTES] {
    let mut out = [0; PROLOGUE_BYTES];
    out[..8].copy_from_slice(magic);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let sum = crc32c::crc32c(&out[..12]);
    out[12..].copy_from_slice(&sum.to_le_bytes());
    out
}

/// What follows the prologue, if that is what it must be.
pub(super) fn after_prologue<'a>(magic: &[u8; 8], bytes: &'a [u8]) -> Result<Fields<'a>, Defect> {
    let mut fields = Fields(bytes);
    let (found, version, sum) = (fields.take::<8>(), fields.u32(), fields.u32());
    if found.as_ref() != Some(magic) {
        return Err(Defect::Wrong("it does not begin as such a file does"));
    }
    match version {
        Some(_) if sum != Some(crc32c::crc32c(&bytes[..12])) => {
            Err(Defect::Wrong("the checksum of its beginning does not fit"))
        }
        Some(VERSION) => Ok(fields),
        Some(version) => Err(Defect::Version(version)),
        None => Err(Defect::Wrong("it is cut off")),
    }
}

pub(super) const PROLOGUE_BYTES: usize = 16;

/// What a checksum of a segment begins with.
pub(super) fn seed(salt: u64) -> u32 {
    crc32c::crc32c(&salt.to_le_bytes())
}

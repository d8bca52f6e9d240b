//! The beginning of a segment.

use super::Defect;
use super::fields::{PROLOGUE_BYTES, after_prologue, prologue, seed};

/// What the beginning of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Which log it belongs to.
    pub log: u64,
    /// Its number, which is in its name, too.
    pub number: u64,
    /// What goes into its checksums.
    pub salt: u64,
}

impl Header {
    /// What all checksums of the segment begin with.
    pub fn seed(&self) -> u32 {
        seed(self.salt)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(WRITTEN);
        out.extend_from_slice(&prologue(MAGIC));
        out.extend_from_slice(&self.log.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Header, Defect> {
        let cut = Defect::Wrong("the header is cut off");
        let mut fields = after_prologue(MAGIC, bytes)?;
        let mut number = || fields.u64().ok_or(cut.clone());
        let header = Header { log: number()?, number: number()?, salt: number()? };
        let sum = fields.u32().ok_or(cut)?;
        match crc32c::crc32c(&bytes[..WRITTEN - 4]) == sum {
            true => Ok(header),
            false => Err(Defect::Wrong("the header's checksum does not fit")),
        }
    }
}

/// Where the first group begins: in a page of its own, so that no write of a group touches the header.
pub(crate) const HEADER_BYTES: u32 = 4096;
const MAGIC: &[u8; 8] = b"COLONYLS";
const WRITTEN: usize = PROLOGUE_BYTES + 3 * 8 + 4;

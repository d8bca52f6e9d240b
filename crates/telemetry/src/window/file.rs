//! Files of blocks: a mark of the format, then block behind block, each with a head that says what is in it and a checksum of head
//! and body each.
//!
//! ```text
//! file:  "COLONYT" version
//! block: "CTB1" kind head_bytes body_bytes raw_bytes body_crc head_crc | head (a zone) | body (columns, LZ4)
//! ```
//!
//! Numbers are 32 bits, little endian; the checksum is CRC-32C. Where a block is not whole the next one is looked for: what was torn
//! off by a crash is an end like another, and a flipped bit costs one block.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::row::Row;
use super::zone::Zone;

/// How every file begins; the last byte is the version.
pub(super) const MARK: &[u8; 8] = b"COLONYT\x01";
const MAGIC: &[u8; 4] = b"CTB1";
const PREFIX: usize = 25;
/// Longest head.
const HEAD_MAX: usize = 1 << 20;
/// Longest body, packed or not.
const BODY_MAX: usize = 128 << 20;
/// How much is looked through at a time for the next block.
const SEARCHED: usize = 64 << 10;

/// Where a block is, and what is known of it.
#[derive(Debug)]
pub(crate) struct Block {
    /// Unlike that of any other in this process.
    pub(super) id: u64,
    pub(super) path: Arc<Path>,
    pub(super) kind: u8,
    body_at: u64,
    body_len: usize,
    raw_len: usize,
    body_crc: u32,
    pub(crate) zone: Zone,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Rows as a block, to be written at the end of a file.
pub(super) fn pack<R: Row>(rows: &[R], zone: &Zone) -> Vec<u8> {
    let raw = R::encode(rows);
    let body = lz4_flex::block::compress(&raw);
    let head = zone.encode();
    let mut block = Vec::with_capacity(PREFIX + head.len() + body.len());
    block.extend_from_slice(MAGIC);
    block.push(R::KIND);
    for length in [head.len(), body.len(), raw.len()] {
        block.extend_from_slice(&(length as u32).to_le_bytes());
    }
    block.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    let head_crc = crc32c::crc32c_append(crc32c::crc32c(&block), &head);
    block.extend_from_slice(&head_crc.to_le_bytes());
    block.extend_from_slice(&head);
    block.extend_from_slice(&body);
    block
}

/// The blocks of a file, and how many places there are where one was to be and is not whole. A file of another version has none.
pub(super) fn scan(path: &Path) -> io::Result<(Vec<Arc<Block>>, u64)> {
    let file = File::open(path)?;
    let end = file.metadata()?.len();
    let path: Arc<Path> = path.into();
    let mut mark = [0; MARK.len()];
    if file.read_exact_at(&mut mark, 0).is_err() || &mark != MARK {
        return Ok((Vec::new(), 1));
    }
    let (mut at, mut blocks, mut damaged) = (MARK.len() as u64, Vec::new(), 0);
    while at < end {
        match read_head(&file, at, end, &path)? {
            Some(block) => {
                at = block.body_at + block.body_len as u64;
                blocks.push(Arc::new(block));
            }
            None => {
                damaged += 1;
                at = next(&file, at + 1, end)?;
            }
        }
    }
    Ok((blocks, damaged))
}

/// The block that was appended to a file at this place.
pub(super) fn appended(path: &Path, at: u64) -> io::Result<Option<Arc<Block>>> {
    let file = File::open(path)?;
    let end = file.metadata()?.len();
    Ok(read_head(&file, at, end, &path.into())?.map(Arc::new))
}

fn read_head(file: &File, at: u64, end: u64, path: &Arc<Path>) -> io::Result<Option<Block>> {
    let mut prefix = [0; PREFIX];
    if at + PREFIX as u64 > end {
        return Ok(None);
    }
    file.read_exact_at(&mut prefix, at)?;
    let number = |at: usize| u32::from_le_bytes([prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]]);
    let [head_len, body_len, raw_len] = [5, 9, 13].map(|at| number(at) as usize);
    let body_at = at + (PREFIX + head_len) as u64;
    let is_possible = prefix.starts_with(MAGIC)
        && head_len <= HEAD_MAX
        && body_len <= BODY_MAX
        && raw_len <= BODY_MAX
        && body_at + body_len as u64 <= end;
    if !is_possible {
        return Ok(None);
    }
    let mut head = vec![0; head_len];
    file.read_exact_at(&mut head, at + PREFIX as u64)?;
    let head_crc = crc32c::crc32c_append(crc32c::crc32c(&prefix[..21]), &head);
    let zone = if head_crc == number(21) { Zone::decode(&head) } else { None };
    let id = NEXT_ID.fetch_add(1, Relaxed);
    let (path, body_crc) = (path.clone(), number(17));
    Ok(zone.map(|zone| Block { id, path, kind: prefix[4], body_at, body_len, raw_len, body_crc, zone }))
}

/// Where a block may begin, from here on.
fn next(file: &File, from: u64, end: u64) -> io::Result<u64> {
    let mut at = from;
    let mut bytes = vec![0; SEARCHED];
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(SEARCHED).min(SEARCHED);
        file.read_exact_at(&mut bytes[..length], at)?;
        if let Some(found) = bytes[..length].windows(MAGIC.len()).position(|window| window == MAGIC) {
            return Ok(at + found as u64);
        }
        // One may begin at the end of what was looked through.
        at += length.saturating_sub(MAGIC.len() - 1).max(1) as u64;
        if length < MAGIC.len() {
            break;
        }
    }
    Ok(end)
}

impl Block {
    /// Whether it is in this file.
    pub(crate) fn is_in(&self, path: &Path) -> bool {
        &*self.path == path
    }

    /// What is in it; none if it is not whole, or gone.
    pub(super) fn rows<R: Row>(&self) -> Option<Vec<R>> {
        let file = File::open(&self.path).ok()?;
        let mut body = vec![0; self.body_len];
        file.read_exact_at(&mut body, self.body_at).ok()?;
        if self.kind != R::KIND || crc32c::crc32c(&body) != self.body_crc {
            return None;
        }
        R::decode(&lz4_flex::block::decompress(&body, self.raw_len).ok()?)
    }
}

//! Spans of traces that are not decided on, on the disk beside the window, so that a process that is killed does not lose them.
//!
//! Each second what has come is appended to the newest file, `spans-open-N`, and so is which traces of those in it are not open
//! any more: what was kept of them is in the tail, what was dropped shall not come back. A file is removed when all traces that it
//! and those before it have are decided on, which takes half a minute at most; when none is open there is no file. So the files are
//! as small as what is under way, and little of them ever reaches a disk.
//!
//! Read again, what was written later than the last word about its trace is open still, and is decided on by whoever opens the window next.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{Block, MARK, pack, scan};
use super::half::{create, numbered, path};
use super::row::{Row, lots};
use super::zone::Zone;
use crate::part::Part;

/// How the files are named.
const NAME: &str = "spans-open";
/// From so many bytes on, or so old, a file is not appended to.
const FILE_BYTES: u64 = 4 << 20;
const FILE_MS: u64 = 5_000;
/// What the files take at most: 64 MiB, or this share of the window.
const BYTES_MAX: u64 = 64 << 20;
const SHARE: u64 = 8;

/// Where they are, and which traces they have.
pub(super) struct Undecided {
    dir: PathBuf,
    /// The oldest first, with what each takes.
    files: VecDeque<(u64, u64)>,
    open: Option<File>,
    begun_ms: u64,
    next: u64,
    /// The first file that has something of a trace that is not known to be decided on.
    first: HashMap<[u8; 16], u64>,
    bytes_max: u64,
}

impl Undecided {
    /// What is there of it, and what of that is not decided on; nothing is changed. With how many places were not whole.
    pub(super) fn find(dir: &Path) -> io::Result<(Undecided, Vec<Part>, u64)> {
        let (mut blocks, mut damaged) = (Vec::new(), 0);
        let mut files = VecDeque::new();
        for (number, path) in numbered(dir, NAME)? {
            let (some, not_whole) = scan(&path)?;
            files.push_back((number, fs::metadata(&path)?.len()));
            damaged += not_whole;
            blocks.extend(some);
        }
        let ended = ends(&blocks);
        let (mut parts, mut known) = (Vec::new(), HashSet::new());
        for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.kind == Part::KIND) {
            let Some(rows) = block.rows::<Part>() else {
                damaged += 1;
                continue;
            };
            let is_open = |part: &Part| ended.get(&part.trace_id).is_none_or(|end| *end < at);
            for mut part in rows.into_iter().filter(is_open) {
                part.spans.retain(|span| known.insert((span.trace_id, span.span_id)));
                parts.push(part);
            }
        }
        parts.retain(|part| !part.spans.is_empty());
        let oldest = files.front().map_or(1, |(number, _)| *number);
        let first = parts.iter().map(|part| (part.trace_id, oldest)).collect();
        let next = files.back().map_or(1, |(number, _)| number + 1);
        let dir = dir.to_owned();
        let found = Undecided { dir, files, open: None, begun_ms: 0, next, first, bytes_max: BYTES_MAX };
        Ok((found, parts, damaged))
    }

    /// Begins to write, within this window.
    pub(super) fn begin(&mut self, window_bytes: u64) {
        self.bytes_max = BYTES_MAX.min(window_bytes / SHARE);
    }

    /// What they take on the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Whether more may be written.
    pub(super) fn has_room(&self) -> bool {
        self.bytes() < self.bytes_max
    }

    /// Traces in the files that are not open any more. They are not told again.
    pub(super) fn over(&mut self, is_open: impl Fn(&[u8; 16]) -> bool) -> Vec<[u8; 16]> {
        self.first.extract_if(|trace_id, _| !is_open(trace_id)).map(|(trace_id, _)| trace_id).collect()
    }

    /// Appends spans of traces that are not decided on, and which are not open any more; removes what nobody needs.
    pub(super) fn write(&mut self, parts: &[Part], over: &[[u8; 16]], now_ms: u64) -> io::Result<()> {
        if parts.is_empty() && self.first.is_empty() {
            return self.remove_before(u64::MAX);
        }
        if !over.is_empty() {
            let over: Vec<Over> = over.iter().copied().map(Over).collect();
            self.append(&over, now_ms)?;
        }
        for lot in lots(parts) {
            if !self.has_room() {
                break;
            }
            self.append(lot, now_ms)?;
            let newest = self.next - 1;
            for part in lot {
                self.first.entry(part.trace_id).or_insert(newest);
            }
        }
        let oldest = self.first.values().min().copied().unwrap_or(u64::MAX);
        self.remove_before(oldest)
    }

    fn append<R: Row>(&mut self, rows: &[R], now_ms: u64) -> io::Result<()> {
        let is_full = self.files.back().is_none_or(|(_, bytes)| *bytes >= FILE_BYTES);
        if self.open.is_none() || is_full || now_ms.saturating_sub(self.begun_ms) >= FILE_MS {
            self.open = Some(create(&path(&self.dir, NAME, self.next))?);
            self.files.push_back((self.next, MARK.len() as u64));
            (self.next, self.begun_ms) = (self.next + 1, now_ms);
        }
        // Nobody looks for anything in them: no zone is made.
        let mut zone = Zone::new();
        zone.written_ms = now_ms;
        let block = pack(rows, &zone);
        if let (Some(open), Some((_, bytes))) = (&mut self.open, self.files.back_mut()) {
            if let Err(error) = open.write_all(&block) {
                // What was written of it is passed over by who reads; the next block begins in a file of its own.
                self.open = None;
                return Err(error);
            }
            *bytes += block.len() as u64;
        }
        Ok(())
    }

    /// Removes the files before this one.
    fn remove_before(&mut self, number: u64) -> io::Result<()> {
        while let Some((oldest, _)) = self.files.front().copied().filter(|(oldest, _)| *oldest < number) {
            if oldest + 1 == self.next {
                self.open = None;
            }
            fs::remove_file(path(&self.dir, NAME, oldest))?;
            self.files.pop_front();
        }
        Ok(())
    }
}

/// At which block it was said last that a trace is not open any more.
fn ends(blocks: &[Arc<Block>]) -> HashMap<[u8; 16], usize> {
    let mut ends = HashMap::new();
    for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.kind == Over::KIND) {
        // One that is damaged costs no span: what it told of is decided on once more.
        ends.extend(block.rows::<Over>().into_iter().flatten().map(|Over(trace_id)| (trace_id, at)));
    }
    ends
}

/// A trace that is not open any more.
#[derive(Clone, Debug, PartialEq)]
struct Over([u8; 16]);

impl Row for Over {
    const KIND: u8 = b'o';

    fn zone(_: &[Over]) -> Zone {
        Zone::new()
    }

    fn encode(rows: &[Over]) -> Vec<u8> {
        rows.iter().flat_map(|Over(trace_id)| *trace_id).collect()
    }

    fn decode(packed: &[u8]) -> Option<Vec<Over>> {
        let (ids, rest) = packed.as_chunks::<16>();
        rest.is_empty().then(|| ids.iter().copied().map(Over).collect())
    }

    fn count(&self) -> usize {
        0
    }

    fn bytes(&self) -> usize {
        size_of::<Over>()
    }
}

//! Opening: from what is on disk to a log.
//!
//! Sealed segments tell by their footers what they have. Those that are not sealed, which are the last one and
//! perhaps the one before, are read from their beginning. Where that ends, either nothing more was ever
//! acknowledged, and what is left there of a last write is cut off; or something follows that was written later,
//! and then what is in between had been synced and is damaged now: that is not opened.
//!
//! No segment is appended to that was there before. The last one is sealed where it ends, so that nothing of a
//! write that was cut off can ever come to stand behind something new.

use std::sync::{Arc, Mutex, OnceLock, RwLock};

use super::directory::Directory;
use super::head::HeadFile;
use super::open_error::{damaged, failed};
use super::rooms::Rooms;
use super::scan::{Scan, scan};
use super::segment::Segment;
use super::upkeep::{Duties, Pool, seal_short};
use super::writer::Writer;
use super::{Config, Inner, OpenError};
use crate::Sequence;
use crate::disk::{Disk, File, LockError};
use crate::format::{
    self, Defect, Footer, HEAD, HEADER_BYTES, Head, Header, LOCK, SPAN_BYTES, TRAILER_BYTES, Table,
};

/// What opening a log has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// How many segments there are.
    pub segments: usize,
    /// How many of them had to be read from their beginning.
    pub scanned: usize,
    /// How many records were found by that.
    pub records: usize,
    /// What was left of a last write, never acknowledged, and has been cut off.
    pub cut: Vec<Cut>,
}

/// Something that has been cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub place: String,
    /// From which byte on.
    pub offset: u64,
    /// How many bytes of it, as far as it says so itself.
    pub bytes: u64,
    /// What is wrong with it.
    pub what: String,
}

/// A segment as it was found.
#[derive(Debug)]
pub(crate) struct Loaded<F> {
    pub segment: Segment<F>,
    pub content: Content,
}

/// What is in a segment.
#[derive(Debug)]
pub(crate) enum Content {
    Sealed(Table),
    Scanned(Scan),
}

pub(super) fn lock<D: Disk>(disk: &D) -> Result<D::Lock, OpenError> {
    disk.lock(LOCK).map_err(|error| match error {
        LockError::Held(holder) => OpenError::Locked { place: disk.path(LOCK), holder },
        LockError::Failed(error) => failed("lock", disk.path(LOCK))(error),
    })
}

pub(super) fn open<D: Disk>(disk: D, config: Config) -> Result<(Inner<D>, Recovery), OpenError> {
    // What is seen may be what a process left that ended before it could make it durable.
    disk.sync().map_err(failed("sync", disk.path("")))?;
    let names = disk.list().map_err(failed("list", disk.path("")))?;
    for name in names.iter().filter(|name| format::is_unfinished(name)) {
        disk.remove(name).map_err(failed("remove", disk.path(name)))?;
    }
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| format::segment_number(name)).collect();
    numbers.sort_unstable();
    let head = head(&disk, &names, numbers.is_empty())?;
    let log = head.head().log;
    let loaded =
        numbers.iter().map(|number| load(&disk, *number, Some(log))).collect::<Result<Vec<_>, _>>()?;
    check(&loaded)?;
    let gap = gaps(&loaded, &head.head().firsts).into_iter().next();

    let mut recovery = Recovery { segments: loaded.len(), ..Recovery::default() };
    let mut directory = Directory::new(config.cache_bytes);
    for (shard, first) in (0..).zip(&head.head().firsts) {
        directory.begin_shard(shard, *first);
    }
    let ordinal = loaded.iter().filter_map(Loaded::next_ordinal).max().unwrap_or(1);
    let mut settled = Settled::default();
    for one in loaded {
        settled.take(one, &mut directory, &mut recovery)?;
    }
    // Where sequences tell it, too, it is said by them.
    gap.map_or(Ok(()), |gap| Err(gap.error()))?;
    // Up to here nothing has been changed that there is.
    settled.write(&disk)?;
    let spares = spares(&disk, &names, &settled.empty, &config)?;

    let number = names.iter().filter_map(|name| format::any_number(name)).max().unwrap_or(0) + 1;
    let writer = Writer::new(ordinal, directory.lasts(), Rooms::new(config.cache_bytes));
    let inner = Inner {
        disk,
        config,
        log,
        writer: Mutex::new(writer),
        pool: Mutex::new(Pool { ready: None, next: number }),
        head: Mutex::new(head),
        directory: RwLock::new(directory),
        spares: Mutex::new(spares),
        duties: Duties::default(),
        failed: OnceLock::new(),
    };
    Ok((inner, recovery))
}

/// Reads the head, or makes one if there is nothing yet.
fn head<D: Disk>(disk: &D, names: &[String], is_new: bool) -> Result<HeadFile<D::File>, OpenError> {
    if names.iter().any(|name| name == HEAD) {
        return HeadFile::open(disk);
    }
    if !is_new {
        return Err(damaged(disk.path(HEAD), 0, &Defect::Wrong("it is missing, though there are segments")));
    }
    let head = Head { log: disk.random(), generation: 1, ..Head::default() };
    HeadFile::make(disk, head).map_err(failed("make", disk.path(HEAD)))
}

/// Reads what is to be known of the segment `number`; of which log it must be, if that is known.
pub(crate) fn load<D: Disk>(disk: &D, number: u64, log: Option<u64>) -> Result<Loaded<D::File>, OpenError> {
    let segment = open_segment(disk, number, log)?;
    let read = |error| failed("read", segment.place.clone())(error);
    let content = match table(&segment).map_err(read)? {
        Some(table) => Content::Sealed(table),
        None => Content::Scanned(scan(&segment).map_err(read)?),
    };
    Ok(Loaded { segment, content })
}

/// Opens the segment `number`, and reads its header.
pub(crate) fn open_segment<D: Disk>(
    disk: &D,
    number: u64,
    log: Option<u64>,
) -> Result<Segment<D::File>, OpenError> {
    let name = format::segment_name(number);
    let place = disk.path(&name);
    let file = disk.open(&name).map_err(failed("open", place.clone()))?;
    let length = file.len().map_err(failed("read", place.clone()))?;
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let mut bytes = vec![0; HEADER_BYTES.min(length) as usize];
    file.read_at(&mut bytes, 0).map_err(failed("read", place.clone()))?;
    let header = Header::decode(&bytes).map_err(|defect| damaged(place.clone(), 0, &defect))?;
    if log.is_some_and(|log| header.log != log) {
        return Err(damaged(place, 0, &Defect::Wrong("it belongs to another log")));
    }
    if header.number != number {
        return Err(damaged(place, 0, &Defect::Wrong("it was called otherwise when it was written")));
    }
    // Nothing is written to it any more.
    Ok(Segment::new(header, file, length, length, place))
}

/// What the footer of a segment says, if it is sealed and the footer is whole.
pub(crate) fn table<F: File>(segment: &Segment<F>) -> std::io::Result<Option<Table>> {
    let Some(at) = segment.length.checked_sub(TRAILER_BYTES as u32) else { return Ok(None) };
    let mut trailer = [0; TRAILER_BYTES];
    segment.file.read_at(&mut trailer, u64::from(at))?;
    let Some((mut table, spans, sum)) = Table::of_trailer(&segment.header, &trailer) else { return Ok(None) };
    let bytes = u64::from(spans) * SPAN_BYTES as u64;
    if u64::from(table.end) + bytes > u64::from(at) {
        return Ok(None);
    }
    let mut footer = vec![0; bytes as usize];
    segment.file.read_at(&mut footer, u64::from(table.end))?;
    let is_read = table.read_spans(&segment.header, &footer, sum).is_ok();
    Ok((is_read && table.offsets_end() <= u64::from(at)).then_some(table))
}

impl<F> Loaded<F> {
    /// The ordinal of the group after the last, if there is one.
    pub fn next_ordinal(&self) -> Option<u64> {
        match &self.content {
            Content::Sealed(table) => Some(table.next_ordinal()),
            Content::Scanned(scan) => scan.next_ordinal(),
        }
    }

    /// The ordinal of the first group, if there is one: also of one that is not whole, for all before it had been synced.
    pub fn first_ordinal(&self) -> Option<u64> {
        match &self.content {
            Content::Sealed(table) => Some(table.ordinal),
            Content::Scanned(scan) => scan.first,
        }
    }

    /// Whether it has a record that was not trimmed.
    fn is_needed(&self, firsts: &[Sequence]) -> bool {
        let is_kept = |shard: u32, last: Sequence| last >= firsts.get(shard as usize).copied().unwrap_or(1);
        match &self.content {
            Content::Sealed(table) => table.spans.iter().any(|span| is_kept(span.shard, span.last())),
            Content::Scanned(scan) => scan.index.spans().any(|(shard, _, last)| is_kept(shard, last)),
        }
    }
}

/// No segment that was scanned has a hole.
pub(crate) fn check<F>(loaded: &[Loaded<F>]) -> Result<(), OpenError> {
    for (at, one) in loaded.iter().enumerate() {
        let Content::Scanned(scan) = &one.content else { continue };
        let before = || loaded[..at].iter().rev().find_map(Loaded::next_ordinal);
        let next = one.next_ordinal().or_else(before);
        let following = loaded[at + 1..].iter().find_map(Loaded::first_ordinal);
        let is_followed = matches!((next, following), (Some(next), Some(following)) if next != following);
        if scan.later.is_some() || is_followed {
            let what = scan.begun.unwrap_or("what was written here cannot be read");
            let what = match scan.later {
                Some(later) => format!("{what}, and a later write is whole at byte {later}"),
                None => format!("{what}, and a later write is whole in another segment"),
            };
            let place = one.segment.place.clone();
            return Err(OpenError::Damaged { place, offset: u64::from(scan.end), what });
        }
    }
    Ok(())
}

/// Writes that are missing between two segments that are there.
#[derive(Clone, Debug)]
pub(crate) struct Gap {
    /// The segment before.
    pub before: String,
    /// The one behind, and its number.
    pub behind: String,
    pub number: u64,
    /// The ordinals of the first and the last that are missing.
    pub from: u64,
    pub to: u64,
}

impl Gap {
    fn error(self) -> OpenError {
        let Gap { before, behind, from, to, .. } = self;
        OpenError::Hole { before, behind, from, to }
    }
}

/// Where writes are missing behind a sealed segment. A shard that has nothing behind them does not notice, but writes are
/// numbered over all segments. What was trimmed may be there again in part, since names become durable in any order: before
/// the first segment that has something that is needed nothing is missing.
pub(crate) fn gaps<F>(loaded: &[Loaded<F>], firsts: &[Sequence]) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut before: Option<(&Loaded<F>, u64)> = None;
    let mut is_needed = false;
    for one in loaded {
        let Some(first) = one.first_ordinal() else { continue };
        if let Some((last, next)) = before.filter(|(_, next)| is_needed && first > *next) {
            gaps.push(Gap {
                before: last.segment.place.clone(),
                behind: one.segment.place.clone(),
                number: one.segment.header.number,
                from: next,
                to: first - 1,
            });
        }
        is_needed |= one.is_needed(firsts);
        // What is missing behind one that is not sealed, `check` finds.
        before = match &one.content {
            Content::Sealed(table) => Some((one, table.next_ordinal())),
            Content::Scanned(_) => None,
        };
    }
    gaps
}

/// What is to be done with the segments that are not sealed.
#[derive(Debug)]
struct Settled<F> {
    to_seal: Vec<Unsealed<F>>,
    /// The numbers of those that have nothing in them.
    empty: Vec<(u64, u32)>,
}

/// A segment that is to be sealed.
#[derive(Debug)]
struct Unsealed<F> {
    segment: Arc<Segment<F>>,
    footer: Footer,
    /// Where its last group begins.
    last: u32,
}

impl<F: File> Unsealed<F> {
    fn seal(&self) -> std::io::Result<()> {
        // The last group can be read, but if its sync has failed it need not be on the disk, and no sync brings it
        // there unless it is written again.
        let mut group = vec![0; (self.footer.table.end - self.last) as usize];
        self.segment.file.read_at(&mut group, u64::from(self.last))?;
        self.segment.file.write_at(&group, u64::from(self.last))?;
        seal_short(&self.segment.file, &self.footer)
    }
}

impl<F> Default for Settled<F> {
    fn default() -> Settled<F> {
        Settled { to_seal: Vec::new(), empty: Vec::new() }
    }
}

impl<F: File> Settled<F> {
    fn take(
        &mut self,
        loaded: Loaded<F>,
        directory: &mut Directory<F>,
        recovery: &mut Recovery,
    ) -> Result<(), OpenError> {
        let Loaded { mut segment, content } = loaded;
        let place = segment.place.clone();
        let (segment, table) = match content {
            Content::Sealed(table) => (Arc::new(segment), table),
            Content::Scanned(scan) => {
                recovery.scanned += 1;
                recovery.records += scan.index.records();
                recovery.cut.extend(scan.torn(&segment));
                if scan.groups.1 == 0 {
                    self.empty.push((segment.number(), segment.length));
                    return Ok(());
                }
                let footer = scan.index.footer(&segment.header, scan.groups, scan.end);
                segment.length = scan.end + (footer.footer.len() + TRAILER_BYTES) as u32;
                let segment = Arc::new(segment);
                let table = footer.table.clone();
                self.to_seal.push(Unsealed { segment: Arc::clone(&segment), footer, last: scan.last });
                (segment, table)
            }
        };
        let added = directory.add(segment, table);
        added.map_err(|(shard, from, to)| OpenError::Missing { place, shard, from, to })
    }

    fn write<D: Disk<File = F>>(&self, disk: &D) -> Result<(), OpenError> {
        for one in &self.to_seal {
            one.seal().map_err(failed("seal", one.segment.place.clone()))?;
        }
        for (number, _) in &self.empty {
            let name = format::segment_name(*number);
            disk.rename(&name, &format::spare_name(*number)).map_err(failed("rename", disk.path(&name)))?;
        }
        // Before one of them is written over, its old name is to be gone.
        if !self.empty.is_empty() {
            disk.sync().map_err(failed("sync", disk.path("")))?;
        }
        Ok(())
    }
}

/// The files that can be written over; what else nobody needs is removed.
fn spares<D: Disk>(
    disk: &D,
    names: &[String],
    empty: &[(u64, u32)],
    config: &Config,
) -> Result<Vec<String>, OpenError> {
    let mut spares = Vec::new();
    let found = names.iter().filter(|name| format::spare_number(name).is_some()).cloned();
    for name in found.chain(empty.iter().map(|(number, _)| format::spare_name(*number))) {
        let length =
            disk.open(&name).and_then(|file| file.len()).map_err(failed("open", disk.path(&name)))?;
        match length == u64::from(config.segment_bytes) && spares.len() < config.spares_max {
            true => spares.push(name),
            false => disk.remove(&name).map_err(failed("remove", disk.path(&name)))?,
        }
    }
    Ok(spares)
}

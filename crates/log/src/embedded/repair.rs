//! Making a log open again that is damaged, by giving up as little as can be told and saying what.
//!
//! A log that does not open is cut where the first damage is that prevents it, for all shards: what is left is then a
//! state that the system really was in, since effects between shards are in the same order as they are here. What
//! comes after is not thrown away but put into files beside, which nothing reads by itself.
//!
//! Damage that does not prevent opening costs single records; that stays as it is, and reading one of them says so. A footer
//! that is damaged is written anew.

use std::io;

use super::OpenError;
use super::head::HeadFile;
use super::open_error::failed;
use super::recover::{self, Content};
use super::scan::scan;
use super::segment::Segment;
use super::upkeep::{seal_short, write_footer};
use super::verify::{Lost, Report, footer_is, verify_locked};
use crate::disk::{Disk, File};
use crate::format::{self, HEADER_BYTES, Head, TRAILER_BYTES};

/// What was done to a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// How it was before.
    pub before: Report,
    /// How it is now.
    pub after: Report,
    /// Files that hold what was cut off.
    pub kept: Vec<String>,
    /// The records that are given up: those that were lost, and those that came after.
    pub given_up: Vec<Lost>,
    /// Files that were written anew from what is said elsewhere.
    pub rebuilt: Vec<String>,
}

/// Makes the log that is on `disk` open again. If it does, nothing is given up.
///
/// # Errors
///
/// If another has it open, or the disk fails, or a newer program has written it.
pub fn repair<D: Disk>(disk: &D) -> Result<Repaired, OpenError> {
    let _lock = recover::lock(disk)?;
    let before = verify_locked(disk)?;
    let mut repair = Repair { disk, kept: Vec::new(), rebuilt: Vec::new() };
    if before.damages.iter().any(|damage| damage.prevents_opening && damage.segment.is_none()) {
        repair.head()?;
    }
    let log = HeadFile::open(disk)?.head().log;
    let blocking = before.damages.iter().filter(|damage| damage.prevents_opening);
    if let Some((number, offset)) = blocking.filter_map(|damage| Some((damage.segment?, damage.offset))).min()
    {
        repair.cut(log, number, offset)?;
    }
    repair.footers(log)?;
    let Repair { kept, rebuilt, .. } = repair;
    let after = verify_locked(disk)?;
    Ok(Repaired { given_up: given_up(&before, &after), before, after, kept, rebuilt })
}

struct Repair<'a, D> {
    disk: &'a D,
    kept: Vec<String>,
    rebuilt: Vec<String>,
}

impl<D: Disk> Repair<'_, D> {
    /// Makes a head from what the segments say.
    fn head(&mut self) -> Result<(), OpenError> {
        let mut head = Head { generation: 1, ..Head::default() };
        for number in self.numbers()? {
            // What cannot be looked into is cut off afterwards.
            let Ok(loaded) = recover::load(self.disk, number, None) else { continue };
            if head.log == 0 {
                head.log = loaded.segment.header.log;
            }
            let spans: Vec<_> = match &loaded.content {
                Content::Sealed(table) => table.spans.iter().map(|span| (span.shard, span.first)).collect(),
                Content::Scanned(scan) => {
                    scan.index.spans().map(|(shard, first, _)| (shard, first)).collect()
                }
            };
            for (shard, first) in spans {
                let at = shard as usize;
                if head.firsts.len() <= at {
                    head.firsts.resize(at + 1, 0);
                }
                if head.firsts[at] == 0 {
                    head.firsts[at] = first;
                }
            }
        }
        head.firsts.iter_mut().for_each(|first| *first = (*first).max(1));
        if head.log == 0 {
            head.log = self.disk.random();
        }
        HeadFile::make(self.disk, head).map_err(failed("make", self.disk.path(format::HEAD)))?;
        self.rebuilt.push(self.disk.path(format::HEAD));
        Ok(())
    }

    /// Gives up what is in the segment `number` from `offset` on, and all later segments.
    fn cut(&mut self, log: u64, number: u64, offset: u64) -> Result<(), OpenError> {
        // The newest first: if this ends half-way, the same damage is still the first.
        for later in self.numbers()?.into_iter().filter(|later| *later > number).rev() {
            self.put_aside(later)?;
        }
        let segment = recover::open_segment(self.disk, number, Some(log));
        match segment {
            Ok(segment) if offset > u64::from(HEADER_BYTES) => {
                let place = segment.place.clone();
                self.cut_segment(&segment, offset).map_err(failed("cut", place))
            }
            _ => self.put_aside(number),
        }
    }

    fn cut_segment(&mut self, segment: &Segment<D::File>, offset: u64) -> io::Result<()> {
        let mut rest = vec![0; (u64::from(segment.length) - offset) as usize];
        segment.file.read_at(&mut rest, offset)?;
        let name = cut_name(segment.number(), offset);
        let beside = self.disk.create(&name)?;
        beside.write_at(&rest, 0)?;
        beside.sync()?;
        self.disk.sync()?;
        self.kept.push(self.disk.path(&name));
        // From where it is damaged on nothing is whole, so this ends there.
        let scan = scan(segment)?;
        seal_short(&segment.file, &scan.index.footer(&segment.header, scan.groups, scan.end))
    }

    /// Gives a segment a name by which it is none any more.
    fn put_aside(&mut self, number: u64) -> Result<(), OpenError> {
        let (from, to) = (format::segment_name(number), cut_name(number, 0));
        let renamed = self.disk.rename(&from, &to).and_then(|()| self.disk.sync());
        renamed.map_err(failed("rename", self.disk.path(&from)))?;
        self.kept.push(self.disk.path(&to));
        Ok(())
    }

    /// Writes footers anew that do not say what the groups say, where all groups can be read.
    fn footers(&mut self, log: u64) -> Result<(), OpenError> {
        for number in self.numbers()? {
            let loaded = recover::load(self.disk, number, Some(log))?;
            let Content::Sealed(table) = &loaded.content else { continue };
            let segment = &loaded.segment;
            let mut mend = || {
                let scan = scan(segment)?;
                let rebuilt = scan.index.footer(&segment.header, scan.groups, scan.end);
                if rebuilt.table != *table || footer_is(segment, &rebuilt)? {
                    return Ok(());
                }
                write_footer(&segment.file, &rebuilt, u64::from(segment.length) - TRAILER_BYTES as u64)?;
                self.rebuilt.push(segment.place.clone());
                Ok(())
            };
            mend().map_err(failed("seal", segment.place.clone()))?;
        }
        Ok(())
    }

    fn numbers(&self) -> Result<Vec<u64>, OpenError> {
        let names = self.disk.list().map_err(failed("list", self.disk.path("")))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| format::segment_number(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// What the log had before, or should have had, and has no more.
fn given_up(before: &Report, after: &Report) -> Vec<Lost> {
    let has = |shard: u32| after.shards.iter().find(|(of, ..)| *of == shard);
    let ends = before.shards.iter().filter_map(|(shard, first, last)| {
        let from = has(*shard).map_or(*first, |(_, _, kept)| kept + 1);
        (from <= *last).then_some(Lost { shard: *shard, from, to: *last })
    });
    ends.collect()
}

fn cut_name(number: u64, offset: u64) -> String {
    format!("{number:012}-{offset}.cut")
}

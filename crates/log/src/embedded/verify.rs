//! Reading a whole log, to say what of it is damaged.
//!
//! Opening looks only at what it needs; this reads every record. Nothing is changed.

use std::collections::BTreeMap;

use super::OpenError;
use super::head::HeadFile;
use super::open_error::failed;
use super::recover::{self, Content, Cut, Gap, Loaded};
use super::scan::{Scan, scan};
use super::segment::Segment;
use super::survey::survey;
use crate::disk::{Disk, File};
use crate::format::{self, Footer, Head, Table};
use crate::{ReadError, Sequence};

/// What a log has, and what of it is damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many segments there are.
    pub segments: usize,
    /// How many records can be read.
    pub records: u64,
    /// For each shard that has records the sequences of its first and last.
    pub shards: Vec<(u32, Sequence, Sequence)>,
    /// What is damaged, by place.
    pub damages: Vec<Damage>,
    /// Records that were damaged, and that a repair has given up: the log goes on behind them.
    pub lost: Vec<Lost>,
    /// What is left of a last write that was never acknowledged, and that opening cuts off.
    pub torn: Vec<Cut>,
}

/// A damaged place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub place: String,
    /// At which byte.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
    /// The records that cannot be read for it, as far as that can be told. None are, if what is damaged is said elsewhere, too.
    pub lost: Vec<Lost>,
    /// Whether the log does not open for it.
    pub prevents_opening: bool,
    /// The number of the segment; none if it is the head.
    pub(crate) segment: Option<u64>,
}

/// Records that are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Their shard.
    pub shard: u32,
    /// The first.
    pub from: Sequence,
    /// The last.
    pub to: Sequence,
}

/// Reads the whole log that is on `disk`, and says what is damaged.
///
/// # Errors
///
/// If another has it open, or the disk fails, or a newer program has written it.
pub fn verify<D: Disk>(disk: &D) -> Result<Report, OpenError> {
    let _lock = recover::lock(disk)?;
    verify_locked(disk)
}

pub(super) fn verify_locked<D: Disk>(disk: &D) -> Result<Report, OpenError> {
    let names = disk.list().map_err(failed("list", disk.path("")))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| format::segment_number(name)).collect();
    numbers.sort_unstable();
    if numbers.is_empty() && !names.iter().any(|name| name == format::HEAD) {
        return Ok(Report::default());
    }
    let mut state =
        State { report: Report { segments: numbers.len(), ..Report::default() }, ..State::default() };
    let head = state.head(disk)?;
    let mut loaded = Vec::new();
    for number in numbers {
        match recover::load(disk, number, head.as_ref().map(|head| head.log)) {
            Ok(one) => loaded.push(one),
            Err(error) => state.refused(number, error)?,
        }
    }
    let hole = recover::check(&loaded).err();
    for (at, one) in loaded.iter().enumerate() {
        let before = loaded[..at].iter().rev().find_map(Loaded::next_ordinal);
        let following = loaded[at + 1..].iter().find_map(Loaded::first_ordinal);
        state.segment(one, (before, following)).map_err(failed("read", one.segment.place.clone()))?;
    }
    state.hole(hole, &loaded);
    if let Some(head) = head {
        state.gaps(recover::gaps(&loaded, &head.firsts));
    }
    Ok(state.finish())
}

/// What has been seen so far.
#[derive(Debug, Default)]
struct State {
    report: Report,
    /// For each shard the first sequence that is there and the one that must come next.
    shards: BTreeMap<u32, (Sequence, Sequence)>,
    /// Without the head it is not known where a shard begins.
    begins_anywhere: bool,
}

impl State {
    fn head<D: Disk>(&mut self, disk: &D) -> Result<Option<Head>, OpenError> {
        match HeadFile::open(disk) {
            Ok(head) => {
                let firsts = (0..).zip(&head.head().firsts);
                self.shards = firsts.map(|(shard, first)| (shard, (*first, *first))).collect();
                Ok(Some(head.head().clone()))
            }
            Err(OpenError::Damaged { place, offset, what }) => {
                self.begins_anywhere = true;
                self.add(in_the_way(place, offset, what, None));
                Ok(None)
            }
            Err(OpenError::Failed { place, error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
                self.begins_anywhere = true;
                let what = "it is missing, though there are segments".to_owned();
                self.add(in_the_way(place, 0, what, None));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Notes a segment that cannot be looked into.
    fn refused(&mut self, number: u64, error: OpenError) -> Result<(), OpenError> {
        let OpenError::Damaged { place, offset, what } = error else { return Err(error) };
        self.add(in_the_way(place, offset, what, Some(number)));
        Ok(())
    }

    /// Between which ordinals its groups should be is told as far as it is known.
    fn segment<F: File>(
        &mut self,
        one: &Loaded<F>,
        ordinals: (Option<u64>, Option<u64>),
    ) -> std::io::Result<()> {
        match &one.content {
            Content::Scanned(scan) => self.pieces(&one.segment, scan, ordinals),
            Content::Sealed(table) => {
                let scan = scan(&one.segment)?;
                self.sealed(&one.segment, table, &scan)
            }
        }
    }

    /// A segment that is not sealed: what is whole of it, with what follows a hole.
    fn pieces<F: File>(
        &mut self,
        segment: &Segment<F>,
        scan: &Scan,
        (before, following): (Option<u64>, Option<u64>),
    ) -> std::io::Result<()> {
        let next = scan.next_ordinal().or(before);
        let is_followed = matches!((next, following), (Some(next), Some(following)) if next != following);
        if scan.later.is_none() && !is_followed {
            self.report.torn.extend(scan.torn(segment));
            self.spans(segment, 0, scan.index.spans().collect());
            return Ok(());
        }
        let survey = survey(segment, segment.length, before, following)?;
        self.spans(segment, scan.end, survey.runs());
        let torn = survey.torn.map(|(offset, bytes)| Cut {
            place: segment.place.clone(),
            offset: u64::from(offset),
            bytes: u64::from(bytes),
            what: "it is the last write, and not whole".to_owned(),
        });
        self.report.torn.extend(torn);
        Ok(())
    }

    /// A sealed segment, whose groups were read, too.
    fn sealed<F: File>(&mut self, segment: &Segment<F>, table: &Table, scan: &Scan) -> std::io::Result<()> {
        let rebuilt = scan.index.footer(&segment.header, scan.groups, scan.end);
        let is_whole = rebuilt.table == *table;
        let lists_right = is_whole && footer_is(segment, &rebuilt)?;
        if is_whole && !lists_right {
            self.add(harmless(segment, table.end, "the footer lists records where they are not"));
        }
        let spans: Vec<_> = table.spans.iter().map(|span| (span.shard, span.first, span.last())).collect();
        let counted = self.spans(segment, 0, spans);
        if is_whole {
            return Ok(());
        }
        let listed = self.report.records;
        for (span, from) in table.spans.iter().zip(counted) {
            for sequence in from..=span.last() {
                self.record(segment, table, (span.shard, span.first, span.at), sequence);
            }
        }
        if self.report.records == listed {
            let what = scan.begun.unwrap_or("a group's header cannot be read");
            self.add(harmless(segment, scan.end, what));
        }
        Ok(())
    }

    /// Reads one record as the log does.
    fn record<F: File>(
        &mut self,
        segment: &Segment<F>,
        table: &Table,
        (shard, first, at): (u32, Sequence, u32),
        sequence: Sequence,
    ) {
        if self.shards.get(&shard).is_some_and(|(begin, _)| sequence < *begin) {
            return;
        }
        let mut offset = [0; 4];
        let at = at + 4 * (sequence - first) as u32;
        let read = segment
            .read(&mut offset, at)
            .and_then(|()| segment.record(u32::from_le_bytes(offset), table.end, shard, sequence));
        let Err(error) = read else { return };
        self.report.records -= 1;
        if let ReadError::Lost { .. } = error {
            match self.report.lost.last_mut() {
                Some(last) if last.shard == shard && last.to + 1 == sequence => last.to = sequence,
                _ => self.report.lost.push(Lost { shard, from: sequence, to: sequence }),
            }
            return;
        }
        let (offset, what) = match error {
            ReadError::Damaged { offset, what, .. } => (offset, what),
            other => (u64::from(u32::from_le_bytes(offset)), other.to_string()),
        };
        let lost = vec![Lost { shard, from: sequence, to: sequence }];
        let (place, segment) = (segment.place.clone(), Some(segment.number()));
        self.add(Damage { place, offset, what, lost, prevents_opening: false, segment });
    }

    /// Notes which records are there next, and what is missing before them. Tells of each span from which record on it
    /// was counted: a damaged table can list what is there already.
    fn spans<F: File>(
        &mut self,
        segment: &Segment<F>,
        offset: u32,
        spans: Vec<(u32, Sequence, Sequence)>,
    ) -> Vec<Sequence> {
        let mut lost = Vec::new();
        let mut counted = Vec::with_capacity(spans.len());
        for (shard, first, last) in spans {
            let begin = if self.begins_anywhere { first } else { 1 };
            let (_, next) = self.shards.entry(shard).or_insert((begin, begin));
            if first > *next {
                lost.push(Lost { shard, from: *next, to: first - 1 });
            }
            let from = first.max(*next);
            self.report.records += (last + 1).saturating_sub(from);
            counted.push(from);
            *next = (last + 1).max(*next);
        }
        if !lost.is_empty() {
            let what = "records are missing before what is here".to_owned();
            let (place, segment) = (segment.place.clone(), Some(segment.number()));
            self.add(Damage {
                place,
                offset: u64::from(offset),
                what,
                lost,
                prevents_opening: true,
                segment,
            });
        }
        counted
    }

    /// Notes the hole that opening has found, unless what is missing there has been noted.
    fn hole<F: File>(&mut self, hole: Option<OpenError>, loaded: &[Loaded<F>]) {
        let Some(OpenError::Damaged { place, offset, what }) = hole else { return };
        let noted =
            self.report.damages.iter_mut().find(|damage| damage.place == place && damage.offset == offset);
        if let Some(noted) = noted {
            noted.what = what;
            return;
        }
        let segment = loaded.iter().find(|one| one.segment.place == place).map(|one| one.segment.number());
        self.add(in_the_way(place, offset, what, segment));
    }

    /// Notes where writes are missing between segments, unless the segment there cannot be read, or sequences tell it.
    fn gaps(&mut self, gaps: Vec<Gap>) {
        for Gap { before, behind, number, from, to } in gaps {
            let is_noted = |damage: &Damage| damage.prevents_opening && damage.place == behind;
            let refused =
                |damage: &Damage| damage.prevents_opening && damage.segment.is_some_and(|of| of < number);
            if self.report.damages.iter().any(|damage| is_noted(damage) || refused(damage)) {
                continue;
            }
            let what = format!("writes {from} to {to} are missing, which came between {before} and this");
            self.add(in_the_way(behind, 0, what, Some(number)));
        }
    }

    fn add(&mut self, damage: Damage) {
        self.report.damages.push(damage);
    }

    fn finish(mut self) -> Report {
        let there = self.shards.iter().filter(|(_, (first, next))| next > first);
        self.report.shards = there.map(|(shard, (first, next))| (*shard, *first, next - 1)).collect();
        self.report.damages.sort_by_key(|damage| (damage.segment, damage.offset));
        self.report
    }
}

/// What has to be mended before the log opens.
fn in_the_way(place: String, offset: u64, what: String, segment: Option<u64>) -> Damage {
    Damage { place, offset, what, lost: Vec::new(), prevents_opening: true, segment }
}

fn harmless<F: File>(segment: &Segment<F>, offset: u32, what: &str) -> Damage {
    Damage {
        place: segment.place.clone(),
        offset: u64::from(offset),
        what: what.to_owned(),
        lost: Vec::new(),
        prevents_opening: false,
        segment: Some(segment.number()),
    }
}

/// Whether the footer on disk is the one that the groups would give.
pub(super) fn footer_is<F: File>(segment: &Segment<F>, rebuilt: &Footer) -> std::io::Result<bool> {
    let mut there = vec![0; rebuilt.footer.len()];
    segment.file.read_at(&mut there, u64::from(rebuilt.table.end))?;
    Ok(there == rebuilt.footer)
}

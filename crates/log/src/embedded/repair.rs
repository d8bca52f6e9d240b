//! Making a log open again that is damaged, by giving up as little as can be told and saying what.
//!
//! A record that is damaged but has been applied for good by whoever applies the log is given up by itself: the footer of
//! its segment says so from then on, its sequence is kept, and asking for it is an error that says it. Where a
//! record is needed that is damaged, or nobody can tell which ones are (`holes`), the log is cut, for all shards: what is left
//! is then a state that the system really was in, since effects between shards are in the same order as they are here.
//!
//! What is given up is not thrown away but put into files beside, which nothing reads by itself. Footers and headers of
//! groups that are damaged are written anew from what is whole.
//!
//! A repair on a [`CopyOnWrite`](crate::disk::CopyOnWrite) disk tells what it would do.

use std::io;

use super::OpenError;
use super::head::HeadFile;
use super::holes::{Piece, Place, piece, ranges, settle};
use super::open_error::failed;
use super::recover::{self, Content, Loaded};
use super::segment::Segment;
use super::upkeep::{seal_short, write_footer};
use super::verify::{Lost, Report, verify_locked};
use crate::Sequence;
use crate::disk::{Disk, File};
use crate::format::{self, HEADER_BYTES, Head, TRAILER_BYTES};

/// What was done to a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// How it was before.
    pub before: Report,
    /// How it is now.
    pub after: Report,
    /// Files that hold what was cut off or given up.
    pub kept: Vec<String>,
    /// Records that were damaged and have been applied: they are given up, and the log goes on behind them.
    pub stepped_over: Vec<Lost>,
    /// The records from which on the log was cut: those that were lost, and those that came after.
    pub given_up: Vec<Lost>,
    /// Whether more may be lost than is listed there: of a place where nothing can be read nobody knows what was in it.
    pub may_be_more: bool,
    /// Files that were written anew from what is said elsewhere.
    pub rebuilt: Vec<String>,
}

/// Makes the log that is on `disk` open again. Each shard has been applied for good up to the sequence that `applied`
/// has in its place, and is not needed up to there to be applied again.
///
/// # Errors
///
/// If another has it open, or the disk fails, or a newer program has written it.
pub fn repair<D: Disk>(disk: &D, applied: &[Sequence]) -> Result<Repaired, OpenError> {
    let _lock = recover::lock(disk)?;
    let before = verify_locked(disk)?;
    let mut repair =
        Repair { disk, kept: Vec::new(), rebuilt: Vec::new(), lost: Vec::new(), may_be_more: false };
    if before.damages.iter().any(|damage| damage.prevents_opening && damage.segment.is_none()) {
        repair.head()?;
    }
    if before.segments > 0 {
        repair.mend(applied)?;
    }
    let Repair { kept, rebuilt, lost, may_be_more, .. } = repair;
    let is_new = |(shard, sequence): &(u32, Sequence)| {
        !before.lost.iter().any(|lost| lost.shard == *shard && (lost.from..=lost.to).contains(sequence))
    };
    let stepped_over = ranges(lost.into_iter().filter(is_new));
    let after = verify_locked(disk)?;
    let given_up = given_up(&before, &after);
    Ok(Repaired { given_up, may_be_more, stepped_over, before, after, kept, rebuilt })
}

struct Repair<'a, D> {
    disk: &'a D,
    kept: Vec<String>,
    rebuilt: Vec<String>,
    /// What is lost in segments that were written anew.
    lost: Vec<(u32, Sequence)>,
    may_be_more: bool,
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

    /// Mends what can be, and cuts where nothing else is left.
    fn mend(&mut self, applied: &[Sequence]) -> Result<(), OpenError> {
        let head = HeadFile::open(self.disk)?.head().clone();
        let Pieces { mut pieces, refused, gap } = self.pieces(&head)?;
        let settled = settle(&mut pieces, &head.firsts, applied);
        self.may_be_more = refused.is_some() || gap.is_some() || pieces.iter().any(|piece| !piece.is_known());
        let end =
            settled.into_iter().chain([refused, gap].into_iter().flatten().map(|number| (number, 0))).min();
        let is_before =
            |piece: &Piece<D::File>| end.is_none_or(|(number, _)| piece.segment.number() < number);
        // What is known of those before is known by those that come after: as long as these are there.
        for piece in pieces.iter().filter(|piece| is_before(piece) && piece.is_to_mend()) {
            self.write(piece, &head)?;
        }
        match end {
            Some(end) => {
                let piece = pieces.into_iter().find(|piece| piece.segment.number() == end.0);
                self.cut(piece, end, &head)
            }
            None => Ok(()),
        }
    }

    fn pieces(&self, head: &Head) -> Result<Pieces<D::File>, OpenError> {
        let (mut loaded, mut refused) = (Vec::new(), None);
        for number in self.numbers()? {
            match recover::load(self.disk, number, Some(head.log)) {
                Ok(one) => loaded.push(one),
                Err(OpenError::Damaged { .. }) => refused = refused.or(Some(number)),
                Err(error) => return Err(error),
            }
        }
        let gap = recover::gaps(&loaded, &head.firsts).first().map(|gap| gap.number);
        let firsts: Vec<Option<u64>> = loaded.iter().map(Loaded::first_ordinal).collect();
        let mut expected = None;
        let mut pieces = Vec::new();
        for (at, Loaded { segment, content }) in loaded.into_iter().enumerate() {
            let following = firsts[at + 1..].iter().flatten().next().copied();
            let sealed = match &content {
                Content::Sealed(table) => Some(table.next_ordinal()),
                Content::Scanned(_) => None,
            };
            let place = segment.place.clone();
            let piece = piece(segment, content, expected, following).map_err(failed("read", place))?;
            expected = sealed.or(piece.survey.groups.map(|(_, next)| next)).or(expected);
            pieces.push(piece);
        }
        Ok(Pieces { pieces, refused, gap })
    }

    /// Gives up what is from `end` on, which is in `piece` if that can be looked into, and all later segments.
    fn cut(
        &mut self,
        piece: Option<Piece<D::File>>,
        (number, offset): Place,
        head: &Head,
    ) -> Result<(), OpenError> {
        // The newest first: if this ends half-way, the same damage is still the first.
        for later in self.numbers()?.into_iter().filter(|later| *later > number).rev() {
            self.put_aside(later)?;
        }
        let offset = u32::try_from(offset).unwrap_or(0);
        match piece {
            Some(mut piece) if offset > HEADER_BYTES => {
                let (segment, length) = (&piece.segment, piece.segment.length);
                self.keep(segment, offset, length).map_err(failed("keep", segment.place.clone()))?;
                piece.cut(offset);
                self.write(&piece, head)
            }
            _ => self.put_aside(number),
        }
    }

    /// Writes down what is known of a segment: in the headers of its groups, and its footer.
    fn write(&mut self, piece: &Piece<D::File>, head: &Head) -> Result<(), OpenError> {
        let segment = &piece.segment;
        let place = || segment.place.clone();
        for part in piece.survey.breaks.iter().filter(|part| part.missing != Some(0)) {
            self.keep(segment, part.begin, part.end).map_err(failed("keep", place()))?;
        }
        write(piece).map_err(failed("write", place()))?;
        self.rebuilt.extend((!piece.is_cut).then(place));
        for (shard, sequences) in &piece.lost {
            let first = head.firsts.get(*shard as usize).copied().unwrap_or(1);
            self.lost.extend(sequences.iter().filter(|at| **at >= first).map(|at| (*shard, *at)));
        }
        Ok(())
    }

    /// Copies a part of a segment into a file beside.
    fn keep(&mut self, segment: &Segment<D::File>, from: u32, to: u32) -> io::Result<()> {
        let mut bytes = vec![0; to.saturating_sub(from) as usize];
        segment.file.read_at(&mut bytes, u64::from(from))?;
        let name = cut_name(segment.number(), u64::from(from));
        let beside = self.disk.create(&name)?;
        beside.write_at(&bytes, 0)?;
        beside.sync()?;
        self.disk.sync()?;
        self.kept.push(self.disk.path(&name));
        Ok(())
    }

    /// Gives a segment a name by which it is none any more.
    fn put_aside(&mut self, number: u64) -> Result<(), OpenError> {
        let (from, to) = (format::segment_name(number), cut_name(number, 0));
        let renamed = self.disk.rename(&from, &to).and_then(|()| self.disk.sync());
        renamed.map_err(failed("rename", self.disk.path(&from)))?;
        self.kept.push(self.disk.path(&to));
        Ok(())
    }

    fn numbers(&self) -> Result<Vec<u64>, OpenError> {
        let names = self.disk.list().map_err(failed("list", self.disk.path("")))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| format::segment_number(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// What there is of a log.
struct Pieces<F> {
    /// All segments that can be looked into.
    pieces: Vec<Piece<F>>,
    /// The first that cannot.
    refused: Option<u64>,
    /// The first before which writes are missing.
    gap: Option<u64>,
}

fn write<F: File>(piece: &Piece<F>) -> io::Result<()> {
    let (segment, survey) = (&piece.segment, &piece.survey);
    for (offset, header) in piece.headers() {
        segment.file.write_at(&header.encode(segment.seed), u64::from(offset))?;
    }
    let footer = piece.footer();
    if piece.table.is_some() && !piece.is_cut {
        return write_footer(&segment.file, &footer, u64::from(segment.length) - TRAILER_BYTES as u64);
    }
    // It may never have become durable, though it can be read: see `recover`.
    let mut last = vec![0; (survey.end - survey.last) as usize];
    segment.file.read_at(&mut last, u64::from(survey.last))?;
    segment.file.write_at(&last, u64::from(survey.last))?;
    seal_short(&segment.file, &footer)
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

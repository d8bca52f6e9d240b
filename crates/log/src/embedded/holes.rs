//! Which records of a log are lost, and whether it can go on without them.
//!
//! A sealed segment's footer says which records it has, so those that cannot be read are known. For one that is not
//! sealed their neighbours say it: sequences have no gaps. What neighbours cannot say is whether more was there than
//! what is missing between them, such as the last record of a shard. Therefore it is counted: a hole is known only
//! if as many records are missing between neighbours as its groups have lost.
//!
//! A record that is lost may be stepped over if whoever applies the log has applied it for good. If not, the log
//! ends there, in all shards: what comes after it may follow from it.

use std::collections::BTreeMap;
use std::io;

use super::recover::Content;
use super::scan::scan;
use super::segment::Segment;
use super::survey::{Records, Survey, survey};
use super::verify::{Lost, footer_is};
use crate::Sequence;
use crate::disk::File;
use crate::format::{Footer, GroupHeader, LOST, Table};

/// A segment, and what of it can be read.
pub(super) struct Piece<F> {
    pub segment: Segment<F>,
    /// What its footer says, if it is sealed.
    pub table: Option<Table>,
    pub survey: Survey,
    /// The records that it had and that cannot be read, by shard.
    pub lost: BTreeMap<u32, Vec<Sequence>>,
    /// Whether the footer lists each record where it is.
    pub lists_right: bool,
    /// Whether it ends earlier than it did.
    pub is_cut: bool,
    /// The sequences without gaps that it has, or should have by its footer: shard, from, to.
    runs: Vec<(u32, Sequence, Sequence)>,
    /// How many records more are missing from its groups; nothing if that cannot be told.
    unexplained: Option<u32>,
}

/// Where a log has to end: a segment, and the byte in it.
pub(super) type Place = (u64, u64);

/// Looks into all that is in a segment. `expected` is the ordinal that its first group should have, `following` that of the
/// first one that comes after its own.
pub(super) fn piece<F: File>(
    segment: Segment<F>,
    content: Content,
    expected: Option<u64>,
    following: Option<u64>,
) -> io::Result<Piece<F>> {
    let (table, scan) = match content {
        Content::Sealed(table) => (Some(table), scan(&segment)?),
        Content::Scanned(scan) => (None, scan),
    };
    let mut piece = Piece {
        segment,
        table,
        survey: Survey::default(),
        lost: BTreeMap::new(),
        lists_right: true,
        is_cut: false,
        runs: Vec::new(),
        unexplained: Some(0),
    };
    match &piece.table {
        Some(table) => {
            piece.runs = table.spans.iter().map(|span| (span.shard, span.first, span.last())).collect();
            let rebuilt = scan.index.footer(&piece.segment.header, scan.groups, scan.end);
            if rebuilt.table == *table && footer_is(&piece.segment, &rebuilt)? {
                return Ok(piece);
            }
            let ordinals = (Some(table.ordinal), Some(table.next_ordinal()));
            piece.survey = survey(&piece.segment, table.end, ordinals.0, ordinals.1)?;
            piece.compare()?;
        }
        None => {
            piece.survey = survey(&piece.segment, piece.segment.length, expected, following)?;
            piece.runs = piece.survey.runs();
            piece.unexplained = piece.survey.breaks.iter().map(|place| place.missing).sum();
        }
    }
    Ok(piece)
}

impl<F: File> Piece<F> {
    /// Which of the records that the footer of a sealed segment lists are where it says, or elsewhere, or lost.
    fn compare(&mut self) -> io::Result<()> {
        let Some(table) = &self.table else { return Ok(()) };
        for span in &table.spans {
            let mut listed = vec![0; 4 * span.count as usize];
            self.segment.file.read_at(&mut listed, u64::from(span.at))?;
            let (listed, _) = listed.as_chunks::<4>();
            let run = self.survey.records.entry(span.shard).or_default();
            // What a forged record says of itself is not believed against the footer.
            run.retain(|sequence, _| (span.first..=span.last()).contains(sequence));
            for (sequence, listed) in (span.first..).zip(listed) {
                let listed = u32::from_le_bytes(*listed);
                if !run.contains_key(&sequence)
                    && self.segment.record(listed, table.end, span.shard, sequence).is_ok()
                {
                    run.insert(sequence, listed);
                }
                match run.get(&sequence) {
                    Some(offset) => self.lists_right &= *offset == listed,
                    None => {
                        self.lists_right &= listed == LOST;
                        self.lost.entry(span.shard).or_default().push(sequence);
                    }
                }
            }
        }
        let spans = &table.spans;
        self.survey.records.retain(|shard, _| spans.iter().any(|span| span.shard == *shard));
        // Otherwise the list's own checksum does not fit.
        self.lists_right = self.lists_right && footer_is(&self.segment, &self.footer())?;
        Ok(())
    }

    /// Whether something of it has to be written: its footer, or the header of a group.
    pub fn is_to_mend(&self) -> bool {
        self.is_cut
            || !self.lists_right
            || self.headers().next().is_some()
            || (self.table.is_none() && !self.survey.breaks.is_empty())
    }

    /// Headers of groups that are to be written anew, and where.
    pub fn headers(&self) -> impl Iterator<Item = (u32, GroupHeader)> {
        self.survey.breaks.iter().filter_map(|place| Some((place.begin, place.header?)))
    }

    /// The footer that says where its records are, and which are lost.
    pub fn footer(&self) -> Footer {
        let mut all: Records = self.survey.records.clone();
        for (shard, sequences) in &self.lost {
            all.entry(*shard).or_default().extend(sequences.iter().map(|sequence| (*sequence, LOST)));
        }
        let runs: Vec<(u32, Sequence, Vec<u32>)> = all
            .into_iter()
            .filter_map(|(shard, run)| Some((shard, *run.first_key_value()?.0, run.into_values().collect())))
            .collect();
        let runs = runs.iter().map(|(shard, first, offsets)| (*shard, *first, offsets.as_slice()));
        let (groups, end) = match &self.table {
            Some(table) if !self.is_cut => ((table.ordinal, table.groups), table.end),
            _ => {
                let (first, next) = self.survey.groups.unwrap_or((1, 1));
                ((first, next.saturating_sub(first) as u32), self.survey.end)
            }
        };
        Footer::new(&self.segment.header, groups, end, runs)
    }

    /// Forgets what is from `offset` on, where a break begins.
    pub fn cut(&mut self, offset: u32) {
        let mut lost = std::mem::take(&mut self.lost);
        for (shard, sequences) in &mut lost {
            // Which of the breaks of a segment without a footer had what is not known: it ends at the first.
            sequences.retain(|sequence| {
                self.table.is_some() && self.place_of(*shard, *sequence).1 < u64::from(offset)
            });
        }
        lost.retain(|_, sequences| !sequences.is_empty());
        self.lost = lost;
        self.survey.cut(offset);
        self.is_cut = true;
    }

    /// Whether it is known which records it had. To be asked when all pieces have been settled.
    pub fn is_known(&self) -> bool {
        self.unexplained == Some(0)
    }

    fn first_break(&self) -> Place {
        let begin = self.survey.breaks.first().map_or(0, |place| place.begin);
        (self.segment.number(), u64::from(begin))
    }

    /// Where in a sealed segment a lost record was.
    fn place_of(&self, shard: u32, sequence: Sequence) -> Place {
        let listed = self.table.as_ref().and_then(|table| {
            let span = table.span(shard)?;
            let at = span.at + 4 * u32::try_from(sequence.checked_sub(span.first)?).ok()?;
            let mut listed = [0; 4];
            self.segment.read(&mut listed, at).ok()?;
            Some(u32::from_le_bytes(listed))
        });
        let place = listed.and_then(|listed| self.survey.break_at(listed));
        place.map_or_else(|| self.first_break(), |place| (self.segment.number(), u64::from(place.begin)))
    }
}

/// Finds out which records the pieces have lost, which it notes in them, and where the log has to end for it, if it has to.
/// `firsts` is where each shard begins, `applied` up to where each has been applied for good.
pub(super) fn settle<F: File>(
    pieces: &mut [Piece<F>],
    firsts: &[Sequence],
    applied: &[Sequence],
) -> Option<Place> {
    let mut next: BTreeMap<u32, (Sequence, usize)> =
        (0..).zip(firsts).map(|(shard, first)| (shard, (*first, 0))).collect();
    let mut ends = Vec::new();
    for at in 0..pieces.len() {
        for (shard, first, last) in pieces[at].runs.clone() {
            let (expected, since) = *next.get(&shard).unwrap_or(&(1, 0));
            if first > expected && !explain(&mut pieces[since..=at], shard, expected, first) {
                let broken = between(&pieces[since..=at], shard, expected, first);
                let broken = broken.into_iter().map(|at| &pieces[since + at]).find(|piece| !piece.is_known());
                ends.push(broken.map_or((pieces[at].segment.number(), 0), Piece::first_break));
            }
            if last >= expected {
                next.insert(shard, (last + 1, at));
            }
        }
    }
    let is_applied = |shard: u32, sequence: Sequence| {
        applied.get(shard as usize).is_some_and(|applied| sequence <= *applied)
    };
    let first_of = |shard: u32| firsts.get(shard as usize).copied().unwrap_or(1);
    for piece in pieces.iter() {
        ends.extend((!piece.is_known()).then(|| piece.first_break()));
        for (shard, sequences) in &piece.lost {
            let needed = sequences
                .iter()
                .find(|sequence| **sequence >= first_of(*shard) && !is_applied(*shard, **sequence));
            ends.extend(needed.map(|sequence| match piece.table {
                Some(_) => piece.place_of(*shard, *sequence),
                None => piece.first_break(),
            }));
        }
    }
    ends.into_iter().min()
}

/// Which of `pieces` have breaks between the record before `from`, which is in the first or before it, and `to`, which is in
/// the last.
fn between<F: File>(pieces: &[Piece<F>], shard: u32, from: Sequence, to: Sequence) -> Vec<usize> {
    let place = |piece: &Piece<F>, sequence: Sequence| {
        piece.survey.records.get(&shard).and_then(|run| run.get(&sequence).copied())
    };
    let begin = pieces.first().and_then(|piece| place(piece, from.saturating_sub(1))).unwrap_or(0);
    let end = pieces.last().and_then(|piece| place(piece, to)).unwrap_or(0);
    let is_between =
        |at: usize, offset: u32| (at > 0 || offset > begin) && (at + 1 < pieces.len() || offset < end);
    let all = pieces.iter().enumerate().filter(|(_, piece)| piece.table.is_none());
    let has = |(at, piece): &(usize, &Piece<F>)| {
        piece.survey.breaks.iter().any(|place| is_between(*at, place.begin))
    };
    all.filter(has).map(|(at, _)| at).collect()
}

/// Takes the records from `from` to before `to` for lost in the first of `pieces` that have lost so many; whether these have.
fn explain<F: File>(pieces: &mut [Piece<F>], shard: u32, mut from: Sequence, to: Sequence) -> bool {
    let places = between(pieces, shard, from, to);
    let room = |piece: &Piece<F>| u64::from(piece.unexplained.unwrap_or(0));
    if places.iter().map(|at| room(&pieces[*at])).sum::<u64>() < to - from {
        return false;
    }
    for at in places {
        let piece = &mut pieces[at];
        let taken = room(piece).min(to - from);
        if taken > 0 {
            piece.lost.entry(shard).or_default().extend(from..from + taken);
            piece.unexplained = piece.unexplained.map(|left| left - taken as u32);
            from += taken;
        }
    }
    true
}

/// Sequences one after the other as what they are from and to.
pub(super) fn ranges(lost: impl Iterator<Item = (u32, Sequence)>) -> Vec<Lost> {
    let mut ranges: Vec<Lost> = Vec::new();
    for (shard, sequence) in lost {
        match ranges.last_mut() {
            Some(last) if last.shard == shard && last.to + 1 == sequence => last.to = sequence,
            _ => ranges.push(Lost { shard, from: sequence, to: sequence }),
        }
    }
    ranges
}

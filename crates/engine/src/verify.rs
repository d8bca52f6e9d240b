//! Reading everything in a folder, to say what of it is damaged. Nothing is written.
//!
//! The log checks its own bytes ([`log::verify`]), the store those of its tables. What is looked at here is that the two fit
//! together: that every entry can be understood, that the state can be made from them, that every payload the state
//! points to is there, that they are as many bytes as the state has counted, and that what shards have sent each other is
//! with the one or the other.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use log::{Log, ReadError, Report};
use machine::body::{self, Kept};
use machine::outbox::{self, SentTo};
use machine::{Entry, Order, Read, Stored, Table, pointers};
use prost::Message;

use crate::backup::check_finished;
use crate::error::{OpenError, with_causes};
use crate::inspection::{CACHE_BYTES, Inspection, disk, store_folder};
use crate::replica::Shared;
use crate::store::Fjall;

/// What a folder has, and what of it is damaged.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What the log says of itself.
    pub log: Report,
    /// How many entries can be understood.
    pub entries: u64,
    /// How many pairs of state were read.
    pub pairs: u64,
    /// How many payloads in the log are pointed to and there.
    pub payloads: u64,
    /// Payloads that are pointed to and not there.
    pub lost: Vec<LostPayload>,
    /// What else is wrong, a sentence each.
    pub wrong: Vec<String>,
}

/// A payload that is pointed to and not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostPayload {
    /// Whose it is, by its name: such as a message of a topic, or an item of a store.
    pub what: String,
    /// In which shard.
    pub shard: u32,
    /// The entry that brought it.
    pub sequence: u64,
    /// What is wrong with it.
    pub why: String,
}

impl Verdict {
    /// Whether nothing is damaged.
    pub fn is_whole(&self) -> bool {
        self.log.damages.is_empty() && self.lost.is_empty() && self.wrong.is_empty()
    }

    /// Whether it opens: what is damaged besides costs what cannot be read.
    pub fn opens(&self) -> bool {
        self.wrong.is_empty() && !self.log.damages.iter().any(|damage| damage.prevents_opening)
    }
}

/// Reads all that is in `folder`. `progress` is told what is being read.
///
/// # Errors
///
/// If nothing is there, or a process has it open, or the disk fails, or a newer program has written it.
pub fn verify(folder: &Path, mut progress: impl FnMut(&str)) -> Result<Verdict, OpenError> {
    check_finished(folder)?;
    verify_unfinished(folder, &mut progress)
}

/// As [`verify`], also where a restore is not finished yet.
pub(crate) fn verify_unfinished(folder: &Path, progress: &mut dyn FnMut(&str)) -> Result<Verdict, OpenError> {
    let disk = disk(folder)?;
    // For as long as all of it takes, so that nobody writes meanwhile.
    let _held = log::hold(&disk).map_err(OpenError::Open)?;
    progress("reading the log");
    let report = log::verify(&disk).map_err(OpenError::Open)?;
    if report.damages.iter().any(|damage| damage.prevents_opening) {
        return Ok(Verdict { log: report, ..Verdict::default() });
    }
    let opened = store_folder(folder).and_then(|store| {
        let store = Fjall::open_copy(&store, CACHE_BYTES)?;
        Inspection::with(folder, disk, store, &mut |shard, of| {
            progress(&format!("applying the log: shard {shard} of {of}"));
        })
    });
    Verdict::of(report, opened, progress)
}

impl Verdict {
    /// Of a log of which `report` is known, opened or not.
    pub(crate) fn of(
        report: Report,
        opened: Result<Inspection, OpenError>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Verdict, OpenError> {
        let mut verdict = Verdict { log: report, ..Verdict::default() };
        match opened {
            Ok(inspection) => {
                for shard in inspection.shards() {
                    progress(&format!("shard {} of {}", shard.shard().0, inspection.count().count()));
                    verdict.entries(&inspection, shard);
                    verdict.state(&inspection, shard);
                }
                verdict.between(inspection.shards());
            }
            Err(error @ (OpenError::Nothing(_) | OpenError::Folder(_))) => return Err(error),
            Err(OpenError::Open(error @ log::OpenError::Locked { .. })) => {
                return Err(OpenError::Open(error));
            }
            Err(error) => verdict.wrong.push(with_causes(&error)),
        }
        Ok(verdict)
    }
}

impl Verdict {
    /// Every entry that the log can read can be understood. Those it cannot read it has said itself.
    fn entries(&mut self, inspection: &Inspection, shard: &Shared<Fjall>) {
        let number = shard.shard().0;
        let (mut next, last) = inspection.span(shard);
        while next <= last {
            match inspection.log().read(number, next, READ_BYTES) {
                Ok(records) => {
                    for record in &records {
                        match Entry::decode(record.bytes.clone()) {
                            Ok(_) => self.entries += 1,
                            Err(malformed) => {
                                self.wrong.push(format!(
                                    "entry {} of shard {number}: {malformed}",
                                    record.sequence
                                ));
                            }
                        }
                    }
                    next += records.len().max(1) as u64;
                }
                Err(ReadError::Damaged { .. } | ReadError::Lost { .. }) => next += 1,
                Err(error) => {
                    self.wrong.push(format!("entry {next} of shard {number}: {}", with_causes(&error)));
                    return;
                }
            }
        }
    }

    /// The state can be read, and what it points to is there.
    fn state(&mut self, inspection: &Inspection, shard: &Shared<Fjall>) {
        let number = shard.shard().0;
        let applied = shard.read();
        let mut pointed = Vec::new();
        let mut pairs = 0;
        applied.state.scan(&[1], &[u8::MAX], Order::Forwards, &mut |key, value| {
            pairs += 1;
            if key.first() == Some(&(Table::Kept as u8)) {
                pointed.push((key.to_vec(), value.clone()));
            }
            std::ops::ControlFlow::Continue(())
        });
        self.pairs += pairs;
        if let Some(failure) = applied.state.failure() {
            self.wrong.push(format!("the state of shard {number}: {}", with_causes(failure)));
            return;
        }
        let counted = applied.state.kept_bytes();
        drop(applied);
        let mut bytes = 0;
        let mut lost = BTreeMap::new();
        for (key, value) in pointed {
            let Some((stored, kept)) = stored(&key, value) else {
                self.wrong.push(format!("the state of shard {number}: a pointer cannot be understood"));
                continue;
            };
            if kept.moved.is_some() {
                continue;
            }
            bytes += if kept.is_in_log() { u64::from(kept.length) } else { 0 };
            match inspection.payload(shard, &stored) {
                Ok(_) => self.payloads += 1,
                Err(failure) => drop(lost.insert((stored.sequence, stored.index), with_causes(&failure))),
            }
        }
        if bytes != counted {
            self.wrong.push(format!(
                "the state of shard {number} points to {bytes} bytes of payloads in the log, and has counted {counted}"
            ));
        }
        self.name(shard, lost);
    }

    /// What shards send each other is with the one or the other: nobody has applied what was never sent, nor forgotten
    /// what was not applied.
    fn between(&mut self, shards: &[Shared<Fjall>]) {
        for sender in shards {
            let source = sender.shard();
            for SentTo { target, sent, delivered } in outbox::sent(&sender.read().state) {
                // What is for a shard that there is not was given up.
                let Some(receiver) = shards.get(target.0 as usize) else { continue };
                let applied = outbox::last_applied(&receiver.read().state, source);
                let (source, target) = (source.0, target.0);
                if applied > sent {
                    self.wrong.push(format!(
                        "shard {target} has applied {applied} commands of shard {source}, which has sent {sent}"
                    ));
                }
                if applied < delivered {
                    self.wrong.push(format!(
                        "shard {source} takes {delivered} commands to be applied by shard {target}, which has applied \
                         {applied}"
                    ));
                }
            }
        }
    }

    /// Says whose the payloads are that are lost, which are by entry and place in it, each with what is wrong.
    fn name(&mut self, shard: &Shared<Fjall>, lost: BTreeMap<(u64, u32), String>) {
        if lost.is_empty() {
            return;
        }
        let number = shard.shard().0;
        let mut nameless = lost.clone();
        shard.read().state.scan(&[1], &[u8::MAX], Order::Forwards, &mut |key, value| {
            for (what, stored) in pointers::of(key, value).into_iter().flat_map(|(what, all)| {
                all.into_iter()
                    .filter(|stored| stored.inline.is_none())
                    .map(move |stored| (what.clone(), stored))
            }) {
                let place = (stored.sequence, stored.index);
                if let Some(why) = lost.get(&place).cloned() {
                    nameless.remove(&place);
                    self.lost.push(LostPayload { what, shard: number, sequence: place.0, why });
                }
            }
            std::ops::ControlFlow::Continue(())
        });
        for ((sequence, index), why) in nameless {
            self.lost.push(LostPayload { what: format!("payload {index}"), shard: number, sequence, why });
        }
    }
}

fn stored(key: &[u8], value: Bytes) -> Option<(Stored, Kept)> {
    let (sequence, index) = body::of_key(key)?;
    let kept = Kept::decode(value).ok()?;
    Some((Stored { inline: None, sequence, index, length: kept.length }, kept))
}

const READ_BYTES: usize = 4 << 20;

//! Bits that flip, at the end of a run: whoever looks then is told what was, or that it cannot be told.
//!
//! What is read of log and store is what was written, or an error, which names a file of the log that was damaged. A log
//! that does not open is repaired. What the last checkpoint has is stepped over then; or the log ends earlier: the state is
//! that of a moment that there was, and what is missing is what the repair has said to be.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::OpenError;
use engine::error::Failure;
use engine::replica::{self, Applied};
use engine::worker::payload;
use log::{Log, Lost, ReadError};
use machine::body::{self, Kept};
use machine::{Shard, Stored, Table};
use prost::Message;

use crate::invariants::{self, table};
use crate::node::TheLog;
use crate::store::Flaky;
use crate::world::World;

/// What was damaged, and what came of it.
struct Damage {
    /// Files of the log that have a flipped bit.
    files: BTreeSet<String>,
    /// Whether a pair of the store has one.
    in_store: bool,
    /// Whether the store opens as it was earlier.
    is_earlier: bool,
    /// What a repair has said to be lost.
    given_up: Vec<Lost>,
    /// What it has said to be lost, and that the last checkpoint has.
    stepped_over: Vec<Lost>,
    /// Whether a segment was put aside of which even the header is damaged: what was in it, nobody can say.
    any_behind: bool,
}

/// Ends the run with flipped bits, in some of all runs.
pub fn check(world: &mut World<'_>) {
    if !world.rng.chance(40) {
        return;
    }
    let orderly = world.rng.chance(50);
    world.stop(orderly);
    let mut damage = Damage::make(world);
    let Some(log) = damage.open(world) else { return };
    for shard in world.shards() {
        damage.check_log(world, &log, shard);
    }
    let store = Arc::clone(&world.store);
    if damage.check_states(world, &log, &store) {
        return;
    }
    // The store has applied more than there is now: what is left of the log begins with everything, or is of no use.
    if world.shards().all(|shard| log.first(shard.0) == 1) {
        assert!(
            damage.check_states(world, &log, &Arc::default()),
            "a log that is there as a whole can be applied"
        );
    }
}

impl Damage {
    fn make(world: &mut World<'_>) -> Damage {
        let mut files = BTreeSet::new();
        for _ in 0..world.rng.between(1, 3) {
            if let Some((file, offset)) = world.disk.flip_any() {
                world.say(|| format!("a bit flips in byte {offset} of {file}"));
                files.insert(file);
            }
        }
        let chance = world.rng.next();
        let in_store = world.rng.chance(30) && world.store.damage(chance);
        let is_earlier = !in_store && world.rng.chance(30);
        if is_earlier {
            world.say(|| "the store opens as it was earlier".to_owned());
            world.store = world.store.earlier(chance);
        }
        Damage {
            files,
            in_store,
            is_earlier,
            given_up: Vec::new(),
            stepped_over: Vec::new(),
            any_behind: false,
        }
    }

    /// Opens the log, repaired if it needs to be; nothing if a newer program seems to have written it.
    fn open(&mut self, world: &World<'_>) -> Option<TheLog> {
        let error = match world.open_log() {
            Ok(log) => return Some(log),
            Err(error) => error,
        };
        world.say(|| format!("the log does not open: {error}"));
        match error {
            log::OpenError::Damaged { place, .. } => self.assert_known(&place),
            log::OpenError::Version { place, .. } => {
                self.assert_known(&place);
                return None;
            }
            // What is named is what comes behind.
            log::OpenError::Missing { .. } => {}
            error => panic!("a flipped bit is taken for something else: {error:?}"),
        }
        let applied =
            world.shards().map(|shard| replica::checkpointed(shard, world.store.as_ref()).unwrap_or(0));
        let applied: Vec<u64> = applied.collect();
        let repaired = log::repair(&world.disk, &applied).expect("what is damaged can be repaired");
        world.say(|| format!("repaired: {repaired:?}"));
        let headless = |damage: &log::Damage| damage.place.ends_with(".segment") && damage.offset == 0;
        self.any_behind = repaired.may_be_more || repaired.before.damages.iter().any(headless);
        self.stepped_over = repaired.stepped_over;
        let lost = repaired.after.damages.into_iter().flat_map(|damage| damage.lost);
        self.given_up = repaired.given_up.into_iter().chain(lost).collect();
        Some(world.open_log().expect("what was repaired opens"))
    }

    fn assert_known(&self, place: &str) {
        assert!(self.files.contains(place), "{place} is named, and the damage is in {:?}", self.files);
    }

    /// Each record is there as it was, or is damaged, or was given up.
    fn check_log(&self, world: &World<'_>, log: &TheLog, shard: Shard) {
        let (first, last) = (log.first(shard.0), log.last(shard.0));
        for sequence in first..=last {
            match log.get(shard.0, sequence) {
                Ok(bytes) => assert_eq!(
                    bytes,
                    world.witness.record(shard, sequence),
                    "{shard:?}: record {sequence} is another than it was"
                ),
                Err(ReadError::Damaged { place, .. }) => self.assert_known(&place),
                Err(ReadError::Lost { place }) => {
                    self.assert_known(&place);
                    let is_it =
                        |lost: &Lost| lost.shard == shard.0 && (lost.from..=lost.to).contains(&sequence);
                    assert!(
                        self.stepped_over.iter().any(is_it),
                        "{shard:?}: record {sequence} is given up silently"
                    );
                }
                Err(error) => panic!("{shard:?}: record {sequence} cannot be read: {error:?}"),
            }
        }
        for cut in &log.recovery().cut {
            self.assert_known(&cut.place);
        }
        let missing = last + 1..world.witness.last(shard) + 1;
        let is_given_up = |sequence: u64| {
            let mut given_up = self.given_up.iter().filter(|lost| lost.shard == shard.0);
            given_up.any(|lost| (lost.from..=lost.to).contains(&sequence))
        };
        // What was cut off looks like what was left of a last write.
        let mut missing = missing.filter(|_| log.recovery().cut.is_empty() && !self.any_behind);
        let silently = missing.find(|sequence| !is_given_up(*sequence));
        assert_eq!(silently, None, "{shard:?}: a record is missing that nobody has said to be lost");
    }

    /// Whether all shards could be opened with `store`, or it was said what is damaged; otherwise the store has
    /// applied more than there is in the log.
    fn check_states(&self, world: &World<'_>, log: &TheLog, store: &Arc<Flaky>) -> bool {
        for shard in world.shards() {
            match replica::open(shard, log, store) {
                Ok(shared) => self.check_state(world, log, shard, &shared.read()),
                Err(OpenError::Log(ReadError::Damaged { place, .. } | ReadError::Lost { place })) => {
                    self.assert_known(&place);
                }
                Err(OpenError::Store(error)) => assert!(self.in_store, "the store is whole: {error:?}"),
                Err(OpenError::Ahead { last, .. }) => {
                    assert!(last < world.witness.last(shard), "{shard:?}: the log is there as a whole");
                    return false;
                }
                Err(OpenError::Behind { .. }) => assert!(self.is_earlier, "{shard:?}: the store is of now"),
                Err(error) => panic!("{shard:?} cannot be opened: {error:?}"),
            }
        }
        true
    }

    fn check_state(&self, world: &World<'_>, log: &TheLog, shard: Shard, applied: &Applied<Flaky>) {
        let pairs = replica::pairs(&applied.state);
        if let Some(failure) = applied.state.failure() {
            assert!(self.in_store, "the store is whole: {failure:?}");
            return;
        }
        let should = world.witness.state_at(shard, applied.sequence);
        invariants::agrees(&world.witness, shard, pairs, &should);
        for (key, value) in table(&applied.state, Table::Kept) {
            let (sequence, index) = body::of_key(&key).expect("a payload's place");
            let length = Kept::decode(value).expect("what is known of a payload").length;
            let stored = Stored { inline: None, sequence, index, length };
            match payload(log, &applied.state, shard, &stored) {
                Ok(bytes) => {
                    assert_eq!(bytes, world.witness.payload(shard, &stored), "{shard:?}: {stored:?}")
                }
                // What has been moved into the store since.
                Err(Failure::Read(ReadError::Damaged { place, .. }))
                    if place.starts_with("the log of shard") =>
                {
                    assert!(self.is_earlier, "{shard:?}: the payload {stored:?} is nowhere");
                }
                Err(Failure::Read(ReadError::Damaged { place, .. } | ReadError::Lost { place })) => {
                    self.assert_known(&place);
                }
                Err(failure) => panic!("{shard:?}: the payload {stored:?} cannot be read: {failure:?}"),
            }
        }
    }
}

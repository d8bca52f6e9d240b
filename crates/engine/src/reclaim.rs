//! Giving back what of the log is no longer needed.
//!
//! Payloads stay in the log, so its old parts are needed as long as something in them is alive. While the log is
//! not much larger than what is alive in it, nothing is done: a topic that keeps a week has a week's log. When it is,
//! its oldest part is taken apart: what is alive there moves into the store, and the part is trimmed once a
//! checkpoint holds what was moved. Every byte that is moved frees at least as much log besides, so the log is at most
//! about twice what is alive, and moving costs at most about one more write of each byte (as cleaning does in
//! log-structured file systems: Rosenblum and Ousterhout, 1992).
//!
//! A payload that is damaged cannot be moved. It is noted that it is lost, so that whoever asks for it is told so ever after,
//! and its part of the log is given back like any other: the log must not grow without end for it.

use std::ops::ControlFlow;
use std::sync::Arc;

use log::{Log, Oldest, TrimError};
use machine::body::{self, Kept};
use machine::{Key, Order, Read, State, Table};
use prost::Message;

use crate::error::Failure;
use crate::replica::Shared;
use crate::store::Store;
use crate::worker::payload;
use machine::Stored;

/// What came of looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reclaimed {
    /// There is nothing to give back.
    Nothing,
    /// The oldest part was given back.
    Trimmed,
    /// Payloads were moved: to be called again after a checkpoint.
    Moved {
        /// How many bytes of them.
        bytes: u64,
        /// How many of them were found to be lost.
        lost: u64,
    },
}

/// Takes the oldest part of the log apart, or gives it back if it has been, as far as the last checkpoint allows. To be
/// called when a checkpoint has just succeeded, for what was moved before must be in it. No more than about
/// `move_bytes_max` bytes are moved at a time, into the state in memory, from which the next checkpoint takes them.
///
/// # Errors
///
/// If log or store cannot be read, or the log cannot be trimmed. A payload that the disk cannot read at present
/// ([`Failure::unreadable`]) is no reason to stop: nothing of it has been given up, and the next call tries again.
pub fn reclaim<L: Log, S: Store>(
    shards: &[Arc<Shared<S>>],
    log: &L,
    slack: u64,
    move_bytes_max: u64,
) -> Result<Reclaimed, Failure> {
    let Some(oldest) = log.oldest() else { return Ok(Reclaimed::Nothing) };
    if !is_behind_checkpoint(shards, &oldest) {
        return Ok(Reclaimed::Nothing);
    }
    let alive = alive(shards, log, &oldest, move_bytes_max)?;
    if alive.is_empty() {
        // What could not be noted is given up the next time: nothing is lost by keeping it.
        return Ok(if trim(log, &oldest).is_ok() { Reclaimed::Trimmed } else { Reclaimed::Nothing });
    }
    let kept: u64 = shards.iter().map(|shared| shared.read().state.kept_bytes()).sum();
    if log.bytes() <= slack + 2 * kept {
        return Ok(Reclaimed::Nothing);
    }
    let (mut bytes, mut lost) = (0, 0);
    for (shared, payloads) in alive {
        for chunk in payloads.chunks(MOVE_CHUNK) {
            let moved = move_into_state(log, shared, chunk)?;
            bytes += moved.0;
            lost += moved.1;
        }
    }
    Ok(Reclaimed::Moved { bytes, lost })
}

fn is_behind_checkpoint<S: Store>(shards: &[Arc<Shared<S>>], oldest: &Oldest) -> bool {
    oldest.up_to.iter().all(|(shard, up_to)| {
        let shared = shards.iter().find(|shared| shared.shard().0 == *shard);
        shared.is_some_and(|shared| shared.read().checkpointed >= *up_to)
    })
}

type Alive<'a, S> = Vec<(&'a Arc<Shared<S>>, Vec<Stored>)>;

/// What of the oldest part is alive, up to about `bytes_max` bytes of it.
fn alive<'a, L: Log, S: Store>(
    shards: &'a [Arc<Shared<S>>],
    log: &L,
    oldest: &Oldest,
    bytes_max: u64,
) -> Result<Alive<'a, S>, Failure> {
    let mut bytes = 0;
    let mut alive = Vec::new();
    for (shard, up_to) in &oldest.up_to {
        let Some(shared) = shards.iter().find(|shared| shared.shard().0 == *shard) else { continue };
        let from = Key::new(Table::Kept).u64(log.first(*shard));
        let to = Key::new(Table::Kept).u64(up_to + 1);
        let mut payloads = Vec::new();
        let applied = shared.read();
        applied.state.scan(from.as_bytes(), to.as_bytes(), Order::Forwards, &mut |key, value| {
            if bytes >= bytes_max {
                return ControlFlow::Break(());
            }
            if let (Some((sequence, index)), Ok(kept)) = (body::of_key(key), Kept::decode(value.clone()))
                && kept.is_in_log()
            {
                bytes += u64::from(kept.length);
                payloads.push(Stored { inline: None, sequence, index, length: kept.length });
            }
            ControlFlow::Continue(())
        });
        // A store that fails answers as if there were nothing, and that must not be taken for having nothing alive.
        if let Some(failure) = applied.state.failure() {
            return Err(Failure::Store(failure.clone()));
        }
        if !payloads.is_empty() {
            alive.push((shared, payloads));
        }
    }
    Ok(alive)
}

/// Where a payload lies is no part of what the state means, so this needs no entry in the log. How many bytes, and how many of
/// the payloads are lost.
fn move_into_state<L: Log, S: Store>(
    log: &L,
    shared: &Shared<S>,
    payloads: &[Stored],
) -> Result<(u64, u64), Failure> {
    let mut read = Vec::with_capacity(payloads.len());
    for stored in payloads {
        // Without the lock: what lies in the log does not change.
        let bytes = match payload(log, &machine::Memory::new(), shared.shard(), stored) {
            Ok(bytes) => Some(bytes),
            Err(failure) if failure.lost().is_some() => None,
            Err(failure) => return Err(failure),
        };
        read.push((stored, bytes));
    }
    let mut applied = shared.write();
    let (mut moved, mut lost) = (0, 0);
    for (stored, bytes) in read {
        let key = body::key(stored.sequence, stored.index);
        let kept = applied.state.get(key.as_bytes()).and_then(|kept| Kept::decode(kept).ok());
        // It may have been let go meanwhile.
        if let Some(mut kept) = kept.filter(Kept::is_in_log) {
            kept.lost = bytes.is_none();
            lost += u64::from(kept.lost);
            kept.moved = bytes;
            applied.state.put(key, kept.encode_to_vec().into());
            applied.state.kept(-i64::from(kept.length));
            moved += u64::from(kept.length);
        }
    }
    shared.note_changes(&applied);
    Ok((moved, lost))
}

fn trim<L: Log>(log: &L, oldest: &Oldest) -> Result<(), TrimError> {
    oldest.up_to.iter().try_for_each(|(shard, up_to)| log.trim(*shard, up_to + 1))
}

/// How many payloads are moved under one hold of the shard's lock.
const MOVE_CHUNK: usize = 64;

//! Saving what came of a stream's events, so that not all need be read again.

use std::ops::ControlFlow;

use super::{Reply, Snapshot, check_place, expected, opened, snapshots_key};
use crate::body::Body;
use crate::context::{Context, decode};
use crate::refusal::{Code, Refusal};

/// Saves a stream's snapshot, in place of one of the same version. The oldest beyond those that are kept
/// goes.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SaveSnapshot {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub store: String,
    /// The stream's name.
    #[prost(string, tag = "2")]
    pub stream: String,
    /// Up to which version the stream's events are in it.
    #[prost(uint64, tag = "3")]
    pub version: u64,
    /// The payload that is the snapshot.
    #[prost(uint32, tag = "4")]
    pub payload: Body,
}

impl SaveSnapshot {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.store, &self.stream)?;
        if self.version == 0 {
            return Err(Refusal::new(Code::Invalid, "a snapshot of version 0 has nothing in it"));
        }
        Ok(())
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let (store, _, stream) = opened(context, &self.store, &self.stream)?;
        expected::exists(&self.stream, &stream)?;
        if self.version > stream.version {
            let ahead = format!("the stream {:?} is at version {} only", self.stream, stream.version);
            return Err(Refusal::new(Code::Conflict, ahead));
        }
        context.length(self.payload)?;
        let keep = store.settings.snapshots.max(1) as usize;
        for old in self.make_room(context, keep)? {
            remove(context, &self.store, &self.stream, &old);
        }
        let (version, time) = (self.version, context.time().as_millis());
        let payload = context.store(self.payload)?;
        context
            .put(snapshots_key(&self.store, &self.stream).u64(version), &Snapshot { version, time, payload });
        Ok(Reply { version, position: 0 })
    }

    /// Those that go when this one comes.
    fn make_room(&self, context: &Context<'_>, keep: usize) -> Result<Vec<Snapshot>, Refusal> {
        let all = all(context, &self.store, &self.stream);
        if all.iter().filter(|one| one.version > self.version).count() >= keep {
            let late = format!(
                "the stream {:?} keeps {keep} snapshots, and all of later versions than {}",
                self.stream, self.version
            );
            return Err(Refusal::new(Code::Conflict, late));
        }
        let (mut going, others): (Vec<_>, Vec<_>) =
            all.into_iter().rev().partition(|one| one.version == self.version);
        going.extend(others.into_iter().skip(keep - 1));
        Ok(going)
    }
}

/// Removes all snapshots of a stream.
pub(super) fn remove_all(context: &mut Context<'_>, store: &str, stream: &str) {
    for snapshot in all(context, store, stream) {
        remove(context, store, stream, &snapshot);
    }
}

fn remove(context: &mut Context<'_>, store: &str, stream: &str, snapshot: &Snapshot) {
    context.release(&snapshot.payload);
    context.delete(snapshots_key(store, stream).u64(snapshot.version));
}

/// By ascending version; there are [`super::SNAPSHOTS_MAX`] at most.
fn all(context: &Context<'_>, store: &str, stream: &str) -> Vec<Snapshot> {
    let prefix = snapshots_key(store, stream);
    let mut all = Vec::new();
    context.state().scan_prefix(&prefix, &mut |key, value| {
        all.push(decode(key, value.clone()));
        ControlFlow::Continue(())
    });
    all
}

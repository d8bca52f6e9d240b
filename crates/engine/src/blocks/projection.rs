//! Projections: what comes of the events of a store of streams, written with up to where they were read, in one commit.
//!
//! A projection's checkpoint lies where its output does, with the items of a scope: so it is known by the store of these, by
//! the scope, by the store of streams, and by its name. What moves it on says from where, so of two who run it one is refused.

use log::Log;
use machine::stream::{self, Mark, Project, Rewind, Step};
use machine::{Entry, Shard, kv};

use super::kv::{Kv, Operation};
use crate::error::Error;
use crate::feed::Position;
use crate::store::Store;

/// What moves a projection on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The projection's name.
    pub projection: String,
    /// The store of streams that it reads.
    pub streams: String,
    /// Where it is; the empty position if it has read nothing.
    pub from: Position,
    /// Where it goes: further in at least one shard, and not back in any.
    pub to: Position,
}

impl<L: Log, S: Store> Kv<'_, L, S> {
    /// Moves a projection on and does what came of it, all or nothing.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::Kind::Conflict) if it is not where it was said to be, or a condition does not hold;
    /// [`Invalid`](crate::Kind::Invalid) if it would not move forwards, or the items are spread over the shards.
    pub async fn project(&self, moved: &Move, operations: Vec<Operation>) -> Result<(), Error> {
        let shard = self.whole()?;
        known(&moved.to, self.ask.inner.shards().count())?;
        let mut steps = steps(&moved.from, &moved.to)?.into_iter();
        let Some(first) = steps.next() else {
            return Err(Error::invalid(format!("the projection {:?} does not move", moved.projection)));
        };
        let mut bodies = Vec::new();
        let output = (!operations.is_empty()).then(|| {
            let transact = self.lowered(operations, &mut bodies);
            kv::Command { kind: Some(kv::Kind::Transact(transact)) }
        });
        let mut entry = Entry::new(Project {
            projection: moved.projection.clone(),
            store: moved.streams.clone(),
            shard: first.shard,
            expected: first.expected,
            position: first.position,
            output,
            more: steps.collect(),
        });
        entry.bodies = bodies;
        self.ask.propose(shard, entry).await.map(drop)
    }

    /// Where a projection is; the empty position if it has read nothing.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or the items are spread over the shards.
    pub async fn checkpoint(&self, projection: &str, streams: &str) -> Result<Position, Error> {
        super::named("projection", projection)?;
        super::named("store", streams)?;
        let shards = self.ask.inner.shards();
        self.ask.read(self.whole()?, |state, _| {
            Position::of_parts(shards.all().filter_map(|shard| {
                let checkpoint = stream::checkpoint(state, projection, streams, shard.0)?;
                Some((shard.0, checkpoint.position))
            }))
        })
    }

    /// Sets a projection, wherever it is; by the empty position it has read nothing. Its output stays.
    ///
    /// # Errors
    ///
    /// If something is malformed, or the items are spread over the shards.
    pub async fn rewind(&self, projection: &str, streams: &str, to: &Position) -> Result<(), Error> {
        let shards = self.ask.inner.shards();
        known(to, shards.count())?;
        let position = |shard: Shard| to.parts().get(&shard.0).copied().unwrap_or_default();
        let mut marks = shards.all().map(|shard| Mark { shard: shard.0, position: position(shard) });
        let first = marks.next().unwrap_or_default();
        let rewind = Rewind {
            projection: projection.to_owned(),
            store: streams.to_owned(),
            shard: first.shard,
            position: first.position,
            more: marks.collect(),
        };
        self.ask.propose(self.whole()?, Entry::new(rewind)).await.map(drop)
    }
}

/// Where it moves, shard by shard.
fn steps(from: &Position, to: &Position) -> Result<Vec<Step>, Error> {
    let back = from.parts().iter().find(|(shard, was)| to.parts().get(shard).is_none_or(|is| is < *was));
    if back.is_some() {
        return Err(Error::invalid(format!("a projection moves forwards: not from {from} to {to}")));
    }
    let expected = |shard: &u32| from.parts().get(shard).copied().unwrap_or_default();
    let steps =
        to.parts().iter().map(|(shard, is)| Step { shard: *shard, expected: expected(shard), position: *is });
    Ok(steps.filter(|step| step.position > step.expected).collect())
}

/// Refuses a position that speaks of shards which there are not.
fn known(position: &Position, shards: u32) -> Result<(), Error> {
    match position.parts().keys().next_back() {
        Some(last) if *last >= shards => {
            Err(Error::invalid(format!("{position} speaks of a shard {last}, and there are {shards}")))
        }
        _ => Ok(()),
    }
}

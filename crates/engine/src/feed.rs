//! Following what happens: what has happened since a position, and then what happens, without a gap or a repetition where
//! the one passes into the other, since both are the same read of the state. In between it waits to be woken.
//!
//! A feed holds a position for each shard and nothing else: who follows slowly costs no memory, and who comes too late
//! for what is no longer kept is told so.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use log::Log;
use machine::effect::Channel;
use machine::{Code, Read, Refusal, Shard, Stored, Time};

use crate::engine::Inner;
use crate::error::Error;
use crate::store::Store;
use crate::wait::{Waiters, Waiting};

/// Where a feed begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Begin {
    /// With the first that is kept.
    Start,
    /// With what happens from now on.
    #[default]
    Now,
    /// After what was had up to a [`Position`].
    After(Position),
}

/// Up to where a feed was had. As text it can be kept and given to a client, which gives it back later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position(BTreeMap<u32, u64>);

/// What is followed.
pub trait Follow: Send {
    /// One of what happens.
    type Found: Send;

    /// Up to `max` of what happened in `shard` after `after`, each with where its payloads are.
    ///
    /// # Errors
    ///
    /// If some of it is not kept any more.
    fn look(
        &self,
        state: &dyn Read,
        now: Time,
        after: u64,
        max: usize,
    ) -> Result<Looked<Self::Found>, Refusal>;

    /// Where one who begins now begins, and who begins with the first that is kept.
    ///
    /// # Errors
    ///
    /// If there is nothing to be followed.
    fn ends(&self, state: &dyn Read, shard: Shard) -> Result<Ends, Refusal>;

    /// Gives one of them its payloads.
    fn fill(found: &mut Self::Found, payloads: Vec<Bytes>);
}

/// What came of a look.
pub struct Looked<T> {
    /// What was found, and where its payloads are.
    pub found: Vec<(T, Vec<Stored>)>,
    /// Up to where it was looked.
    pub after: u64,
    /// Whether there is no more now.
    pub end: bool,
}

/// Positions before the first that is kept, and of the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Before the first.
    pub start: u64,
    /// The last.
    pub now: u64,
}

/// Something that is followed.
pub struct Feed<L: Log, S: Store, F: Follow> {
    inner: Arc<Inner<L, S>>,
    follow: F,
    at: Vec<(Shard, u64)>,
    /// Which shard is looked at first, so that none is left behind.
    turn: usize,
    waiting: Waiting,
}

impl<L: Log, S: Store, F: Follow> Feed<L, S, F> {
    pub(crate) fn open(
        inner: &Arc<Inner<L, S>>,
        follow: F,
        shards: impl IntoIterator<Item = Shard>,
        channel: Channel,
        from: &Begin,
    ) -> Result<Feed<L, S, F>, Error> {
        let waiting = Waiters::at(inner.waiters(), vec![channel]);
        let mut at = Vec::new();
        for shard in shards {
            let ends = inner.read(shard, |state, _| follow.ends(state, shard))??;
            let after = match from {
                Begin::Start => ends.start,
                Begin::Now => ends.now,
                Begin::After(position) => position.0.get(&shard.0).copied().unwrap_or(ends.start),
            };
            at.push((shard, after));
        }
        Ok(Feed { inner: Arc::clone(inner), follow, at, turn: 0, waiting })
    }

    /// Up to `max`, at least one: waits until there is one. Those of a shard come in their order, those of several as
    /// they are found. If the future is dropped, nothing is passed over.
    ///
    /// # Errors
    ///
    /// If the engine has ended or cannot be read, or some of what happened is not kept any more
    /// ([`crate::error::Kind::Gone`]): then all is read anew.
    pub async fn next(&mut self, max: usize) -> Result<Vec<F::Found>, Error> {
        loop {
            let woken = self.waiting.woken();
            let (found, end) = Round { inner: &self.inner, follow: &self.follow, max: max.max(1) }
                .look(&mut self.at, &mut self.turn)?;
            if !found.is_empty() {
                return Ok(found);
            }
            match end {
                true => woken.await,
                // Much was passed over, and others of this thread shall have their turn.
                false => tokio::task::yield_now().await,
            }
            self.inner.may_go_on()?;
        }
    }

    /// Goes on with what happens from now on, whatever was missed.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn skip(&mut self) -> Result<(), Error> {
        for (shard, after) in &mut self.at {
            *after = self.inner.read(*shard, |state, _| self.follow.ends(state, *shard))??.now;
        }
        Ok(())
    }

    pub(crate) fn inner(&self) -> &Arc<Inner<L, S>> {
        &self.inner
    }

    pub(crate) fn followed(&self) -> &F {
        &self.follow
    }

    /// Up to where it was had: who begins after it has what [`Feed::next`] would return now.
    pub fn position(&self) -> Position {
        Position(self.at.iter().map(|(shard, after)| (shard.0, *after)).collect())
    }
}

/// A look at all shards.
struct Round<'a, L, S, F> {
    inner: &'a Inner<L, S>,
    follow: &'a F,
    max: usize,
}

impl<L: Log, S: Store, F: Follow> Round<'_, L, S, F> {
    /// What there is, and whether all of it has been looked at.
    fn look(&self, at: &mut [(Shard, u64)], turn: &mut usize) -> Result<(Vec<F::Found>, bool), Error> {
        let (mut found, mut end) = (Vec::new(), true);
        let count = at.len();
        for step in 0..count {
            let place = (*turn + step) % count;
            let (shard, after) = at[place];
            let looked = self.shard(shard, after, self.max - found.len())?;
            at[place].1 = looked.after;
            end &= looked.end;
            found.extend(looked.found.into_iter().map(|(found, _)| found));
            if found.len() == self.max {
                *turn = (place + 1) % count;
                return Ok((found, false));
            }
        }
        Ok((found, end))
    }

    fn shard(&self, shard: Shard, after: u64, max: usize) -> Result<Looked<F::Found>, Error> {
        'again: loop {
            let mut looked =
                self.inner.read(shard, |state, now| self.follow.look(state, now, after, max))??;
            for (found, stored) in &mut looked.found {
                // What was let go since then is not there any more when it is looked at again.
                let Some(payloads) = self.inner.payloads(shard, stored)? else { continue 'again };
                F::fill(found, payloads);
            }
            return Ok(looked);
        }
    }
}

impl Position {
    /// What there is of it, by shard.
    pub(crate) fn parts(&self) -> &BTreeMap<u32, u64> {
        &self.0
    }

    /// Of these shards; where nothing was had it says nothing.
    pub(crate) fn of_parts(parts: impl IntoIterator<Item = (u32, u64)>) -> Position {
        Position(parts.into_iter().filter(|(_, after)| *after > 0).collect())
    }

    /// That of a feed that follows one shard.
    pub(crate) fn of(shard: Shard, after: u64) -> Position {
        Position(BTreeMap::from([(shard.0, after)]))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (shard, after)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{shard}:{after}")?;
        }
        Ok(())
    }
}

impl FromStr for Position {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Position, Refusal> {
        let odd =
            || Refusal::new(Code::Invalid, format!("{text:?} is no position that a feed has given out"));
        let part = |part: &str| {
            let (shard, after) = part.split_once(':')?;
            Some((shard.parse().ok()?, after.parse().ok()?))
        };
        let parts = text.split(',').filter(|part| !part.is_empty());
        parts.map(|one| part(one).ok_or_else(odd)).collect::<Result<_, _>>().map(Position)
    }
}

//! Payloads, which the state points to.
//!
//! A payload comes in an entry and lies in the log from then on. Copying it into the state as well
//! would double what every message costs to write, so the state holds a [`Stored`]: the entry's
//! sequence and the payload's place in it. What is small is kept in line.
//!
//! How often a payload is pointed to is counted under [`Table::Kept`]. When nobody points to it any
//! more its place in the log may be given up; when the log is to be shortened and somebody still
//! does, the engine puts the payload's bytes beside the count ([`Kept::moved`]). The machine neither
//! knows nor cares.

use bytes::Bytes;
use prost::Message;

use crate::key::{Key, Parts, Table};
use crate::limits::INLINE_BYTES_MAX;
use crate::state::State;

/// A payload in an entry: its place among the entry's payloads, from zero.
pub type Body = u32;

/// Where a payload is that the state points to.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Stored {
    /// The payload itself, if it is small.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub inline: Option<Bytes>,
    /// Otherwise the sequence of the entry that brought it,
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    /// its place among that entry's payloads
    #[prost(uint32, tag = "3")]
    pub index: Body,
    /// and its length in bytes.
    #[prost(uint32, tag = "4")]
    pub length: u32,
}

impl Stored {
    /// The payload's length in bytes.
    pub fn len(&self) -> usize {
        self.inline.as_ref().map_or(self.length as usize, Bytes::len)
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What is known of a payload that lies in the log: a value under [`Table::Kept`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Kept {
    /// How often the state points to it.
    #[prost(uint32, tag = "1")]
    pub pointers: u32,
    /// Its length in bytes.
    #[prost(uint32, tag = "2")]
    pub length: u32,
    /// Its bytes, once the engine has taken it out of the log. Where a payload lies is no part of
    /// what the state means: two states that differ in nothing else are equal.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub moved: Option<Bytes>,
    /// Whether the engine found it damaged when it was to take it out of the log. As little a part of what the state
    /// means as where it lies.
    #[prost(bool, tag = "4")]
    pub lost: bool,
}

impl Kept {
    /// Whether it lies in the log.
    pub fn is_in_log(&self) -> bool {
        self.moved.is_none() && !self.lost
    }
}

/// The key of what is known of a payload.
pub fn key(sequence: u64, index: Body) -> Key {
    Key::new(Table::Kept).u64(sequence).u32(index)
}

/// The payload that a key of [`Table::Kept`] is of: its entry's sequence and its place there.
pub fn of_key(key: &[u8]) -> Option<(u64, Body)> {
    let mut parts = Parts::of(key);
    Some((parts.u64()?, parts.u32()?))
}

/// Points to a payload that came as the `index`th of the entry `sequence`, for the `first` time or again.
pub(crate) fn place(state: &mut dyn State, sequence: u64, index: Body, bytes: &Bytes, first: bool) -> Stored {
    if bytes.len() <= INLINE_BYTES_MAX {
        // A copy: a slice would keep the whole of what was read from a socket in memory.
        return Stored { inline: Some(Bytes::copy_from_slice(bytes)), ..Stored::default() };
    }
    let stored = Stored { inline: None, sequence, index, length: bytes.len() as u32 };
    if first {
        // Nothing can be known of it yet, so nothing is looked up: this is on the way of every message.
        keep(state, &stored, Kept { pointers: 1, length: stored.length, ..Kept::default() });
    } else {
        point(state, &stored);
    }
    stored
}

fn keep(state: &mut dyn State, stored: &Stored, kept: Kept) {
    state.insert(key(stored.sequence, stored.index), kept.encode_to_vec().into());
    state.kept(i64::from(stored.length));
}

/// Points once more to what something points to already.
pub(crate) fn point(state: &mut dyn State, stored: &Stored) {
    if stored.inline.is_some() {
        return;
    }
    let mut is_new = false;
    state.update(key(stored.sequence, stored.index), &mut |known| {
        let mut kept = known.and_then(decode).unwrap_or_else(|| {
            is_new = true;
            Kept { length: stored.length, ..Kept::default() }
        });
        kept.pointers += 1;
        Some(kept.encode_to_vec().into())
    });
    if is_new {
        state.kept(i64::from(stored.length));
    }
}

/// Points to it no longer.
pub(crate) fn release(state: &mut dyn State, stored: &Stored) {
    if stored.inline.is_some() {
        return;
    }
    let mut freed = 0;
    state.update(key(stored.sequence, stored.index), &mut |known| {
        let Some(mut kept) = known.and_then(decode) else {
            debug_assert!(false, "a payload is let go that nothing pointed to: {stored:?}");
            return None;
        };
        kept.pointers = kept.pointers.saturating_sub(1);
        if kept.pointers > 0 {
            return Some(kept.encode_to_vec().into());
        }
        if kept.is_in_log() {
            freed = i64::from(kept.length);
        }
        None
    });
    if freed > 0 {
        state.kept(-freed);
    }
}

fn decode(kept: Bytes) -> Option<Kept> {
    Kept::decode(kept).ok()
}

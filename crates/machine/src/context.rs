//! What a command may touch while it is applied.

use bytes::Bytes;

use crate::body::{self, Body, Stored};
use crate::effect::{Channel, Effect};
use crate::key::Key;
use crate::placement::Shard;
use crate::refusal::{Code, Refusal};
use crate::state::{Order, Read, State, Visit};
use crate::time::Time;

/// What a command may touch while it is applied: the state, the entry's time and payloads, and the
/// list of effects.
///
/// A command that refuses MUST have written nothing: it looks first and writes then.
pub struct Context<'a> {
    state: &'a mut dyn State,
    shard: Shard,
    sequence: u64,
    time: Time,
    bodies: Bodies<'a>,
    /// Below this place the entry's payloads may be pointed to already.
    placed: Body,
    effects: &'a mut Vec<Effect>,
}

/// A command's payloads.
#[derive(Clone, Copy)]
pub(crate) enum Bodies<'a> {
    /// Those of the entry that is applied.
    Fresh(&'a [Bytes]),
    /// What the state points to already: a command that the shard sent to itself.
    Stored(&'a [Stored]),
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        state: &'a mut dyn State,
        shard: Shard,
        sequence: u64,
        time: Time,
        bodies: Bodies<'a>,
        effects: &'a mut Vec<Effect>,
    ) -> Context<'a> {
        Context { state, shard, sequence, time, bodies, placed: 0, effects }
    }

    /// The same with other payloads, for a command inside of another.
    pub(crate) fn with<'b>(&'b mut self, bodies: Bodies<'b>) -> Context<'b> {
        Context::new(self.state, self.shard, self.sequence, self.time, bodies, self.effects)
    }

    /// The shard itself.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// The entry's sequence: greater than that of every entry before.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The entry's time.
    pub fn time(&self) -> Time {
        self.time
    }

    /// The state, to be read.
    pub fn state(&self) -> &dyn State {
        self.state
    }

    /// Puts a message under `key`.
    pub fn put(&mut self, key: Key, value: &impl prost::Message) {
        self.state.put(key, value.encode_to_vec().into());
    }

    /// Puts a message under `key`, where nothing is: see [`State::insert`].
    pub fn insert(&mut self, key: Key, value: &impl prost::Message) {
        self.state.insert(key, value.encode_to_vec().into());
    }

    /// Puts bytes under `key`.
    pub fn put_bytes(&mut self, key: Key, value: Bytes) {
        self.state.put(key, value);
    }

    /// Puts bytes under `key`, where nothing is: see [`State::insert`].
    pub fn insert_bytes(&mut self, key: Key, value: Bytes) {
        self.state.insert(key, value);
    }

    /// Takes away what is under `key`.
    pub fn delete(&mut self, key: Key) {
        self.state.delete(key);
    }

    /// The message under `key`; its default if there is none.
    pub fn get_or_default<M: prost::Message + Default>(&self, key: &Key) -> M {
        self.get(key).unwrap_or_default()
    }

    /// The message under `key`.
    pub fn get<M: prost::Message + Default>(&self, key: &Key) -> Option<M> {
        read(self.state, key)
    }

    /// As [`Context::get_or_default`], for settings: see [`State::recall`].
    pub fn recall<M: prost::Message + Default>(&mut self, key: Key) -> M {
        let value = self.state.recall(key.clone());
        value.map(|value| decode(key.as_bytes(), value)).unwrap_or_default()
    }

    /// Visits the pairs with `from <= key < to` in `order`, until `visit` breaks.
    pub fn scan(&self, from: &Key, to: &Key, order: Order, visit: &mut Visit<'_>) {
        self.state.scan(from.as_bytes(), to.as_bytes(), order, visit);
    }

    /// The length in bytes of one of the command's payloads.
    ///
    /// # Errors
    ///
    /// If the command has no such payload.
    pub fn length(&self, body: Body) -> Result<usize, Refusal> {
        match self.bodies {
            Bodies::Fresh(bodies) => bodies.get(body as usize).map(Bytes::len),
            Bodies::Stored(bodies) => bodies.get(body as usize).map(Stored::len),
        }
        .ok_or_else(|| no_body(body))
    }

    /// Points to one of the command's payloads; each call is a pointer more, to be given back by
    /// [`Context::release`].
    ///
    /// # Errors
    ///
    /// If the command has no such payload: [`Context::length`] tells before anything is written.
    pub fn store(&mut self, body: Body) -> Result<Stored, Refusal> {
        match self.bodies {
            Bodies::Fresh(bodies) => {
                let bytes = bodies.get(body as usize).ok_or_else(|| no_body(body))?;
                let first = body >= self.placed;
                self.placed = self.placed.max(body + 1);
                Ok(body::place(self.state, self.sequence, body, bytes, first))
            }
            Bodies::Stored(bodies) => {
                let stored = bodies.get(body as usize).ok_or_else(|| no_body(body))?;
                body::point(self.state, stored);
                Ok(stored.clone())
            }
        }
    }

    /// Points once more to a payload that the state points to.
    pub fn share(&mut self, stored: &Stored) -> Stored {
        body::point(self.state, stored);
        stored.clone()
    }

    /// Gives a pointer to a payload back.
    pub fn release(&mut self, stored: &Stored) {
        body::release(self.state, stored);
    }

    /// Wakes who waits at `channel`, once the entry is durable.
    pub fn wake(&mut self, channel: Channel) {
        self.effect(Effect::Wake(channel));
    }

    /// Adds an effect, unless it is there already.
    pub(crate) fn effect(&mut self, effect: Effect) {
        if !self.effects.contains(&effect) {
            self.effects.push(effect);
        }
    }
}

/// The message under `key` in a state that is only read.
///
/// # Panics
///
/// If what is there is no such message, which means that the store is damaged or of a version that
/// should not have been opened: going on would spread it.
pub fn read<M: prost::Message + Default>(state: &(impl Read + ?Sized), key: &Key) -> Option<M> {
    let bytes = state.get(key.as_bytes())?;
    Some(decode(key.as_bytes(), bytes))
}

/// What a scan found, as a message.
///
/// # Panics
///
/// As [`read`].
pub fn decode<M: prost::Message + Default>(key: &[u8], value: Bytes) -> M {
    M::decode(value).unwrap_or_else(|error| {
        panic!("the state holds something else than {} under {key:?}: {error}", std::any::type_name::<M>())
    })
}

fn no_body(body: Body) -> Refusal {
    Refusal::new(Code::Invalid, format!("the command speaks of payload {body}, which did not come with it"))
}

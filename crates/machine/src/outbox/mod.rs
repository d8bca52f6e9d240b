//! Commands from shard to shard, applied exactly once.
//!
//! What an entry sends lies in the sender's state from the same commit on, numbered without gaps for each
//! receiver: the outbox. The engine proposes it there as a [`Deliver`] as often as it takes. The
//! receiver remembers for each sender up to which number it has applied: the inbox. What comes again is
//! known by its number, what would leave a gap is refused, and once the receiver has it durably the
//! engine has the sender forget it ([`Delivered`]). No two-phase commit, and nothing in doubt: the
//! sender's entry decides.
//!
//! What a shard sends to itself is applied in the same entry.

mod deliver;
mod delivered;

pub use deliver::Deliver;
pub use delivered::Delivered;

use std::ops::ControlFlow;

use crate::body::{Body, Stored};
use crate::command::Command;
use crate::context::{Bodies, Context, decode, read};
use crate::effect::Effect;
use crate::key::{Key, Table, last_number};
use crate::limits::ENTRY_SENDS_MAX;
use crate::placement::Shard;
use crate::refusal::{Code, Refusal};
use crate::state::{Order, Read};

/// Most commands that are on their way to a shard: a million. A request that would send more is refused.
pub const ON_THE_WAY_MAX: u64 = 1_000_000;
/// When the blocks send none of their own any more: what an entry sends besides has its room, which was looked at
/// before its command was applied.
pub const ON_THE_WAY_OF_BLOCKS_MAX: u64 = ON_THE_WAY_MAX - ENTRY_SENDS_MAX as u64;

/// A command that an entry sends to a shard.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Send {
    /// The shard's number.
    #[prost(uint32, tag = "1")]
    pub target: u32,
    /// What it shall do.
    #[prost(message, required, boxed, tag = "2")]
    pub command: Box<Command>,
    /// Which of the entry's payloads are that command's, in its order.
    #[prost(uint32, repeated, tag = "3")]
    pub bodies: Vec<Body>,
}

/// A command on its way: a value under [`Table::Outbox`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Parcel {
    /// What shall be done.
    #[prost(message, required, boxed, tag = "1")]
    pub command: Box<Command>,
    /// Its payloads.
    #[prost(message, repeated, tag = "2")]
    pub bodies: Vec<Stored>,
}

impl Send {
    /// `command` for the shard `target`, without payloads.
    pub fn new(target: Shard, command: impl Into<Command>) -> Send {
        Send { target: target.0, command: Box::new(command.into()), bodies: Vec::new() }
    }

    pub(crate) fn check(&self, bodies: usize) -> Result<(), Refusal> {
        if self.bodies.iter().any(|body| *body as usize >= bodies) {
            return Err(Refusal::new(
                Code::Invalid,
                "a command to another shard speaks of a payload that is not there",
            ));
        }
        self.command.check_sent()
    }
}

impl Context<'_> {
    /// Sends `target` the command that `make` makes, with payloads that the state points to: each is pointed to once
    /// more.
    ///
    /// # Errors
    ///
    /// If the way there is full. Nothing has been written then, and no command made.
    pub fn send(
        &mut self,
        target: Shard,
        bodies: &[Stored],
        make: impl FnOnce() -> Command,
    ) -> Result<(), Refusal> {
        if target == self.shard() {
            let bodies: Vec<_> = bodies.iter().map(|body| self.share(body)).collect();
            self.send_to_itself(&make(), &bodies);
            return Ok(());
        }
        let way = way(self.state(), target);
        way.room_for(1, target, ON_THE_WAY_OF_BLOCKS_MAX)?;
        let bodies = bodies.iter().map(|body| self.share(body)).collect();
        self.put_on_the_way(way, target, make(), bodies);
        Ok(())
    }

    /// Sends what an entry sends besides its command: that there is [`room`] has been looked at. The pointers pass
    /// over: the caller does not release them.
    pub(crate) fn send_besides(&mut self, target: Shard, command: Command, bodies: Vec<Stored>) {
        if target == self.shard() {
            self.send_to_itself(&command, &bodies);
        } else {
            self.put_on_the_way(way(self.state(), target), target, command, bodies);
        }
    }

    fn put_on_the_way(&mut self, mut way: Way, target: Shard, command: Command, bodies: Vec<Stored>) {
        way.sent += 1;
        self.put(way_key(target), &way);
        self.put(parcel_key(target, way.sent), &Parcel { command: Box::new(command), bodies });
        self.effect(Effect::Outbox(target));
    }

    fn send_to_itself(&mut self, command: &Command, bodies: &[Stored]) {
        let outcome = command.apply(&mut self.with(Bodies::Stored(bodies)));
        for stored in bodies {
            self.release(stored);
        }
        if let Err(refusal) = outcome {
            let source = self.shard();
            self.effect(Effect::Undeliverable { source, refusal });
        }
    }
}

/// What is on its way to `target` with a number above `after`, up to `max` of them: each with its number.
pub fn on_the_way(state: &(impl Read + ?Sized), target: Shard, after: u64, max: usize) -> Vec<(u64, Parcel)> {
    let way = way(state, target);
    let from = parcel_key(target, way.delivered.max(after) + 1);
    let to = parcel_key(target, way.sent + 1);
    let mut parcels = Vec::new();
    state.scan(from.as_bytes(), to.as_bytes(), Order::Forwards, &mut |key, value| {
        if parcels.len() == max {
            return ControlFlow::Break(());
        }
        parcels.push((last_number(key), decode(key, value.clone())));
        ControlFlow::Continue(())
    });
    parcels
}

/// The shards that something is on its way to.
pub fn targets(state: &(impl Read + ?Sized)) -> Vec<Shard> {
    let ways = sent(state).into_iter().filter(|way| way.sent > way.delivered);
    ways.map(|way| way.target).collect()
}

/// What was ever sent to a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentTo {
    /// To which.
    pub target: Shard,
    /// The number of the last command.
    pub sent: u64,
    /// Up to which number it has them: those are forgotten here.
    pub delivered: u64,
}

/// What was ever sent, for each shard that something was sent to.
pub fn sent(state: &(impl Read + ?Sized)) -> Vec<SentTo> {
    let mut all = Vec::new();
    state.scan_prefix(&ways_key(), &mut |key, value| {
        let target = ways_key().rest_of(key).and_then(|rest| Some(u32::from_be_bytes(rest.try_into().ok()?)));
        let Way { sent, delivered } = decode(key, value.clone());
        all.push(SentTo { target: Shard(target.expect("the key names a shard")), sent, delivered });
        ControlFlow::Continue(())
    });
    all
}

/// Refuses a request that sends more than there is room for on the ways to its targets.
pub(crate) fn room(state: &(impl Read + ?Sized), sends: &[Send]) -> Result<(), Refusal> {
    for send in sends {
        let target = Shard(send.target);
        way(state, target).room_for(sends.len() as u64, target, ON_THE_WAY_MAX)?;
    }
    Ok(())
}

/// How far what goes to a shard has come: a value under [`Table::Shard`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct Way {
    /// The number of the last command that was sent there.
    #[prost(uint64, tag = "1")]
    sent: u64,
    /// Up to which number it has them: those are forgotten here.
    #[prost(uint64, tag = "2")]
    delivered: u64,
}

impl Way {
    /// Refuses `more` commands if more than `max` would be on their way then.
    fn room_for(self, more: u64, target: Shard, max: u64) -> Result<(), Refusal> {
        let under_way = self.sent - self.delivered;
        if under_way + more > max {
            let many =
                format!("{under_way} commands are on their way to shard {}; {max} are the most", target.0);
            return Err(Refusal::new(Code::Limit, many));
        }
        Ok(())
    }
}

fn way(state: &(impl Read + ?Sized), target: Shard) -> Way {
    read(state, &way_key(target)).unwrap_or_default()
}

/// The number of the last command of `source` that has been applied; zero if none ever was.
pub fn last_applied(state: &(impl Read + ?Sized), source: Shard) -> u64 {
    let number = state.get(inbox_key(source).as_bytes());
    number.map_or(0, |number| {
        u64::from_be_bytes(number.as_ref().try_into().expect("the state holds the number of a command"))
    })
}

fn parcel_key(target: Shard, number: u64) -> Key {
    Key::new(Table::Outbox).u32(target.0).u64(number)
}

fn way_key(target: Shard) -> Key {
    ways_key().u32(target.0)
}

fn ways_key() -> Key {
    Key::new(Table::Shard).name("ways")
}

fn inbox_key(source: Shard) -> Key {
    Key::new(Table::Inbox).u32(source.0)
}

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
use crate::placement::Shard;
use crate::refusal::{Code, Refusal};
use crate::state::{Order, Read};

/// Most commands that may be on their way to a shard when a request sends it more: a million. What the
/// blocks send by themselves is not refused.
pub const ON_THE_WAY_MAX: u64 = 1_000_000;

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
    /// Sends `command` to `target` with payloads that the state points to. The pointers pass over: the
    /// caller does not release them.
    pub fn send(&mut self, target: Shard, command: Command, bodies: Vec<Stored>) {
        if target == self.shard() {
            self.send_to_itself(&command, &bodies);
            return;
        }
        let mut way = way(self.state(), target);
        way.sent += 1;
        self.put(way_key(target), &way);
        self.put(parcel_key(target, way.sent), &Parcel { command: Box::new(command), bodies });
        self.effect(Effect::Outbox(target));
    }

    /// Whether there is room for one more command on the way to `target`, for what need not be sent now.
    pub fn has_room_to(&self, target: Shard) -> bool {
        let way = way(self.state(), target);
        way.sent - way.delivered < ON_THE_WAY_MAX
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
    let mut targets = Vec::new();
    state.scan_prefix(&ways_key(), &mut |key, value| {
        let target = ways_key().rest_of(key).and_then(|rest| Some(u32::from_be_bytes(rest.try_into().ok()?)));
        let way: Way = decode(key, value.clone());
        if way.sent > way.delivered {
            targets.push(Shard(target.expect("the key names a shard")));
        }
        ControlFlow::Continue(())
    });
    targets
}

/// Refuses a request that sends more than there is room for on the ways to its targets.
pub(crate) fn room(state: &(impl Read + ?Sized), sends: &[Send]) -> Result<(), Refusal> {
    for send in sends {
        let way = way(state, Shard(send.target));
        if way.sent - way.delivered + sends.len() as u64 > ON_THE_WAY_MAX {
            let many = format!(
                "{} commands are on their way to shard {}; {ON_THE_WAY_MAX} are the most",
                way.sent - way.delivered,
                send.target
            );
            return Err(Refusal::new(Code::Limit, many));
        }
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

fn way(state: &(impl Read + ?Sized), target: Shard) -> Way {
    read(state, &way_key(target)).unwrap_or_default()
}

fn last_applied(state: &(impl Read + ?Sized), source: Shard) -> u64 {
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

//! What clients ask for: commands of all blocks, on few names, so that they meet.

pub mod config;
mod job;
mod kv;
mod lock;
mod queue;
mod stream;
mod topic;

use bytes::Bytes;
use machine::idempotency::Idempotency;
use machine::outbox::Send;
use machine::{Command, Entry, Shard, Shards, Time};

use crate::model::Model;
use crate::requests::{Id, Request};
use crate::rng::Rng;

/// What a client looks at when it thinks of something to ask.
pub struct Glance<'a> {
    pub rng: &'a mut Rng,
    pub model: &'a Model,
    pub shard: Shard,
    pub now: Time,
    pub shards: Shards,
    /// The request's number.
    pub id: Id,
}

#[derive(Clone, Copy)]
enum Block {
    Kv,
    Topic,
    Queue,
    Lock,
    Stream,
    Job,
    Config,
}

/// What clients of a run ask for: of some blocks much, of others nothing, for where there is a little of everything
/// nothing gets far (Groce et al., "Swarm testing", 2012).
pub struct Mix(Vec<(u32, Block)>);

impl Mix {
    pub fn new(rng: &mut Rng) -> Mix {
        let blocks = [
            (4, Block::Kv),
            (4, Block::Topic),
            (5, Block::Queue),
            (2, Block::Lock),
            (4, Block::Stream),
            (4, Block::Job),
            (2, Block::Config),
        ];
        let always = rng.below(blocks.len());
        let is_in = |at: usize, rng: &mut Rng| at == always || rng.chance(40);
        Mix((0..).zip(blocks).filter(|(at, _)| is_in(*at, rng)).map(|(_, block)| block).collect())
    }
}

/// Something to ask of a shard.
pub fn entry(glance: &mut Glance<'_>, mix: &Mix) -> Entry {
    let mut entry = match glance.rng.weighted(&mix.0) {
        Block::Kv => kv::entry(glance),
        Block::Topic => topic::entry(glance),
        Block::Queue => queue::entry(glance),
        Block::Lock => lock::entry(glance),
        Block::Stream => stream::entry(glance),
        Block::Job => job::entry(glance),
        Block::Config => config::entry(glance),
    };
    if glance.rng.chance(25) {
        for _ in 0..=glance.rng.below(3) {
            let target = target(glance);
            let command = sent(glance);
            entry.bodies.push(payload(glance.rng, glance.id, entry.bodies.len()));
            let bodies = vec![glance.rng.below(entry.bodies.len()) as u32];
            entry.sends.push(Send { target: target.0, command: Box::new(command), bodies });
        }
    }
    entry.idempotency = idempotency(glance);
    entry
}

/// Any shard; seldom one that there is not.
fn target(glance: &mut Glance<'_>) -> Shard {
    let count = glance.shards.count();
    Shard(if glance.rng.chance(4) { count } else { glance.rng.below(count as usize) as u32 })
}

/// What a shard sends to another: a command with one payload.
fn sent(glance: &mut Glance<'_>) -> Command {
    match glance.rng.below(4) {
        0 => kv::put(glance).into(),
        1 => topic::publish(glance).into(),
        2 => stream::append_one(glance).into(),
        _ => queue::send(glance, 1).into(),
    }
}

/// Most can ask again, since they have a key that is remembered for long.
fn idempotency(glance: &mut Glance<'_>) -> Option<Idempotency> {
    let remember_ms = match glance.rng.below(10) {
        0 => return None,
        1 => glance.rng.between(1, 60_000),
        _ => REMEMBER_MS,
    };
    let key = glance.id.to_string();
    Some(Idempotency { scope: "client".to_owned(), key, fingerprint: glance.id as u64, remember_ms })
}

/// Whether a request may come again.
pub fn is_asked_again(request: &Request) -> bool {
    request.entry.idempotency.as_ref().is_some_and(|idempotency| idempotency.remember_ms == REMEMBER_MS)
}

/// A payload that no other request has, of which some stay in line, some in the log.
pub fn payload(rng: &mut Rng, id: Id, index: usize) -> Bytes {
    let length = match rng.below(10) {
        0 => 0,
        1..4 => rng.between(1, 128),
        _ => rng.between(129, 1_000),
    };
    let word = format!("<{id}.{index}>");
    word.bytes().cycle().take(length as usize).collect::<Vec<u8>>().into()
}

/// Longer than any simulation.
const REMEMBER_MS: u64 = 10 * 365 * 86_400_000;

//! Several shards that send each other commands over a network that loses, repeats and reorders.
//!
//! Each shard's log takes an entry that puts an item of its own and sends others a command, in one
//! commit. A receiver keeps its changes, so what arrived there, how often and in which order can be told
//! afterwards. The same is done with receivers that have no inbox: there it must fail.

mod world;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use machine::body::{self, Kept, Stored};
use machine::changes::Keep;
use machine::idempotency::Idempotency;
use machine::job;
use machine::kv::{self, Define, Item, Put};
use machine::limits::ENTRY_SENDS_MAX;
use machine::outbox::{self, Deliver, Delivered, ON_THE_WAY_MAX, ON_THE_WAY_OF_BLOCKS_MAX, Parcel, Send};
use machine::{Code, Effect, Entry, Memory, Refusal, Reply, Shard, Table, apply};
use proptest::prelude::*;
use prost::Message;
use world::{SHARD, World, fill_way, table};

/// A shard and its log.
#[derive(Default)]
struct Node {
    state: Memory,
    log: Vec<Bytes>,
    effects: Vec<Effect>,
}

impl Node {
    fn run(&mut self, shard: Shard, entry: Entry) -> Result<Reply, Refusal> {
        entry.check(1 << 20)?;
        let mut buffer = BytesMut::new();
        entry.encode(&mut buffer);
        self.log.push(buffer.freeze());
        self.effects.clear();
        apply(&mut self.state, shard, self.log.len() as u64, &entry, &mut self.effects)
    }

    fn body(&self, stored: &Stored) -> Bytes {
        stored.inline.clone().unwrap_or_else(|| {
            machine::entry::body(self.log[stored.sequence as usize - 1].clone(), stored.index).unwrap()
        })
    }

    fn replayed(&self, shard: Shard) -> Memory {
        let mut state = Memory::new();
        for (index, bytes) in self.log.iter().enumerate() {
            let entry = Entry::decode(bytes.clone()).unwrap();
            let _ = apply(&mut state, shard, index as u64 + 1, &entry, &mut Vec::new());
        }
        state
    }
}

/// What is on the network.
#[derive(Clone, Debug)]
enum Letter {
    Deliver { target: Shard, entry: Entry },
    Delivered { source: Shard, entry: Entry },
}

/// Whether receivers are as they shall be.
#[derive(Clone, Copy, PartialEq)]
enum Receivers {
    Sound,
    /// They apply whatever comes: what the inbox is there to prevent.
    WithoutInbox,
}

struct Shards {
    nodes: Vec<Node>,
    network: Vec<Letter>,
    receivers: Receivers,
    /// What was sent from where to where, in order.
    sent: BTreeMap<(usize, usize), Vec<Vec<u8>>>,
}

#[derive(Clone, Debug)]
enum Step {
    /// `source` puts an item and sends `targets` a command each; refused where `refused`.
    Send { source: usize, targets: Vec<usize>, large: bool, refused: bool },
    /// The outbox of `source` for `target` is looked at, and what is there put on the network.
    Post { source: usize, target: usize, max: usize },
    /// One message on the network arrives. It may arrive once more.
    Arrive { which: prop::sample::Index, again: bool },
    /// One message on the network is lost.
    Lose { which: prop::sample::Index },
}

impl Shards {
    fn new(receivers: Receivers) -> Shards {
        let mut nodes: Vec<Node> = (0..COUNT).map(|_| Node::default()).collect();
        for (number, node) in nodes.iter_mut().enumerate() {
            let changes = Some(Keep { values: true, ..Keep::default() });
            node.run(
                Shard(number as u32),
                Entry::new(Define { store: "box".into(), changes, spread: false }),
            )
            .unwrap();
        }
        Shards { nodes, network: Vec::new(), receivers, sent: BTreeMap::new() }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Send { source, targets, large, refused } => self.send(*source, targets, *large, *refused),
            Step::Post { source, target, max } => self.post(*source, *target, *max),
            Step::Arrive { which, again } if !self.network.is_empty() => {
                let index = which.index(self.network.len());
                let message =
                    if *again { self.network[index].clone() } else { self.network.swap_remove(index) };
                self.arrive(message);
            }
            Step::Lose { which } if !self.network.is_empty() => {
                self.network.swap_remove(which.index(self.network.len()));
            }
            Step::Arrive { .. } | Step::Lose { .. } => {}
        }
    }

    fn send(&mut self, source: usize, targets: &[usize], large: bool, refused: bool) {
        let mut payload = format!("{source} sends {}", self.nodes[source].log.len()).into_bytes();
        payload.resize(if large { 500 } else { 50 }, b'.');
        let own = Put { store: "own".into(), key: "k".into(), ..Put::default() };
        let own = if refused { Put { etag: Some(u64::MAX), ..own } } else { own };
        let mut entry = Entry::new(own).with_body(payload.clone());
        for target in targets {
            let there = Put { store: "box".into(), key: format!("{source}").into(), ..Put::default() };
            entry.sends.push(Send { bodies: vec![0], ..Send::new(Shard(*target as u32), there) });
        }
        let outcome = self.nodes[source].run(Shard(source as u32), entry);
        assert_eq!(outcome.is_err(), refused);
        if !refused {
            for target in targets {
                self.sent.entry((source, *target)).or_default().push(payload.clone());
            }
        }
    }

    fn post(&mut self, source: usize, target: usize, max: usize) {
        let node = &self.nodes[source];
        for (number, parcel) in outbox::on_the_way(&node.state, Shard(target as u32), 0, max) {
            let bodies = parcel.bodies.iter().map(|stored| node.body(stored)).collect();
            let deliver = Deliver { source: source as u32, number, command: parcel.command };
            let entry = Entry { bodies, ..Entry::new(deliver) };
            self.network.push(Letter::Deliver { target: Shard(target as u32), entry });
        }
    }

    fn arrive(&mut self, message: Letter) {
        match message {
            Letter::Deliver { target, entry } => {
                let Some(machine::command::Kind::Deliver(deliver)) = &entry.command.kind else {
                    unreachable!()
                };
                let (source, number) = (Shard(deliver.source), deliver.number);
                let entry = match self.receivers {
                    Receivers::Sound => entry.clone(),
                    Receivers::WithoutInbox => Entry { command: (*deliver.command).clone(), ..entry.clone() },
                };
                match self.nodes[target.0 as usize].run(target, entry) {
                    Ok(_) => {
                        let entry = Entry::new(Delivered { target: target.0, number });
                        self.network.push(Letter::Delivered { source, entry });
                    }
                    Err(refusal) => assert_eq!(refusal.code(), Code::Conflict, "only a gap is refused"),
                }
            }
            Letter::Delivered { source, entry } => {
                self.nodes[source.0 as usize].run(source, entry).unwrap();
            }
        }
    }

    /// The network is well, until nothing is on the way.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 10_000, "it does not come to rest");
            for message in std::mem::take(&mut self.network) {
                self.arrive(message);
            }
            for source in 0..COUNT {
                for target in outbox::targets(&self.nodes[source].state) {
                    self.post(source, target.0 as usize, 3);
                }
            }
            if self.network.is_empty() {
                return;
            }
        }
    }

    /// What was sent is what arrived: each once, in its order.
    fn check(&self) -> Result<(), String> {
        for (source, target) in (0..COUNT).flat_map(|source| (0..COUNT).map(move |target| (source, target))) {
            let sent = self.sent.get(&(source, target)).cloned().unwrap_or_default();
            let arrived = self.arrived(source, target);
            if sent != arrived {
                return Err(format!(
                    "{source} sent {target} {} commands, {} arrived",
                    sent.len(),
                    arrived.len()
                ));
            }
        }
        Ok(())
    }

    fn arrived(&self, source: usize, target: usize) -> Vec<Vec<u8>> {
        let node = &self.nodes[target];
        let changes = kv::changes(&node.state, "box", 0, usize::MAX).unwrap().changes;
        let own = |change: &&(u64, machine::changes::Change)| change.1.key == format!("{source}").as_bytes();
        let values = changes.iter().filter(own).map(|(_, change)| change.value.as_ref().unwrap());
        values.map(|stored| node.body(stored).to_vec()).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_is_applied_once_and_in_order(steps in prop::collection::vec(step(), 1..80)) {
        let mut shards = Shards::new(Receivers::Sound);
        for step in &steps {
            shards.step(step);
        }
        shards.settle();
        prop_assert_eq!(shards.check(), Ok(()));
        for (number, node) in shards.nodes.iter().enumerate() {
            prop_assert!(table(&node.state, Table::Outbox).is_empty());
            prop_assert_eq!(counted(&node.state), kept(&node.state));
            prop_assert!(node.replayed(Shard(number as u32)) == node.state);
        }
    }

    /// At any time, also while commands are under way: an item and what was sent with it are there both or not at all.
    #[test]
    fn a_commit_and_what_it_sends_are_one(steps in prop::collection::vec(step(), 1..60)) {
        let mut shards = Shards::new(Receivers::Sound);
        for step in &steps {
            shards.step(step);
            for node in &shards.nodes {
                prop_assert_eq!(counted(&node.state), kept(&node.state));
            }
            for ((source, target), sent) in &shards.sent {
                let waiting: Vec<_> = outbox::on_the_way(&shards.nodes[*source].state, Shard(*target as u32), 0, usize::MAX);
                let arrived = shards.arrived(*source, *target).len();
                let waiting = waiting.last().map_or(arrived, |(number, _)| *number as usize);
                prop_assert_eq!(sent.len(), arrived.max(waiting), "something was sent, or not, apart from its item");
            }
        }
    }
}

#[test]
fn without_the_inbox_a_command_is_applied_twice() {
    goes_wrong_without_the_inbox(|shards| {
        shards.send(0, &[1], true, false);
        shards.post(0, 1, 10);
        let message = shards.network[0].clone();
        shards.arrive(message.clone());
        shards.arrive(message);
    });
}

#[test]
fn without_the_inbox_commands_are_applied_out_of_order() {
    goes_wrong_without_the_inbox(|shards| {
        shards.send(0, &[1], false, false);
        shards.send(0, &[1], true, false);
        shards.post(0, 1, 10);
        for message in std::mem::take(&mut shards.network).into_iter().rev() {
            shards.arrive(message);
        }
    });
}

fn goes_wrong_without_the_inbox(story: impl Fn(&mut Shards)) {
    let told = |receivers| {
        let mut shards = Shards::new(receivers);
        story(&mut shards);
        shards.settle();
        shards.check()
    };
    assert_eq!(told(Receivers::Sound), Ok(()));
    assert!(told(Receivers::WithoutInbox).is_err());
}

#[test]
fn what_a_shard_sends_to_itself_is_applied_in_the_same_entry() {
    let mut world = World::new();
    let mut entry = Entry::new(put("a")).with_body(vec![1; 500]);
    entry.sends = vec![Send { bodies: vec![0], ..Send::new(SHARD, put("b")) }];
    world.run(entry).unwrap();
    let item = kv::get(&world.state, "own", "", b"b", world.now()).unwrap();
    assert_eq!(item.etag, 1);
    assert!(table(&world.state, Table::Outbox).is_empty());
    world.check(pointers);
}

#[test]
fn what_is_refused_where_it_arrives_is_gone_and_told_of() {
    let mut world = World::new();
    let refused = Put { etag: Some(9), ..put("k") };
    let deliver = Deliver { source: 1, number: 1, command: Box::new(refused.into()) };
    world.run(Entry::new(deliver.clone()).with_body("v")).unwrap();
    let [Effect::Undeliverable { source, refusal }] = &world.effects[..] else {
        panic!("wanted {:?}", world.effects)
    };
    assert_eq!((*source, refusal.code()), (Shard(1), Code::Conflict));
    world.run(Entry::new(deliver).with_body("v")).unwrap();
    assert!(world.effects.is_empty(), "it is told of once");
    let next = Deliver { source: 1, number: 2, command: Box::new(put("k").into()) };
    world.run(Entry::new(next).with_body("v")).unwrap();
    world.check(pointers);
}

#[test]
fn what_is_acknowledged_late_or_ahead_does_no_harm() {
    let mut world = World::new();
    for _ in 0..3 {
        world.run(sending(Shard(1))).unwrap();
    }
    for (number, left) in [(2, 1), (1, 1), (0, 1), (9, 0), (3, 0)] {
        world.run(Entry::new(Delivered { target: 1, number })).unwrap();
        assert_eq!(outbox::on_the_way(&world.state, Shard(1), 0, 9).len(), left);
        world.check(pointers);
    }
    world.run(sending(Shard(1))).unwrap();
    assert_eq!(outbox::on_the_way(&world.state, Shard(1), 0, 9)[0].0, 4, "numbers go on");
    assert_eq!(outbox::targets(&world.state), [Shard(1)]);
}

#[test]
fn a_way_has_a_maximum() {
    let mut world = World::new();
    fill_way(&mut world.state, Shard(1), ON_THE_WAY_MAX);
    assert_eq!(world.run(sending(Shard(1))).unwrap_err().code(), Code::Limit);
    world.run(sending(Shard(2))).unwrap();
}

/// A job that is triggered sends its command, and the entry that triggers it as many more as one can.
#[test]
fn what_a_block_sends_and_what_goes_with_it_are_within_the_maximum_together() {
    let run = |before| {
        let mut world = World::new();
        let job = job::Put { target: 1, command: Box::new(put("there").into()), bodies: vec![0], ..daily() };
        world.run(Entry::new(job).with_body(vec![1; 500])).unwrap();
        fill_way(&mut world.state, Shard(1), before);
        let mut entry = Entry::new(job::Trigger { scope: String::new(), name: "daily".into() });
        entry.sends = vec![Send::new(Shard(1), put("there")); ENTRY_SENDS_MAX];
        let outcome = world.run(entry).map_err(|refusal| refusal.code());
        let sent = outbox::on_the_way(&world.state, Shard(1), before, usize::MAX);
        world.check_pointers(|state| job::get(state, "", "daily").unwrap().job.bodies);
        (outcome.err(), sent.last().map_or(before, |(number, _)| *number))
    };
    assert_eq!(run(ON_THE_WAY_OF_BLOCKS_MAX - 1), (None, ON_THE_WAY_MAX));
    assert_eq!(run(ON_THE_WAY_OF_BLOCKS_MAX), (Some(Code::Limit), ON_THE_WAY_OF_BLOCKS_MAX), "not the job's");
    assert_eq!(run(ON_THE_WAY_OF_BLOCKS_MAX + 1), (Some(Code::Limit), ON_THE_WAY_OF_BLOCKS_MAX + 1));
}

#[test]
fn a_request_that_comes_again_sends_nothing_more() {
    let mut world = World::new();
    let idempotency =
        Idempotency { scope: String::new(), key: "r".into(), fingerprint: 0, remember_ms: 1000 };
    for _ in 0..2 {
        let entry = Entry { idempotency: Some(idempotency.clone()), ..sending(Shard(1)) };
        world.run(entry).unwrap();
    }
    assert_eq!(outbox::on_the_way(&world.state, Shard(1), 0, 9).len(), 1);
}

#[test]
fn a_payload_that_is_not_there_is_not_sent() {
    let mut world = World::new();
    let mut entry = sending(Shard(1));
    entry.sends[0].bodies = vec![1];
    assert_eq!(world.run(entry).unwrap_err().code(), Code::Invalid);
}

#[test]
fn what_is_the_machines_own_is_not_sent() {
    let mut world = World::new();
    let acknowledge = Delivered { target: 1, number: 1 };
    let mut entry = sending(Shard(1));
    entry.sends.push(Send::new(SHARD, acknowledge));
    assert_eq!(world.run(entry).unwrap_err().code(), Code::Invalid);
    let nested = Deliver { source: 1, number: 1, command: Box::new(acknowledge.into()) };
    assert_eq!(world.run(Entry::new(nested)).unwrap_err().code(), Code::Invalid);
}

fn step() -> impl Strategy<Value = Step> {
    let shard = || 0..COUNT;
    let targets = prop::collection::vec(shard(), 0..4);
    let send = (shard(), targets, any::<bool>(), prop::bool::weighted(0.2))
        .prop_map(|(source, targets, large, refused)| Step::Send { source, targets, large, refused });
    let post = (shard(), shard(), 1..5usize)
        .prop_filter("none to itself", |(source, target, _)| source != target)
        .prop_map(|(source, target, max)| Step::Post { source, target, max });
    let arrive = (any::<prop::sample::Index>(), prop::bool::weighted(0.3))
        .prop_map(|(which, again)| Step::Arrive { which, again });
    let lose = any::<prop::sample::Index>().prop_map(|which| Step::Lose { which });
    prop_oneof![4 => send, 4 => post, 8 => arrive, 2 => lose]
}

fn daily() -> job::Put {
    job::Put { name: "daily".into(), schedule: Some(job::schedule("@daily").unwrap()), ..job::Put::default() }
}

fn put(key: &'static str) -> Put {
    Put { store: "own".into(), key: key.into(), ..Put::default() }
}

/// Puts an item, and sends another with a payload that stays in the log.
fn sending(target: Shard) -> Entry {
    let mut entry = Entry::new(put("k")).with_body(vec![1; 500]);

    entry.sends = vec![Send { bodies: vec![0], ..Send::new(target, put("there")) }];
    entry
}

fn pointers(state: &Memory) -> Vec<Stored> {
    let items = table(state, Table::KvItem).into_iter();
    items.map(|(_, value)| Item::decode(value).unwrap().value).collect()
}

/// How often each payload is pointed to by what is in the state.
fn counted(state: &Memory) -> BTreeMap<(u64, u32), u32> {
    let mut all = pointers(state);
    all.extend(
        table(state, Table::Outbox).into_iter().flat_map(|(_, value)| Parcel::decode(value).unwrap().bodies),
    );
    let changes = kv::changes(state, "box", 0, usize::MAX).unwrap().changes;
    all.extend(changes.into_iter().filter_map(|(_, change)| change.value));
    let mut counted = BTreeMap::new();
    for stored in all.iter().filter(|stored| stored.inline.is_none()) {
        *counted.entry((stored.sequence, stored.index)).or_default() += 1;
    }
    counted
}

fn kept(state: &Memory) -> BTreeMap<(u64, u32), u32> {
    let pairs = table(state, Table::Kept).into_iter();
    pairs.map(|(key, value)| (body::of_key(&key).unwrap(), Kept::decode(value).unwrap().pointers)).collect()
}

const COUNT: usize = 3;

//! Whatever was done, what is restored is what was backed up, and what is done then has the same outcome.

use std::time::Duration;

use engine::backup::Reader;
use machine::census::{Census, Payloads};
use machine::idempotency::Idempotency;
use machine::topic::{NewMessage, Publish};
use machine::{Command, Entry, Shard, config, kv, lock, outbox, queue, stream, timer};
use proptest::prelude::*;

use crate::world::{InMemory, World, back_up, big, key_value, pairs};

#[derive(Clone, Debug)]
enum Step {
    Do { shard: u32, what: What, size: u64, send_to: Option<u32>, asked_again: bool },
    Wait { millis: u64 },
}

#[derive(Clone, Debug)]
enum What {
    Put { key: u8, ttl_ms: u64 },
    Delete { key: u8 },
    Publish,
    Send { delay_ms: u64 },
    Receive,
    Lock { ttl_ms: u64 },
    Append,
    Configure { key: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let time = prop_oneof![Just(0), 500..20_000_u64];
    let what = prop_oneof![
        4 => (0..6_u8, time.clone()).prop_map(|(key, ttl_ms)| What::Put { key, ttl_ms }),
        2 => (0..6_u8).prop_map(|key| What::Delete { key }),
        3 => Just(What::Publish),
        3 => time.prop_map(|delay_ms| What::Send { delay_ms }),
        3 => Just(What::Receive),
        1 => (1..20_000_u64).prop_map(|ttl_ms| What::Lock { ttl_ms }),
        2 => Just(What::Append),
        1 => (0..3_u8).prop_map(|key| What::Configure { key }),
    ];
    let to = proptest::option::weighted(0.3, 0..4_u32);
    let done = (0..4_u32, what, 0..4_u64, to, any::<bool>()).prop_map(
        |(shard, what, size, send_to, asked_again)| Step::Do { shard, what, size, send_to, asked_again },
    );
    prop_oneof![8 => done, 1 => (1..15_000_u64).prop_map(|millis| Step::Wait { millis })]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_restored_is_what_was_and_goes_on_alike(
        before in proptest::collection::vec(step(), 1..50),
        after in proptest::collection::vec(step(), 1..25),
    ) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(run(&before, &after));
    }
}

async fn run(before: &[Step], after: &[Step]) {
    let world = World::new();
    let engine = world.open();
    for (number, step) in (0..).zip(before) {
        carry_out(&world, &engine, number, step).await;
    }
    // While some may be on its way between shards.
    let (on_the_way, _) = back_up(&engine);
    settle(&world, &engine).await;
    let arrived = world.restored(&on_the_way);
    let other = arrived.open();
    settle(&arrived, &other).await;
    assert_eq!(census(&other), census(&engine), "what was on its way arrives");
    drop(other);

    let (backup, summary) = back_up(&engine);
    assert_eq!(Reader::new(backup.as_slice()).expect("it is one").header().shards, summary.shards);
    let restored = world.restored(&backup);
    let other = restored.open();
    for shard in world.config.check().expect("shards").all() {
        assert_eq!(pairs(&other, shard), pairs(&engine, shard), "{shard:?}");
    }
    for (number, step) in (1000..).zip(after) {
        let outcomes = (
            carry_out(&world, &engine, number, step).await,
            carry_out(&restored, &other, number, step).await,
        );
        assert_eq!(outcomes.0, outcomes.1, "{step:?}");
        settle(&world, &engine).await;
        settle(&restored, &other).await;
        assert_eq!(census(&other), census(&engine), "after {step:?}");
    }
}

/// Whether it was taken.
async fn carry_out(world: &World, engine: &InMemory, number: u64, step: &Step) -> bool {
    match step {
        Step::Wait { millis } => {
            world.clock.advance(*millis);
            true
        }
        Step::Do { shard, what, size, send_to, asked_again } => {
            let mut entry = entry(what);
            let length = *size as usize * 70;
            entry.bodies.push(big(number).slice(..length));
            if let Some(target) = send_to {
                let publish = Publish { topic: "sent".to_owned(), partition: 0, message: NewMessage::new(0) };
                let command = Box::new(Command::from(publish));
                entry.sends.push(outbox::Send { target: *target, command, bodies: vec![0] });
            }
            // Some are known by a number that comes again later.
            entry.idempotency = asked_again.then(|| Idempotency {
                scope: "test".to_owned(),
                key: (number % 20).to_string(),
                fingerprint: 7,
                remember_ms: 15_000,
            });
            engine.propose(Shard(*shard), entry).await.is_ok()
        }
    }
}

fn entry(what: &What) -> Entry {
    let name = "name".to_owned();
    match what {
        What::Put { key, ttl_ms } => Entry::new(kv::Put { ttl_ms: *ttl_ms, ..key_value(&key.to_string()) }),
        What::Delete { key } => {
            let kv::Put { store, scope, key, .. } = key_value(&key.to_string());
            Entry::new(kv::Delete { store, scope, key, etag: None })
        }
        What::Publish => Entry::new(Publish { topic: name, partition: 0, message: NewMessage::new(0) }),
        What::Send { delay_ms } => {
            let item = queue::SendItem { delay_ms: *delay_ms, ..queue::SendItem::default() };
            Entry::new(queue::Send { queue: name, items: vec![item] })
        }
        What::Receive => Entry::new(queue::Receive {
            queue: name,
            consumer: "one".to_owned(),
            max: 2,
            visibility_ms: 3_000,
        }),
        What::Lock { ttl_ms } => Entry::new(lock::TryLock {
            store: name.clone(),
            scope: String::new(),
            owner: ttl_ms.to_string(),
            name,
            ttl_ms: *ttl_ms,
        }),
        What::Append => {
            let event = stream::NewEvent { r#type: "happened".to_owned(), ..stream::NewEvent::default() };
            Entry::new(stream::Append {
                store: name.clone(),
                stream: name,
                expected: None,
                events: vec![event],
            })
        }
        What::Configure { key } => {
            Entry::new(config::Write { store: name, edits: vec![config::Edit::set(key.to_string(), 0)] })
        }
    }
}

/// Until nothing is on its way between shards, and no timer is due.
async fn settle(world: &World, engine: &InMemory) {
    use engine::Clock as _;
    let is_settled = |shard| {
        let look = |state: &engine::overlay::Overlay<_>, _| {
            outbox::targets(state).is_empty() && timer::next(state).is_none_or(|due| due > world.clock.now())
        };
        engine.read(shard, look).expect("it is read")
    };
    for _ in 0..20_000 {
        let Some(shard) = engine.shards().all().find(|shard| !is_settled(*shard)) else { return };
        // A clock that was set wakes nobody.
        let nothing = kv::Delete { store: "none".to_owned(), ..kv::Delete::default() };
        let _ = engine.propose(shard, Entry::new(nothing)).await;
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    panic!("it does not settle");
}

/// How much there is of what, wherever payloads lie.
fn census(engine: &InMemory) -> Census {
    let mut census = Census::default();
    for shard in engine.shards().all() {
        engine.read(shard, |state, now| census.add(state, now)).expect("it is read");
    }
    let Payloads { count, bytes } = std::mem::take(&mut census.moved);
    census.payloads.count += count;
    census.payloads.bytes += bytes;
    census
}

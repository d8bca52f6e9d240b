//! What becomes of all where the disk answers with errors: whoever needs what it cannot read or write is told, nothing is taken
//! for lost, all else goes on, and everything is there when the disk works again.

mod small;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use engine::blocks::queue::Item;
use engine::replica;
use engine::store::{Memory, NextPair, Pair, Section, Snapshot};
use engine::worker::{Letter, Worker};
use engine::{Config, ConsumerConfig, Engine, Error, Kind, Store, StoreError, System};
use log::Log as _;
use log::disk::{Faults, Simulated};
use machine::topic::{self, NewMessage, Place, Publish};
use machine::{Command, Entry, Order, Shard, Shards, Time, kv, outbox};
use small::{config, key, put, value};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_the_disk_cannot_read_is_an_error_and_there_the_next_time() {
    let world = World::new();
    let engine = world.open();
    engine.propose(Shard(0), put(1)).await.expect("it is taken");
    world.fail_reads(true);
    let error = get(&engine, 1).expect_err("the disk cannot read");
    assert!(matches!(error, Error::Unreadable(_)), "{error:?}");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("cannot read 000000000001.segment at byte"), "{error}");
    let metrics = engine.metrics();
    assert_eq!((metrics.unreadable, metrics.lost), (1, 0));
    engine.propose(Shard(0), put(2)).await.expect("what is written is no matter of what cannot be read");
    world.fail_reads(false);
    assert_eq!(get(&engine, 1).expect("it can be read"), Some(value(1)));
    assert_eq!(get(&engine, 2).expect("it can be read"), Some(value(2)));
    assert!(engine.failure().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_log_nothing_is_given_up_that_cannot_be_read() {
    let world = World::new();
    let engine = world.open();
    for number in 0..20 {
        engine.propose(Shard(0), put(number)).await.expect("it is taken");
    }
    world.fail_reads(true);
    for _ in 0..1_000 {
        write_over(&engine).await;
        if engine.metrics().unreadable > 0 {
            break;
        }
    }
    assert!(engine.metrics().unreadable > 0, "nobody has tried to move what is alive in the log");
    assert_eq!(engine.log().first(0), 1);
    assert!(engine.failure().is_none());
    world.fail_reads(false);
    for _ in 0..1_000 {
        write_over(&engine).await;
        if engine.log().first(0) > 20 {
            break;
        }
    }
    assert!(engine.log().first(0) > 20, "what can be read again is moved");
    assert_eq!(engine.metrics().lost, 0);
    for number in 0..20 {
        assert_eq!(get(&engine, number).expect("it is whole"), Some(value(number)), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_read_is_not_passed_over() {
    let world = World::new();
    let engine = world.open();
    let shard = topic::shard(engine.shards(), "orders", 0);
    for number in 1..=3 {
        let message = NewMessage::new(0).with_key(b"one key".to_vec());
        let publish = Publish { topic: "orders".to_owned(), partition: 0, message };
        engine.propose(shard, Entry::new(publish).with_body(value(number))).await.expect("it is taken");
    }
    let consumer = engine.consume("orders", 0..1, "group", Place::start(), ConsumerConfig::default());
    let consumer = consumer.await.expect("the group is made");
    world.fail_reads(true);
    // More often than it has credits: each is given back.
    for _ in 0..300 {
        let error = consumer.next(10).await.expect_err("the disk cannot read");
        assert!(matches!(error, Error::Unreadable(_)), "{error:?}");
    }
    world.fail_reads(false);
    for number in 1..=3 {
        let messages = consumer.next(1).await.expect("it gets messages");
        assert_eq!((messages[0].payload.clone(), messages[0].attempt), (value(number), 1));
        consumer.acknowledge(&messages).expect("it is taken");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_cannot_be_read_is_tried_again() {
    let world = World::new();
    let engine = world.open();
    let queue = engine.queue("work").expect("a name");
    queue.send([Item::new(value(1))]).await.expect("it is taken");
    world.fail_reads(true);
    let received = queue.receive("me", 1, None, Duration::ZERO).await.expect("it is answered");
    assert!(received.is_empty());
    world.fail_reads(false);
    let received = queue.receive("me", 1, None, Duration::from_secs(60)).await.expect("it is answered");
    assert_eq!(received.iter().map(|work| work.payload.clone()).collect::<Vec<_>>(), [value(1)]);
}

/// Nor does it hold up anything else than its own way.
#[test]
fn a_command_on_its_way_waits_until_it_can_be_read() {
    let world = World::new();
    let log = Arc::new(world.log());
    let shared = replica::open(Shard(0), log.as_ref(), &world.store).expect("it opens");
    let shards = Shards::new(16).expect("a number of shards");
    let mut worker = Worker::new(Arc::clone(&log), shards, vec![Arc::new(shared)], 1 << 20);
    let now = Time::from_millis(1);
    let mut entry = put(1);
    let there = Command::from(kv::Put { store: "there".to_owned(), ..kv::Put::default() });
    entry.sends.push(outbox::Send { target: 9, command: Box::new(there), bodies: vec![0] });
    worker.propose(now, Shard(0), entry, ());
    worker.tick(now);
    let results = log.append(&worker.take_batches());
    worker.appended(now, results);
    worker.apply();
    world.fail_reads(true);
    worker.tick(now);
    assert!(worker.failure().is_none());
    assert_eq!((worker.outputs().letters.len(), worker.outputs().unreadable), (0, 1));
    world.fail_reads(false);
    let later = worker.deadline().expect("it is tried again");
    worker.tick(later);
    let letter = worker.outputs().letters.pop().expect("it is sent");
    let Letter::Deliver { entry, number: 1, .. } = letter else { panic!("{letter:?}") };
    assert_eq!(entry.bodies, [value(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_cannot_be_written_is_tried_again_and_nothing_is_lost() {
    let store = Arc::new(Failing::default());
    let disk = Simulated::new(1);
    let config = Config { checkpoint_bytes: 16 << 10, ..config() };
    let log = log::Embedded::open(disk, config.log.clone()).expect("the log opens");
    let engine = Engine::open(config, Arc::new(log), Arc::clone(&store), System).expect("it opens");
    store.fails.store(true, Ordering::SeqCst);
    let mut taken = 0;
    let error = loop {
        match engine.propose(Shard(0), put(taken)).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 100_000, "all that has changed is in memory, without end");
    };
    assert!(matches!(error, Error::Unwritable(_)), "{error:?}");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("cannot write the store: the disk is broken"), "{error}");
    assert!(engine.metrics().checkpoints_failed > 0);
    assert_eq!(get(&engine, 0).expect("reads go on"), Some(value(0)));
    store.fails.store(false, Ordering::SeqCst);
    for _ in 0..3_000 {
        if engine.propose(Shard(0), put(taken)).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for number in 0..=taken {
        assert_eq!(get(&engine, number).expect("it is whole"), Some(value(number)), "{number}");
    }
    assert!(engine.failure().is_none());
}

/// A disk and a store that outlive engines.
struct World {
    disk: Simulated,
    store: Arc<Memory>,
}

impl World {
    fn new() -> World {
        World { disk: Simulated::new(1), store: Arc::new(Memory::new()) }
    }

    fn log(&self) -> log::Embedded<Simulated> {
        log::Embedded::open(self.disk.clone(), config().log).expect("the log opens")
    }

    fn open(&self) -> Engine<log::Embedded<Simulated>, Memory> {
        let opened = Engine::open(config(), Arc::new(self.log()), Arc::clone(&self.store), System);
        opened.expect("it opens")
    }

    fn fail_reads(&self, fail: bool) {
        self.disk.set_faults(Faults { read_fails_in: u32::from(fail), ..Faults::default() });
    }
}

/// A store in memory that cannot be written at times.
#[derive(Default)]
struct Failing {
    pairs: Memory,
    fails: AtomicBool,
}

impl Store for Failing {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.pairs.get(key)
    }

    fn page(&self, from: &[u8], to: &[u8], order: Order, max: usize) -> Result<Vec<Pair>, StoreError> {
        self.pairs.page(from, to, order, max)
    }

    fn ingest(&self, sections: &[Section]) -> Result<(), StoreError> {
        match self.fails.load(Ordering::SeqCst) {
            true => Err(StoreError::new("write", std::io::Error::other("the disk is broken"))),
            false => self.pairs.ingest(sections),
        }
    }

    fn load(&self, next: &mut NextPair<'_>) -> Result<(), StoreError> {
        self.pairs.load(next)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        self.pairs.snapshot()
    }
}

/// What makes the log longer, and nothing more alive.
async fn write_over<S: Store>(engine: &Engine<log::Embedded<Simulated>, S>) {
    for number in 100..110 {
        engine.propose(Shard(0), put(number)).await.expect("it is taken");
    }
}

fn get<S: Store>(engine: &Engine<log::Embedded<Simulated>, S>, number: u32) -> Result<Option<Bytes>, Error> {
    let found = engine.read_with_payloads(Shard(0), |state, now| {
        let item = kv::get(state, "store", "", &key(number), now);
        ((), item.map(|item| item.value).into_iter().collect())
    });
    found.map(|(_, payloads)| payloads.into_iter().next())
}

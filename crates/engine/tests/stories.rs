//! What a running engine does for whoever asks it: with threads, a log in memory and a store on disk.

use std::sync::Arc;

use bytes::Bytes;
use engine::store::Fjall;
use engine::{Config, Engine, Error, OpenError, System};
use log::{AppendError, Batch, BeginError, Log, Memory, Oldest, ReadError, Record, TrimError};
use machine::{Code, Command, Entry, Shard, kv, outbox};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_read_at_once() {
    let world = World::new();
    let engine = world.open();
    engine.propose(Shard(3), put("key", b"value")).await.expect("it is taken");
    assert_eq!(world.get(&engine, Shard(3), "key").as_deref(), Some(&b"value"[..]));
    assert_eq!(world.get(&engine, Shard(3), "other"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_there_after_a_crash() {
    let world = World::new();
    let engine = world.open();
    for number in 0..100_u32 {
        engine
            .propose(Shard(number % 16), put(&number.to_string(), &big(number)))
            .await
            .expect("it is taken");
    }
    // Dropped, not closed: no checkpoint is written.
    drop(engine);
    let engine = world.open();
    for number in 0..100_u32 {
        let found = world.get(&engine, Shard(number % 16), &number.to_string());
        assert_eq!(found, Some(big(number).into()), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_engine_starts_with_nothing_to_apply_again() {
    let world = World::new();
    let engine = world.open();
    for number in 0..100_u32 {
        engine.propose(Shard(1), put(&number.to_string(), &big(number))).await.expect("it is taken");
    }
    engine.close();
    let last = world.log.last(1);
    // The log may go: all of it is in the checkpoint, but for payloads.
    let engine = world.open();
    assert_eq!(engine.metrics().changed_bytes, 0);
    assert_eq!(last, 100);
    assert_eq!(world.get(&engine, Shard(1), "7"), Some(big(7).into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_why_and_nothing_has_happened() {
    let world = World::new();
    let engine = world.open();
    engine.propose(Shard(0), put("key", b"first")).await.expect("it is taken");
    let only_if_new = kv::Put { etag: Some(0), ..key_value("key") };
    let outcome = engine.propose(Shard(0), Entry::new(only_if_new).with_body(&b"second"[..])).await;
    match outcome {
        Err(Error::Refused(refusal)) => assert_eq!(refusal.code(), Code::Conflict, "{refusal}"),
        other => panic!("it was not refused: {other:?}"),
    }
    assert_eq!(world.get(&engine, Shard(0), "key").as_deref(), Some(&b"first"[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_large_a_payload_is_refused_before_the_log() {
    let world = World::new();
    let engine = world.open();
    let outcome = engine.propose(Shard(0), put("key", &vec![0; (1 << 20) + 1])).await;
    assert!(matches!(outcome, Err(Error::Refused(refusal)) if refusal.code() == Code::TooLarge));
    assert_eq!(world.log.last(0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_command_sends_to_another_shard_arrives_once() {
    let world = World::new();
    let engine = world.open();
    for number in 0..50_u32 {
        let mut entry = put("here", &big(number));
        let there = Command::from(kv::Put { value: 0, ..key_value(&format!("there {number}")) });
        entry.sends.push(outbox::Send { target: 9, command: Box::new(there), bodies: vec![0] });
        engine.propose(Shard(2), entry).await.expect("it is taken");
    }
    world.until(|| world.get(&engine, Shard(9), "there 49").is_some()).await;
    world.until(|| in_outbox(&engine, Shard(2)) == 0).await;
    for number in 0..50 {
        assert_eq!(world.get(&engine, Shard(9), &format!("there {number}")), Some(big(number).into()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_on_its_way_at_a_crash_arrives_after_it() {
    let world = World::new();
    let engine = world.open();
    let mut entry = put("here", b"small");
    for number in 0..200_u32 {
        let there = Command::from(key_value(&format!("there {number}")));
        entry.sends.push(outbox::Send { target: 9, command: Box::new(there), bodies: vec![0] });
    }
    engine.propose(Shard(2), entry).await.expect("it is taken");
    drop(engine);
    let engine = world.open();
    world.until(|| in_outbox(&engine, Shard(2)) == 0).await;
    assert!((0..200).all(|number| world.get(&engine, Shard(9), &format!("there {number}")).is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_a_shard_that_there_is_not_is_given_up_and_counted() {
    let world = World::new();
    let engine = world.open();
    let mut entry = put("here", b"small");
    for target in [16, 9] {
        let there = Command::from(key_value("there"));
        entry.sends.push(outbox::Send { target, command: Box::new(there), bodies: vec![0] });
    }
    engine.propose(Shard(2), entry).await.expect("it is taken");
    world.until(|| in_outbox(&engine, Shard(2)) == 0).await;
    assert_eq!(engine.metrics().undeliverable, 1);
    assert!(world.get(&engine, Shard(9), "there").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_shards_is_fixed() {
    let world = World::new();
    drop(world.open());
    let log = Arc::clone(&world.log);
    let outcome = Engine::open(Config { shards: 8, ..world.config.clone() }, log, world.store(), System);
    assert!(matches!(outcome.map(drop), Err(OpenError::Shards { is: 16, wanted: 8 })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_lacks_what_the_state_has_is_refused() {
    let world = World::new();
    let engine = world.open();
    engine.propose(Shard(0), put("key", b"value")).await.expect("it is taken");
    engine.close();
    let other = Arc::new(Memory::default());
    let outcome = Engine::open(world.config.clone(), other, world.store(), System);
    assert!(matches!(outcome.map(drop), Err(OpenError::Ahead { shard: 0, applied: 1, last: 0 })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_under_load_lose_nothing() {
    let mut world = World::new();
    world.config.checkpoint_bytes = 64 << 10;
    let engine = Arc::new(world.open());
    let writers: Vec<_> = (0..16_u32)
        .map(|writer| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move {
                for number in 0..200_u32 {
                    let key = format!("{writer} {}", number % 50);
                    engine.propose(Shard(writer), put(&key, &big(number))).await.expect("it is taken");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no writer panics");
    }
    world.until(|| engine.metrics().checkpoints > 0).await;
    let engine = Arc::into_inner(engine).expect("nobody else has it");
    drop(engine);
    let engine = world.open();
    for writer in 0..16 {
        for number in 150..200 {
            let found = world.get(&engine, Shard(writer), &format!("{writer} {}", number % 50));
            assert_eq!(found, Some(big(number).into()), "{writer} {number}");
        }
    }
}

/// Whoever is told that a command is in doubt finds out at the next start; who is told anything else need not look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_was_on_its_way_when_the_log_failed_is_in_doubt() {
    for panics in [false, true] {
        let world = World::new();
        let log = Arc::new(Broken { log: Arc::clone(&world.log), panics });
        let engine = Engine::open(world.config.clone(), log, world.store(), System).expect("it opens");
        let outcome = engine.propose(Shard(0), put("on its way", b"value")).await;
        assert!(matches!(&outcome, Err(Error::InDoubt(_))), "{outcome:?}");
        let outcome = engine.propose(Shard(0), put("too late", b"value")).await;
        assert!(matches!(&outcome, Err(Error::Failed(_))), "{outcome:?}");
        drop(engine);
        let engine = world.open();
        assert!(world.get(&engine, Shard(0), "on its way").is_some());
        assert!(world.get(&engine, Shard(0), "too late").is_none());
    }
}

/// The state is older than what has become of the log: its payload was moved and trimmed since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_is_nowhere_is_an_error_and_not_looked_for_again_and_again() {
    let world = World::new();
    let engine = world.open();
    engine.propose(Shard(0), put("key", &big(1))).await.expect("it is taken");
    engine.close();
    world.log.trim(0, 2).expect("it can be trimmed");
    let engine = world.open();
    let read = engine.read_with_payloads(Shard(0), |state, now| {
        let item = kv::get(state, "store", "", b"key", now).expect("it is there");
        ((), vec![item.value])
    });
    assert!(matches!(&read, Err(Error::Lost(_))), "{read:?}");
}

/// A log that takes what it is given and does not know whether it has.
struct Broken {
    log: Arc<Memory>,
    panics: bool,
}

impl Log for Broken {
    fn begin(&self, firsts: &[(u32, u64)]) -> Result<(), BeginError> {
        self.log.begin(firsts)
    }

    fn append(&self, batches: &[Batch]) -> Vec<Result<(), AppendError>> {
        self.log.append(batches);
        assert!(!self.panics, "the log panics, as this test has it");
        let error = AppendError::Failed(Arc::new(std::io::Error::other("as this test has it")));
        batches.iter().map(|_| Err(error.clone())).collect()
    }

    fn read(&self, shard: u32, from: u64, bytes_max: usize) -> Result<Vec<Record>, ReadError> {
        self.log.read(shard, from, bytes_max)
    }

    fn get(&self, shard: u32, sequence: u64) -> Result<Bytes, ReadError> {
        self.log.get(shard, sequence)
    }

    fn last(&self, shard: u32) -> u64 {
        self.log.last(shard)
    }

    fn first(&self, shard: u32) -> u64 {
        self.log.first(shard)
    }

    fn trim(&self, shard: u32, before: u64) -> Result<(), TrimError> {
        self.log.trim(shard, before)
    }

    fn oldest(&self) -> Option<Oldest> {
        self.log.oldest()
    }

    fn bytes(&self) -> u64 {
        self.log.bytes()
    }
}

/// A log and a store that outlive engines.
struct World {
    config: Config,
    log: Arc<Memory>,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder for the test");
        World { config: Config::default(), log: Arc::new(Memory::default()), folder }
    }

    fn store(&self) -> Arc<Fjall> {
        Arc::new(Fjall::open(self.folder.path(), 1 << 20).expect("the store opens"))
    }

    fn open(&self) -> Engine<Memory, Fjall> {
        Engine::open(self.config.clone(), Arc::clone(&self.log), self.store(), System).expect("it opens")
    }

    fn get(&self, engine: &Engine<Memory, Fjall>, shard: Shard, key: &str) -> Option<Bytes> {
        let look = |item: Option<kv::Item>| item.map(|item| item.value).into_iter().collect();
        let (_, mut payloads) = engine
            .read_with_payloads(shard, |state, now| {
                ((), look(kv::get(state, "store", "", key.as_bytes(), now)))
            })
            .expect("it can be read");
        payloads.pop()
    }

    async fn until(&self, is: impl Fn() -> bool) {
        for _ in 0..1000 {
            if is() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("it did not happen within ten seconds");
    }
}

fn in_outbox(engine: &Engine<Memory, Fjall>, shard: Shard) -> usize {
    engine.read(shard, |state, _| outbox::targets(state).len()).expect("it can be read")
}

fn key_value(key: &str) -> kv::Put {
    kv::Put { store: "store".to_owned(), key: Bytes::copy_from_slice(key.as_bytes()), ..kv::Put::default() }
}

fn put(key: &str, value: &[u8]) -> Entry {
    Entry::new(key_value(key)).with_body(Bytes::copy_from_slice(value))
}

/// A payload that is not kept in line.
fn big(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(256)
}

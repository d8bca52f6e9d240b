//! The engine of a single node, on a real disk.

use bytes::Bytes;
use engine::{Config, Embedded, OpenError};
use machine::{Entry, Shard, kv};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_there_after_the_engine_was_dropped() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let engine = open(&folder);
    for number in 0..64_u32 {
        engine.propose(Shard(number % 16), put(number)).await.expect("it is taken");
    }
    drop(engine);
    let engine = open(&folder);
    for number in 0..64 {
        assert_eq!(get(&engine, Shard(number % 16), number), Some(value(number)), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_of_one_process() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let _first = open(&folder);
    let second = Embedded::open_in(folder.path(), config());
    assert!(matches!(second.map(drop), Err(OpenError::Open(log::OpenError::Locked { .. }))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_alive_in_old_parts_of_the_log_moves_and_the_log_stays_short() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let engine = open(&folder);
    // A few that stay, below many that are written over and over.
    for number in 0..20_u32 {
        engine.propose(Shard(0), put(number)).await.expect("it is taken");
    }
    for round in 0..200_u32 {
        for number in 100..110 {
            engine.propose(Shard(0), put(number)).await.expect("it is taken");
        }
        if engine.metrics().moved_bytes > 0 && round > 50 {
            break;
        }
    }
    let metrics = engine.metrics();
    assert!(metrics.moved_bytes > 0, "nothing was moved: {metrics:?}");
    assert!(log::Log::first(engine.log(), 0) > 20, "what was moved is still in the log");
    for number in 0..20 {
        assert_eq!(get(&engine, Shard(0), number), Some(value(number)), "{number}");
    }
    engine.close();
    let engine = open(&folder);
    for number in 0..20 {
        assert_eq!(get(&engine, Shard(0), number), Some(value(number)), "{number} after opening it anew");
    }
}

fn open(folder: &tempfile::TempDir) -> Embedded {
    Embedded::open_in(folder.path(), config()).expect("it opens")
}

/// Small, so that segments are filled and checkpoints written within a test.
fn config() -> Config {
    let log = log::Config { segment_bytes: 64 << 10, record_bytes_max: 16 << 10, ..log::Config::default() };
    Config {
        body_bytes_max: 8 << 10,
        checkpoint_log_bytes: 64 << 10,
        log_bytes_slack: 128 << 10,
        log,
        ..Config::default()
    }
}

fn key(number: u32) -> Bytes {
    Bytes::from(format!("key {number}"))
}

fn value(number: u32) -> Bytes {
    Bytes::from(number.to_le_bytes().repeat(256))
}

fn put(number: u32) -> Entry {
    let put = kv::Put { store: "store".to_owned(), key: key(number), ..kv::Put::default() };
    Entry::new(put).with_body(value(number))
}

fn get(engine: &Embedded, shard: Shard, number: u32) -> Option<Bytes> {
    let (_, found) = engine
        .read_with_payloads(shard, |state, now| {
            let item = kv::get(state, "store", "", &key(number), now);
            ((), item.map(|item| item.value).into_iter().collect())
        })
        .expect("it can be read");
    found.into_iter().next()
}

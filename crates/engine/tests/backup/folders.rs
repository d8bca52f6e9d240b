//! Backups of folders, and folders of backups.

use std::fs;
use std::path::Path;

use engine::backup::{RestoreError, SKIPPED, UNFINISHED, restore_in};
use engine::{Config, Embedded, Inspection, OpenError};
use log::Log;
use machine::Shard;

use crate::world::{big, get, put};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_folder_is_whole_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let engine = open(folder.path());
    fill(&engine, 0..200).await;
    let mut backup = Vec::new();
    let summary = engine.backup(&mut backup, &mut |_| {}).expect("it is backed up");
    let lasts: Vec<u64> = (0..16).map(|shard| engine.log().last(shard)).collect();
    drop(engine);
    let place = folder.path().join("deep/restored");
    let mut verified = 0;
    let restored = restore_in(backup.as_slice(), &place, &mut |_| {}, &mut |_| verified += 1);
    assert_eq!(restored.expect("it is restored"), summary);
    assert!(verified > 0 && !place.join(UNFINISHED).exists());
    let verdict = engine::verify(&place, |_| {}).expect("it opens");
    assert!(verdict.is_whole(), "{verdict:?}");
    for _ in 0..2 {
        let engine = open(&place);
        expect(&engine, 0..200);
        fill(&engine, 200..260).await;
        assert!((0..16).all(|shard| engine.log().last(shard) > lasts[shard as usize] + SKIPPED));
        expect(&engine, 0..260);
    }
    let verdict = engine::verify(&place, |_| {}).expect("it opens");
    assert!(verdict.is_whole(), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_nobody_has_open_is_backed_up_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let engine = open(folder.path());
    fill(&engine, 0..100).await;
    // As a crash would leave it: some is in the store, some only in the log.
    engine.backup(&mut std::io::sink(), &mut |_| {}).expect("it is backed up");
    fill(&engine, 100..150).await;
    drop(engine);
    let inspection = Inspection::open(folder.path(), |_, _| {}).expect("it opens");
    let mut backup = Vec::new();
    let mut shards = Vec::new();
    inspection.backup(&mut backup, &mut |progress| shards.push(progress.shard)).expect("it is backed up");
    assert!(shards.is_sorted() && shards.last() == Some(&15), "{shards:?}");
    let place = folder.path().join("restored");
    restore_in(backup.as_slice(), &place, &mut |_| {}, &mut |_| {}).expect("it is restored");
    expect(&open(&place), 0..150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_with_something_in_it_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let engine = open(folder.path());
    fill(&engine, 0..10).await;
    let mut backup = Vec::new();
    engine.backup(&mut backup, &mut |_| {}).expect("it is backed up");
    drop(engine);
    let refused = restore_in(backup.as_slice(), folder.path(), &mut |_| {}, &mut |_| {});
    assert!(matches!(refused, Err(RestoreError::NotEmpty(_))), "{refused:?}");
    assert!(!folder.path().join(UNFINISHED).exists());
    expect(&open(folder.path()), 0..10);
    // What a file system has at its root is not in the way.
    let place = folder.path().join("restored");
    fs::create_dir_all(place.join("lost+found")).expect("made");
    restore_in(backup.as_slice(), &place, &mut |_| {}, &mut |_| {}).expect("it is restored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_was_killed_is_not_opened_and_is_begun_anew() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let engine = open(folder.path());
    fill(&engine, 0..50).await;
    let mut backup = Vec::new();
    engine.backup(&mut backup, &mut |_| {}).expect("it is backed up");
    drop(engine);
    // A folder that is whole but for being finished.
    let place = folder.path().join("restored");
    restore_in(backup.as_slice(), &place, &mut |_| {}, &mut |_| {}).expect("it is restored");
    fs::write(place.join(UNFINISHED), "").expect("written");
    assert!(matches!(Embedded::open_in(&place, Config::default()).map(drop), Err(OpenError::Unfinished(_))));
    assert!(matches!(Inspection::open(&place, |_, _| {}).map(drop), Err(OpenError::Unfinished(_))));
    assert!(matches!(engine::verify(&place, |_| {}).map(drop), Err(OpenError::Unfinished(_))));
    assert!(matches!(engine::repair::plan(&place, |_| {}).map(drop), Err(OpenError::Unfinished(_))));
    // While one restores, no other does.
    let mut other = None;
    let mut nested = |_: &_| {
        other.get_or_insert_with(|| restore_in(backup.as_slice(), &place, &mut |_| {}, &mut |_| {}));
    };
    restore_in(backup.as_slice(), &place, &mut nested, &mut |_| {}).expect("it is begun anew");
    assert!(matches!(other, Some(Err(RestoreError::Busy(_)))), "{other:?}");
    expect(&open(&place), 0..50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_what_cannot_be_restored_nothing_is_left() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let engine = open(folder.path());
    fill(&engine, 0..50).await;
    let mut backup = Vec::new();
    engine.backup(&mut backup, &mut |_| {}).expect("it is backed up");
    let cut = &backup[..backup.len() / 2];
    let (new, empty) = (folder.path().join("new"), folder.path().join("empty"));
    fs::create_dir(&empty).expect("made");
    for place in [&new, &empty] {
        let refused = restore_in(cut, place, &mut |_| {}, &mut |_| {});
        assert!(matches!(refused, Err(RestoreError::Unreadable(_))), "{refused:?}");
    }
    assert!(!new.exists());
    assert_eq!(fs::read_dir(&empty).expect("it is still there").count(), 0);
}

async fn fill(engine: &Embedded, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let entry = put(&number.to_string(), big(number));
        engine.propose(Shard(number as u32 % 16), entry).await.expect("it is taken");
    }
}

fn expect(engine: &Embedded, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let found = get(engine, Shard(number as u32 % 16), &number.to_string());
        assert_eq!(found, Some(big(number)), "{number}");
    }
}

fn open(folder: &Path) -> Embedded {
    let log = log::Config { segment_bytes: 64 << 10, record_bytes_max: 16 << 10, ..log::Config::default() };
    let config = Config { body_bytes_max: 8 << 10, log, ..Config::default() };
    Embedded::open_in(folder, config).expect("it opens")
}

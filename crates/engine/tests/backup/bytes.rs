//! What becomes of a backup's bytes on the way: nothing that is not whole is taken.

use engine::backup::{Part, Reader, RestoreError, Unreadable, VERSION, restore};
use engine::store::Memory;
use engine::{BackupError, Store};
use log::Log;
use machine::{Order, Shard};

use crate::world::{World, back_up, big, put};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_cut_off_or_changed_is_refused() {
    let backup = small().await;
    assert!(read(&backup).is_ok());
    for length in 0..backup.len() {
        let refused = read(&backup[..length]).expect_err("it is cut off");
        assert!(
            matches!(refused, Unreadable::CutOff { offset } if offset == length as u64),
            "{length}: {refused}"
        );
    }
    for at in 0..backup.len() {
        for bit in [0, 4, 7] {
            let mut changed = backup.clone();
            changed[at] ^= 1 << bit;
            assert!(read(&changed).is_err(), "bit {bit} of byte {at}");
        }
    }
    let longer = [backup.as_slice(), b"more"].concat();
    assert!(matches!(read(&longer), Err(Unreadable::Damaged { .. })), "something follows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_another_backup_are_not_taken_for_its_own() {
    let (one, other) = (small().await, small().await);
    // As long as each other, and of another time: all frames but the header are alike, and the last is of what came before.
    let header = 12 + 9 + one[13] as usize;
    let mut mixed = one.clone();
    mixed[..header].copy_from_slice(&other[..header]);
    assert_ne!(mixed, one);
    assert!(matches!(read(&mixed), Err(Unreadable::Damaged { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_restored_of_what_is_not_whole() {
    let backup = small().await;
    let (log, store) = (log::Memory::new(), Memory::new());
    let outcome = restore(&backup[..backup.len() - 1], &log, &store, &mut |_| {});
    assert!(matches!(outcome, Err(RestoreError::Unreadable(Unreadable::CutOff { .. }))), "{outcome:?}");
    let pairs = store.page(&[], &[u8::MAX; 9], Order::Forwards, 10).expect("it reads");
    assert!(pairs.is_empty() && log.last(0) == 0, "{pairs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_program_made_is_named_so() {
    let mut newer = small().await;
    newer[8] += 1;
    assert!(matches!(read(&newer), Err(Unreadable::Version(version)) if version == VERSION + 1));
    assert!(matches!(read(b"something else"), Err(Unreadable::Other)));
    assert!(matches!(read(b"COLO"), Err(Unreadable::CutOff { offset: 4 })));
    assert!(matches!(read(b""), Err(Unreadable::CutOff { offset: 0 })));
}

/// Whoever reads it is told why it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_cannot_be_read_ends_a_backup_with_a_reason() {
    let world = World::new();
    let engine = world.open();
    engine.propose(Shard(0), put("key", big(1))).await.expect("it is taken");
    // Behind the engine's back.
    world.log.trim(0, 2).expect("it is trimmed");
    let mut bytes = Vec::new();
    let failed = engine.backup(&mut bytes, &mut |_| {}).expect_err("a payload is missing");
    assert!(matches!(failed, BackupError::Payload { shard: 0, sequence: 1, .. }), "{failed}");
    match read(&bytes) {
        Err(Unreadable::GivenUp(why)) => {
            assert_eq!(why, "a payload of entry 1 of shard 0 cannot be read: the log begins at 2 by now");
        }
        odd => panic!("{odd:?}"),
    }
}

async fn small() -> Vec<u8> {
    let world = World::new();
    let engine = world.open();
    for number in 0..6 {
        engine.propose(Shard(number % 4), put("key", big(number.into()))).await.expect("it is taken");
    }
    world.clock.advance(std::process::id().into());
    static MORE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    world.clock.advance(MORE.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
    back_up(&engine).0
}

fn read(bytes: &[u8]) -> Result<(), Unreadable> {
    let mut reader = Reader::new(bytes)?;
    loop {
        if let Part::End(summary) = reader.part()? {
            assert_eq!(summary.bytes, bytes.len() as u64);
            return Ok(());
        }
    }
}

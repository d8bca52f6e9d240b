//! The moment that a backup is of: the same for all shards, while commands go on.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use engine::backup::SKIPPED;
use log::Log;
use machine::command::Answer;
use machine::topic::{self, NewMessage, Publish};
use machine::{Command, Entry, Shard, kv, outbox};

use crate::world::{InMemory, World, back_up, big, get, put, until};

/// Each shard counts, and sends what it counts to all others. Whatever moment is taken, what arrives in the end is what was
/// counted: each number once and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_shards_send_each_other_fits_at_every_moment() {
    let world = World::new();
    let engine = Arc::new(world.open());
    let over = Arc::new(AtomicBool::new(false));
    let counted = Arc::new([const { AtomicU64::new(0) }; 4]);
    let counting: Vec<_> = (0..4)
        .map(|shard| {
            let (engine, over, counted) = (Arc::clone(&engine), Arc::clone(&over), Arc::clone(&counted));
            tokio::spawn(async move {
                for number in 1.. {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    engine.propose(Shard(shard), count(shard, number)).await.expect("it is taken");
                    counted[shard as usize].store(number, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let mut backups = Vec::new();
    for _ in 0..12 {
        until("they count on", || counted.iter().all(|count| count.load(Ordering::SeqCst) > 2)).await;
        let acknowledged: Vec<u64> = counted.iter().map(|count| count.swap(0, Ordering::SeqCst)).collect();
        backups.push((back_up(&engine).0, acknowledged));
    }
    over.store(true, Ordering::SeqCst);
    for counting in counting {
        counting.await.expect("it does not panic");
    }
    for (backup, acknowledged) in backups {
        let engine = world.restored(&backup).open();
        until("all has arrived", || is_settled(&engine)).await;
        for source in 0..4 {
            let last = get(&engine, Shard(source), "count").map_or(0, number_of);
            assert!(last >= acknowledged[source as usize], "{last} of {acknowledged:?} by shard {source}");
            for target in (0..4).filter(|target| *target != source) {
                assert_eq!(arrived(&engine, source, Shard(target)), (1..=last).collect::<Vec<_>>());
            }
        }
    }
}

/// The reader of the backup is slow. Meanwhile all is written over several times, and checkpoints are made; parts of the log that only
/// the backup needs stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_after_the_moment_does_not_touch_it() {
    let mut world = World::new();
    world.config.checkpoint_log_bytes = 16 << 10;
    world.config.log_bytes_slack = 0;
    let engine = Arc::new(world.open());
    for number in 0..400 {
        engine.propose(Shard(0), put(&number.to_string(), big(number))).await.expect("it is taken");
    }
    let first = world.log.first(0);
    let mut slow = Slow { bytes: Vec::new(), engine: Arc::clone(&engine), rounds: 0 };
    let slow = tokio::task::spawn_blocking(move || {
        let engine = Arc::clone(&slow.engine);
        engine.backup(&mut slow, &mut |_| {}).expect("it is backed up");
        slow
    });
    let slow = slow.await.expect("it does not panic");
    assert!(slow.rounds > 3);
    assert_eq!(world.log.first(0), first, "no part of the log is given back meanwhile");
    for number in 0..400 {
        engine.propose(Shard(0), put(&number.to_string(), big(number))).await.expect("it is taken");
    }
    until("the log is given back again", || world.log.first(0) > first + 400).await;
    let restored = world.restored(&slow.bytes).open();
    for number in 0..400 {
        assert_eq!(get(&restored, Shard(0), &number.to_string()), Some(big(number)), "{number}");
    }
}

/// What a lock, an ETag or a revision was before the day of the backup's use is never given again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequences_go_on_behind_all_that_were_ever_given() {
    let world = World::new();
    let engine = world.open();
    let first = etag(&engine, put("key", big(1))).await;
    let (backup, _) = back_up(&engine);
    let lost = etag(&engine, put("key", big(2))).await;
    let restored = world.restored(&backup);
    let engine = restored.open();
    let is =
        engine.read(Shard(0), |state, now| kv::get(state, "store", "", b"key", now).map(|item| item.etag));
    assert_eq!(is.expect("it is read"), Some(first));
    let conditional = kv::Put { etag: Some(lost), ..crate::world::key_value("key") };
    let refused = engine.propose(Shard(0), Entry::new(conditional).with_body(big(3))).await;
    assert!(refused.is_err(), "an ETag that the backup does not know is none");
    assert!(etag(&engine, put("key", big(3))).await > first + SKIPPED);
    // A second time, from the restored one.
    let (backup, _) = back_up(&engine);
    drop(engine);
    let engine = restored.restored(&backup).open();
    assert_eq!(get(&engine, Shard(0), "key"), Some(big(3)));
    assert!(etag(&engine, put("key", big(4))).await > 2 * SKIPPED);
}

/// Timers that were set fire when they are due, also those that came due in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_fire_after_it() {
    let world = World::new();
    let engine = world.open();
    for (key, ttl_ms) in [("soon", 10_000), ("later", 50_000)] {
        let put = kv::Put { ttl_ms, ..crate::world::key_value(key) };
        engine.propose(Shard(1), Entry::new(put).with_body(big(1))).await.expect("it is taken");
    }
    let (backup, _) = back_up(&engine);
    let restored = world.restored(&backup);
    restored.clock.advance(20_000);
    let engine = restored.open();
    let timers = || crate::world::pairs(&engine, Shard(1)).iter().filter(|(key, _)| key[0] == 2).count();
    until("the first timer has fired", || timers() == 1).await;
    assert_eq!(get(&engine, Shard(1), "soon"), None);
    assert_eq!(get(&engine, Shard(1), "later"), Some(big(1)));
    restored.clock.advance(40_000);
    until("the second has, too", || timers() == 0).await;
}

/// A writer that has all that is backed up written over between two of its writes.
struct Slow {
    bytes: Vec<u8>,
    engine: Arc<InMemory>,
    rounds: u64,
}

impl Write for Slow {
    #[expect(clippy::disallowed_methods, reason = "on a thread of its own")]
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        // The first write comes before the moment.
        if self.bytes.len() > 12 {
            self.rounds += 1;
            tokio::runtime::Handle::current().block_on(async {
                for number in 0..400 {
                    let value = big(number + 1000 * self.rounds);
                    self.engine
                        .propose(Shard(0), put(&number.to_string(), value))
                        .await
                        .expect("it is taken");
                }
            });
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn etag(engine: &InMemory, entry: Entry) -> u64 {
    match engine.propose(Shard(0), entry).await.expect("it is taken").answer {
        Some(Answer::Kv(reply)) => reply.etag,
        odd => panic!("{odd:?}"),
    }
}

fn count(source: u32, number: u64) -> Entry {
    let mut entry = put("count", number.to_le_bytes().to_vec());
    entry.bodies.push(big(number));
    for target in (0..4).filter(|target| *target != source) {
        let message = NewMessage::new(0);
        let command = Command::from(Publish { topic: format!("of-{source}"), partition: 0, message });
        // Some with a payload that lies in the log.
        let body = u32::from(number.is_multiple_of(2));
        entry.sends.push(outbox::Send { target, command: Box::new(command), bodies: vec![body] });
    }
    entry
}

fn arrived(engine: &InMemory, source: u32, target: Shard) -> Vec<u64> {
    let topic = format!("of-{source}");
    let look = |state: &engine::overlay::Overlay<_>, _| {
        let mut bodies = Vec::new();
        topic::read::messages(state, &topic, 0, 0, &mut |_, message| {
            bodies.push(message.body);
            ControlFlow::Continue(())
        });
        ((), bodies)
    };
    let (_, payloads) = engine.read_with_payloads(target, look).expect("it is read");
    payloads.into_iter().map(number_of).collect()
}

fn number_of(bytes: bytes::Bytes) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("a number"))
}

fn is_settled(engine: &InMemory) -> bool {
    let waits = |shard| engine.read(shard, |state, _| outbox::targets(state)).expect("it is read");
    engine.shards().all().all(|shard| waits(shard).is_empty())
}

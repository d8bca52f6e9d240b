//! Backups of every version of the format that there ever was: they are restored for ever.

use machine::{Shard, queue};

use crate::world::{World, big, get};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_1_is_restored() {
    let world = World::new().restored(include_bytes!("fixtures/version-1.backup"));
    let engine = world.open();
    for number in 0..8 {
        assert_eq!(get(&engine, Shard(number % 4), "key"), Some(big(u64::from(number % 4 + 4))));
    }
    let counts = engine.read(Shard(2), |state, _| queue::counts(state, "name")).expect("it is read");
    assert_eq!(counts.ready, 1);
}

//! Quiet: nothing goes wrong any more, everything that was begun comes to an end, and then everything must agree.

use std::sync::Arc;

use engine::replica::Shared;
use machine::{outbox, timer};

use crate::store::Flaky;
use crate::world::World;

/// Lets everything that was begun come to an end. Workers have their turns when they want them, and only then.
pub fn settle(world: &mut World<'_>) {
    world.heal();
    if world.is_failing() {
        world.crash(false);
    }
    let latest = world.shards().map(|shard| world.witness.model.time(shard)).max();
    world.now = world.now.max(latest.unwrap_or_default());
    for at in 0..world.node().workers() {
        // However long they meant to wait: the clock may have been set.
        world.turn(at, true);
    }
    for _ in 0..ROUNDS_MAX {
        let now = world.now;
        let wanted = (0..world.node().workers()).find(|at| world.node().is_wanted(*at, now));
        if let Some(at) = wanted {
            world.turn(at, true);
        } else if world.node().has_jobs() {
            world.append();
        } else if world.node().is_idle() && !is_overdue(world) {
            return;
        } else {
            let deadline = world.node().deadline().expect("who is not idle waits for something");
            assert!(deadline > now, "a worker is not idle, and wants no turn");
            assert!(
                deadline <= now.after(WAIT_MS_MAX),
                "a worker is not idle, and waits from {now:?} until {deadline:?}"
            );
            world.now = deadline;
        }
        assert!(!world.is_failing(), "nothing goes wrong, and the node fails: {:?}", world.node().failures());
    }
    panic!("it does not come to an end");
}

/// Whether a timer is due: then one that could not be fired before will be, a little later.
fn is_overdue(world: &mut World<'_>) -> bool {
    let now = world.now;
    let is_due =
        |shared: &Arc<Shared<Flaky>>| timer::next(&shared.read().state).is_some_and(|due| due <= now);
    world.node().shards.iter().any(is_due)
}

/// Settles, has all requests answered, and looks at everything; once more after a crash.
pub fn check(world: &mut World<'_>) {
    settle(world);
    while !world.requests.in_doubt().is_empty() {
        world.ask_again();
        settle(world);
    }
    assert_agreement(world);
    world.crash(true);
    settle(world);
    assert_agreement(world);
}

fn assert_agreement(world: &mut World<'_>) {
    world.requests.assert_all_known();
    assert_eq!(world.witness.model.on_the_way(), 0, "commands to other shards that never arrived");
    let now = world.now;
    for shard in world.shards() {
        let last = world.witness.last(shard);
        let applied = world.node().shard(shard).read().sequence;
        assert_eq!(applied, last, "{shard:?}: what is durable is applied");
        world.assert_shard(shard);
        world.assert_read(shard);
        world.watch(shard);
        let shared = world.node().shard(shard).clone();
        let state = &shared.read().state;
        assert!(outbox::targets(state).is_empty(), "{shard:?}: what has arrived is forgotten");
        world.witness.model.assert_taken_away(shard, state, now);
        let due = timer::next(state);
        assert!(due.is_none_or(|due| due > now), "{shard:?}: a timer of {due:?} has not fired at {now:?}");
    }
}

const ROUNDS_MAX: usize = 10_000;
/// Longer than whatever is tried again waits.
const WAIT_MS_MAX: u64 = 1_000;

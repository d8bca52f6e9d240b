//! What can happen next, and how often it does.

use engine::reclaim::Reclaimed;
use log::disk::Faults;

use crate::world::World;

#[derive(Clone, Copy, Debug)]
enum Action {
    Ask,
    AskAgain,
    Turn,
    Append,
    TimePasses,
    ClockJumpsAhead,
    ClockJumpsBack,
    Checkpoint,
    Look,
    Watch,
    Crash,
    Close,
    PowerFailsSoon,
    DiskMisbehaves,
    DiskIsFull,
    StoreFails,
    Heal,
}

const ACTIONS: [(u32, Action); 17] = [
    (320, Action::Ask),
    (20, Action::AskAgain),
    (300, Action::Turn),
    (200, Action::Append),
    (60, Action::TimePasses),
    (4, Action::ClockJumpsAhead),
    (4, Action::ClockJumpsBack),
    (60, Action::Checkpoint),
    (10, Action::Look),
    (10, Action::Watch),
    (8, Action::Crash),
    (3, Action::Close),
    (5, Action::PowerFailsSoon),
    (4, Action::DiskMisbehaves),
    (4, Action::DiskIsFull),
    (4, Action::StoreFails),
    (12, Action::Heal),
];

/// Something happens.
pub fn step(world: &mut World<'_>) {
    let action = world.rng.weighted(&ACTIONS);
    match action {
        Action::Ask => world.ask(),
        Action::AskAgain => world.ask_again(),
        Action::Turn => {
            let workers = world.node().workers();
            let at = world.rng.below(workers);
            let all = world.rng.chance(50);
            world.turn(at, all);
        }
        Action::Append => world.append(),
        Action::TimePasses => {
            let most = world.rng.pick(&[10, 1_000, 60_000]);
            let millis = world.rng.between(0, most);
            world.now = world.now.after(millis);
        }
        Action::ClockJumpsAhead => {
            let millis = world.rng.between(0, 86_400_000).min(world.ahead_ms);
            world.ahead_ms -= millis;
            world.say(|| format!("the clock jumps ahead by {millis} ms"));
            world.now = world.now.after(millis);
        }
        Action::ClockJumpsBack => {
            let millis = world.rng.between(0, 3_600_000);
            world.say(|| format!("the clock jumps back by {millis} ms"));
            world.now = machine::Time::from_millis(world.now.as_millis() - millis);
        }
        Action::Checkpoint => checkpoint(world),
        Action::Look => look(world),
        Action::Watch => {
            let shard = world.any_shard();
            if !world.is_failing() {
                world.heal();
                world.watch(shard);
            }
        }
        Action::Crash => {
            let power = world.rng.chance(60);
            world.crash(power);
        }
        Action::Close => close(world),
        Action::PowerFailsSoon => {
            let operations = world.disk.operations() + world.rng.between(1, 30);
            world.say(|| format!("the power will fail at operation {operations}"));
            world.disk.fail_power_at(operations);
        }
        Action::DiskMisbehaves => misbehave(world),
        Action::DiskIsFull => {
            world.say(|| "the disk is full".to_owned());
            // Whatever there is takes more.
            world.disk.set_faults(Faults { room_bytes: 1, ..world.faults() });
        }
        Action::StoreFails => {
            world.say(|| "the store fails".to_owned());
            world.store.fail_writes(true);
            let reads = world.rng.chance(20);
            world.store.fail_reads(reads);
        }
        Action::Heal => world.heal(),
    }
    after(world);
}

/// A node that has lost its power, or cannot go on, is started anew; sooner or later.
fn after(world: &mut World<'_>) {
    if world.disk.is_off() {
        world.crash(true);
    } else if world.node().is_broken() && world.rng.chance(20) {
        let power = world.rng.chance(50);
        world.crash(power);
    }
}

fn checkpoint(world: &mut World<'_>) {
    let store = std::sync::Arc::clone(&world.store);
    let has_ended = world.node().step_checkpoint(&store);
    if has_ended {
        world.say(|| "a checkpoint has ended".to_owned());
        reclaim(world);
    }
}

fn reclaim(world: &mut World<'_>) {
    let slack = world.rng.pick(&[0, 0, 16 << 10, 64 << 10]);
    let bytes = world.rng.pick(&[1_000, 10_000, 1 << 20]);
    // As long as nothing is moved, which needs a checkpoint first.
    while let Some(reclaimed) = world.node().reclaim(slack, bytes) {
        world.say(|| format!("reclaimed: {reclaimed:?}"));
        if reclaimed != Reclaimed::Trimmed {
            return;
        }
    }
}

fn look(world: &mut World<'_>) {
    if !world.is_failing() {
        world.heal();
        let shard = world.any_shard();
        world.assert_shard(shard);
        world.assert_read(shard);
    }
}

fn close(world: &mut World<'_>) {
    world.heal();
    if !world.is_failing() {
        crate::quiet::settle(world);
        world.close();
    }
}

fn misbehave(world: &mut World<'_>) {
    let always = world.faults();
    let mut once_in = || if world.rng.chance(50) { world.rng.between(1, 20) as u32 } else { 0 };
    let faults = Faults {
        sync_fails_in: once_in(),
        write_fails_in: once_in(),
        read_fails_in: once_in(),
        sync_slow_in: once_in(),
        ..always
    };
    world.say(|| format!("the disk misbehaves: {faults:?}"));
    world.disk.set_faults(faults);
}

//! The embedded log on a disk that fails: what was acknowledged is there after every crash, and nothing else is.
//!
//! A failure prints the seed that it happened with; `LOG_SEEDS=1234..1235 cargo test -p log --test simulation` runs it
//! again, and `LOG_SEEDS=0..100000` looks for others.

mod begin;
mod damage;
mod disks;
mod full;
mod mutation;
mod repair;
mod world;

use std::ops::Range;

use log::disk::Faults;
use world::World;

/// Power failures, one after the other, at any operation.
#[test]
fn power_fails() {
    for seed in seeds(150) {
        let mut world = World::new(seed, Faults::default());
        world.run(60);
    }
}

/// The same with syncs and writes that fail, and sectors as large as pages or as small as words.
#[test]
fn syncs_and_writes_fail() {
    for seed in seeds(150) {
        let sector_bytes = [512, 4096, 8][seed as usize % 3];
        let faults = Faults { sync_fails_in: 40, write_fails_in: 60, sector_bytes, ..Faults::default() };
        let mut world = World::new(seed, faults);
        world.run(60);
    }
}

/// The same on a disk that has hardly room.
#[test]
fn room_runs_out() {
    for seed in seeds(100) {
        let faults = Faults { room_bytes: world::ROOM_BYTES, ..Faults::default() };
        let mut world = World::new(seed, faults);
        world.run(80);
    }
}

/// The same seed does the same.
#[test]
fn runs_repeat() {
    let run = |seed| {
        let mut world = World::new(seed, Faults { sync_fails_in: 50, ..Faults::default() });
        world.run(40);
        world.trace()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

/// The seeds to be run: so many, or those that the environment asks for.
fn seeds(count: u64) -> Range<u64> {
    let asked = std::env::var("LOG_SEEDS").ok();
    let asked = asked.as_deref().and_then(|asked| asked.split_once(".."));
    let parsed = asked.and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parsed.unwrap_or(0..count)
}

//! What the simulation is worth: without the syncs it must fail.

use std::panic::{AssertUnwindSafe, catch_unwind};

use log::disk::{Faults, Simulated};

use crate::disks::{Forgetful, Forgets};
use crate::world::World;

/// How many of so many seeds find out.
fn found_out(what: Forgets, seeds: u64) -> usize {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let is_found = |seed: &u64| {
        let simulated = Simulated::new(*seed);
        let disk = Forgetful::new(simulated.clone(), what);
        let mut world = World::on(*seed, simulated, disk, Faults::default());
        catch_unwind(AssertUnwindSafe(|| world.run(60))).is_err()
    };
    let found = (0..seeds).filter(is_found).count();
    std::panic::set_hook(hook);
    found
}

/// A log that does not sync what it writes is caught.
#[test]
fn a_sync_of_a_file_left_out_is_found() {
    assert!(found_out(Forgets::Files, 20) >= 18);
}

/// A log that does not sync the names of its segments is caught.
#[test]
fn a_sync_of_the_directory_left_out_is_found() {
    assert!(found_out(Forgets::Names, 20) >= 10);
}

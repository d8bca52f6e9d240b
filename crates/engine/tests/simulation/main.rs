//! Deterministic simulation: engine, log and machine on a disk and a clock that misbehave, one seed a run.
//!
//! A run is a small [`world`]: a node of a few shards, clients that ask for whatever there is ([`workload`]), and a list of
//! [`actions`], of which chance takes one after the other. A [`witness`] sees each record that becomes durable, replays it by
//! the machine alone, and has a shadow [`model`] say whether the answer is right. [`invariants`] hold at any time;
//! at [`quiet`] everything must agree, and again after one more crash.
//!
//! ```text
//! cargo test -p engine --test simulation                                 # 2,000 seeds
//! COLONY_SIM_SEED=7 cargo test -p engine --test simulation               # one of them, with what it did
//! COLONY_SIM_SEEDS=1000000 cargo test --release -p engine --test simulation   # a soak
//! ```
//!
//! `COLONY_SIM_FROM` says where a soak begins, `COLONY_SIM_STEPS` how long each run is.

mod actions;
mod damage;
mod invariants;
mod model;
mod node;
mod quiet;
mod requests;
mod rng;
mod store;
mod trace;
mod watch;
mod witness;
mod workload;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use requests::Requests;
use trace::Trace;
use world::World;

#[test]
fn nothing_that_goes_wrong_loses_repeats_or_reorders_anything() {
    let steps = number("COLONY_SIM_STEPS").unwrap_or(STEPS);
    if let Some(seed) = number("COLONY_SIM_SEED") {
        return tell(seed, steps);
    }
    let from = number("COLONY_SIM_FROM").unwrap_or(0);
    let count = number("COLONY_SIM_SEEDS").unwrap_or(SEEDS);
    if let Some(seed) = first_failing(from..from + count, steps) {
        tell(seed, steps);
        panic!("seed {seed} failed, and does not when it runs again: the simulation is not deterministic");
    }
}

/// What the simulation is worth: a log whose syncs do nothing must be caught. What else must be is in `.ci/mutants`.
#[test]
fn a_sync_left_out_is_found() {
    let is_found = |seed: &u64| {
        catch_unwind(AssertUnwindSafe(|| drop(run(*seed, STEPS, true, &Trace::new(false))))).is_err()
    };
    let found = quietly(|| (0..20).filter(is_found).count());
    assert!(found >= 15, "{found} of 20 seeds have noticed that nothing is synced");
}

/// What is never asked for with success would be as if it were not simulated at all.
#[test]
fn everything_that_can_be_asked_for_is_done_somewhere() {
    let mut done: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..60 {
        for name in run(seed, STEPS, false, &Trace::new(false)).done() {
            *done.entry(name).or_default() += 1;
        }
    }
    for (block, commands) in COMMANDS {
        for command in commands {
            let count = done.get(&format!("{block} {command}")).copied().unwrap_or(0);
            assert!(count >= 3, "{block} {command} is done {count} times only: {done:?}");
        }
    }
}

/// One run: what was asked for, and what became of it.
fn run(seed: u64, steps: u64, disk_lies: bool, trace: &Trace) -> Requests {
    let mut world = World::new(seed, disk_lies, trace);
    for _ in 0..steps {
        actions::step(&mut world);
    }
    quiet::check(&mut world);
    damage::check(&mut world);
    world.requests
}

/// Runs all of `seeds` on all cores, up to the first that fails.
fn first_failing(seeds: std::ops::Range<u64>, steps: u64) -> Option<u64> {
    let next = AtomicU64::new(seeds.start);
    let has_failed = AtomicBool::new(false);
    let failed = Mutex::new(None);
    let work = || {
        while !has_failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            if catch_unwind(AssertUnwindSafe(|| drop(run(seed, steps, false, &Trace::new(false))))).is_err() {
                has_failed.store(true, Ordering::Relaxed);
                let mut failed = failed.lock().expect("nobody panics with it");
                *failed = Some(failed.map_or(seed, |other: u64| other.min(seed)));
            }
        }
    };
    quietly(|| {
        std::thread::scope(|scope| {
            let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            for _ in 0..cores {
                scope.spawn(work);
            }
        });
    });
    failed.into_inner().expect("nobody panics with it")
}

/// Does something of which nobody shall see that it panics: a machine whose store has failed does, and is caught; what
/// is not caught comes again in `tell`.
fn quietly<R>(what: impl FnOnce() -> R) -> R {
    static HOOK: Mutex<()> = Mutex::new(());
    let _one_at_a_time = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let done = what();
    std::panic::set_hook(hook);
    done
}

/// Runs a seed and, if it fails, says what was done last and how to see it again.
fn tell(seed: u64, steps: u64) {
    let trace = Trace::new(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| drop(run(seed, steps, false, &trace))));
    if let Err(panic) = outcome {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said =
            said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("something else than words");
        let lines = trace.lines().join("\n  ");
        let again = match steps {
            STEPS => String::new(),
            steps => format!("COLONY_SIM_STEPS={steps} "),
        };
        panic!(
            "seed {seed} failed. The last that was done:\n  {lines}\n\nThen: {said}\n\nTo see it again:\n\n  \
             {again}COLONY_SIM_SEED={seed} cargo test -p engine --test simulation\n"
        );
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value}: this is no number")))
}

/// What clients ask for.
const COMMANDS: [(&str, &[&str]); 7] = [
    ("Kv", &["Put", "Delete", "Transact", "Bulk"]),
    ("Topic", &["Define", "Publish", "PublishBatch", "Subscribe", "Seek", "Acknowledge"]),
    (
        "Queue",
        &[
            "Define",
            "Send",
            "Receive",
            "Acknowledge",
            "Nack",
            "Extend",
            "Cancel",
            "Redrive",
            "Pause",
            "Resume",
        ],
    ),
    ("Lock", &["TryLock", "Unlock", "Extend"]),
    ("Stream", &["Define", "Append", "Truncate", "Delete", "Describe", "SaveSnapshot", "Project", "Rewind"]),
    ("Job", &["Put", "Delete", "Pause", "Resume", "Trigger", "DeletePrefix"]),
    ("Config", &["Write"]),
];
/// How many runs there are, if nothing else is said.
const SEEDS: u64 = 2_000;
/// How many actions a run has.
const STEPS: u64 = 400;

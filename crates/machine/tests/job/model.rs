//! Jobs beside a model of them: each run at its time, once, and none after the last.

use machine::job::{Missed, Put, Schedule};
use proptest::prelude::*;

use crate::desk::{Desk, every, put};
use crate::world::BEGIN;

#[derive(Clone, Debug)]
enum Action {
    /// Every so many milliseconds, so many times.
    Put {
        name: u8,
        every_ms: u64,
        runs: u64,
    },
    Once {
        name: u8,
        after_ms: u64,
    },
    Delete {
        name: u8,
    },
    Pause {
        name: u8,
    },
    Resume {
        name: u8,
    },
    Trigger {
        name: u8,
    },
    Advance(u64),
}

fn action() -> impl Strategy<Value = Action> {
    let name = || 0..3_u8;
    prop_oneof![
        3 => (name(), 10..200_u64, 1..6_u64).prop_map(|(name, every_ms, runs)| Action::Put { name, every_ms, runs }),
        2 => (name(), 0..300_u64).prop_map(|(name, after_ms)| Action::Once { name, after_ms }),
        1 => name().prop_map(|name| Action::Delete { name }),
        1 => name().prop_map(|name| Action::Pause { name }),
        2 => name().prop_map(|name| Action::Resume { name }),
        1 => name().prop_map(|name| Action::Trigger { name }),
        5 => (0..300_u64).prop_map(Action::Advance),
    ]
}

/// A job that the model has: when it runs next, at what interval, and how often.
#[derive(Clone, Debug)]
struct Tracked {
    next: u64,
    every: Option<u64>,
    left: u64,
    paused: bool,
}

fn play(actions: Vec<Action>) {
    let mut desk = Desk::new();
    let mut jobs: [Option<Tracked>; 3] = [None, None, None];
    let (mut now, mut runs): (u64, Vec<u64>) = (0, Vec::new());
    for action in actions {
        match action {
            Action::Put { name, every_ms, runs } => {
                let job = Put { runs_max: runs, overwrite: true, ..every(&name.to_string(), every_ms) };
                desk.put(job).expect("put");
                let tracked =
                    Tracked { next: now + every_ms, every: Some(every_ms), left: runs, paused: false };
                jobs[usize::from(name)] = Some(tracked);
            }
            Action::Once { name, after_ms } => {
                let first_ms = BEGIN.after(now + after_ms).as_millis();
                desk.put(Put { first_ms, overwrite: true, ..put(&name.to_string()) }).expect("put");
                jobs[usize::from(name)] =
                    Some(Tracked { next: now + after_ms, every: None, left: 1, paused: false });
            }
            Action::Delete { name } => {
                let gone = jobs[usize::from(name)].take().is_some();
                assert_eq!(desk.delete(&name.to_string()) == 1, gone);
            }
            Action::Pause { name } => {
                let job = &mut jobs[usize::from(name)];
                assert_eq!(desk.pause(&name.to_string()).is_ok(), job.is_some());
                job.iter_mut().for_each(|job| job.paused = true);
            }
            Action::Resume { name } => {
                let job = &mut jobs[usize::from(name)];
                assert_eq!(desk.resume(&name.to_string()).is_ok(), job.is_some());
                for job in job.iter_mut().filter(|job| job.paused) {
                    job.paused = false;
                    while job.next < now {
                        // One that is due just now is run; one that was due before is not.
                        job.next = job.every.map_or(now, |every| job.next + every);
                        if job.every.is_some() && job.next == now {
                            job.next += job.every.unwrap_or(0);
                        }
                    }
                }
            }
            Action::Trigger { name } => {
                let job = &jobs[usize::from(name)];
                assert_eq!(desk.trigger(&name.to_string()).is_ok(), job.is_some());
                runs.extend(job.iter().map(|_| now));
            }
            Action::Advance(ms) => {
                desk.advance(ms);
                now += ms;
                for slot in &mut jobs {
                    let Some(job) = slot else { continue };
                    while !job.paused && job.next <= now && job.left > 0 {
                        runs.push(job.next);
                        job.left -= 1;
                        job.next += job.every.unwrap_or(0);
                    }
                    if job.left == 0 {
                        *slot = None;
                    }
                }
            }
        }
        runs.sort_unstable();
        assert_eq!(desk.runs(), runs);
        for (name, job) in jobs.iter().enumerate() {
            assert_eq!(desk.get(&name.to_string()).is_some(), job.is_some(), "job {name} at {now}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_run_is_at_its_time_and_once(actions in prop::collection::vec(action(), 1..80)) {
        play(actions);
    }

    #[test]
    fn after_an_outage_no_more_is_made_up_for_than_was_missed(
        every_ms in 10..200_u64,
        max in 1..20_u32,
        outages in prop::collection::vec(1..2_000_u64, 1..8),
    ) {
        let mut desk = Desk::new();
        let schedule = Some(Schedule::every(every_ms));
        desk.put(Put { schedule, missed: Missed::RunAll.into(), missed_max: max, ..put("a") }).expect("put");
        let (mut now, mut done) = (0, 0);
        for outage in outages {
            let missed = (now + outage) / every_ms - now / every_ms;
            desk.outage(outage);
            now += outage;
            done += missed.min(u64::from(max));
            prop_assert_eq!(desk.runs().len() as u64, done);
            let next = desk.get("a").expect("it never ends").progress.next_ms - BEGIN.as_millis();
            prop_assert!(next > now && next <= now + every_ms && next.is_multiple_of(every_ms));
        }
    }
}

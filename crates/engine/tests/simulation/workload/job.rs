//! Jobs of every kind, which are put, stopped, resumed, run out of turn and taken away.

use machine::Entry;
use machine::job::{self, Delete, DeletePrefix, Missed, Pause, Put, Resume, Schedule, Trigger};

use super::{Glance, payload, sent, target};
use crate::model::job::CRONS;

pub fn entry(glance: &mut Glance<'_>) -> Entry {
    let scope = "shop".to_owned();
    let name = glance.rng.pick(&["bill", "clean", "remind"]).to_owned();
    let is_there = glance.model.jobs(glance.shard).has(&scope, &name);
    let what = match glance.rng.below(12) {
        // Seldom does anybody speak of a job that there is not.
        6.. if !is_there && glance.rng.chance(80) => 0,
        what => what,
    };
    match what {
        0..6 => {
            let body = payload(glance.rng, glance.id, 0);
            Entry::new(put(glance, scope, name)).with_body(body)
        }
        6 if glance.rng.chance(30) => {
            Entry::new(DeletePrefix { scope, prefix: name[..glance.rng.pick(&[0, 1, 2])].to_owned() })
        }
        6 => Entry::new(Delete { scope, names: vec![name, "clean".to_owned()] }),
        7..9 => Entry::new(Pause { scope, name }),
        9..11 => Entry::new(Resume { scope, name }),
        _ => Entry::new(Trigger { scope, name }),
    }
}

fn put(glance: &mut Glance<'_>, scope: String, name: String) -> Put {
    let now = glance.now.as_millis();
    let schedule = match glance.rng.below(5) {
        0..2 => None,
        2..4 => Some(Schedule::every(glance.rng.pick(&[700, 15_000, 240_000]))),
        _ => {
            let (text, _) = glance.rng.pick(&CRONS);
            Some(job::schedule(text).expect("it is a schedule"))
        }
    };
    let soon = now + glance.rng.pick(&[0, 1, 1_000, 50_000, 600_000]);
    let past = now - glance.rng.pick(&[0, 1, 100_000]);
    let (first_ms, from_ms) = match glance.rng.below(6) {
        _ if schedule.is_none() => (glance.rng.pick(&[soon, soon, past]), 0),
        0 => (soon, 0),
        1 => (past, 0),
        2 => (0, glance.rng.pick(&[soon, past])),
        _ => (0, 0),
    };
    let missed = glance.rng.pick(&[Missed::RunOnce, Missed::RunOnce, Missed::Skip, Missed::RunAll]);
    Put {
        scope,
        name,
        schedule,
        first_ms,
        from_ms,
        until_ms: glance.rng.pick(&[0, 0, 0, now + 400_000, now]),
        runs_max: glance.rng.pick(&[0, 0, 1, 3]),
        missed: missed.into(),
        missed_max: if missed == Missed::RunAll { glance.rng.pick(&[1, 2, 5]) } else { 0 },
        grace_ms: glance.rng.pick(&[0, 1, 10_000]),
        target: target(glance).0,
        command: Box::new(sent(glance)),
        bodies: vec![0],
        overwrite: glance.rng.chance(60),
    }
}

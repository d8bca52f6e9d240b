//! The power fails while shards are told where to begin: all of them do, or none, and what was told is kept.

use log::disk::{Faults, Simulated};
use log::{Embedded, Log};

use crate::world::config;

#[test]
fn shards_begin_together_or_not_at_all() {
    let (mut began, mut did_not) = (0, 0);
    for seed in 0..40 {
        // One operation after the other, until all of it is done before the power fails.
        for operation in 1.. {
            let disk = Simulated::new(seed);
            let log = Embedded::open(disk.clone(), config()).expect("it opens");
            disk.fail_power_at(disk.operations() + operation);
            let told = log.begin(&[(0, 500), (3, 7)]).is_ok();
            let was_off = disk.is_off();
            drop(log);
            disk.restart();
            let log = Embedded::open(disk, config()).expect("it opens");
            let lasts = (log.last(0), log.last(3));
            assert!(lasts == (499, 6) || (lasts == (0, 0) && !told), "seed {seed}, {operation}: {lasts:?}");
            *(if lasts.0 > 0 { &mut began } else { &mut did_not }) += 1;
            if !was_off {
                break;
            }
        }
    }
    assert!(began > 0 && did_not > 0);
}

/// Where a failed sync leaves open what is noted, nothing is appended before the next opening has settled it.
#[test]
fn after_a_failure_nothing_is_appended() {
    let disk = Simulated::new(1);
    let log = Embedded::open(disk.clone(), config()).expect("it opens");
    disk.set_faults(Faults { sync_fails_in: 1, ..Faults::default() });
    log.begin(&[(0, 500)]).expect_err("it cannot be noted");
    disk.set_faults(Faults::default());
    let refused = log.append(&[log::conformance::batch(0, 0, ["record"])]);
    assert!(matches!(refused[0], Err(log::AppendError::Failed(_))), "{:?}", refused[0]);
}

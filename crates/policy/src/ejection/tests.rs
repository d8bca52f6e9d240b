//! Stories of an upstream of several instances, one of them ill, and what holds in all of them.

use super::*;
use proptest::prelude::*;

const CONFIG: EjectionConfig =
    EjectionConfig { failures: 3, base: Duration::from_secs(10), max: Duration::from_secs(35), ceiling: 0.5 };

const fn secs(secs: u64) -> Time {
    Time::from_millis(secs * 1_000)
}

fn upstream(instances: u64) -> Ejection {
    with(CONFIG, instances)
}

fn with(config: EjectionConfig, instances: u64) -> Ejection {
    let mut ejection = Ejection::new(config);
    ejection.set_instances(&(0..instances).collect::<Vec<_>>());
    ejection
}

/// Fails an instance as often as it takes; for how long that ejected it.
fn fail(ejection: &mut Ejection, now: Time, id: u64) -> Option<u64> {
    (0..CONFIG.failures).find_map(|_| ejection.record(now, id, true)).map(|lasts| lasts.as_secs())
}

#[test]
fn failures_in_a_row_eject() {
    let mut ejection = upstream(4);
    for failed in [true, true, false, true, true] {
        assert_eq!(ejection.record(secs(1), 2, failed), None);
    }
    assert!(ejection.has_failures(2) && !ejection.has_failures(1));
    assert_eq!(ejection.record(secs(1), 2, true), Some(Duration::from_secs(10)));
    assert!(ejection.is_ejected(secs(10), 2) && !ejection.is_ejected(secs(11), 2));
    assert_eq!(ejection.ejected(secs(5)), [(2, secs(11))]);
    assert_eq!((ejection.next_return(secs(5)), ejection.next_return(secs(11))), (Some(secs(11)), None));
    assert_eq!(ejection.ejections(), 1);
}

#[test]
fn one_that_keeps_failing_stays_out_longer_each_time() {
    let mut ejection = upstream(4);
    let mut now = secs(1);
    let mut lasted = Vec::new();
    for _ in 0..5 {
        let lasts = fail(&mut ejection, now, 0).unwrap();
        lasted.push(lasts);
        now = now + Duration::from_secs(lasts);
    }
    assert_eq!(lasted, [10, 20, 30, 35, 35]);
}

#[test]
fn good_time_is_forgiving() {
    let mut ejection = upstream(4);
    assert_eq!(fail(&mut ejection, secs(0), 0), Some(10));
    assert_eq!(fail(&mut ejection, secs(10), 0), Some(20));
    assert_eq!(fail(&mut ejection, secs(30 + 9), 0), Some(30), "nine seconds are not enough");
    assert_eq!(fail(&mut ejection, secs(69 + 20), 0), Some(20), "three, less two, and one");
    assert_eq!(fail(&mut ejection, secs(1_000), 0), Some(10));
}

#[test]
fn a_lone_instance_is_never_ejected() {
    let mut ejection = upstream(1);
    assert!((0..100).all(|_| ejection.record(secs(1), 0, true).is_none()));
    assert!(ejection.has_failures(0));
}

#[test]
fn the_ceiling_holds() {
    let mut five = upstream(5);
    let out: Vec<bool> = (0..5).map(|id| fail(&mut five, secs(1), id).is_some()).collect();
    assert_eq!(out, [true, true, false, false, false]);
    assert!(five.record(secs(11), 2, true).is_some(), "there is room again");

    let mut two = with(EjectionConfig { ceiling: 0.1, ..CONFIG }, 2);
    assert!(fail(&mut two, secs(1), 0).is_some(), "at least one may go");
    assert!(fail(&mut two, secs(1), 1).is_none(), "but not the last");

    let mut all = with(EjectionConfig { ceiling: 1.0, ..CONFIG }, 3);
    assert_eq!((0..3).filter(|id| fail(&mut all, secs(1), *id).is_some()).count(), 2);
}

#[test]
fn zero_switches_it_off() {
    let off = [
        EjectionConfig { failures: 0, ..CONFIG },
        EjectionConfig { base: Duration::ZERO, ..CONFIG },
        EjectionConfig { ceiling: 0.0, ..CONFIG },
    ];
    for config in off {
        assert_eq!(fail(&mut with(config, 4), secs(1), 0), None, "{config:?}");
    }
}

#[test]
fn an_ejected_instance_is_not_listened_to() {
    let mut ejection = upstream(4);
    fail(&mut ejection, secs(1), 0);
    assert_eq!(fail(&mut ejection, secs(2), 0), None);
    assert!(!ejection.has_failures(0));
    assert_eq!((ejection.ejections(), ejection.ejected(secs(2))), (1, vec![(0, secs(11))]));
}

#[test]
fn instances_come_and_go() {
    let mut ejection = upstream(4);
    fail(&mut ejection, secs(1), 0);
    fail(&mut ejection, secs(2), 1);
    ejection.record(secs(2), 3, true);
    ejection.set_instances(&[7, 3, 1, 3, 8]);
    assert_eq!(ejection.ejected(secs(3)), [(1, secs(12))]);
    assert!(ejection.has_failures(3) && !ejection.has_failures(7));
    assert_eq!(ejection.record(secs(3), 0, true), None, "gone");
    assert!(!ejection.is_ejected(secs(3), 0));
}

#[test]
fn when_the_healthy_leave_the_ejected_return() {
    let mut ejection = upstream(4);
    fail(&mut ejection, secs(1), 0);
    fail(&mut ejection, secs(2), 1);
    ejection.set_instances(&[0, 1]);
    assert_eq!(ejection.ejected(secs(3)), [(1, secs(12))]);
    ejection.set_instances(&[1]);
    assert_eq!(ejection.ejected(secs(3)), []);
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Record(u64, bool),
    Instances(Vec<u64>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0_u64..8_000).prop_map(Step::Wait),
        20 => (0_u64..8, prop::bool::weighted(0.8)).prop_map(|(id, failed)| Step::Record(id, failed)),
        1 => prop::collection::vec(0_u64..8, 0..8).prop_map(Step::Instances),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    #[test]
    fn never_passes_its_ceiling_and_never_takes_the_last(steps in steps(), share in 0.0..1.0) {
        let mut ejection = with(EjectionConfig { ceiling: share, ..CONFIG }, 8);
        let (mut now, mut instances) = (Time::ZERO, 8);
        for step in steps {
            match step {
                Step::Wait(millis) => now = now + Duration::from_millis(millis),
                Step::Record(id, failed) => {
                    let before = ejection.is_ejected(now, id);
                    if let Some(lasts) = ejection.record(now, id, failed) {
                        prop_assert!(failed && !before && ejection.is_ejected(now, id));
                        prop_assert!(lasts >= CONFIG.base && lasts <= CONFIG.max);
                        prop_assert!(!ejection.is_ejected(now + lasts, id));
                    }
                }
                Step::Instances(mut ids) => {
                    ejection.set_instances(&ids);
                    ids.sort_unstable();
                    ids.dedup();
                    instances = ids.len();
                }
            }
            let out = ejection.ejected(now).len();
            let ceiling = ((instances as f64 * share) as usize).max(1);
            prop_assert!(out <= ceiling && (out == 0 || out < instances), "{} of {}", out, instances);
        }
    }
}

//! Stories of an upstream behind a breaker, and what holds in all of them.

use super::*;
use proptest::prelude::*;

const CONFIG: BreakerConfig = BreakerConfig {
    failures: 3,
    rate: 0.5,
    slow: Some(Duration::from_secs(1)),
    slow_rate: 0.5,
    window: Duration::from_secs(10),
    minimum: 10,
    open_for: Duration::from_secs(5),
    probes: 2,
};

const FINE: Ending = Ending { failed: false, slow: false };
const FAILED: Ending = Ending { failed: true, slow: false };
const SLOW: Ending = Ending { failed: false, slow: true };

struct World {
    breaker: Breaker,
    now: Time,
}

impl World {
    fn new(config: BreakerConfig) -> World {
        World { breaker: Breaker::new(config, Time::ZERO), now: Time::ZERO }
    }

    fn tripped(config: BreakerConfig) -> World {
        let mut world = World::new(config);
        world.calls("xxx");
        world
    }

    fn wait(&mut self, millis: u64) -> &mut World {
        self.now = self.now + Duration::from_millis(millis);
        self
    }

    fn admit(&mut self) -> Option<Ticket> {
        match self.breaker.admit(self.now) {
            Admission::Pass(ticket) => Some(ticket),
            Admission::Reject { .. } => None,
        }
    }

    /// A call each: `x` fails, `s` is slow, anything else is fine.
    fn calls(&mut self, calls: &str) -> &mut World {
        for call in calls.chars() {
            let ticket = self.admit().expect("admits");
            let ending = match call {
                'x' => FAILED,
                's' => SLOW,
                _ => FINE,
            };
            self.breaker.record(self.now, ticket, ending);
        }
        self
    }

    fn state(&mut self) -> BreakerState {
        self.breaker.state(self.now)
    }

    fn is_closed(&mut self) -> bool {
        self.state() == BreakerState::Closed
    }
}

#[test]
fn failures_in_a_row_open_it() {
    let mut world = World::new(CONFIG);
    assert!(world.calls("xx.xx").is_closed());
    world.calls("x");
    assert_eq!(world.state(), BreakerState::Open { until: Time::from_millis(5_000) });
    assert_eq!(world.breaker.opened(), 1);
}

#[test]
fn a_failure_rate_opens_it() {
    let mut world = World::new(CONFIG);
    assert!(world.calls("x.x.x.x...").is_closed(), "four of ten are below half");
    assert!(world.calls(".xx.x").is_closed(), "and so are seven of fifteen");
    assert!(!world.calls("x").is_closed(), "eight of sixteen are not");
}

#[test]
fn a_rate_of_few_says_nothing() {
    let config = BreakerConfig { failures: 0, ..CONFIG };
    let mut world = World::new(config);
    assert!(world.calls("xxxxxxxxx").is_closed());
    assert!(!world.calls("x").is_closed());
}

#[test]
fn a_rate_forgets_what_left_the_window() {
    let mut world = World::new(CONFIG);
    world.calls("xx.xx.xx.");
    assert!(world.wait(10_000).calls("x.x.").is_closed());
}

#[test]
fn zero_switches_a_criterion_off() {
    let only_rate = BreakerConfig { failures: 0, minimum: 1000, ..CONFIG };
    assert!(World::new(only_rate).calls(&"x".repeat(999)).is_closed());
    let only_row = BreakerConfig { failures: 4, rate: 0.0, ..CONFIG };
    assert!(World::new(only_row).calls(&"xxx.".repeat(100)).is_closed());
    let neither = BreakerConfig { failures: 0, rate: 0.0, ..CONFIG };
    assert!(World::new(neither).calls(&"x".repeat(1000)).is_closed());
}

#[test]
fn open_rejects_and_says_until_when() {
    let mut world = World::tripped(CONFIG);
    world.wait(2_000);
    let retry_after = Some(Duration::from_secs(3));
    assert_eq!(world.breaker.admit(world.now), Admission::Reject { retry_after });
    assert_eq!(world.breaker.next_change(), Some(Time::from_millis(5_000)));
    assert!(world.wait(2_999).admit().is_none());
    assert!(world.wait(1).admit().is_some());
}

#[test]
fn probes_that_succeed_close_it_with_a_clean_record() {
    let mut world = World::tripped(CONFIG);
    world.wait(5_000).calls(".");
    assert_eq!(world.state(), BreakerState::HalfOpen);
    assert!(world.calls(".").is_closed());
    assert!(world.breaker.is_calm());
    assert!(world.calls("xx.xx").is_closed());
}

#[test]
fn a_probe_that_fails_opens_it_again() {
    let mut world = World::tripped(CONFIG);
    world.wait(6_000).calls(".x");
    assert_eq!(world.state(), BreakerState::Open { until: Time::from_millis(11_000) });
    assert_eq!(world.breaker.opened(), 2);
}

#[test]
fn no_more_probes_than_there_may_be() {
    let mut world = World::tripped(CONFIG);
    world.wait(5_000);
    let probes = [world.admit(), world.admit(), world.admit()];
    assert_eq!(probes.map(|probe| probe.map(Ticket::is_probe)), [Some(true), Some(true), None]);
    assert!(!World::new(CONFIG).admit().unwrap().is_probe(), "closed, all pass");
}

#[test]
fn a_probe_that_was_given_up_is_free_again() {
    let mut world = World::tripped(BreakerConfig { probes: 0, ..CONFIG });
    let probe = world.wait(5_000).admit().unwrap();
    assert!(world.admit().is_none());
    world.breaker.abandon(world.now, probe);
    assert_eq!(world.state(), BreakerState::HalfOpen);
    assert!(world.calls(".").is_closed());
}

#[test]
fn news_from_before_it_opened_is_no_news() {
    let mut world = World::new(CONFIG);
    let slow = world.admit().unwrap();
    world.calls("xxx").wait(5_000);
    let probe = world.admit().unwrap();
    world.breaker.record(world.now, slow, FAILED);
    world.breaker.abandon(world.now, slow);
    assert_eq!(world.state(), BreakerState::HalfOpen);
    world.breaker.record(world.now, probe, FINE);
    assert!(world.calls(".").is_closed());
    (0..9).for_each(|_| world.breaker.record(world.now, slow, FAILED));
    assert!(world.breaker.is_calm());
}

#[test]
fn successes_counted_apart_keep_the_rate_low() {
    let mut world = World::new(BreakerConfig { failures: 0, ..CONFIG });
    world.breaker.record_successes(world.now, 100);
    assert!(world.calls(&"x".repeat(99)).is_closed());
    assert!(!world.calls("x").is_closed());
    world.breaker.record_successes(world.now, 1_000);
    world.wait(5_000).calls("..");
    assert!(!world.calls(&"x".repeat(10)).is_closed(), "successes told while open count nothing");
}

#[test]
fn a_ticket_of_the_closed_state_serves_many_and_dies_with_it() {
    let mut world = World::new(CONFIG);
    let ticket = world.breaker.closed_ticket();
    (0..3).for_each(|_| world.breaker.record(world.now, ticket, FAILED));
    assert!(!world.is_closed() && !world.breaker.is_calm());
    world.wait(5_000);
    let probes = [world.admit().unwrap(), world.admit().unwrap()];
    world.breaker.abandon(world.now, world.breaker.closed_ticket());
    assert!(world.admit().is_none());
    probes.iter().for_each(|probe| world.breaker.record(world.now, *probe, FINE));
    assert!(world.is_closed());
    assert_ne!(world.breaker.closed_ticket(), ticket);
}

#[test]
fn slow_answers_open_it_and_a_slow_probe_keeps_it_open() {
    let mut world = World::new(CONFIG);
    assert!(world.calls("s.s.s.s...").is_closed(), "four of ten are below half");
    assert!(!world.calls("ss").is_closed(), "six of twelve are not");
    world.wait(5_000).calls("s");
    assert_eq!(world.state(), BreakerState::Open { until: Time::from_millis(10_000) });
    world.wait(5_000).calls("..");
    assert!(world.is_closed());
}

#[test]
fn slow_answers_are_no_failures_in_a_row_and_end_no_calm() {
    let mut world = World::new(BreakerConfig { slow_rate: 0.9, ..CONFIG });
    world.calls("ss.ssss.ss.ss.");
    assert!(world.is_closed() && world.breaker.is_calm());
    assert!(!world.calls("xxx").is_closed());
}

#[test]
fn what_is_slow_is_said_by_the_configuration() {
    let (second, more) = (Duration::from_secs(1), Duration::from_millis(1_001));
    assert_eq!(CONFIG.ending(false, second), FINE);
    assert_eq!(CONFIG.ending(false, more), SLOW);
    assert_eq!(CONFIG.ending(true, more), Ending { failed: true, slow: true });
    assert_eq!(BreakerConfig { slow_rate: 0.0, ..CONFIG }.ending(false, more), FINE);
    assert_eq!(BreakerConfig { slow: None, ..CONFIG }.ending(false, Duration::MAX), FINE);
}

#[test]
fn a_person_has_the_last_word() {
    let mut world = World::new(CONFIG);
    let before = world.admit().unwrap();
    world.breaker.force(Force::Open);
    assert_eq!(world.breaker.admit(world.now), Admission::Reject { retry_after: None });
    assert!(world.wait(1_000_000).admit().is_none() && world.breaker.next_change().is_none());
    world.breaker.force(Force::Closed);
    world.calls(&"x".repeat(50));
    assert!(world.state() == BreakerState::ForcedClosed && world.breaker.is_calm());
    world.breaker.force(Force::Auto);
    world.breaker.record(world.now, before, FAILED);
    assert!(world.calls("xx").is_closed(), "it begins with a clean record");
    assert!(!world.calls("x").is_closed());
    world.breaker.force(Force::Auto);
    assert!(!world.is_closed(), "what is not forced is not touched");
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Admit,
    /// What to tell of the n-th ticket that is out: how it ended, or that it was given up.
    Tell(usize, Option<Ending>),
    Successes(u32),
    Force(Force),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let told = prop_oneof![
        3 => Just(Some(FAILED)),
        3 => Just(Some(FINE)),
        1 => Just(Some(SLOW)),
        1 => Just(None),
    ];
    let force = prop_oneof![1 => Just(Force::Open), 1 => Just(Force::Closed), 4 => Just(Force::Auto)];
    let step = prop_oneof![
        1 => (0_u64..4_000).prop_map(Step::Wait),
        4 => Just(Step::Admit),
        4 => (any::<usize>(), told).prop_map(|(nth, told)| Step::Tell(nth, told)),
        1 => (0_u32..5).prop_map(Step::Successes),
        1 => force.prop_map(Step::Force),
    ];
    prop::collection::vec(step, 1..200)
}

fn configs() -> impl Strategy<Value = BreakerConfig> {
    (0_u32..5, 0.0..1.0, 0.0..1.0, 1_u32..12, 0_u64..6_000, 1_u32..4).prop_map(
        |(failures, rate, slow_rate, minimum, open_ms, probes)| BreakerConfig {
            failures,
            rate,
            slow_rate,
            minimum,
            open_for: Duration::from_millis(open_ms),
            probes,
            ..CONFIG
        },
    )
}

proptest! {
    #[test]
    fn holds_in_every_story(config in configs(), steps in steps()) {
        let mut world = World::new(config);
        let mut out: Vec<Ticket> = Vec::new();
        for step in steps {
            let before = world.state();
            match step {
                Step::Wait(millis) => { world.wait(millis); }
                Step::Admit => {
                    let admitted = world.admit();
                    match before {
                        BreakerState::Closed => prop_assert!(admitted.is_some()),
                        BreakerState::Open { until } => {
                            prop_assert!(world.now < until);
                            prop_assert!(admitted.is_none());
                        }
                        BreakerState::ForcedClosed => prop_assert!(admitted.is_some()),
                        BreakerState::ForcedOpen => prop_assert!(admitted.is_none()),
                        BreakerState::HalfOpen => {}
                    }
                    out.extend(admitted);
                }
                Step::Tell(nth, told) if !out.is_empty() => {
                    let ticket = out.swap_remove(nth % out.len());
                    let late = ticket.generation != world.breaker.generation;
                    let (opened, in_a_row) = (world.breaker.opened(), world.breaker.in_a_row);
                    match told {
                        Some(ending) => world.breaker.record(world.now, ticket, ending),
                        None => world.breaker.abandon(world.now, ticket),
                    }
                    let forced = matches!(before, BreakerState::ForcedOpen | BreakerState::ForcedClosed);
                    if late || forced || told.is_none() {
                        let now = world.now;
                        prop_assert_eq!(world.breaker.state(now), before);
                        prop_assert_eq!(world.breaker.opened(), opened);
                        prop_assert_eq!(world.breaker.in_a_row, in_a_row);
                    }
                    if before == BreakerState::HalfOpen && !late && told.is_some_and(|told| !told.is_fine()) {
                        prop_assert_eq!(world.breaker.opened(), opened + 1);
                    }
                }
                Step::Tell(..) => {}
                Step::Successes(n) => world.breaker.record_successes(world.now, n),
                Step::Force(force) => {
                    let opened = world.breaker.opened();
                    world.breaker.force(force);
                    let state = world.state();
                    match force {
                        Force::Open => prop_assert_eq!(state, BreakerState::ForcedOpen),
                        Force::Closed => prop_assert_eq!(state, BreakerState::ForcedClosed),
                        Force::Auto if matches!(before, BreakerState::ForcedOpen | BreakerState::ForcedClosed) => {
                            prop_assert_eq!(state, BreakerState::Closed);
                        }
                        Force::Auto => prop_assert_eq!(state, before),
                    }
                    prop_assert_eq!(world.breaker.opened(), opened, "a person's doing is not counted");
                }
            }
            // However probes are admitted, given up, forced away and told late: no more are out than may be.
            if world.state() == BreakerState::HalfOpen {
                let probes = out.iter().filter(|t| t.generation == world.breaker.generation).count();
                prop_assert!(probes <= config.probes as usize);
            }
        }
    }

    /// Against a naive reading of the three criteria, all within one slot of the window.
    #[test]
    fn opens_exactly_when_a_criterion_is_met(
        config in configs(),
        endings in prop::collection::vec(any::<(bool, bool)>(), 1..60),
    ) {
        let mut world = World::new(config);
        let mut told: Vec<Ending> = Vec::new();
        for (failed, slow) in endings {
            told.push(Ending { failed, slow });
            let ticket = world.admit().unwrap();
            world.breaker.record(world.now, ticket, Ending { failed, slow });
            let row = told.iter().rev().take_while(|told| told.failed).count();
            let failures = told.iter().filter(|told| told.failed).count();
            let slow_ones = told.iter().filter(|told| told.slow).count();
            let by_row = config.failures > 0 && row >= config.failures as usize;
            let by_rate = config.rate > 0.0
                && failed
                && told.len() >= config.minimum as usize
                && failures as f64 >= config.rate * told.len() as f64;
            let by_slow = config.slow_rate > 0.0
                && slow
                && told.len() >= config.minimum as usize
                && slow_ones as f64 >= config.slow_rate * told.len() as f64;
            prop_assert_eq!(world.breaker.opened() == 1, by_row || by_rate || by_slow);
            if by_row || by_rate || by_slow {
                return Ok(());
            }
        }
    }
}

#[test]
fn a_success_never_opens_it() {
    let config = BreakerConfig { failures: 0, rate: 0.5, minimum: 10, ..BreakerConfig::default() };
    let mut breaker = Breaker::new(config, Time::ZERO);
    let at = |seconds: u64| Time::from_millis(1000 * seconds);
    breaker.record_successes(at(0), 12);
    for _ in 0..10 {
        let ticket = breaker.closed_ticket();
        breaker.record(at(5), ticket, FAILED);
    }
    // The successes leave the window before the failures do.
    breaker.record_successes(at(12), 1);
    assert_eq!(breaker.state(at(12)), BreakerState::Closed);
    let ticket = breaker.closed_ticket();
    breaker.record(at(12), ticket, FAILED);
    assert!(matches!(breaker.state(at(12)), BreakerState::Open { .. }));
}

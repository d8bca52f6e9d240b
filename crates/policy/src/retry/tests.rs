//! Stories of one request whose tries fail.

use super::*;
use crate::retry::budget::BudgetConfig;
use crate::rng::Rng;
use proptest::prelude::*;

const GET: Request = Request { idempotent: true, replayable: true };
const POST: Request = Request { idempotent: false, replayable: true };
const SENT_AWAY: Request = Request { idempotent: true, replayable: false };
const OK: Outcome = Outcome::Answered { status: 200, retry_after: None, grpc: None };
const UNAVAILABLE: Outcome = Outcome::Answered { status: 503, retry_after: None, grpc: None };

struct World {
    config: Option<RetryConfig>,
    deadline: Option<Time>,
    retrier: Retrier,
    budget: Budget,
    rng: Rng,
}

impl World {
    fn new(max: u32) -> World {
        let plenty = BudgetConfig { min_per_second: 100.0, ..BudgetConfig::default() };
        World {
            config: Some(RetryConfig { max, ..RetryConfig::default() }),
            deadline: None,
            retrier: Retrier::new(),
            budget: Budget::new(plenty, Time::ZERO),
            rng: Rng::new(1),
        }
    }

    fn after(&mut self, outcome: Outcome, request: Request) -> Verdict {
        let World { config, deadline, retrier, budget, rng } = self;
        retrier.decide(Time::ZERO, *deadline, config.as_ref(), outcome, request, budget, rng)
    }

    fn retries_after(&mut self, outcome: Outcome, request: Request) -> bool {
        matches!(self.after(outcome, request), Verdict::Retry(_))
    }
}

#[test]
fn a_failing_get_is_tried_until_it_is_exhausted() {
    let mut world = World::new(2);
    assert!(world.retries_after(UNAVAILABLE, GET));
    assert!(world.retries_after(Outcome::TimedOut, GET));
    assert_eq!(world.after(Outcome::Reset, GET), Verdict::Stop(Stop::Exhausted));
    assert_eq!(world.retrier.retries(), 2);
}

#[test]
fn only_what_is_asked_for_is_retried() {
    let none = Conditions { connect_failure: false, reset: false, timeout: false, statuses: false };
    for (on, wanted) in [
        (Conditions { connect_failure: true, ..none }, Outcome::NotSent),
        (Conditions { reset: true, ..none }, Outcome::Reset),
        (Conditions { timeout: true, ..none }, Outcome::TimedOut),
        (Conditions { statuses: true, ..none }, UNAVAILABLE),
    ] {
        for outcome in [Outcome::NotSent, Outcome::Reset, Outcome::TimedOut, UNAVAILABLE] {
            let mut world = World::new(2);
            world.config = Some(RetryConfig { on, ..RetryConfig::default() });
            assert_eq!(world.retries_after(outcome, GET), outcome == wanted, "{on:?} {outcome:?}");
        }
    }
}

#[test]
fn an_answer_of_grpc_is_retried_by_its_own_status() {
    let failed = |grpc| Outcome::Answered { status: 200, retry_after: None, grpc: Some(grpc) };
    let mut world = World::new(2);
    assert!(!world.retries_after(failed(14), GET), "by default none is");
    world.config = Some(RetryConfig { grpc_statuses: vec![14, 8], ..RetryConfig::default() });
    assert!(world.retries_after(failed(14), GET));
    assert_eq!(world.after(failed(5), GET), Verdict::Stop(Stop::Success));
    assert_eq!(world.after(failed(14), POST), Verdict::Stop(Stop::NotRetryable));
}

#[test]
fn decorrelated_waits_never_begin_at_once() {
    let mut world = World::new(20);
    let backoff = Backoff { base: Duration::from_millis(10), max: Duration::from_millis(500) };
    world.config =
        Some(RetryConfig { max: 20, backoff, jitter: Jitter::Decorrelated, ..RetryConfig::default() });
    let mut last = Duration::ZERO;
    for _ in 0..20 {
        let Verdict::Retry(wait) = world.after(UNAVAILABLE, GET) else { panic!("there are twenty") };
        assert!(wait >= backoff.base && wait <= backoff.max.min((last * 3).max(backoff.base)), "{wait:?}");
        last = wait;
    }
}

#[test]
fn an_answer_to_hand_on_is_the_end() {
    let mut world = World::new(2);
    assert_eq!(world.after(OK, GET), Verdict::Stop(Stop::Success));
    let internal_error = Outcome::Answered { status: 500, retry_after: None, grpc: None };
    assert_eq!(world.after(internal_error, GET), Verdict::Stop(Stop::Success));
}

#[test]
fn a_post_that_may_have_arrived_is_not_repeated() {
    for outcome in [UNAVAILABLE, Outcome::Reset, Outcome::TimedOut] {
        assert_eq!(World::new(2).after(outcome, POST), Verdict::Stop(Stop::NotRetryable));
    }
}

#[test]
fn a_post_of_which_nothing_was_sent_is_repeated() {
    assert!(World::new(2).retries_after(Outcome::NotSent, POST));
}

#[test]
fn a_body_that_is_gone_is_not_repeated() {
    for outcome in [UNAVAILABLE, Outcome::NotSent] {
        assert_eq!(World::new(2).after(outcome, SENT_AWAY), Verdict::Stop(Stop::NotRetryable));
    }
}

#[test]
fn retries_can_be_off() {
    let mut zero = World::new(0);
    assert_eq!(zero.after(UNAVAILABLE, GET), Verdict::Stop(Stop::Off));
    assert_eq!(zero.after(OK, GET), Verdict::Stop(Stop::Success));
    let mut none = World { config: None, ..World::new(2) };
    assert_eq!(none.after(Outcome::NotSent, GET), Verdict::Stop(Stop::Off));
}

#[test]
fn a_spent_budget_stops_everyone() {
    let config = BudgetConfig { ratio: 0.0, min_per_second: 0.1, window: Duration::from_secs(10) };
    let mut world = World { budget: Budget::new(config, Time::ZERO), ..World::new(5) };
    assert!(world.retries_after(UNAVAILABLE, GET));
    assert_eq!(world.after(UNAVAILABLE, GET), Verdict::Stop(Stop::Budget));
    assert_eq!(world.retrier.retries(), 1);
}

#[test]
fn what_is_refused_for_another_reason_leaves_the_budget_alone() {
    let mut world = World { deadline: Some(Time::ZERO), ..World::new(2) };
    let before = world.budget.balance(Time::ZERO);
    assert_eq!(world.after(UNAVAILABLE, GET), Verdict::Stop(Stop::Deadline));
    assert_eq!(world.after(UNAVAILABLE, POST), Verdict::Stop(Stop::NotRetryable));
    assert_eq!(world.budget.balance(Time::ZERO), before);
}

#[test]
fn retry_after_is_honoured_within_the_deadline() {
    let later =
        |secs| Outcome::Answered { status: 503, retry_after: Some(Duration::from_secs(secs)), grpc: None };
    let mut world = World { deadline: Some(Time::from_millis(5_000)), ..World::new(2) };
    assert_eq!(world.after(later(4), GET), Verdict::Retry(Duration::from_secs(4)));
    assert_eq!(world.after(later(5), GET), Verdict::Stop(Stop::Deadline));
    let mut patient = World::new(2);
    assert_eq!(patient.after(later(30), GET), Verdict::Retry(Duration::from_secs(30)));
    assert_eq!(patient.after(later(31), GET), Verdict::Stop(Stop::Deadline));
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let answer = (200_u16..600, prop::option::of(0_u64..100)).prop_map(|(status, secs)| Outcome::Answered {
        status,
        retry_after: secs.map(Duration::from_secs),
        grpc: None,
    });
    prop_oneof![
        3 => answer,
        1 => Just(UNAVAILABLE),
        1 => Just(Outcome::NotSent),
        1 => Just(Outcome::Reset),
        1 => Just(Outcome::TimedOut)
    ]
}

proptest! {
    #[test]
    fn a_retry_is_always_within_the_rules(
        outcomes in prop::collection::vec(outcomes(), 1..30),
        max in 0_u32..6,
        deadline in prop::option::of(0_u64..60_000),
        idempotent: bool,
        replayable: bool,
        seed: u64,
    ) {
        let deadline = deadline.map(Time::from_millis);
        let mut world = World { deadline, rng: Rng::new(seed), ..World::new(max) };
        let mut granted = 0;
        for outcome in outcomes {
            if let Verdict::Retry(wait) = world.after(outcome, Request { idempotent, replayable }) {
                granted += 1;
                prop_assert!(outcome.is_failure());
                prop_assert!(replayable && (idempotent || outcome == Outcome::NotSent));
                prop_assert!(wait >= asked_for(outcome));
                prop_assert!(wait <= asked_for(outcome).max(Backoff::default().max));
                prop_assert!(deadline.is_none_or(|deadline| Time::ZERO + wait < deadline));
            }
        }
        prop_assert!(granted <= max);
        prop_assert_eq!(granted, world.retrier.retries());
    }
}

proptest! {
    /// Whatever fails however often, under every jitter: whenever a retry is granted, those of the window
    /// that ends there are no more than the budget of all its requests together.
    #[test]
    fn all_requests_together_stay_within_the_budget(
        requests in prop::collection::vec((outcomes(), any::<bool>(), 0_u64..200), 1..300),
        ratio in 0.0..1.0,
        min_per_second in 0.0..2.0,
        jitter in prop_oneof![Just(Jitter::Full), Just(Jitter::Decorrelated)],
    ) {
        let budget = BudgetConfig { ratio, min_per_second, window: Duration::from_secs(10) };
        let config = RetryConfig { max: 20, jitter, ..RetryConfig::default() };
        let (mut budget, mut rng) = (Budget::new(budget, Time::ZERO), Rng::new(3));
        let (mut now, mut sent, mut retried) = (0_u64, Vec::new(), Vec::new());
        for (outcome, idempotent, wait) in requests {
            now += wait;
            budget.request(Time::from_millis(now));
            sent.push(now);
            let mut retrier = Retrier::new();
            let request = Request { idempotent, replayable: true };
            let at = Time::from_millis(now);
            while let Verdict::Retry(_) =
                retrier.decide(at, None, Some(&config), outcome, request, &mut budget, &mut rng)
            {
                retried.push(now);
                // Looking at each grant's window looks at them all, see `Budget`.
                let within = |times: &[u64]| times.iter().filter(|at| **at + 10_000 > now).count() as f64;
                let allowed = ratio * within(&sent) + min_per_second * 10.0;
                prop_assert!(within(&retried) <= allowed + 1e-6, "{} of {}", within(&retried), allowed);
            }
        }
    }
}

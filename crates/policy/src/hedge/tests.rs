//! Stories of requests that take too long.

use super::*;
use crate::retry::budget::BudgetConfig;
use crate::rng::Rng;
use proptest::prelude::*;

const GET: Request = Request { idempotent: true, replayable: true };

fn budget(ratio: f64) -> Budget {
    let window = Duration::from_secs(10);
    Budget::new(BudgetConfig { ratio, min_per_second: 0.0, window }, Time::ZERO)
}

#[test]
fn a_fixed_wait_needs_no_experience_and_a_quantile_does() {
    let fixed = HedgeConfig { after: After::Fixed(Duration::from_millis(50)), max: 1 };
    assert_eq!(Hedge::new(fixed, Time::ZERO).delay(Time::ZERO), Some(Duration::from_millis(50)));
    let mut learned = Hedge::new(HedgeConfig::default(), Time::ZERO);
    assert_eq!(learned.delay(Time::ZERO), None);
    (0..100).for_each(|_| learned.record(Time::ZERO, Duration::from_millis(10)));
    let delay = learned.delay(Time::from_millis(200)).expect("it knows by now");
    assert!((10..=12).contains(&delay.as_millis()), "{delay:?}");
}

#[test]
fn only_what_is_safe_to_repeat_is_hedged() {
    let hedge = Hedge::new(HedgeConfig { max: 3, ..HedgeConfig::default() }, Time::ZERO);
    for request in [Request { idempotent: false, ..GET }, Request { replayable: false, ..GET }] {
        let (mut sent, mut budget) = (0, budget(1.0));
        budget.requests(Time::ZERO, 100);
        assert_eq!(hedge.another(Time::ZERO, &mut sent, request, &mut budget), Verdict::No);
        assert_eq!((sent, budget.balance(Time::ZERO) as u32), (0, 100));
    }
}

#[test]
fn an_empty_budget_is_told_apart() {
    let hedge = Hedge::new(HedgeConfig::default(), Time::ZERO);
    assert_eq!(hedge.another(Time::ZERO, &mut 0, GET, &mut budget(1.0)), Verdict::Budget);
}

/// A service of which most requests take 10 ms and a few 500 ms, whose hedges take 10 ms: the slow ones are
/// cut off when the hedge has answered, and their true length is never seen.
#[test]
fn hedges_do_not_feed_on_themselves() {
    let mut hedge = Hedge::new(HedgeConfig::default(), Time::ZERO);
    let (mut rng, mut hedges) = (Rng::new(3), 0_u32);
    for nth in 0..60_000_u64 {
        let now = Time::from_millis(nth * 5);
        let own = Duration::from_micros(if rng.below(100) < 3 { 500_000 } else { 9_000 + rng.below(3_000) });
        match hedge.delay(now).filter(|delay| own > *delay) {
            Some(delay) => {
                hedges += 1;
                hedge.record(now, own.min(delay + Duration::from_millis(10)));
            }
            None => hedge.record(now, own),
        }
    }
    let share = f64::from(hedges) / 60_000.0;
    assert!((0.02..0.06).contains(&share), "{share}");
}

proptest! {
    #[test]
    fn hedges_stay_within_the_budget_and_the_most_a_request_may_have(
        requests in 1_u32..400,
        max in 0_u32..4,
        ratio in 0.0..1.0_f64,
        seed: u64,
    ) {
        let hedge = Hedge::new(HedgeConfig { max, ..HedgeConfig::default() }, Time::ZERO);
        let (mut budget, mut rng, mut all) = (budget(ratio), Rng::new(seed), 0);
        for nth in 0..requests {
            let now = Time::from_millis(u64::from(nth));
            budget.request(now);
            let request = Request { idempotent: rng.below(4) > 0, replayable: rng.below(4) > 0 };
            let mut sent = 0;
            for _ in 0..rng.below(6) {
                let verdict = hedge.another(now, &mut sent, request, &mut budget);
                all += u32::from(verdict == Verdict::Send);
                prop_assert!(verdict != Verdict::Send || request == GET);
            }
            prop_assert!(sent <= max);
            prop_assert!(f64::from(all) <= ratio * f64::from(nth + 1) + 1e-6);
        }
    }
}

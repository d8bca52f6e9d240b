//! The worst case that is told is one that no request goes beyond, as the data plane's own machines decide.

use std::time::Duration;

use manifest::terms::{self, Places, Worst};
use mesh::config::{Call, Role};
use policy::{Budget, Outcome, Retrier, Rng, Time, Verdict};

use crate::lower;

/// What holds for a call with these policies, and the call as the data plane has it.
fn call(policies: &str) -> (Worst, Call) {
    let text =
        format!("name: x\nservices:\n  a: {{ run: ./a, calls: {{ b: {policies} }} }}\n  b: {{ run: ./b }}\n");
    let base = manifest::Source { name: "colony.yaml".to_owned(), text };
    let input =
        manifest::Input { root: "/".into(), base, overlays: Vec::new(), env: Default::default(), zone: None };
    let manifest = manifest::check(&input).manifest.expect("valid");
    let terms = terms::call(&manifest, &Places::of(&input), "a", "b").expect("declared");
    let plane = lower::mesh(&manifest, None);
    match &plane.listeners["a -> b"].role {
        Role::Call { call, .. } => (terms.worst, call.clone()),
        _ => panic!("a call"),
    }
}

/// How long a request takes whose tries all take as long as they may and come to nothing, and how many
/// they are.
fn longest(call: &Call, retry_after: Option<Duration>, seed: u64) -> (Duration, u32) {
    let (mut retrier, mut rng) = (Retrier::new(), Rng::new(seed));
    let retries = call.retries.as_ref();
    let budget = policy::BudgetConfig { min_per_second: 1e6, ..policy::BudgetConfig::default() };
    let mut budget = Budget::new(budget, Time::ZERO);
    let deadline = call.timeout.map(|timeout| Time::ZERO + timeout);
    let outcome = match retry_after {
        Some(_) => Outcome::Answered { status: 503, retry_after, grpc: None },
        None => Outcome::TimedOut,
    };
    let mut now = Time::ZERO + call.concurrency.map_or(Duration::ZERO, |place| place.wait);
    loop {
        now = now + call.per_try.unwrap_or(Duration::from_secs(3600));
        now = deadline.map_or(now, |deadline| now.min(deadline));
        let request = policy::Request { idempotent: true, replayable: true };
        let retry = retries.map(|retries| &retries.retry);
        match retrier.decide(now, deadline, retry, outcome, request, &mut budget, &mut rng) {
            Verdict::Retry(wait) => now = now + wait,
            Verdict::Stop(_) => return (now.since(Time::ZERO), retrier.retries() + 1),
        }
    }
}

#[test]
fn no_request_goes_beyond_the_worst_case() {
    for policies in [
        "{}",
        "{ timeout: 2s, per-try: 500ms }",
        "{ per-try: 1s, retries: { max: 7, backoff: 100ms, backoff-max: 1s } }",
        "{ timeout: none, per-try: 1s, retries: { max: 7, backoff: 100ms, jitter: decorrelated } }",
        "{ timeout: none, per-try: 2s, retries: { max: 3, backoff: 0s }, concurrency: { max: 1, queue: 1, wait: 9s } }",
        "{ per-try: 700ms, retries: none }",
        "{ per-try: 700ms, retries: { on: [] } }",
        "{ per-try: 700ms, retries: { on: timeout } }",
    ] {
        let (worst, call) = call(policies);
        let time = worst.time.expect("bounded");
        let mut reached = Duration::ZERO;
        for seed in 0..300 {
            let (took, tries) = longest(&call, None, seed);
            assert!(took <= time && tries <= worst.tries, "{policies}: {took:?} and {tries} of {worst:?}");
            reached = reached.max(took);
        }
        assert!(reached >= time.mul_f64(0.9), "{policies}: {reached:?} is the longest seen of {worst:?}");
        if call.retries.is_some() {
            let asked = worst.asked_to_wait.unwrap_or(time);
            let (took, _) = longest(&call, Some(Duration::from_secs(30)), 7);
            assert!(took <= asked, "{policies}: {took:?} of {worst:?}");
        }
    }
}

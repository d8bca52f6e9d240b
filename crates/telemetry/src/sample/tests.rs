//! What is kept, in virtual time.

use proptest::prelude::*;

use super::*;
use crate::span::tests::span;
use crate::span::{Kind, Status, Text};

const MS: u64 = 1_000_000;

fn id(n: u64) -> [u8; 16] {
    // Like chance's, as the ids of traces are.
    let high = mixed(&u128::from(n).to_be_bytes(), 99);
    ((u128::from(high) << 64) | u128::from(n)).to_be_bytes()
}

fn root(n: u64, name: &'static str) -> Span {
    Span { trace_id: id(n), name: name.into(), duration_ns: MS, ..span() }
}

fn inner(n: u64, of: u8) -> Span {
    Span { span_id: [of + 1; 8], parent: Some([of; 8]), kind: Kind::Client, ..root(n, "call") }
}

struct World {
    sampler: Sampler,
    now_ms: u64,
    kept: Vec<Part>,
}

impl World {
    fn new(limits: Limits) -> World {
        World { sampler: Sampler::new(limits, 7), now_ms: 0, kept: Vec::new() }
    }

    fn comes(&mut self, span: Span) {
        self.sampler.span(self.now_ms, Arc::new(span), &mut self.kept);
    }

    fn passes(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(50) {
            self.now_ms += 50;
            self.sampler.tick(self.now_ms, &mut self.kept);
        }
    }

    fn why(&self, n: u64) -> Option<Why> {
        self.kept.iter().find(|part| part.trace_id == id(n)).and_then(|part| part.kept).map(|kept| kept.why)
    }

    /// Weights of those kept whose first span has this name.
    fn told(&self, name: &str) -> (usize, f64) {
        let of = |part: &&Part| part.spans[0].name == *name;
        let parts = self.kept.iter().filter(of);
        (parts.clone().count(), parts.map(Part::weight).sum())
    }
}

#[test]
fn what_came_of_open_traces_is_told_once_to_be_saved() {
    let mut world = World::new(Limits::default());
    world.comes(root(1, "a"));
    world.comes(inner(2, 9));
    let told = |world: &mut World| world.sampler.unsaved().iter().map(|part| part.spans.len()).sum::<usize>();
    assert_eq!((told(&mut world), told(&mut world)), (2, 0));
    world.comes(inner(2, 8));
    assert_eq!(told(&mut world), 1);
    world.comes(inner(1, 2));
    world.passes(3_000);
    assert!(!world.sampler.is_open(&id(1)) && world.sampler.is_open(&id(2)));
    assert_eq!(told(&mut world), 0, "what is decided on is not open");
}

/// A window so small that little of anything fits.
fn small() -> Limits {
    Limits { window_bytes: 1 << 20, window_s: 3_600, ..Limits::default() }
}

#[test]
fn a_trace_is_decided_on_when_it_is_quiet_and_whole() {
    let mut world = World::new(Limits::default());
    world.comes(Span { span_id: [1; 8], ..root(1, "GET /") });
    world.passes(1_500);
    world.comes(inner(1, 1));
    world.passes(1_900);
    assert!(world.kept.is_empty());
    world.passes(150);
    assert_eq!((world.kept.len(), world.kept[0].spans.len()), (1, 2));
    assert_eq!(world.sampler.gathered(), (0, 0));
}

#[test]
fn a_cause_that_is_still_to_come_is_waited_for() {
    let mut world = World::new(Limits::default());
    world.comes(inner(1, 1));
    world.passes(20_000);
    assert!(world.kept.is_empty());
    world.comes(Span { span_id: [1; 8], duration_ns: 20_000 * MS, ..root(1, "GET /") });
    world.passes(2_100);
    assert_eq!(world.kept.len(), 1);
    world.comes(inner(2, 1));
    world.passes(30_050);
    assert_eq!(world.kept.len(), 2, "not for ever");
}

#[test]
fn what_comes_late_shares_the_fate() {
    let mut world = World::new(Limits::default());
    world.comes(root(1, "GET /"));
    world.passes(2_100);
    world.comes(inner(1, 2));
    let late = world.kept.pop().unwrap();
    assert_eq!((late.start_ns, late.kept), (world.kept[0].start_ns, world.kept[0].kept));
}

#[test]
fn what_comes_late_counts_among_the_spans_of_its_trace() {
    let mut world = World::new(Limits { spans_max: 5, ..Limits::default() });
    world.comes(root(1, "GET /"));
    world.passes(2_100);
    (2..10).for_each(|of| world.comes(inner(1, of)));
    assert_eq!(
        (world.kept.iter().map(|part| part.spans.len()).sum::<usize>(), world.sampler.counts().spans_dropped),
        (5, 4)
    );
}

#[test]
fn a_large_trace_of_a_rare_name_is_kept() {
    let mut world = World::new(Limits::default());
    let large = |n: u64| {
        (0..10_000_u64).map(move |span| Span {
            span_id: (span + 1).to_be_bytes(),
            attributes: vec![("k".into(), "x".repeat(400).into())],
            ..root(n, "nightly")
        })
    };
    large(1).for_each(|span| world.comes(span));
    world.passes(40_000);
    assert_eq!(world.why(1), Some(Why::Share));
}

#[test]
fn a_failure_after_the_decision_is_kept_and_what_follows() {
    let mut world = World::new(Limits { window_bytes: 1, ..small() });
    world.comes(root(1, "GET /"));
    world.passes(2_100);
    world.comes(inner(1, 2));
    assert!(world.kept.is_empty());
    world.comes(Span { status: Status::Error(Text::default()), ..inner(1, 3) });
    world.comes(inner(1, 4));
    assert_eq!((world.kept.len(), world.why(1)), (2, Some(Why::Error)));
}

#[test]
fn too_many_are_decided_on_early() {
    let mut world = World::new(Limits { traces_max: 10, spans_max: 3, ..Limits::default() });
    (0..100).for_each(|n| world.comes(root(n, "GET /")));
    assert_eq!((world.sampler.gathered().0, world.sampler.counts().early), (10, 90));
    (0..10).for_each(|_| world.comes(inner(99, 1)));
    assert_eq!(world.sampler.counts().spans_dropped, 8);
    let mut world = World::new(Limits { bytes_max: 10_000, ..Limits::default() });
    (0..1_000).for_each(|n| world.comes(root(n, "GET /")));
    assert!(world.sampler.gathered().1 <= 10_000);
}

/// Some minutes of a busy route, a rare one, some failures and some that are slow.
fn busy(limits: Limits, seconds: u64) -> (World, [u64; 4]) {
    let mut world = World::new(limits);
    let mut sent = [0; 4];
    let mut n = 0;
    for second in 0..seconds {
        for tenth in 0..10 {
            for _ in 0..40 {
                n += 1;
                sent[0] += 1;
                world.comes(Span { duration_ns: MS + n % 50, ..root(n, "GET /often") });
            }
            if tenth == 0 && second % 5 == 0 {
                n += 1;
                sent[1] += 1;
                world.comes(root(n, "GET /rare"));
            }
            if tenth == 1 {
                n += 1;
                sent[2] += 1;
                world.comes(Span { status: Status::Error("no".into()), ..root(n, "GET /failed") });
            }
            if tenth == 2 && second > 5 {
                n += 1;
                sent[3] += 1;
                world.comes(Span { duration_ns: 900 * MS, start_ns: 77, ..root(n, "GET /often") });
            }
            world.passes(100);
        }
        // As the writer tells: what is kept packs to a tenth.
        let memory: usize = world.kept.iter().map(Part::bytes).sum();
        world.sampler.written(memory / seconds as usize, memory / seconds as usize / 10);
    }
    world.passes(3_000);
    (world, sent)
}

#[test]
fn rare_ones_failures_and_the_slow_are_kept_whole_and_counts_can_be_told() {
    let (world, sent) = busy(small(), 120);
    let (kept, told) = world.told("GET /often");
    assert!(kept < sent[0] as usize / 4, "{kept} of {}", sent[0]);
    let wanted = (sent[0] + sent[3]) as f64;
    assert!((told / wanted - 1.0).abs() < 0.15, "{told} instead of {wanted}");
    assert_eq!(world.told("GET /rare").0 as u64, sent[1]);
    assert_eq!(world.told("GET /failed"), (sent[2] as usize, sent[2] as f64));
    let slow = world.kept.iter().filter(|part| part.kept.is_some_and(|kept| kept.why == Why::Slow));
    let slow = slow.filter(|part| part.spans[0].start_ns == 77).count();
    assert_eq!(slow as u64, sent[3]);
}

#[test]
fn a_system_at_rest_keeps_all() {
    let (world, sent) = busy(Limits::default(), 20);
    assert_eq!(world.kept.len() as u64, sent.iter().sum::<u64>());
    assert_eq!(world.sampler.counts().dropped, 0);
}

#[test]
fn a_flood_of_failures_is_thinned_before_it_fills_the_window() {
    let mut world = World::new(small());
    for n in 0..60_000_u64 {
        world.comes(Span { status: Status::Error("no".into()), ..root(n, "GET /") });
        if n % 100 == 0 {
            world.passes(50);
        }
    }
    world.passes(3_000);
    let (kept, told) = world.told("GET /");
    assert!(kept < 20_000, "{kept}");
    assert!((told / 60_000.0 - 1.0).abs() < 0.1, "{told}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever comes in whatever order: nothing is lost uncounted, nothing twice, and nothing unbounded.
    #[test]
    fn each_span_is_kept_or_counted(
        steps in prop::collection::vec((0_u64..30, 0_u8..6, prop::bool::ANY, 0_u64..4_000), 1..300),
        window_bytes in prop::sample::select(vec![1_u64, 100_000, 1 << 30]),
    ) {
        let limits = Limits { window_bytes, traces_max: 12, bytes_max: 20_000, spans_max: 5, ..Limits::default() };
        let mut world = World::new(limits);
        let sent = steps.len() as u64;
        for (at, (n, of, is_error, wait_ms)) in steps.into_iter().enumerate() {
            let status = if is_error && n % 5 == 0 { Status::Error(Text::default()) } else { Status::Unset };
            let made = if of == 0 { root(n, "GET /") } else { inner(n, of) };
            world.comes(Span { status, start_ns: at as u64, ..made });
            prop_assert!(world.sampler.gathered().0 <= 12 && world.sampler.gathered().1 <= 20_000);
            world.passes(wait_ms / 40);
        }
        world.sampler.end(&mut world.kept);
        let kept: u64 = world.kept.iter().map(|part| part.spans.len() as u64).sum();
        prop_assert_eq!(kept + world.sampler.counts().spans_dropped, sent);
        prop_assert_eq!(world.sampler.gathered(), (0, 0));
        let mut starts: Vec<u64> = world.kept.iter().flat_map(|part| part.spans.iter().map(|span| span.start_ns)).collect();
        starts.sort_unstable();
        starts.dedup();
        prop_assert_eq!(starts.len() as u64, kept);
    }

    #[test]
    fn the_same_is_decided_twice(traces in prop::collection::vec(0_u64..1_000, 1..100)) {
        let decide = || {
            let mut world = World::new(Limits { window_bytes: 10_000, ..Limits::default() });
            traces.iter().for_each(|n| world.comes(root(*n, "GET /")));
            world.passes(2_100);
            let mut kept: Vec<_> = world.kept.iter().map(|part| part.trace_id).collect();
            kept.sort_unstable();
            kept
        };
        prop_assert_eq!(decide(), decide());
    }
}

//! What is found, held against a look at everything.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::part::{Kept, KeptLog, Part, Why};
use crate::query::filter::SpanFilter;
use crate::span::tests::span;
use crate::span::{Kind, LogRecord, Span, Status, Text};
use crate::window::{Contents, Window};

const SERVICES: [&str; 3] = ["shop", "payments", "stock"];

/// Parts in blocks on a disk and in memory, as a node has them.
struct World {
    _dir: tempfile::TempDir,
    view: View,
    parts: Vec<Part>,
    logs: Vec<Arc<KeptLog>>,
}

impl World {
    fn new(
        blocks: Vec<Vec<Part>>,
        memory: Vec<Part>,
        logs: Vec<Vec<Arc<KeptLog>>>,
        recent: Vec<Arc<KeptLog>>,
    ) -> World {
        let dir = tempfile::tempdir().unwrap();
        let mut window = Window::open(dir.path(), 1 << 30, u64::MAX, 0).unwrap().0;
        let mut contents = Contents::default();
        for parts in blocks.iter().filter(|parts| !parts.is_empty()) {
            contents.spans.push(window.seal_parts(parts, 1).unwrap().0);
        }
        for logs in logs.iter().filter(|logs| !logs.is_empty()) {
            contents.logs.push(window.seal_logs(logs, 1).unwrap());
        }
        let view = View {
            parts: memory.clone(),
            logs: recent.clone(),
            spans: contents.spans,
            log_blocks: contents.logs,
            reader: Arc::default(),
            looked_at_max: usize::MAX,
        };
        let parts = blocks.into_iter().flatten().chain(memory).collect();
        World { _dir: dir, view, parts, logs: logs.into_iter().flatten().chain(recent).collect() }
    }

    /// Ids of the traces asked for, newest first, by looking at all.
    fn naive(&self, query: &TraceQuery) -> Vec<[u8; 16]> {
        let is_met = |part: &&Part| query.range.has(part.start_ns) && is_asked_for(&query.span, part);
        let mut found: Vec<_> =
            self.parts.iter().filter(is_met).map(|part| (part.start_ns, part.trace_id)).collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().rev().map(|(_, trace_id)| trace_id).collect()
    }

    /// All pages.
    fn paged(&self, query: &TraceQuery) -> Vec<[u8; 16]> {
        let mut query = query.clone();
        let mut found = Vec::new();
        loop {
            let page = self.view.traces(&query);
            assert!(page.traces.len() <= query.limit);
            found.extend(page.traces.iter().map(|trace| trace.trace_id));
            match page.next {
                Some(next) => query.before = Some(next),
                None => return found,
            }
        }
    }
}

/// One span has it all; how long it took is, without a service and a name, the matter of the first.
fn is_asked_for(filter: &SpanFilter, part: &Part) -> bool {
    let least = filter.duration_min_ns.unwrap_or(0);
    let is_of_trace = filter.service.is_none() && filter.name.is_none();
    let rest = SpanFilter { duration_min_ns: None, ..filter.clone() };
    let first = part.spans.iter().find(|span| span.parent.is_none()).unwrap();
    (!is_of_trace || first.duration_ns >= least)
        && part.spans.iter().any(|span| rest.is_met(span) && (is_of_trace || span.duration_ns >= least))
}

prop_compose! {
    fn parts()(which in 0_u8..40, spans in prop::collection::vec((0_usize..3, 0_u64..5, prop::bool::ANY, 0_usize..3), 1..4)) -> Part {
        let trace_id = [which; 16];
        // All parts of a trace share its beginning; some traces begin at once.
        let start_ns = u64::from(which / 2) * 10;
        let spans = spans.into_iter().enumerate().map(|(n, (service, took, is_error, name))| {
            Arc::new(Span {
                trace_id,
                span_id: [n as u8 + 1; 8],
                parent: (n > 0).then_some([1; 8]),
                service: SERVICES[service].into(),
                name: ["GET /a", "GET /b", "work"][name].into(),
                start_ns: start_ns + n as u64,
                duration_ns: took * 1_000_000,
                status: if is_error { Status::Error("no".into()) } else { Status::Unset },
                ..span()
            })
        });
        Part { trace_id, start_ns, kept: Some(Kept { why: Why::Share, weight: 1.0 }), spans: spans.collect() }
    }
}

prop_compose! {
    fn logs()(at_ns in 0_u64..50, service in 0_usize..3, severity in prop::sample::select(vec![0_u8, 5, 9, 17]), trace in prop::option::of(0_u8..4), body in "[ab]{1,2}") -> LogRecord {
        LogRecord {
            at_ns, severity, service: SERVICES[service].into(), instance: Text::default(), event: Text::default(),
            body: body.into(), attributes: Vec::new(), trace_id: trace.map(|n| [n; 16]), span_id: None,
        }
    }
}

prop_compose! {
    fn queries()(
        from_ns in 0_u64..200, length in 1_u64..400, service in prop::option::of(0_usize..3), name in prop::option::of("(get /A|work|GET)"),
        error in prop::option::of(any::<bool>()), least in prop::option::of(0_u64..5_000_000), limit in 1_usize..8,
    ) -> TraceQuery {
        TraceQuery {
            range: Range { from_ns, to_ns: from_ns + length },
            span: SpanFilter {
                service: service.map(|service| SERVICES[service].to_owned()), name, error, duration_min_ns: least, ..SpanFilter::default()
            },
            limit,
            ..TraceQuery::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_pages_are_what_a_look_at_everything_finds(
        blocks in prop::collection::vec(prop::collection::vec(parts(), 0..12), 0..5),
        memory in prop::collection::vec(parts(), 0..6),
        query in queries(),
    ) {
        let world = World::new(blocks, memory, Vec::new(), Vec::new());
        prop_assert_eq!(world.paged(&query), world.naive(&query));
        let everything = TraceQuery { limit: 3, ..TraceQuery::default() };
        prop_assert_eq!(world.paged(&everything), world.naive(&everything));
    }

    #[test]
    fn what_is_cut_says_so_and_is_right_as_far_as_it_goes(
        blocks in prop::collection::vec(prop::collection::vec(parts(), 1..12), 1..5), query in queries(), most in 0_usize..30,
    ) {
        let mut world = World::new(blocks, Vec::new(), Vec::new(), Vec::new());
        world.view.looked_at_max = most;
        let page = world.view.traces(&query);
        let found: Vec<_> = page.traces.iter().map(|trace| trace.trace_id).collect();
        let all = world.naive(&query);
        prop_assert!(all.starts_with(&found), "{:?} of {:?}", found, all);
        prop_assert!(page.cut || page.next.is_some() || found == all);
    }

    #[test]
    fn a_trace_is_whole_wherever_its_parts_are(
        blocks in prop::collection::vec(prop::collection::vec(parts(), 0..12), 0..5),
        memory in prop::collection::vec(parts(), 0..6), which in 0_u8..40,
    ) {
        let world = World::new(blocks, memory, Vec::new(), Vec::new());
        let spans: usize = world.parts.iter().filter(|part| part.trace_id == [which; 16]).map(|part| part.spans.len()).sum();
        let trace = world.view.trace(&[which; 16]);
        prop_assert_eq!(trace.as_ref().map_or(0, |trace| trace.summary.span_count), spans);
        prop_assert!(trace.is_none_or(|trace| trace.all.is_sorted_by_key(|span| span.start_ns)));
    }

    #[test]
    fn records_are_what_a_look_at_everything_finds(
        records in prop::collection::vec(logs(), 0..60), cuts in prop::collection::vec(1_usize..20, 0..4),
        service in prop::option::of(0_usize..3), severity_min in prop::sample::select(vec![0_u8, 9, 17]),
        text in prop::option::of("[ab]"), trace in prop::option::of(0_u8..4),
        after in prop::option::of(0_u64..70), limit in 1_usize..9,
    ) {
        let mut left: Vec<Arc<KeptLog>> =
            records.into_iter().zip(1..).map(|(record, seq)| Arc::new(KeptLog { seq, record })).collect();
        let mut blocks = Vec::new();
        for cut in cuts {
            let rest = left.split_off(cut.min(left.len()));
            blocks.push(std::mem::replace(&mut left, rest));
        }
        let world = World::new(Vec::new(), Vec::new(), blocks, left);
        let mut query = LogQuery {
            service: service.map(|service| SERVICES[service].to_owned()), severity_min, text, trace_id: trace.map(|n| [n; 16]), after, limit,
            ..LogQuery::default()
        };
        let mut naive: Vec<_> = world.logs.iter().filter(|log| query.is_met(log)).cloned().collect();
        naive.sort_by_key(|log| std::cmp::Reverse((log.record.at_ns, log.seq)));
        let mut found = Vec::new();
        loop {
            let page = world.view.logs(&query);
            prop_assert_eq!(page.newest, world.logs.len() as u64);
            found.extend(page.logs);
            match page.next {
                Some(next) => query.before = Some(next),
                None => break,
            }
        }
        prop_assert_eq!(found, naive);
    }

    #[test]
    fn a_place_is_read_as_it_is_written(at_ns: u64, which: u128, other in "\\PC{0,20}") {
        let cursor = Cursor { at_ns, which };
        prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        let _ = other.parse::<Cursor>();
    }
}

#[test]
fn records_of_a_span_are_those_that_say_so() {
    let of = |span: Option<u8>| LogRecord {
        at_ns: 1,
        severity: 9,
        service: "shop".into(),
        instance: Text::default(),
        event: Text::default(),
        body: "sold".into(),
        attributes: Vec::new(),
        trace_id: Some([1; 16]),
        span_id: span.map(|n| [n; 8]),
    };
    let records = [of(Some(7)), of(Some(8)), of(None)];
    let query = LogQuery { span_id: Some([7; 8]), ..LogQuery::default() };
    let met = records.map(|record| query.is_met(&KeptLog { seq: 1, record }));
    assert_eq!(met, [true, false, false]);
}

#[test]
fn records_of_an_instance_are_its_own_and_new_ones_those_with_a_higher_number() {
    let of = |seq: u64, instance: &'static str| KeptLog {
        seq,
        record: LogRecord {
            at_ns: 9 - seq,
            severity: 9,
            service: "shop".into(),
            instance: instance.into(),
            event: Text::default(),
            body: "sold".into(),
            attributes: Vec::new(),
            trace_id: None,
            span_id: None,
        },
    };
    let records = [of(1, "shop-1"), of(2, "shop-2"), of(3, "shop-1")];
    let met = |query: LogQuery| records.each_ref().map(|record| query.is_met(record));
    let instance = Some("shop-1".to_owned());
    assert_eq!(met(LogQuery { instance, ..LogQuery::default() }), [true, false, true]);
    assert_eq!(met(LogQuery { after: Some(1), ..LogQuery::default() }), [false, true, true]);
}

fn call(n: u8, service: &'static str, kind: Kind, parent: Option<u8>, took_ms: u64) -> Arc<Span> {
    Arc::new(Span {
        span_id: [n; 8],
        parent: parent.map(|n| [n; 8]),
        service: service.into(),
        kind,
        duration_ns: took_ms * 1_000_000,
        ..span()
    })
}

fn purchase(id: u8, weight: f32) -> Part {
    let mut published = (*call(4, "shop", Kind::Producer, Some(1), 1)).clone();
    published.attributes = vec![("messaging.destination.name".into(), "orders".into())];
    let spans = vec![
        call(1, "shop", Kind::Server, None, 30),
        call(2, "shop", Kind::Client, Some(1), 20),
        call(5, "shop", Kind::Client, Some(2), 15),
        call(3, "payments", Kind::Server, Some(5), 10),
        Arc::new(published),
    ];
    Part { trace_id: [id; 16], start_ns: 1_000, kept: Some(Kept { why: Why::Share, weight }), spans }
}

#[test]
fn who_calls_whom_is_told_with_weights() {
    let world = World::new(vec![vec![purchase(1, 9.0)]], vec![purchase(2, 1.0)], Vec::new(), Vec::new());
    let told = world.view.services(Range::default());
    let services: Vec<_> = told.services.iter().map(|one| (&*one.service, one.stats.count)).collect();
    assert_eq!(services, [("payments", 10.0), ("shop", 10.0)]);
    let edges: Vec<_> =
        told.edges.iter().map(|edge| (&*edge.caller, &*edge.callee, edge.stats.count)).collect();
    assert_eq!(edges, [("shop", "orders", 10.0), ("shop", "payments", 10.0)]);
    let p99 = told.edges[1].stats.p99_ns;
    assert!((20_000_000..21_500_000).contains(&p99), "{p99}");
    let edge = |caller: &str, callee: &str| TraceQuery {
        edge: Some((caller.to_owned(), callee.to_owned())),
        ..TraceQuery::default()
    };
    assert_eq!(world.view.traces(&edge("shop", "payments")).traces.len(), 2);
    assert_eq!(world.view.traces(&edge("payments", "shop")).traces.len(), 0);
}

/// The parts of which the first span took so long, and one span of the second failed.
fn timed(id: u8, took_ms: u64, inner_failed: bool) -> Part {
    let mut inner = (*call(3, "payments", Kind::Server, Some(1), 10)).clone();
    if inner_failed {
        inner.status = Status::Error("no".into());
    }
    let spans = vec![call(1, "shop", Kind::Server, None, took_ms), Arc::new(inner)];
    Part { trace_id: [id; 16], start_ns: 1_000, kept: Some(Kept { why: Why::Share, weight: 1.0 }), spans }
}

fn of(span: SpanFilter) -> TraceQuery {
    TraceQuery { span, range: Range { from_ns: 0, to_ns: 2_000 }, ..TraceQuery::default() }
}

#[test]
fn how_long_a_trace_took_is_asked_of_its_first_span() {
    // What came later than the rest is a part of its own, without the first span.
    let late = Part { spans: vec![call(7, "payments", Kind::Server, Some(1), 900)], ..timed(1, 0, false) };
    let late = Part {
        spans: late.spans.iter().map(|span| Arc::new(Span { start_ns: 5_000, ..(**span).clone() })).collect(),
        ..late
    };
    let world = World::new(
        vec![vec![timed(1, 30, false), timed(2, 300, true)], vec![late]],
        Vec::new(),
        Vec::new(),
        Vec::new(),
    );
    let ms = |least: Option<u64>, most: Option<u64>, service: Option<&str>, error: Option<bool>| {
        let query = of(SpanFilter {
            duration_min_ns: least.map(|ms| ms * 1_000_000),
            duration_max_ns: most.map(|ms| ms * 1_000_000),
            service: service.map(str::to_owned),
            error,
            ..SpanFilter::default()
        });
        let mut found: Vec<_> =
            world.view.traces(&query).traces.iter().map(|trace| trace.trace_id[0]).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(ms(Some(100), None, None, None), [2]);
    assert_eq!(ms(None, Some(100), None, None), [1]);
    assert_eq!(ms(None, Some(100), Some("payments"), None), [1, 2]);
    assert_eq!(ms(Some(500), None, Some("payments"), None), [1]);
    assert_eq!(ms(Some(100), None, None, Some(true)), [2], "another span may have the failure");
    assert_eq!(ms(None, Some(100), None, Some(true)), [0_u8; 0]);
}

#[test]
fn a_map_counts_by_time_and_latency() {
    let world = World::new(vec![vec![purchase(1, 9.0)]], Vec::new(), Vec::new(), Vec::new());
    let mut query = HeatQuery { traces: of(SpanFilter::default()), columns: 2 };
    let heat = world.view.heat(&query);
    let row = heat::BOUNDS_NS.iter().position(|bound| *bound >= 30_000_000).unwrap();
    assert_eq!((heat.counts[1][row], heat.counts.iter().flatten().sum::<f64>()), (9.0, 9.0));
    query.traces.span.service = Some("payments".to_owned());
    let row = heat::BOUNDS_NS.iter().position(|bound| *bound >= 10_000_000).unwrap();
    assert_eq!(world.view.heat(&query).counts[1][row], 9.0);
}

#[test]
fn a_map_counts_the_traces_that_a_list_has() {
    let parts = vec![timed(1, 30, false), timed(2, 300, true), timed(3, 30, true), purchase(4, 1.0)];
    let world = World::new(vec![parts], Vec::new(), Vec::new(), Vec::new());
    let counted = |traces: TraceQuery| {
        let heat = world.view.heat(&HeatQuery { traces, columns: 2 });
        let sum = |counts: &[Vec<f64>]| counts.iter().flatten().sum::<f64>();
        (sum(&heat.counts), sum(&heat.errors))
    };
    let failed = SpanFilter { error: Some(true), ..SpanFilter::default() };
    assert_eq!(counted(of(failed.clone())), (2.0, 0.0), "an inner span failed, what was answered did not");
    assert_eq!(counted(of(SpanFilter { service: Some("payments".into()), ..failed.clone() })), (2.0, 2.0));
    assert_eq!(counted(of(SpanFilter { duration_max_ns: Some(100_000_000), ..failed })), (1.0, 0.0));
    // One that records no answers is timed by what it asks: the call, and not the try within it.
    let asks = Part {
        spans: vec![
            call(1, "gateway", Kind::Server, None, 90),
            call(2, "web", Kind::Client, Some(1), 20),
            call(3, "web", Kind::Client, Some(2), 15),
        ],
        ..timed(5, 0, false)
    };
    let web = of(SpanFilter { service: Some("web".into()), ..SpanFilter::default() });
    let heat = World::new(vec![vec![asks]], Vec::new(), Vec::new(), Vec::new())
        .view
        .heat(&HeatQuery { traces: web, columns: 1 });
    let row = heat::BOUNDS_NS.iter().position(|bound| *bound >= 20_000_000).unwrap();
    assert_eq!((heat.counts[0][row], heat.counts[0].iter().sum::<f64>()), (1.0, 1.0));
    let edge = Some(("shop".to_owned(), "orders".to_owned()));
    assert_eq!(counted(TraceQuery { edge, ..of(SpanFilter::default()) }), (1.0, 0.0));
}

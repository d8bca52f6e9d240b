//! The handle as others use it, on a real disk. What must come is waited for, however long the machine takes.

use std::time::{Duration, Instant};

use super::*;
use crate::query::filter::SpanFilter;
use crate::recorder::Record;
use crate::span::tests::span;
use crate::span::{Span, Status};

fn telemetry(dir: &Path) -> Telemetry {
    Telemetry::start(Config::new(dir)).unwrap()
}

fn traced(n: u8) -> Span {
    let start_ns = 1_000_000_000 * u64::from(n);
    Span { trace_id: [n; 16], span_id: [n; 8], start_ns, ..span() }
}

fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_trace_is_found_before_it_is_decided_on_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = telemetry(dir.path());
    first.recorder().span(Span { status: Status::Error("no".into()), ..traced(1) });
    first.recorder().span(traced(2));
    let trace = until(|| first.trace(&[1; 16]));
    assert_eq!((trace.summary.kept, trace.summary.error_count), (None, 1));
    first.end();
    assert_eq!(first.trace(&[1; 16]).unwrap().summary.kept, Some(crate::Why::Error));
    let second = telemetry(dir.path());
    let errors = TraceQuery {
        span: SpanFilter { error: Some(true), ..SpanFilter::default() },
        ..TraceQuery::default()
    };
    let found = second.traces(&errors).traces;
    assert_eq!(found.iter().map(|trace| trace.trace_id).collect::<Vec<_>>(), [[1; 16]]);
    second.end();
    let read = Telemetry::read(dir.path()).unwrap();
    let ids: Vec<_> = read.traces(&TraceQuery::default()).traces.iter().map(|trace| trace.trace_id).collect();
    assert_eq!(ids, [[2; 16], [1; 16]], "newest first");
}

/// What a process that is killed leaves: whatever is on the disk at that moment.
fn as_if_killed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        // A file may go while this is looked at.
        let _ = std::fs::copy(entry.path(), copy.path().join(entry.file_name()));
    }
    copy
}

#[test]
fn a_trace_that_is_not_decided_on_outlives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let first = telemetry(dir.path());
    // Its cause is still to come, so it is not decided on for half a minute.
    let open = Span { parent: Some([9; 8]), kind: crate::span::Kind::Client, ..traced(1) };
    first.recorder().span(open.clone());
    let left = until(|| {
        let left = as_if_killed(dir.path());
        Telemetry::read(left.path()).unwrap().trace(&[1; 16]).map(|trace| (trace.summary.kept, left))
    });
    assert_eq!(left.0, None, "it is there as what it is");
    // The process that comes next goes on with it.
    let second = telemetry(left.1.path());
    second.recorder().span(Span { span_id: [7; 8], ..open });
    until(|| second.trace(&[1; 16]).filter(|trace| trace.all.len() == 2));
    second.end();
    let trace = second.trace(&[1; 16]).unwrap();
    assert_eq!((trace.summary.kept, trace.all.len()), (Some(crate::Why::Share), 2));
    let files = std::fs::read_dir(left.1.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(files.into_iter().all(|name| !name.to_string_lossy().contains("open")), "all is decided on");
    first.end();
}

#[test]
fn taps_give_what_they_are_for() {
    let dir = tempfile::tempdir().unwrap();
    let telemetry = telemetry(dir.path());
    let (all, kept) = (telemetry.tap(Tap::All, 8), telemetry.tap(Tap::Kept, 8));
    drop(telemetry.tap(Tap::All, 8));
    telemetry.recorder().span(traced(1));
    let is_mine = |record: &Record| matches!(record, Record::Span(span) if span.trace_id == [1; 16]);
    assert!(is_mine(&until(|| all.take(1).next())));
    telemetry.end();
    assert!(is_mine(&until(|| kept.take(1).next())));
    assert_eq!(all.take(1).count(), 0);
}

#[test]
fn who_looks_on_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let telemetry = telemetry(dir.path());
    let start = telemetry.live(0).next;
    telemetry.recorder().span(traced(1));
    let live = until(|| Some(telemetry.live(start)).filter(|live| !live.traces.is_empty()));
    assert_eq!((live.traces[0].trace_id, live.missed), ([1; 16], 0));
    assert!(live.next > start);
    telemetry.end();
}

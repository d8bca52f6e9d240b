//! Stories and properties of the window, in virtual time, and of what lies on disk.

use proptest::prelude::*;

use super::disk::{Bounds, Disk, frames};
use super::foreign::Board;
use super::*;
use crate::catalogue::{
    CALL_DURATION, NODE_MEMORY, NODE_UPTIME, QUEUE_ITEMS, SERVICE_READY, TELEMETRY_DROPPED, TOPIC_PUBLISHED,
};
use crate::metrics::Histogram;
use crate::otlp::{Point, PointValue};

const START: u64 = 1_000 * MINUTE_MS;
const TICK: u64 = 5_000;

fn counter(value: u64) -> Sample {
    Sample::number(&TELEMETRY_DROPPED, &["spans"], value as f64)
}

fn histogram(times: &[u64]) -> Sample {
    let histogram = Histogram::new();
    times.iter().for_each(|&micros| histogram.record(micros));
    let labels = ["a", "b", "a -> b"].map(str::to_owned).to_vec();
    Sample { metric: &CALL_DURATION, labels, value: Value::Histogram(histogram.snapshot(), Vec::new()) }
}

fn ask(window: &Window, metric: &str, from: u64, to: u64, step: u64, take: Take) -> Vec<Option<f64>> {
    let query = Query {
        metric: metric.to_owned(),
        from_ms: from,
        to_ms: to,
        step_ms: step,
        take,
        ..Query::default()
    };
    let curves = window.query(&query).expect("a good question");
    assert!(curves.len() <= 1, "{curves:?}");
    curves.into_iter().flat_map(|curve| curve.points).map(|(_, value)| value).collect()
}

#[test]
fn rates_know_of_restarts_and_of_what_was_before() {
    let mut window = Window::default();
    for (tick, value) in [10, 20, 20, 5, 15].into_iter().enumerate() {
        let lasting = Sample::number(&TOPIC_PUBLISHED, &["orders"], 1_000.0 + tick as f64);
        window.push(START + tick as u64 * TICK, &[counter(value), lasting]);
    }
    let from = START - 2 * TICK;
    let grown = ask(&window, TELEMETRY_DROPPED.name, from, START + 6 * TICK, TICK, Take::Increase);
    let known = [10.0, 10.0, 0.0, 5.0, 10.0].map(Some);
    assert_eq!(grown, [&[None][..], &known, &[None, None]].concat());
    let rate = ask(&window, TELEMETRY_DROPPED.name, START - TICK, START + TICK, 2 * TICK, Take::Rate);
    assert_eq!(rate, [Some(2.0)]);
    let published =
        ask(&window, "colony_topic_published_total", from, START + 4 * TICK, TICK, Take::Increase);
    assert_eq!(published, [None, Some(0.0), Some(1.0), Some(1.0), Some(1.0), Some(1.0)]);
}

#[test]
fn gauges_hold_until_they_are_gone() {
    let mut window = Window::default();
    let memory = |value: f64| Sample::number(&NODE_MEMORY, &[], value);
    let pushes = [vec![memory(1.0)], vec![memory(1.0)], vec![memory(3.0)], vec![], vec![memory(3.0)]];
    for (tick, samples) in pushes.iter().enumerate() {
        let frame = window.push(START + tick as u64 * TICK, samples);
        assert_eq!(frame.changes.len(), usize::from(tick != 1));
    }
    let said = ask(&window, NODE_MEMORY.name, START - TICK, START + 4 * TICK, TICK, Take::Fitting);
    assert_eq!(said, [Some(1.0), Some(1.0), Some(3.0), None, Some(3.0)]);
    // Also where the range begins behind the change.
    let said = ask(&window, NODE_MEMORY.name, START + 1, START + 1 + TICK, TICK, Take::Value);
    assert_eq!(said, [Some(1.0)]);
}

#[test]
fn groups_add_up() {
    let mut window = Window::default();
    let items = |queue, state, count| Sample::number(&QUEUE_ITEMS, &[queue, state], count);
    window.push(START, &[items("a", "ready", 1.0), items("a", "dead", 2.0), items("b", "ready", 4.0)]);
    let mut query = Query {
        metric: QUEUE_ITEMS.name.to_owned(),
        by: Some(vec!["queue".to_owned()]),
        from_ms: START - TICK,
        to_ms: START,
        step_ms: TICK,
        ..Query::default()
    };
    let told = |curves: Vec<Curve>| {
        let one =
            |curve: Curve| (curve.labels.into_iter().map(|(_, value)| value).collect(), curve.points[0].1);
        curves.into_iter().map(one).collect::<Vec<(Vec<String>, _)>>()
    };
    let found = told(window.query(&query).unwrap());
    assert_eq!(found, [(vec!["a".to_owned()], Some(3.0)), (vec!["b".to_owned()], Some(4.0))]);
    query.labels = vec![("state".to_owned(), "ready".to_owned())];
    query.by = Some(Vec::new());
    assert_eq!(told(window.query(&query).unwrap()), [(vec![], Some(5.0))]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let window = Window::default();
    let good =
        Query { metric: NODE_MEMORY.name.to_owned(), from_ms: 0, to_ms: 10, step_ms: 1, ..Query::default() };
    assert_eq!(window.query(&good), Ok(Vec::new()));
    let label = || ("colour".to_owned(), String::new());
    for (bad, error) in [
        (Query { metric: "up".to_owned(), ..good.clone() }, QueryError::NoMetric("up".to_owned())),
        (Query { labels: vec![label()], ..good.clone() }, QueryError::NoLabel("colour".to_owned())),
        (Query { by: Some(vec![label().0]), ..good.clone() }, QueryError::NoLabel("colour".to_owned())),
        (Query { from_ms: 11, ..good.clone() }, QueryError::Range),
        (Query { step_ms: 0, ..good.clone() }, QueryError::Range),
        (Query { to_ms: u64::MAX, ..good.clone() }, QueryError::Range),
        (Query { take: Take::Rate, ..good }, QueryError::Take("gauge")),
    ] {
        assert_eq!(window.query(&bad), Err(error));
    }
}

#[test]
fn what_is_old_is_there_by_the_minute_and_then_not_at_all() {
    let mut window = Window::default();
    let ticks = 26 * 60 * 12;
    for tick in 0..=ticks {
        window.push(START + tick * TICK, &[counter(tick + 1)]);
    }
    let now = START + ticks * TICK;
    let hour = 60 * MINUTE_MS;
    let recent = ask(&window, TELEMETRY_DROPPED.name, now - 10 * TICK, now, TICK, Take::Increase);
    assert_eq!(recent, vec![Some(1.0); 10]);
    // A range over both tiers counts nothing twice.
    let all = ask(&window, TELEMETRY_DROPPED.name, now - 20 * hour, now, hour, Take::Increase);
    assert_eq!(all, vec![Some(720.0); 20]);
    let before = ask(&window, TELEMETRY_DROPPED.name, START - hour - 1, START - 1, hour, Take::Increase);
    assert_eq!(before, [None]);
    assert!(window.points() < 720 + 15 + 24 * 60 + 20, "{}", window.points());
}

#[test]
fn there_is_a_maximum_of_everything() {
    let settings = Settings { series_max: 10, points_max: 200, ..Settings::default() };
    let mut window = Window::new(settings);
    for tick in 0..2_000 {
        let many = (0..20).map(|n| Sample::number(&SERVICE_READY, &[&format!("s{n}")], f64::from(tick % 2)));
        window.push(START + u64::from(tick as u32) * MINUTE_MS, &many.collect::<Vec<_>>());
    }
    assert_eq!((window.len(), window.dropped()), (10, 20_000));
    // What is kept as it was pushed is kept for an hour whatever comes.
    assert!(window.points() <= 10 * 62 + 200, "{}", window.points());
}

#[test]
fn series_that_are_no_more_are_forgotten() {
    let mut window = Window::default();
    window.push(START, &[Sample::number(&SERVICE_READY, &["old"], 1.0)]);
    for minute in 1..25 * 60 {
        window.push(START + minute * MINUTE_MS, &[Sample::number(&NODE_UPTIME, &[], 1.0)]);
    }
    assert_eq!(window.len(), 1);
}

#[test]
fn a_restart_forgets_nothing_and_claims_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::default();
    let mut disk = Disk::open(folder.path(), Bounds::default(), START, &mut window).unwrap();
    let samples = |n: u64| [counter(n), Sample::number(&NODE_MEMORY, &[], 7.0), histogram(&[1_000; 3])];
    for tick in 0..3 {
        let frame = window.push(START + tick * TICK, &samples(tick * 10));
        disk.write(&frame, &window).unwrap();
    }
    let mut again = Window::default();
    let later = START + 60 * TICK;
    let mut disk = Disk::open(folder.path(), Bounds::default(), later, &mut again).unwrap();
    let frame = again.push(later, &samples(4));
    disk.write(&frame, &again).unwrap();
    let to = later;
    let grown = ask(&again, TELEMETRY_DROPPED.name, START - TICK, to, 61 * TICK, Take::Increase);
    assert_eq!(grown, [Some(24.0)]);
    let said = ask(&again, NODE_MEMORY.name, to - 4 * TICK, to, TICK, Take::Value);
    assert_eq!(said, [None, None, None, Some(7.0)], "nobody knows what it was meanwhile");
    let p99 = ask(&again, CALL_DURATION.name, START - TICK, to, 61 * TICK, Take::Quantile(0.99));
    assert!(p99[0].is_some_and(|p99| (0.001..0.001_07).contains(&p99)), "{p99:?}");
}

#[test]
fn what_is_on_disk_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = Bounds { bytes_max: 3 << 20, ..Bounds::default() };
    let mut window = Window::default();
    let mut disk = Disk::open(folder.path(), bounds, START, &mut window).unwrap();
    let size = || -> u64 {
        let files = std::fs::read_dir(folder.path()).unwrap().flatten();
        files.map(|file| file.metadata().unwrap().len()).sum()
    };
    for tick in 0..3_000_u64 {
        let samples: Vec<Sample> = (0..200)
            .map(|n| Sample::number(&SERVICE_READY, &[&format!("s{n}")], (tick * 200 + n) as f64))
            .collect();
        let frame = window.push(START + tick * TICK, &samples);
        disk.write(&frame, &window).unwrap();
    }
    assert!((1 << 20..=3 << 20).contains(&size()), "{}", size());
    // Two days later all is too old but for the last segment, whose end nobody knows.
    Disk::open(folder.path(), bounds, START + 2 * 24 * 60 * MINUTE_MS, &mut Window::default()).unwrap();
    assert!(std::fs::read_dir(folder.path()).unwrap().count() <= 1);
}

fn pushes() -> impl Strategy<Value = Vec<(u64, Vec<u64>)>> {
    // Seconds between pushes, and the times that were recorded before each.
    prop::collection::vec((1_u64..90, prop::collection::vec(1_u64..10_000_000, 0..8)), 1..60)
}

proptest! {
    /// Any range of full minutes says exactly what was recorded in it, however it is cut.
    #[test]
    fn ranges_are_computed_from_what_was_recorded(pushes in pushes(), from in 0_u64..30, minutes in 1_u64..60) {
        let mut window = Window::new(Settings { fine_ms: 5 * MINUTE_MS, ..Settings::default() });
        let live = Histogram::new();
        let mut recorded = Vec::new();
        let mut now = START;
        let mut total = 0;
        for (seconds, times) in &pushes {
            now += seconds * 1_000;
            for time in times {
                live.record(*time);
                recorded.push((now, *time));
            }
            total += times.len() as u64;
            let labels = ["a", "b", "a -> b"].map(str::to_owned).to_vec();
            let value = Value::Histogram(live.snapshot(), Vec::new());
            window.push(now, &[counter(total), Sample { metric: &CALL_DURATION, labels, value }]);
        }
        let from_ms = START + from * MINUTE_MS;
        let to_ms = from_ms + minutes * MINUTE_MS;
        let within: Vec<u64> =
            recorded.iter().filter(|(at, _)| (from_ms + 1..=to_ms).contains(at)).map(|(_, time)| *time).collect();
        for step in [minutes * MINUTE_MS, MINUTE_MS] {
            let grown = ask(&window, TELEMETRY_DROPPED.name, from_ms, to_ms, step, Take::Increase);
            prop_assert_eq!(grown.iter().flatten().sum::<f64>(), within.len() as f64);
        }
        let exact = Histogram::new();
        within.iter().for_each(|&time| exact.record(time));
        let mut exact_sparse = HistogramSnapshot::default();
        Sparse::of(&exact.snapshot()).add_to(&mut exact_sparse);
        for share in [0.5, 0.99] {
            let told = ask(&window, CALL_DURATION.name, from_ms, to_ms, minutes * MINUTE_MS, Take::Quantile(share));
            let wanted = (!within.is_empty()).then(|| exact_sparse.quantile(share) as f64 / 1e6);
            prop_assert_eq!(told.first().copied().flatten(), wanted);
        }
    }

    /// A torn segment gives the frames before the tear, and no bytes do harm.
    #[test]
    fn torn_tails_are_cut(cut in 0_usize..2_000, noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        let mut window = Window::default();
        let mut disk = Disk::open(folder.path(), Bounds::default(), START, &mut window).unwrap();
        let mut written = Vec::new();
        for tick in 0..20 {
            let frame = window.push(START + tick * TICK, &[counter(tick), histogram(&[tick + 1; 2])]);
            disk.write(&frame, &window).unwrap();
            written.push(frame);
        }
        let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let mut bytes = std::fs::read(path).unwrap();
        let whole: Vec<Frame> = frames(&bytes).skip(1).collect();
        prop_assert_eq!(&whole, &written);
        bytes.truncate(bytes.len().saturating_sub(cut));
        bytes.extend(&noise);
        let read: Vec<Frame> = frames(&bytes).skip(1).collect();
        prop_assert!(written.starts_with(&read));
        let _ = frames(&noise).count();
    }
}

fn sent(service: &str, name: &str, attributes: &[(&str, &str)], value: PointValue) -> Point {
    Point {
        service: service.to_owned().into(),
        instance: format!("{service}-1").into(),
        name: name.to_owned().into(),
        unit: "ms".into(),
        description: "What it says.".into(),
        attributes: attributes
            .iter()
            .map(|(key, value)| ((*key).to_owned().into(), (*value).to_owned()))
            .collect(),
        start_ns: 1_000,
        value,
    }
}

#[test]
fn what_services_send_is_kept_beside_what_is_ours_and_outlives_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let (board, mut window) = (Board::new(500), Window::default());
    let mut disk = Disk::open(dir.path(), Bounds::default(), START, &mut window).expect("opened");
    let sum = |value| PointValue::Sum { value, is_delta: false };
    for tick in 0..3_u64 {
        let at = START + tick * TICK;
        board.take(at, &sent("shop", "story.boxes", &[("size", "small")], sum(10.0 + tick as f64)));
        board.take(at, &sent("shop", "story.boxes", &[], sum(1.0)));
        let more = PointValue::Sum { value: 2.0, is_delta: true };
        board.take(at, &sent("shop", "story.moves", &[], more));
        let buckets = vec![(20.0, 9), (500.0, 1)];
        let times = PointValue::Histogram { buckets, sum: 680.0, is_delta: true };
        board.take(at, &sent("shop", "story.times", &[], times));
        let mut samples = vec![counter(tick)];
        board.samples(at, &mut samples);
        let frame = window.push(at, &samples);
        disk.write(&frame, &window).expect("written");
    }
    let to = START + 3 * TICK;
    let look = |window: &Window| {
        let query = Query {
            metric: "story.boxes".to_owned(),
            by: Some(vec!["size".to_owned()]),
            from_ms: START - TICK,
            to_ms: to,
            step_ms: 4 * TICK,
            take: Take::Increase,
            ..Query::default()
        };
        let curves = window.query(&query).expect("a good question");
        let told: Vec<_> =
            curves.iter().map(|curve| (curve.labels[0].1.clone(), curve.points[0].1)).collect();
        assert_eq!(told, [(String::new(), Some(1.0)), ("small".to_owned(), Some(12.0))]);
        let moved = ask(window, "story.moves", START - TICK, to, 4 * TICK, Take::Increase);
        assert_eq!(moved, [Some(6.0)]);
        let median = ask(window, "story.times", START - TICK, to, 4 * TICK, Take::Quantile(0.5));
        assert!(median[0].is_some_and(|ms| (19.0..22.0).contains(&ms)), "in its own unit: {median:?}");
    };
    look(&window);
    let mut again = Window::default();
    Disk::open(dir.path(), Bounds::default(), to, &mut again).expect("opened");
    look(&again);
    let shapes = foreign::named("story.boxes");
    assert_eq!((shapes.len(), shapes[0].unit, shapes[0].kind), (2, "ms", Kind::Counter));
}

#[test]
fn what_was_counted_before_anybody_looked_is_not_told_as_new() {
    let board = Board::new(2_000);
    let told = |value: f64| {
        board.take(1, &sent("old", "story.before", &[], PointValue::Sum { value, is_delta: false }));
        let mut samples = Vec::new();
        board.samples(1, &mut samples);
        match samples[0].value {
            Value::Number(number) => number,
            Value::Histogram(..) => panic!("{samples:?}"),
        }
    };
    // It goes on, begins anew, and goes on.
    assert_eq!([1_000.0, 1_005.0, 3.0, 4.0].map(told), [0.0, 5.0, 8.0, 9.0]);
}

#[test]
fn a_service_that_sends_too_many_series_takes_no_room_of_others() {
    let board = Board::new(0);
    for n in 0..foreign::SERIES_OF_SERVICE_MAX + 7 {
        board.take(1, &sent("loud", "story.many", &[("id", &n.to_string())], PointValue::Gauge(1.0)));
    }
    board.take(1, &sent("quiet", "story.one", &[], PointValue::Gauge(2.0)));
    board.take(1, &sent("loud", TELEMETRY_DROPPED.name, &[], PointValue::Gauge(2.0)));
    let mut samples = Vec::new();
    board.samples(1, &mut samples);
    assert_eq!((samples.len(), board.left_out()), (foreign::SERIES_OF_SERVICE_MAX + 1, 8));
    assert!(samples.iter().all(|sample| sample.metric.name.starts_with("story.")), "ours is ours");
    samples.clear();
    board.samples(400_000, &mut samples);
    assert!(samples.is_empty(), "who has said nothing for long is forgotten");
    board.take(400_000, &sent("loud", "story.many", &[], PointValue::Gauge(1.0)));
    assert_eq!(board.left_out(), 8, "and there is room again");
}

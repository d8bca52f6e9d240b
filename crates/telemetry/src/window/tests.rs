//! What is written is read again, whatever was cut off or changed in between.

use std::fs;
use std::sync::Arc;

use proptest::prelude::*;

use super::row::lots;
use super::*;
use crate::part::{Kept, Why};
use crate::span::tests::span;
use crate::span::{Event, Kind, Link, LogRecord, Span, Status, Text, Value};

fn text() -> impl Strategy<Value = Text> {
    prop_oneof!["[a-c]{0,3}", ".{0,20}"].prop_map(Text::from)
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<bool>().prop_map(Value::Bool),
        (-1e300..1e300_f64).prop_map(Value::Float),
        text().prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec((text(), inner), 0..4).prop_map(Value::Map),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Vec<(Text, Value)>> {
    prop::collection::vec((text(), values()), 0..4)
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::Internal, Kind::Server, Kind::Client, Kind::Producer, Kind::Consumer])
}

fn statuses() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Unset), Just(Status::Ok), text().prop_map(Status::Error)]
}

prop_compose! {
    fn spans()(
        ids in (0_u64..6, prop::option::of(0_u64..6)),
        texts in (text(), text(), text(), text(), text()),
        kind in kinds(),
        status in statuses(),
        times in (any::<u64>(), any::<u64>()),
        attributes in attributes(),
        events in prop::collection::vec((any::<u64>(), text(), attributes()), 0..3),
        links in prop::collection::vec((any::<[u8; 16]>(), any::<[u8; 8]>(), attributes()), 0..2),
        dropped in 0_u32..3,
    ) -> Span {
        Span {
            span_id: ids.0.to_be_bytes(),
            parent: ids.1.map(u64::to_be_bytes),
            trace_state: texts.0,
            service: texts.1,
            instance: texts.2,
            scope: texts.3,
            name: texts.4,
            kind,
            status,
            start_ns: times.0,
            duration_ns: times.1,
            attributes,
            events: events.into_iter().map(|(at_ns, name, attributes)| Event { at_ns, name, attributes }).collect(),
            links: links.into_iter().map(|(trace_id, span_id, attributes)| Link { trace_id, span_id, attributes }).collect(),
            dropped,
            ..span()
        }
    }
}

prop_compose! {
    fn parts()(
        trace_id: [u8; 16],
        start_ns: u64,
        kept in prop::option::of((0_usize..3, 1.0_f32..100.0)),
        spans in prop::collection::vec(spans(), 0..6),
    ) -> Part {
        let whys = [Why::Error, Why::Slow, Why::Share];
        let spans = spans.into_iter().map(|span| Arc::new(Span { trace_id, ..span })).collect();
        Part { trace_id, start_ns, kept: kept.map(|(why, weight)| Kept { why: whys[why], weight }), spans }
    }
}

prop_compose! {
    fn records()(
        seq: u64, at_ns: u64, severity in 0_u8..25, texts in (text(), text(), text(), text()),
        attributes in attributes(),
        trace_id in prop::option::of((0_u8..3).prop_map(|n| [n; 16])),
        span_id in prop::option::of(any::<[u8; 8]>()),
    ) -> Arc<KeptLog> {
        let (service, instance, event, body) = texts;
        let record = LogRecord { at_ns, severity, service, instance, event, body, attributes, trace_id, span_id };
        Arc::new(KeptLog { seq, record })
    }
}

fn part(n: u64) -> Part {
    let mut trace_id = [0; 16];
    trace_id[8..].copy_from_slice(&n.to_be_bytes());
    let kept = Some(Kept { why: Why::Share, weight: 1.0 });
    let spans = vec![Arc::new(Span { trace_id, start_ns: n, name: format!("n {n}").into(), ..span() })];
    Part { trace_id, start_ns: n, kept, spans }
}

fn log(n: u64) -> Arc<KeptLog> {
    let record = LogRecord {
        at_ns: n,
        severity: 9,
        service: "shop".into(),
        instance: "shop-1".into(),
        event: Text::default(),
        body: format!("line {n}").into(),
        attributes: Vec::new(),
        trace_id: None,
        span_id: None,
    };
    Arc::new(KeptLog { seq: n, record })
}

/// All parts that are there, by when they began.
fn all(contents: &Contents) -> Vec<u64> {
    let reader = Reader::default();
    let in_blocks = contents.spans.iter().flat_map(|block| reader.parts(block).to_vec());
    let mut all: Vec<u64> = in_blocks.chain(contents.parts.clone()).map(|part| part.start_ns).collect();
    all.sort_unstable();
    all
}

const MIB: u64 = 1 << 20;

#[test]
fn what_was_appended_is_there_after_the_process_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = Window::open(dir.path(), MIB, 1_000, 0).unwrap().0;
    window.append(&[part(1), part(2)], &[log(1)], 1).unwrap();
    window.seal_parts(&[part(1), part(2)], 1).unwrap();
    window.append(&[part(3)], &[log(2)], 2).unwrap();
    drop(window);
    let seen = read(dir.path()).unwrap();
    assert_eq!((all(&seen), seen.records.len()), (vec![1, 2, 3], 2));
    for _ in 0..3 {
        let contents = Window::open(dir.path(), MIB, 1_000, 3).unwrap().1;
        assert_eq!((all(&contents), contents.damaged), (vec![1, 2, 3], 0), "tails are in blocks, and once");
        let logs: usize = contents.logs.iter().map(|block| Reader::default().logs(block).len()).sum();
        assert_eq!(logs, 2);
    }
}

#[test]
fn a_crash_between_block_and_tail_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = Window::open(dir.path(), MIB, 1_000, 0).unwrap().0;
    window.append(&[part(1)], &[], 1).unwrap();
    let tail = dir.path().join("spans-tail-00000001");
    let bytes = fs::read(&tail).unwrap();
    window.seal_parts(&[part(1)], 1).unwrap();
    drop(window);
    fs::write(&tail, bytes).unwrap();
    assert_eq!(all(&read(dir.path()).unwrap()), [1]);
    assert_eq!(all(&Window::open(dir.path(), MIB, 1_000, 2).unwrap().1), [1]);
    assert!(!tail.exists());
}

#[test]
fn one_process_at_a_time_writes() {
    let dir = tempfile::tempdir().unwrap();
    let _one = Window::open(dir.path(), MIB, 1_000, 0).unwrap();
    let error = Window::open(dir.path(), MIB, 1_000, 0).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
}

#[test]
fn what_is_too_much_or_too_old_goes_the_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let max = 16 * FILE_BYTES_MIN;
    let mut window = Window::open(dir.path(), max, 100_000, 0).unwrap().0;
    window.seal_logs(&[log(1)], 0).unwrap();
    let mut next = 0;
    for now_ms in 0..60 {
        let parts: Vec<Part> = (next..next + 2_000).map(part).collect();
        next += 2_000;
        window.seal_parts(&parts, now_ms).unwrap();
        window.trim(now_ms);
        assert!(window.bytes() <= max);
    }
    let contents = read(dir.path()).unwrap();
    let left = all(&contents);
    assert_eq!(left.last(), Some(&(next - 1)));
    assert!(left.len() < next as usize && left.len() > 10_000, "{}", left.len());
    assert_eq!(contents.logs.len(), 1, "spans do not wash records away");
    window.trim(200_000);
    assert_eq!(window.bytes(), 0);
    window.seal_parts(&[part(1)], 200_001).unwrap();
    assert_eq!(all(&read(dir.path()).unwrap()), [1]);
}

#[test]
fn a_file_of_another_version_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    drop(Window::open(dir.path(), MIB, 1_000, 0).unwrap());
    fs::write(dir.path().join("spans-00000007"), b"COLONYT\x02 and whatever comes then").unwrap();
    let contents = Window::open(dir.path(), MIB, 1_000, 0).unwrap().1;
    assert_eq!((contents.spans.len(), contents.damaged), (0, 1));
}

/// Not decided on.
fn open(n: u64) -> Part {
    Part { kept: None, ..part(n) }
}

/// What there is of traces that are not decided on.
fn undecided(dir: &Path) -> Vec<u64> {
    let mut all: Vec<u64> =
        read(dir).unwrap().undecided.iter().flat_map(|part| &part.spans).map(|span| span.start_ns).collect();
    all.sort_unstable();
    all
}

fn open_files(dir: &Path) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("spans-open-")).count()
}

#[test]
fn what_is_not_decided_on_is_there_until_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = Window::open(dir.path(), MIB, 100_000, 0).unwrap().0;
    window.save(&[open(1), open(2)], &[], 1_000).unwrap();
    window.save(&[open(3)], &[], 2_000).unwrap();
    assert_eq!(undecided(dir.path()), [1, 2, 3]);
    let over = window.over(|trace_id| *trace_id != open(1).trace_id);
    assert_eq!(over, [open(1).trace_id]);
    window.save(&[], &over, 3_000).unwrap();
    assert_eq!(undecided(dir.path()), [2, 3]);
    assert!(window.over(|trace_id| *trace_id != open(1).trace_id).is_empty(), "it is told once");
    // Whoever opens it next has them, and says when they are over.
    drop(window);
    let (mut window, contents) = Window::open(dir.path(), MIB, 100_000, 4_000).unwrap();
    assert_eq!((contents.undecided.len(), contents.damaged), (2, 0));
    window.save(&[open(4)], &[], 4_000).unwrap();
    assert_eq!(undecided(dir.path()), [2, 3, 4]);
    let over = window.over(|_| false);
    window.save(&[], &over, 5_000).unwrap();
    assert_eq!((undecided(dir.path()), open_files(dir.path()), window.bytes()), (vec![], 0, 0));
}

#[test]
fn files_of_what_is_not_decided_on_go_with_the_last_that_needs_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = Window::open(dir.path(), MIB, 100_000, 0).unwrap().0;
    // A file every five seconds, of which the second has a trace that goes on for long.
    for n in 1..=20 {
        window.save(&[open(n)], &[], 5_000 * n).unwrap();
        let over = window.over(|trace_id| [open(2).trace_id, open(n).trace_id].contains(trace_id));
        window.save(&[], &over, 5_000 * n).unwrap();
    }
    assert_eq!((undecided(dir.path()), open_files(dir.path())), (vec![2, 20], 19));
    let over = window.over(|trace_id| *trace_id == open(20).trace_id);
    window.save(&[], &over, 100_000).unwrap();
    assert_eq!((undecided(dir.path()), open_files(dir.path())), (vec![20], 1));
}

#[test]
fn what_was_kept_is_not_open_even_if_nobody_could_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = Window::open(dir.path(), MIB, 100_000, 0).unwrap().0;
    window.save(&[open(1), open(2)], &[], 1_000).unwrap();
    window.append(&[part(1)], &[], 2_000).unwrap();
    drop(window);
    assert_eq!((undecided(dir.path()), all(&read(dir.path()).unwrap())), (vec![2], vec![1]));
    // Nor after another crash, when it is in a block.
    drop(Window::open(dir.path(), MIB, 100_000, 3_000).unwrap());
    let contents = Window::open(dir.path(), MIB, 100_000, 4_000).unwrap().1;
    assert_eq!((all(&contents), undecided(dir.path())), (vec![1], vec![2]));
}

#[test]
fn what_is_not_decided_on_has_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = Window::open(dir.path(), 8 * MIB, 100_000, 0).unwrap().0;
    let chance = |n: u64| crate::sample::mixed(&[n as u8; 16], n).to_string();
    let mut saved = 0;
    while window.has_room_for_undecided() {
        let spans = (0..2_000).map(|n| Arc::new(Span { start_ns: saved, name: chance(n).into(), ..span() }));
        window.save(&[Part { spans: spans.collect(), ..open(saved) }], &[], saved).unwrap();
        saved += 1;
        assert!(saved < 1_000, "{} bytes", window.bytes());
    }
    assert!(window.bytes() < 2 * MIB, "{}", window.bytes());
}

#[test]
fn what_is_much_at_once_is_packed_in_lots_and_is_there_as_one() {
    let large = |part: Part, bytes: usize| {
        let attributes = vec![("noise".into(), Value::from("x".repeat(bytes)))];
        let spans = part
            .spans
            .iter()
            .map(|span| Arc::new(Span { attributes: attributes.clone(), ..(**span).clone() }));
        Part { spans: spans.collect(), ..part }
    };
    let lengths = |parts: &[Part]| lots(parts).map(<[Part]>::len).collect::<Vec<_>>();
    let of = |make: fn(u64) -> Part, numbers: std::ops::RangeInclusive<u64>| {
        numbers.map(|n| large(make(n), if n == 3 { 5 << 20 } else { 600 << 10 })).collect::<Vec<_>>()
    };
    let (kept, undecided_parts) = (of(part, 1..=8), of(open, 1..=8));
    assert_eq!((lengths(&kept), lengths(&[])), (vec![2, 1, 3, 2], Vec::<usize>::new()));
    let dir = tempfile::tempdir().unwrap();
    let mut window = Window::open(dir.path(), 1_000 * MIB, 100_000, 0).unwrap().0;
    window.save(&undecided_parts, &[], 1_000).unwrap();
    assert_eq!(undecided(dir.path()), (1..=8).collect::<Vec<_>>());
    window.append(&kept[4..], &[], 2_000).unwrap();
    drop(window);
    let contents = read(dir.path()).unwrap();
    assert_eq!((all(&contents), undecided(dir.path())), ((5..=8).collect(), (1..=4).collect()));
}

#[test]
fn a_torn_end_of_what_is_not_decided_on_costs_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = Window::open(dir.path(), MIB, 100_000, 0).unwrap().0;
    window.save(&[open(1)], &[], 1_000).unwrap();
    let whole = window.bytes() as usize;
    window.save(&[open(2)], &[], 1_500).unwrap();
    drop(window);
    let file = dir.path().join("spans-open-00000001");
    let bytes = fs::read(&file).unwrap();
    for cut in [whole, whole + 1, bytes.len() - 1, bytes.len()] {
        fs::write(&file, &bytes[..cut]).unwrap();
        let wanted = if cut == bytes.len() { vec![1, 2] } else { vec![1] };
        assert_eq!(undecided(dir.path()), wanted, "cut at {cut}");
    }
}

/// A file with blocks, a tail with more, and what they hold.
fn written(dir: &Path) -> [PathBuf; 2] {
    let mut window = Window::open(dir, MIB, 1_000, 0).unwrap().0;
    for n in 0..3 {
        window.seal_parts(&[part(10 * n), part(10 * n + 1)], 1).unwrap();
    }
    window.append(&[part(100)], &[], 1).unwrap();
    window.append(&[part(101)], &[], 1).unwrap();
    [dir.join("spans-00000001"), dir.join("spans-tail-00000004")]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn spans_are_read_as_they_were_written(parts in prop::collection::vec(parts(), 0..8)) {
        let packed = Part::encode(&parts);
        let read = Part::decode(&packed).unwrap();
        // A parent is told by its place, and of two spans with one id either is it.
        prop_assert_eq!(read, parts);
    }

    #[test]
    fn records_are_read_as_they_were_written(logs in prop::collection::vec(records(), 0..20)) {
        prop_assert_eq!(<Arc<KeptLog>>::decode(&Row::encode(&logs)).unwrap(), logs);
    }

    #[test]
    fn whatever_is_decoded_makes_nothing_panic(
        parts in prop::collection::vec(parts(), 1..4), at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
        chance: Vec<u8>,
    ) {
        let mut packed = Part::encode(&parts);
        let at = at.index(packed.len());
        packed[at] = byte;
        let _ = Part::decode(&packed);
        let _ = Part::decode(&packed[..cut.index(packed.len())]);
        let _ = Part::decode(&chance);
        let _ = <Arc<KeptLog>>::decode(&packed);
        let _ = <Arc<KeptLog>>::decode(&chance);
    }

    #[test]
    fn a_changed_byte_costs_a_block_and_no_more(which in 0_usize..2, at: prop::sample::Index, bit in 0_u8..8) {
        let dir = tempfile::tempdir().unwrap();
        let files = written(dir.path());
        let mut bytes = fs::read(&files[which]).unwrap();
        // The mark of the file costs the file.
        let at = 8 + at.index(bytes.len() - 8);
        bytes[at] ^= 1 << bit;
        fs::write(&files[which], bytes).unwrap();
        let left = all(&read(dir.path()).unwrap());
        prop_assert!(left.len() >= 6, "{:?}", left);
        let opened = Window::open(dir.path(), MIB, 1_000, 2).unwrap().1;
        prop_assert!(all(&opened).len() >= 6);
    }

    #[test]
    fn what_is_cut_off_costs_what_was_behind(which in 0_usize..2, cut: prop::sample::Index) {
        let dir = tempfile::tempdir().unwrap();
        let files = written(dir.path());
        let bytes = fs::read(&files[which]).unwrap();
        fs::write(&files[which], &bytes[..cut.index(bytes.len())]).unwrap();
        let whole: Vec<u64> = all(&read(dir.path()).unwrap());
        prop_assert!(whole.len() < 8);
        let mut window = Window::open(dir.path(), MIB, 1_000, 2).unwrap().0;
        window.append(&[part(500)], &[], 3).unwrap();
        window.seal_parts(&[part(500)], 3).unwrap();
        drop(window);
        let mut wanted = whole;
        wanted.push(500);
        prop_assert_eq!(all(&read(dir.path()).unwrap()), wanted);
    }
}

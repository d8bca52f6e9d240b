//! What is sent is what is read, whatever else is in it.

use proptest::prelude::*;

use super::*;
use crate::otlp::Batch;
use crate::otlp::wire::{put_bytes, put_fixed64, put_in};
use crate::span::tests::span as least;

fn read_traces(request: &[u8]) -> (Vec<Span>, Taken) {
    let mut spans = Vec::new();
    let taken = traces(request, &mut |span| {
        spans.push(span);
        true
    });
    (spans, taken.unwrap())
}

fn read_logs(request: &[u8]) -> Vec<LogRecord> {
    let mut records = Vec::new();
    logs(request, 77, &mut |log| {
        records.push(log);
        true
    })
    .unwrap();
    records
}

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A span `ab` of the service `s`, as the protocol's definitions have it written.
const GOLDEN: &str = "
    0a 53
      0a 15  0a 13  0a 0c 736572766963652e6e616d65  12 03 0a 01 73
      12 3a
        12 38
          0a 10 01010101010101010101010101010101
          12 08 0202020202020202
          2a 02 6162
          30 02
          39 e803000000000000
          41 dc05000000000000
          7a 02 18 01";

#[test]
fn golden_bytes_are_a_span_and_a_span_golden_bytes() {
    let golden = hex(GOLDEN);
    let (spans, taken) = read_traces(&golden);
    let expected = Span {
        service: "s".into(),
        name: "ab".into(),
        scope: Text::default(),
        kind: Kind::Server,
        status: Status::Ok,
        ..least()
    };
    assert_eq!(spans, std::slice::from_ref(&expected));
    assert_eq!(taken, Taken { accepted: 1, ..Taken::default() });
    let mut batch = Batch::default();
    batch.span(&expected);
    let written = batch.request();
    // A scope without a name is written, too, and says nothing.
    assert_eq!(written.len(), golden.len() + 2);
    assert_eq!(read_traces(&written).0, [expected]);
}

#[test]
fn a_resource_behind_its_spans_is_theirs() {
    let mut request = Vec::new();
    put_in(&mut request, 1, |out| {
        put_in(out, 2, |out| {
            put_in(out, 2, |out| {
                put_bytes(out, 1, &[1; 16]);
                put_bytes(out, 2, &[2; 8]);
                put_fixed64(out, 7, 5);
                attribute(out, 9, "zone", "own");
            });
            put_in(out, 1, |out| put_bytes(out, 1, b"scope"));
        });
        put_in(out, 1, |out| {
            attribute(out, 1, "service.name", "shop");
            attribute(out, 1, "service.instance.id", "shop-1");
            attribute(out, 1, "zone", "resource's");
            attribute(out, 1, "host.name", "box");
            attribute(out, 1, "telemetry.sdk.name", "opentelemetry");
        });
    });
    let (spans, _) = read_traces(&request);
    let span = &spans[0];
    assert_eq!((&*span.service, &*span.instance, &*span.scope), ("shop", "shop-1", "scope"));
    let attributes = [("zone".into(), "own".into()), ("host.name".into(), "box".into())];
    assert_eq!(span.attributes, attributes);
}

fn attribute(out: &mut Vec<u8>, field: u32, key: &str, value: &str) {
    put_in(out, field, |out| {
        put_bytes(out, 1, key.as_bytes());
        put_in(out, 2, |out| put_bytes(out, 1, value.as_bytes()));
    });
}

/// A request of one span, which `write` writes.
fn one_span(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut request = Vec::new();
    put_in(&mut request, 1, |out| put_in(out, 2, |out| put_in(out, 2, write)));
    request
}

#[test]
fn what_has_no_ids_or_no_beginning_is_rejected_and_the_others_are_not() {
    let good = |out: &mut Vec<u8>| {
        put_bytes(out, 1, &[1; 16]);
        put_bytes(out, 2, &[2; 8]);
    };
    let mut request = one_span(|out| put_bytes(out, 1, &[1; 16]));
    request.extend(one_span(|out| {
        put_bytes(out, 1, &[0; 16]);
        put_bytes(out, 2, &[2; 8]);
    }));
    request.extend(one_span(good));
    request.extend(one_span(|out| {
        good(out);
        put_fixed64(out, 7, 1);
    }));
    let (spans, taken) = read_traces(&request);
    assert_eq!((spans.len(), taken.accepted, taken.rejected, taken.dropped), (1, 1, 3, 0));
    assert_eq!(&*spans[0].service, "unknown_service");
    let none = traces(
        &one_span(|out| {
            good(out);
            put_fixed64(out, 7, 1);
        }),
        &mut |_| false,
    );
    let none = none.unwrap();
    assert_eq!((none.accepted, none.rejected, none.dropped), (0, 1, 1));
}

#[test]
fn a_span_is_no_larger_for_all_that_is_in_it() {
    let request = one_span(|out| {
        put_bytes(out, 1, &[1; 16]);
        put_bytes(out, 2, &[2; 8]);
        put_fixed64(out, 7, 1);
        for at in 0..200 {
            attribute(out, 9, &format!("key-{at}"), &"v".repeat(100_000));
        }
        // A list of a million of nothing, two bytes each.
        put_in(out, 9, |out| {
            put_bytes(out, 1, b"list");
            put_in(out, 2, |out| put_in(out, 5, |out| out.extend([0x0a, 0].repeat(1_000_000))));
        });
        (0..300).for_each(|_| put_bytes(out, 11, b""));
    });
    let (spans, _) = read_traces(&request);
    assert_eq!((spans[0].attributes.len(), spans[0].events.len()), (ATTRIBUTES_MAX, EVENTS_MAX));
    assert_eq!(spans[0].dropped, 73 + 172);
    let longest = spans[0].attributes.iter().map(|(_, value)| format!("{value:?}").len()).max();
    assert!(longest.is_some_and(|longest| longest < 5_000));
}

#[test]
fn records_say_when_and_how_much_they_matter() {
    let mut request = Vec::new();
    put_in(&mut request, 1, |out| {
        put_in(out, 2, |out| {
            put_in(out, 2, |out| put_bytes(out, 3, b"WARNING"));
            put_in(out, 2, |out| {
                put_fixed64(out, 11, 9);
                put_in(out, 5, |out| put_in(out, 6, |out| attribute(out, 1, "a", "b")));
                attribute(out, 6, "event.name", "rollout");
            });
        });
    });
    let records = read_logs(&request);
    assert_eq!((records[0].at_ns, records[0].severity), (77, 13));
    assert_eq!((records[1].at_ns, &*records[1].body, &*records[1].event), (9, r#"{"a":"b"}"#, "rollout"));
}

#[test]
fn points_are_counted_whatever_they_are() {
    let mut request = Vec::new();
    put_in(&mut request, 1, |out| {
        put_in(out, 2, |out| {
            for kind in [5, 7, 9, 10, 11] {
                put_in(out, 2, |out| put_in(out, kind, |out| (0..2).for_each(|_| put_bytes(out, 1, b""))));
            }
        });
    });
    assert_eq!(metrics(&request, &mut |_| ()).unwrap().accepted, 10);
    // A point that is cut off.
    let mut cut = Vec::new();
    put_in(&mut cut, 1, |out| {
        put_in(out, 2, |out| put_in(out, 2, |out| put_in(out, 5, |out| put_bytes(out, 1, &[0x09, 1]))));
    });
    assert!(metrics(&cut, &mut |_| ()).is_err());
}

fn points(request: &[u8]) -> Vec<Point> {
    let mut points = Vec::new();
    metrics(request, &mut |point| points.push(point)).unwrap();
    points
}

#[test]
fn what_is_measured_comes_back_as_points() {
    use crate::catalogue::{CALL_DURATION, NODE_MEMORY, TELEMETRY_DROPPED};
    use crate::exposition::{Sample, Value as Much};
    use crate::otlp::measured;

    let times = crate::metrics::Histogram::new();
    [700, 700, 40_000_000].into_iter().for_each(|micros| times.record(micros));
    let labels = ["a", "b", "a -> b"].map(str::to_owned).to_vec();
    let samples = [
        Sample::number(&NODE_MEMORY, &[], 5.0),
        Sample::number(&TELEMETRY_DROPPED, &["spans"], 7.0),
        Sample { metric: &CALL_DURATION, labels, value: Much::Histogram(times.snapshot(), Vec::new()) },
    ];
    let (request, count) = measured(&samples, "shop", 3, 9);
    let points = points(&request);
    assert_eq!((points.len(), count), (3, 3));
    let of = |name: &str| points.iter().find(|point| &*point.name == name).unwrap();
    let memory = of("colony.node.memory");
    assert_eq!((&memory.value, &*memory.unit, &*memory.service), (&PointValue::Gauge(5.0), "By", "shop"));
    let dropped = of("colony.telemetry.dropped");
    assert_eq!(dropped.value, PointValue::Sum { value: 7.0, is_delta: false });
    assert_eq!((dropped.start_ns, &dropped.attributes[..]), (3, &[("what".into(), "spans".to_owned())][..]));
    let PointValue::Histogram { buckets, sum, is_delta: false } = &of("colony.call.duration").value else {
        panic!("{points:?}");
    };
    assert!((sum - 40.0014).abs() < 1e-9, "{sum}");
    assert_eq!(buckets[..], [(0.00075, 2), (30.0, 1)], "in the middle of the bucket, or at the last bound");
}

/// A request of one metric of one point.
fn one_point(kind: u32, of_data: &[(u32, u64)], point: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    use crate::otlp::wire::put_varint;

    let mut request = Vec::new();
    put_in(&mut request, 1, |out| {
        put_in(out, 2, |out| {
            put_in(out, 2, |out| {
                put_bytes(out, 1, b"boxes");
                put_in(out, kind, |out| {
                    put_in(out, 1, &point);
                    of_data.iter().for_each(|(field, number)| put_varint(out, *field, *number));
                });
            });
        });
    });
    request
}

#[test]
fn exponential_histograms_have_powers_of_their_base_as_bounds() {
    use crate::otlp::wire::put_varint;

    // Scale 1: the base is the root of 2. Zigzag: 1 is 2, -3 is 5.
    let request = one_point(10, &[(2, 1)], |out| {
        put_fixed64(out, 5, 9.5_f64.to_bits());
        put_varint(out, 6, 2);
        put_fixed64(out, 7, 4);
        put_in(out, 8, |out| {
            put_varint(out, 1, 5);
            put_bytes(out, 2, &[0, 3, 0x80, 0x01]);
        });
    });
    let all = points(&request);
    let PointValue::Histogram { buckets, sum, is_delta: true } = &all[0].value else { panic!("{all:?}") };
    let counts: Vec<u64> = buckets.iter().map(|(_, count)| *count).collect();
    assert_eq!((&counts[..], *sum), (&[4, 3, 128][..], 9.5));
    let wanted = [0.0, 2_f64.powf(-0.75), 2_f64.powf(-0.25)];
    assert!(
        buckets.iter().zip(wanted).all(|((value, _), wanted)| (value - wanted).abs() < 1e-12),
        "{buckets:?}"
    );
}

#[test]
fn a_sum_that_may_fall_is_a_gauge_or_a_change_of_one() {
    let value = |out: &mut Vec<u8>| put_fixed64(out, 6, (-3_i64) as u64);
    let told = |of_data: &[(u32, u64)]| points(&one_point(7, of_data, value)).remove(0).value;
    assert_eq!(told(&[(2, 2)]), PointValue::Gauge(-3.0));
    assert_eq!(told(&[(2, 1)]), PointValue::Change(-3.0));
    assert_eq!(told(&[(2, 1), (3, 1)]), PointValue::Sum { value: -3.0, is_delta: true });
    let nothing = |out: &mut Vec<u8>| {
        value(out);
        crate::otlp::wire::put_varint(out, 8, 1);
    };
    assert!(points(&one_point(5, &[], nothing)).is_empty(), "it says that nothing was recorded");
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<bool>().prop_map(Value::Bool),
        any::<f64>().prop_filter("equal to itself", |it| !it.is_nan()).prop_map(Value::Float),
        ".{0,20}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec(("k.{0,9}".prop_map(Text::from), inner), 0..4).prop_map(Value::Map),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Vec<(Text, Value)>> {
    prop::collection::vec(("k.{0,9}".prop_map(Text::from), values()), 0..5)
}

fn spans() -> impl Strategy<Value = Span> {
    let whose = ("s.{0,5}", ".{0,5}", ".{0,5}", ".{0,9}");
    let when = (1..u64::MAX / 2, 0..u64::MAX / 2);
    let kinds = prop_oneof![
        Just(Kind::Internal),
        Just(Kind::Server),
        Just(Kind::Client),
        Just(Kind::Producer),
        Just(Kind::Consumer)
    ];
    let how = prop_oneof![
        Just(Status::Unset),
        Just(Status::Ok),
        ".{0,9}".prop_map(|why| Status::Error(Text::from(why)))
    ];
    let more = (attributes(), attributes(), any::<Option<u64>>(), 0..9_u32);
    (whose, when, kinds, how, more).prop_map(|(whose, when, kind, status, more)| Span {
        service: whose.0.into(),
        instance: whose.1.into(),
        scope: whose.2.into(),
        name: whose.3.into(),
        parent: more.2.map(|id| (id | 1).to_be_bytes()),
        start_ns: when.0,
        duration_ns: when.1,
        kind,
        status,
        attributes: more.0,
        events: vec![Event { at_ns: 4, name: "retry".into(), attributes: more.1.clone() }],
        links: vec![Link { trace_id: [3; 16], span_id: [4; 8], attributes: more.1 }],
        dropped: more.3,
        ..least()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn spans_come_back_as_they_were(spans in prop::collection::vec(spans(), 0..6)) {
        let mut batch = Batch::default();
        spans.iter().for_each(|span| batch.span(span));
        let (mut read, taken) = read_traces(&batch.request());
        prop_assert_eq!((taken.accepted, batch.count()), (spans.len() as u64, spans.len() as u64));
        let whose = |span: &Span| (span.service.to_string(), span.instance.to_string(), span.scope.to_string());
        let mut spans = spans;
        // They are put together by whose they are; among those the order is kept.
        spans.sort_by_key(whose);
        read.sort_by_key(whose);
        prop_assert_eq!(read, spans);
    }

    #[test]
    fn records_come_back_as_they_were(
        body in ".{0,99}", attributes in attributes(), severity in 0..25_u8, ids in any::<Option<u64>>(),
    ) {
        let log = LogRecord {
            at_ns: 5, severity, service: "shop".into(), instance: "shop-1".into(), event: "e".into(),
            body: body.into(), attributes,
            trace_id: ids.map(|_| [9; 16]), span_id: ids.map(|id| (id | 1).to_be_bytes()),
        };
        let mut batch = Batch::default();
        batch.log(&log);
        prop_assert_eq!(read_logs(&batch.request()), [log]);
    }

    #[test]
    fn anything_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = traces(&bytes, &mut |_| true);
        let _ = logs(&bytes, 1, &mut |_| true);
        let _ = metrics(&bytes, &mut |_| ());
    }

    #[test]
    fn what_is_changed_on_the_way_is_answered(span in spans(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut batch = Batch::default();
        batch.span(&span);
        let mut request = batch.request();
        let at = at.index(request.len());
        request[at] = byte;
        let _ = traces(&request, &mut |_| true);
        let _ = logs(&request, 1, &mut |_| true);
    }
}

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
    assert_eq!(metrics(&request).unwrap().accepted, 10);
    // A point that is cut off.
    let mut cut = Vec::new();
    put_in(&mut cut, 1, |out| {
        put_in(out, 2, |out| put_in(out, 2, |out| put_in(out, 5, |out| put_bytes(out, 1, &[0x09, 1]))));
    });
    assert!(metrics(&cut).is_err());
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
        let _ = metrics(&bytes);
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

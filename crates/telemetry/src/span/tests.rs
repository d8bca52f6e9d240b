//! What is over is cut, whatever it is and however it is packed.

use proptest::prelude::*;

use super::*;

/// A span of the least that it can be.
pub(crate) fn span() -> Span {
    Span {
        trace_id: [1; 16],
        span_id: [2; 8],
        parent: None,
        trace_state: Text::default(),
        service: "shop".into(),
        instance: Text::default(),
        scope: "colony".into(),
        name: "GET /".into(),
        kind: Kind::Server,
        start_ns: 1_000,
        duration_ns: 500,
        status: Status::Unset,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped: 0,
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => 0,
        Value::List(list) => list.iter().map(|value| size_of::<Value>() + size(value)).sum(),
        Value::Map(map) => map.iter().map(|(key, value)| size_of::<Value>() + key.len() + size(value)).sum(),
    }
}

#[test]
fn what_is_within_is_left_as_it_is() {
    let mut small = span();
    small.attributes.push(("http.request.method".into(), "GET".into()));
    small.status = Status::Error("no answer".into());
    let before = small.clone();
    small.bound();
    assert_eq!(small, before);
    assert_eq!((small.end_ns(), small.is_error()), (1_500, true));
    assert_eq!(small.attribute("http.request.method"), Some(&"GET".into()));
}

#[test]
fn what_is_over_is_cut_and_counted() {
    let mut large = span();
    large.name = "n".repeat(1_000).into();
    let pair = |n: usize| (Text::from(format!("key-{n}")), Value::from("é".repeat(3_000)));
    large.attributes = (0..200).map(pair).collect();
    large.events =
        (0..130).map(|n| Event { at_ns: n, name: "e".into(), attributes: vec![pair(0)] }).collect();
    large.bound();
    assert_eq!(large.name.len(), NAME_BYTES_MAX);
    assert_eq!(large.events.len(), EVENTS_MAX);
    let left: usize = large.attributes.iter().map(|(key, value)| key.len() + size(value)).sum();
    assert!((VALUE_BYTES_MAX..=32 * 1024 + 300).contains(&left), "{left}");
    assert!(large.dropped > 190, "{}", large.dropped);
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<bool>().prop_map(Value::Bool),
        ".{0,3000}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..9_000).prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(12, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
            prop::collection::vec((".{0,400}".prop_map(Text::from), inner), 0..8).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_value_is_larger_than_it_may_be(value in values()) {
        let mut record = LogRecord {
            at_ns: 0,
            severity: 9,
            service: "shop".into(),
            instance: Text::default(),
            event: Text::default(),
            body: Text::default(),
            attributes: vec![("key".into(), value)],
            trace_id: None,
            span_id: None,
        };
        record.bound();
        prop_assert!(record.attributes.iter().all(|(_, value)| size(value) <= VALUE_BYTES_MAX));
        let once = record.clone();
        record.bound();
        prop_assert_eq!(record, once, "once is enough");
    }
}

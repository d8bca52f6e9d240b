//! Envelopes, written out and with any data.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn event<'a>(content_type: &'a str, data: &'a [u8], wishes: &'a Wishes<'a>) -> Event<'a> {
    Event {
        id: "00000000-0000-4000-8000-000000000000",
        app_id: "shop",
        pubsub: "pubsub",
        topic: "orders/new",
        content_type,
        data,
        traceparent: "",
        tracestate: "",
        baggage: "",
        wishes,
        now_ms: 951_782_400_999,
    }
}

fn wrapped(content_type: &str, data: &[u8]) -> String {
    String::from_utf8(event(content_type, data, &Wishes::default()).wrap().unwrap()).unwrap()
}

#[test]
fn an_envelope_is_written_in_the_order_of_its_names() {
    assert_eq!(
        wrapped("application/json", br#" {"b": 1.50, "a":12345678901234567890} "#),
        r#"{"data":{"b": 1.50, "a":12345678901234567890},"datacontenttype":"application/json","#.to_owned()
            + r#""id":"00000000-0000-4000-8000-000000000000","pubsubname":"pubsub","source":"shop","specversion":"1.0","#
            + r#""time":"2000-02-29T00:00:00Z","topic":"orders/new","traceid":"","traceparent":"","tracestate":"","#
            + r#""type":"com.dapr.event.sent"}"#
    );
}

#[test]
fn the_content_type_says_how_data_is_carried() {
    let value = |content_type: &str, data: &[u8]| -> Value {
        serde_json::from_str(&wrapped(content_type, data)).unwrap()
    };
    for (content_type, data, field, carried) in [
        ("", &b"a\"\n"[..], "data", json!("a\"\n")),
        ("text/plain", b"1", "data", json!("1")),
        ("Application/JSON; charset=utf-8", b"[1]", "data", json!([1])),
        ("application/json", b"{", "data", json!("{")),
        ("application/json", b"", "data", json!("")),
        ("application/json", b"1 2", "data", json!("1 2")),
        ("application/json", b"\"\xff\"", "data", json!("\"\u{fffd}\"")),
        ("application/vnd.a+json", b"{}", "data", json!("{}")),
        ("text/xml", b"<a/>", "data", json!("<a/>")),
        ("application/octet-stream", b"\0\xff", "data_base64", json!("AP8=")),
        ("application/octet-stream", b"", "data_base64", json!("")),
        ("application/cloudevents+protobuf", b"abc", "data_base64", json!("YWJj")),
    ] {
        let envelope = value(content_type, data);
        assert_eq!(envelope[field], carried, "{content_type} {envelope}");
        let expected = if content_type.is_empty() { "text/plain" } else { content_type };
        assert_eq!(envelope["datacontenttype"], expected);
        let other = if field == "data" { "data_base64" } else { "data" };
        assert_eq!(envelope.get(other), None);
    }
}

#[test]
fn what_is_wished_stands_in_the_envelope() {
    let wishes = Wishes {
        id: Some("1"),
        source: Some("s"),
        kind: Some("k"),
        subject: Some("u"),
        traceid: Some("ignored"),
        traceparent: Some("p"),
        tracestate: Some("t"),
        ttl_s: Some(60),
        ..Wishes::default()
    };
    let envelope: Value = serde_json::from_slice(&event("", b"", &wishes).wrap().unwrap()).unwrap();
    let expected = json!({
        "data": "", "datacontenttype": "text/plain", "expiration": "2000-02-29T00:01:00Z", "id": "1",
        "pubsubname": "pubsub", "source": "s", "specversion": "1.0", "subject": "u", "time": "2000-02-29T00:00:00Z",
        "topic": "orders/new", "traceid": "p", "traceparent": "p", "tracestate": "t", "type": "k",
    });
    assert_eq!(envelope, expected);
}

#[test]
fn the_trace_of_the_request_is_that_of_the_event() {
    let wishes = Wishes::default();
    let traced = Event { traceparent: "00-a-b-01", tracestate: "x=y", ..event("", b"", &wishes) };
    for (content_type, data) in [("text/plain", &b""[..]), (CLOUD_EVENT, b"{}")] {
        let event = Event { content_type, data, ..traced };
        let envelope: Value = serde_json::from_slice(&event.wrap().unwrap()).unwrap();
        assert_eq!(
            (&envelope["traceid"], &envelope["traceparent"]),
            (&json!("00-a-b-01"), &json!("00-a-b-01"))
        );
        assert_eq!(envelope["tracestate"], "x=y");
    }
}

#[test]
fn what_comes_as_an_event_is_completed_and_not_wrapped() {
    let wishes = Wishes { id: Some("ignored"), kind: Some("ignored"), ttl_s: Some(0), ..Wishes::default() };
    let data = br#"{"topic":"x","pubsubname":1,"type":"mine","source":null,"data":{"n":1.0},"extra":[1],"traceid":"t"}"#;
    let event = event("application/cloudevents+json; charset=utf-8", data, &wishes);
    let text = String::from_utf8(event.wrap().unwrap()).unwrap();
    assert_eq!(
        text,
        r#"{"data":{"n":1.0},"expiration":"2000-02-29T00:00:00Z","extra":[1],"pubsubname":"pubsub","source":"Dapr","#.to_owned()
            + r#""specversion":"1.0","time":"2000-02-29T00:00:00Z","topic":"orders/new","traceid":"t","traceparent":"","#
            + r#""tracestate":"","type":"mine"}"#
    );
    for odd in ["", "[]", "1", "null", "{", r#"{"a":1}x"#] {
        assert_eq!(super::Event { data: odd.as_bytes(), ..event }.wrap(), Err(NoObject), "{odd}");
    }
}

proptest! {
    #[test]
    fn an_envelope_is_json_whatever_is_in_it(
        content_type in prop_oneof![
            Just("application/json".to_owned()), Just("application/octet-stream".to_owned()), "\\PC{0,12}"
        ],
        data in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..64), "[\\[\\]{}\",:0-9a-df\\\\ \n]{0,16}".prop_map(String::into_bytes)
        ],
        topic in "\\PC{0,12}",
        subject in "[\"\\\\\n\u{7f}a]{1,8}",
    ) {
        prop_assume!(!media(&content_type).eq_ignore_ascii_case(CLOUD_EVENT));
        let wishes = Wishes { subject: Some(&subject), ..Wishes::default() };
        let event = Event { topic: &topic, ..event(&content_type, &data, &wishes) };
        let envelope: Value = serde_json::from_slice(&event.wrap().unwrap()).unwrap();
        prop_assert_eq!(envelope["topic"].as_str(), Some(topic.as_str()));
        prop_assert_eq!(envelope["subject"].as_str(), Some(subject.as_str()));
        match (&envelope["data_base64"], &envelope["data"]) {
            (Value::String(text), _) => prop_assert_eq!(STANDARD.decode(text).unwrap(), data),
            (_, Value::String(text)) if serde_json::from_slice::<Value>(&data).is_err() => {
                prop_assert_eq!(text.as_str(), String::from_utf8_lossy(&data));
            }
            (_, inlined) if media(&content_type).eq_ignore_ascii_case(JSON) => {
                prop_assert_eq!(inlined, &serde_json::from_slice::<Value>(&data).unwrap());
            }
            (_, text) => prop_assert_eq!(text.as_str(), Some(&*String::from_utf8_lossy(&data))),
        }
    }

    #[test]
    fn what_comes_as_an_event_keeps_what_it_says(fields in proptest::collection::btree_map("[a-z\"\\\\]{1,6}", "\\PC{0,6}", 0..6)) {
        let data = serde_json::to_vec(&fields).unwrap();
        let wishes = Wishes::default();
        let completed = event(CLOUD_EVENT, &data, &wishes).wrap().unwrap();
        let envelope: BTreeMap<String, String> = serde_json::from_slice(&completed).unwrap();
        for (name, value) in &fields {
            if name != "topic" {
                prop_assert_eq!(&envelope[name], value);
            }
        }
        prop_assert_eq!(envelope["pubsubname"].as_str(), "pubsub");
    }
}

//! Lines as programs write them.

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_795_309_323_000_000_000;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn parsed(text: &str) -> LogRecord {
    let origin =
        Origin { service: "shop".into(), instance: "shop-1".into(), stream: Stream::Stderr, at_ns: NOW };
    line(origin, text)
}

fn ids(record: &LogRecord) -> (String, String) {
    (crate::hex(&record.trace_id.unwrap_or_default()), crate::hex(&record.span_id.unwrap_or_default()))
}

#[test]
fn json_of_several_libraries() {
    let lines = [
        format!(
            r#"{{"time":"2026-11-22T01:02:03.5Z","level":"WARN","msg":"low","trace_id":"{TRACE}","span_id":"{SPAN}","n":3}}"#
        ),
        format!(
            r#"{{"ts":1795309323.5,"level":"warning","message":"low","traceId":"{TRACE}","spanId":"{SPAN}","n":3}}"#
        ),
        format!(
            r#"{{"time":1795309323500,"level":40,"msg":"low","traceparent":"00-{TRACE}-{SPAN}-01","n":3}}"#
        ),
        format!(
            r#"{{"timestamp":"2026-11-22 02:02:03,500+01:00","severity":"Warn","event":"low","trace.id":"{TRACE}","span.id":"{SPAN}","n":3}}"#
        ),
        format!(
            r#"{{"timestamp":"2026-11-22T01:02:03.500Z","level":"WARN","fields":{{"message":"low","n":3}},"otelTraceID":"{TRACE}","otelSpanID":"{SPAN}"}}"#
        ),
    ];
    for text in lines {
        let record = parsed(&text);
        assert_eq!((record.severity, &*record.body), (13, "low"), "{text}");
        assert_eq!(record.at_ns, NOW + 500_000_000, "{text}");
        assert_eq!(ids(&record), (TRACE.to_owned(), SPAN.to_owned()), "{text}");
        assert_eq!(record.attribute("n"), Some(&Value::Int(3)), "{text}");
        assert_eq!(record.attribute("log.record.original"), Some(&text.clone().into()));
        assert_eq!(record.attributes.len(), 3, "{text}: {:?}", record.attributes);
    }
}

#[test]
fn logfmt_is_told_from_text() {
    let record = parsed(&format!(r#"level=error msg="no \"answer\"" took=31 trace_id={TRACE}"#));
    assert_eq!((record.severity, &*record.body), (17, r#"no "answer""#));
    assert_eq!((record.attribute("took"), ids(&record).0), (Some(&Value::Int(31)), TRACE.to_owned()));
    for text in ["a = b", "see level=3 of it", "x=1 y=2", "level=info", "=", "level=info msg=\"open"] {
        assert_eq!(&*parsed(text).body, text);
        assert_eq!(parsed(text).attribute("log.record.original"), None);
    }
}

#[test]
fn levels_in_plain_text() {
    let levels = [
        ("2026-11-22T01:02:03Z  INFO shop: ready", 9),
        ("ERROR:root:it broke", 17),
        ("[warn] low", 13),
        ("warning: low", 13),
        ("2026/11/22 01:02:03 [error] 7#7: *1 open() failed", 17),
        ("\x1b[32mDEBUG\x1b[0m cache", 5),
        ("panic: index out of range", 21),
        ("information about errors", 0),
        ("no ERRORs and no info here", 0),
        ("", 0),
    ];
    for (text, severity) in levels {
        assert_eq!(parsed(text).severity, severity, "{text:?}");
    }
    assert_eq!(&*parsed("\x1b[1;32mgreen\x1b[0m").body, "green");
}

#[test]
fn traces_in_plain_text() {
    for text in [
        format!("done trace_id={TRACE} span_id={SPAN}"),
        format!("done traceId: {TRACE}, spanId: {SPAN}"),
        format!("traceparent=00-{TRACE}-{SPAN}-01 done"),
    ] {
        assert_eq!(ids(&parsed(&text)), (TRACE.to_owned(), SPAN.to_owned()), "{text}");
    }
    assert_eq!(parsed("trace_id=00000000000000000000000000000000").trace_id, None);
}

#[test]
fn a_time_that_cannot_be_is_when_it_came() {
    for time in [
        "\"2001-01-01T00:00:00Z\"",
        "\"2026-11-22T01:02:03\"",
        "12",
        "\"soon\"",
        "\"2026-99-22T01:02:03Z\"",
        "1e300",
    ] {
        assert_eq!(parsed(&format!(r#"{{"time":{time},"msg":"x"}}"#)).at_ns, NOW, "{time}");
    }
}

proptest! {
    #[test]
    fn no_line_is_a_panic_or_lost(text in "\\PC{0,120}") {
        let record = parsed(&text);
        let is_structured = text.contains(['{', '=']);
        prop_assert!(!record.body.is_empty() || text.is_empty() || is_structured);
    }

    #[test]
    fn nor_is_one_that_is_nearly_structured(
        text in r#"[{}\[\]",:=a-f0-9 \\.é+-]{0,60}"#, time in "[0-9TZ:.+ é-]{0,30}", key in "(time|level|trace_id|traceparent|fields)",
    ) {
        parsed(&text);
        parsed(&format!(r#"{{"{key}":"{time}"}}"#));
        parsed(&format!("{key}={time} msg={text}"));
    }
}

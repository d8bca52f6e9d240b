//! Queries over HTTP, whoever serves them: a path and what stands behind its `?` in, a status and JSON out.
//!
//! | path | what |
//! |---|---|
//! | `/api/traces` | a page of traces |
//! | `/api/traces/heat` | how many took how long when |
//! | `/api/traces/services` | what services answered, and who called whom |
//! | `/api/traces/ID` | one, whole, with its logs |
//! | `/api/logs` | a page of records |
//! | `/api/telemetry` | what is held, and what was lost |
//!
//! Reads the disk: to be asked where waiting for it stalls nobody.

use serde::Serialize;

use crate::Telemetry;
use crate::query::{HeatQuery, LogQuery, Range, TraceQuery, parameters};

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status: 200, 400 or 404.
    pub status: u16,
    /// JSON; a problem (RFC 9457) where it failed.
    pub body: String,
}

/// Whether a path is one of these.
pub fn is_path(path: &str) -> bool {
    ["/api/traces", "/api/logs", "/api/telemetry"].iter().any(|own| {
        path.strip_prefix(own)
            .is_some_and(|rest| rest.is_empty() || (rest.starts_with('/') && *own == "/api/traces"))
    })
}

/// Answers. `query` is what stands behind the `?`, encoded as it came.
pub fn answer(telemetry: &Telemetry, path: &str, query: &str, now_ns: u64) -> Answer {
    let pairs = decoded(query);
    let pairs = || pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let done = match path {
        "/api/traces" => TraceQuery::from_pairs(pairs(), now_ns).map(|query| json(&telemetry.traces(&query))),
        "/api/traces/heat" => {
            HeatQuery::from_pairs(pairs(), now_ns).map(|query| json(&telemetry.heat(&query)))
        }
        "/api/traces/services" => {
            Range::from_pairs(pairs(), now_ns).map(|range| json(&telemetry.services(range)))
        }
        "/api/logs" => LogQuery::from_pairs(pairs(), now_ns).map(|query| json(&telemetry.logs(&query))),
        "/api/telemetry" => Ok(json(&telemetry.stats())),
        other => match parameters::trace_id(other.strip_prefix("/api/traces/").unwrap_or(other)) {
            Ok(trace_id) => match telemetry.trace(&trace_id) {
                Some(trace) => Ok(json(&trace)),
                None => {
                    let id = crate::hex(&trace_id);
                    return problem(
                        404,
                        "Not Found",
                        &format!("no trace {id} is kept: it was dropped, or is too old"),
                    );
                }
            },
            Err(why) => Err(why),
        },
    };
    match done {
        Ok(body) => Answer { status: 200, body },
        Err(why) => problem(400, "Bad Request", &why),
    }
}

fn problem(status: u16, title: &str, detail: &str) -> Answer {
    Answer { status, body: json(&serde_json::json!({ "status": status, "title": title, "detail": detail })) }
}

/// What is told is made of texts and numbers, which always are JSON.
fn json(told: &impl Serialize) -> String {
    serde_json::to_string(told).unwrap_or_default()
}

/// Pairs of `application/x-www-form-urlencoded`.
fn decoded(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (plain(key), plain(value)))
        .collect()
}

/// Without `+` and `%XX`.
fn plain(encoded: &str) -> String {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut left = encoded.as_bytes().iter();
    while let Some(byte) = left.next().copied() {
        let hex = || {
            let digits = left.as_slice().get(..2)?;
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => match hex() {
                Some(meant) => {
                    bytes.push(meant);
                    left.nth(1);
                }
                None => bytes.push(b'%'),
            },
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_asked_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let telemetry = Telemetry::read(dir.path()).unwrap();
        let ask = |path: &str, query: &str| answer(&telemetry, path, query, 0);
        let traces = ask("/api/traces", "service=a&attribute=http.route%3D%2Fx+y&since=10m");
        assert_eq!(
            traces,
            Answer { status: 200, body: r#"{"traces":[],"next":null,"cut":false}"#.to_owned() }
        );
        assert_eq!(ask("/api/logs", "level=warn").status, 200);
        assert_eq!(ask("/api/traces/heat", "").status, 200);
        assert_eq!(ask("/api/traces/services", "").status, 200);
        assert_eq!(ask("/api/logs", "level=loud").status, 400);
        assert_eq!(ask("/api/traces/x", "").status, 400);
        assert_eq!(ask(&format!("/api/traces/{}", "a".repeat(32)), "").status, 404);
        assert!(
            is_path("/api/traces/x")
                && is_path("/api/logs")
                && !is_path("/api/logsx")
                && !is_path("/api/logs/x")
        );
    }

    proptest! {
        #[test]
        fn whatever_stands_behind_the_path(query in "[a-z%+=&é0-9]{0,40}") {
            decoded(&query);
        }
    }
}

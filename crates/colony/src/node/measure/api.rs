//! What is asked of metrics: over the control socket, and by whoever serves the same to people.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use telemetry::catalogue;
use telemetry::series::{Curve, Query, Take, foreign};

use crate::node::{Node, unix_ms};

/// The range that is meant where none is said.
const RANGE_MS: u64 = 15 * 60_000;
/// How many points a range is cut into where no step is said.
const POINTS: u64 = 180;

/// `metrics?name=...`: how a metric went; without a name, which there are. Parameters: `name`, `label.NAME=VALUE`, `by=A,B` (empty:
/// all together), `from`, `to` (milliseconds since 1970, or `-15m` before now), `step` (milliseconds), `take` (`rate`, `increase`,
/// `value`, `mean`, `p99`).
///
/// # Errors
/// What is wrong with the question.
pub(in crate::node) fn metrics(node: &Node, query: &str) -> Result<Value, String> {
    let asked = parameters(query);
    let Some(name) = asked.iter().find(|(key, _)| key == "name").map(|(_, name)| name.clone()) else {
        return Ok(known());
    };
    let query = question(name, &asked, unix_ms())?;
    let curves = node.measures.window().query(&query).map_err(|error| error.to_string())?;
    let series: Vec<Value> = curves.into_iter().map(curve).collect();
    Ok(json!({
        "name": query.metric, "from_ms": query.from_ms, "to_ms": query.to_ms, "step_ms": query.step_ms, "series": series,
    }))
}

/// `slos`: how objectives stand, which alerts fire, and which did.
pub(in crate::node) fn slos(node: &Node) -> Value {
    let measures = &node.measures;
    json!({ "slos": measures.details(), "alerts": measures.alerts(), "past": measures.past_alerts() })
}

/// How objectives stand, and no more.
pub(in crate::node) fn standings(node: &Node) -> Value {
    json!(node.measures.standings())
}

/// `changes?from=&to=`: what was done to the system in a range.
///
/// # Errors
/// What is wrong with the question.
pub(in crate::node) fn changes(node: &Node, query: &str) -> Result<Value, String> {
    let (from_ms, to_ms) = range(&parameters(query), unix_ms())?;
    Ok(json!({ "from_ms": from_ms, "to_ms": to_ms, "changes": node.measures.changes(from_ms, to_ms) }))
}

fn known() -> Value {
    let own = |metric: &&catalogue::Metric| {
        json!({
            "name": metric.name, "prometheus": metric.exposed(), "kind": metric.kind.word(), "unit": metric.unit,
            "labels": metric.labels, "help": metric.help, "source": "colony",
        })
    };
    let mut all: Vec<Value> = catalogue::ALL.iter().map(own).collect();
    let mut sent: BTreeMap<&str, (&catalogue::Metric, Vec<&str>)> = BTreeMap::new();
    for metric in foreign::all() {
        let (first, labels) = sent.entry(metric.name).or_insert_with(|| (metric, Vec::new()));
        // Those of another kind or unit are not asked for by this name.
        if (first.kind, first.unit) == (metric.kind, metric.unit) {
            let new: Vec<&str> =
                metric.labels.iter().copied().filter(|label| !labels.contains(label)).collect();
            labels.extend(new);
        }
    }
    all.extend(sent.into_iter().map(|(name, (metric, labels))| {
        json!({
            "name": name, "kind": metric.kind.word(), "unit": metric.unit, "labels": labels, "help": metric.help,
            "source": "otlp",
        })
    }));
    json!({ "metrics": all })
}

fn curve(curve: Curve) -> Value {
    let labels: serde_json::Map<String, Value> =
        curve.labels.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    json!({ "labels": labels, "points": curve.points })
}

fn question(name: String, asked: &[(String, String)], now_ms: u64) -> Result<Query, String> {
    let said = |key: &str| said(asked, key);
    let (from_ms, to_ms) = range(asked, now_ms)?;
    let finest = (to_ms.saturating_sub(from_ms) / POINTS).max(5_000);
    let step_ms = said("step").map_or(Ok(finest), str::parse);
    let step_ms = step_ms.map_err(|_| "`step` is a number of milliseconds".to_owned())?;
    let label = |(key, value): &(String, String)| {
        key.strip_prefix("label.").map(|label| (label.to_owned(), value.clone()))
    };
    let by = said("by").map(|by| by.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect());
    let take = said("take").map_or(Ok(Take::Fitting), take)?;
    Ok(Query {
        metric: name,
        labels: asked.iter().filter_map(label).collect(),
        by,
        from_ms,
        to_ms,
        step_ms,
        take,
    })
}

fn said<'a>(asked: &'a [(String, String)], key: &str) -> Option<&'a str> {
    asked.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
}

fn range(asked: &[(String, String)], now_ms: u64) -> Result<(u64, u64), String> {
    let to_ms = said(asked, "to").map_or(Ok(now_ms), |text| moment(text, now_ms))?;
    let from_ms =
        said(asked, "from").map_or(Ok(to_ms.saturating_sub(RANGE_MS)), |text| moment(text, now_ms))?;
    Ok((from_ms, to_ms))
}

fn moment(text: &str, now_ms: u64) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no time: write milliseconds since 1970, or `-15m` for what was then");
    match text.strip_prefix('-') {
        Some(ago) => {
            let ago = humantime::parse_duration(ago).map_err(|_| wrong())?;
            Ok(now_ms.saturating_sub(ago.as_millis() as u64))
        }
        None => text.parse().map_err(|_| wrong()),
    }
}

fn take(text: &str) -> Result<Take, String> {
    match text {
        "rate" => Ok(Take::Rate),
        "increase" => Ok(Take::Increase),
        "value" => Ok(Take::Value),
        "mean" => Ok(Take::Mean),
        _ => {
            let percent = text.strip_prefix('p').and_then(|percent| percent.parse::<f64>().ok());
            let share = percent.map(|percent| percent / 100.0).filter(|share| (0.0..=1.0).contains(share));
            share.map(Take::Quantile).ok_or_else(|| {
                format!("`{text}` is nothing to take: `rate`, `increase`, `value`, `mean`, or a quantile such as `p99`")
            })
        }
    }
}

/// The parameters of a query, decoded.
fn parameters(query: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let bytes = text.replace('+', " ");
        percent_decoded(bytes.as_bytes())
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(key, value)| (decoded(key), decoded(value))).collect()
}

fn percent_decoded(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (byte, hex) {
            (b'%', Some(decoded)) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn asked(query: &str) -> Result<Query, String> {
        question("m".to_owned(), &parameters(query), NOW)
    }

    #[test]
    fn a_question_is_read() {
        let query = asked("from=-1h&step=60000&by=upstream,call&label.call=a+-%3E%20b&take=p99.9").unwrap();
        assert_eq!((query.from_ms, query.to_ms, query.step_ms), (NOW - 3_600_000, NOW, 60_000));
        assert_eq!(query.labels, [("call".to_owned(), "a -> b".to_owned())]);
        assert_eq!(query.by, Some(vec!["upstream".to_owned(), "call".to_owned()]));
        assert!(matches!(query.take, Take::Quantile(share) if (share - 0.999).abs() < 1e-9));
        let short = asked("by=&from=5&to=7").unwrap();
        assert_eq!((short.by, short.from_ms, short.to_ms, short.step_ms), (Some(vec![]), 5, 7, 5_000));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for bad in ["from=yesterday", "from=-x", "step=1s", "take=max", "take=p101", "take=p"] {
            assert!(asked(bad).is_err(), "{bad}");
        }
        assert_eq!(percent_decoded(b"%zz%4"), "%zz%4");
    }
}

//! Queries as they stand behind the `?` of a URL. One reading for all who take them, with a sentence for what is wrong.
//!
//! Times are milliseconds since 1970, or `since` a duration before now; durations as people write them (`300ms`, `1.5s`, `10m`).

use super::filter::{Condition, SpanFilter};
use super::{HeatQuery, LogQuery, Range, TraceQuery};
use crate::json::unhex;

/// What is known of a parameter that is not.
const TRACE_KEYS: &str =
    "service, name, error, slower, faster, attribute, text, caller, callee, from, to, since, limit, before";
const LOG_KEYS: &str =
    "service, instance, level, text, event, trace, span, attribute, from, to, since, limit, before, after";
const HEAT_KEYS: &str =
    "service, name, error, slower, faster, attribute, text, caller, callee, from, to, since, columns";

/// How far back a map of heat looks unless it is said.
const HOUR_NS: u64 = 3_600_000_000_000;
/// Into how many stretches of time it is divided unless it is said.
const COLUMNS: usize = 60;

impl TraceQuery {
    /// From pairs that are decoded already. `now_ns` is what `since` counts from.
    ///
    /// # Errors
    ///
    /// A sentence: which parameter is wrong, and what it may be.
    pub fn from_pairs<'p>(
        pairs: impl Iterator<Item = (&'p str, &'p str)>,
        now_ns: u64,
    ) -> Result<TraceQuery, String> {
        let mut query = TraceQuery::default();
        let (mut caller, mut callee) = (None, None);
        for (key, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            match key {
                "caller" => caller = Some(value.to_owned()),
                "callee" => callee = Some(value.to_owned()),
                "limit" => query.limit = number(key, value)?,
                "before" => query.before = Some(value.parse()?),
                _ if range(&mut query.range, key, value, now_ns)? || span(&mut query.span, key, value)? => {}
                _ => return Err(unknown(key, TRACE_KEYS)),
            }
        }
        query.edge = match (caller, callee) {
            (Some(caller), Some(callee)) => Some((caller, callee)),
            (None, None) => None,
            _ => return Err("`caller` and `callee` go together".to_owned()),
        };
        Ok(query)
    }
}

impl LogQuery {
    /// From pairs that are decoded already. `now_ns` is what `since` counts from.
    ///
    /// # Errors
    ///
    /// A sentence: which parameter is wrong, and what it may be.
    pub fn from_pairs<'p>(
        pairs: impl Iterator<Item = (&'p str, &'p str)>,
        now_ns: u64,
    ) -> Result<LogQuery, String> {
        let mut query = LogQuery::default();
        for (key, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            match key {
                "service" => query.service = Some(value.to_owned()),
                "instance" => query.instance = Some(value.to_owned()),
                "level" => query.severity_min = severity(value)?,
                "text" => query.text = Some(value.to_owned()),
                "event" => query.event = Some(if value == "*" { String::new() } else { value.to_owned() }),
                "trace" => query.trace_id = Some(trace_id(value)?),
                "span" => query.span_id = Some(span_id(value)?),
                "attribute" => query.attributes.push(Condition::parse(value)),
                "limit" => query.limit = number(key, value)?,
                "before" => query.before = Some(value.parse()?),
                "after" => query.after = Some(sequence(key, value)?),
                _ if range(&mut query.range, key, value, now_ns)? => {}
                _ => return Err(unknown(key, LOG_KEYS)),
            }
        }
        Ok(query)
    }
}

impl HeatQuery {
    /// From pairs that are decoded already; without a beginning, the hour before the end, and without an end, until now.
    ///
    /// # Errors
    ///
    /// A sentence: which parameter is wrong, and what it may be.
    pub fn from_pairs<'p>(
        pairs: impl Iterator<Item = (&'p str, &'p str)>,
        now_ns: u64,
    ) -> Result<HeatQuery, String> {
        let (mut columns, mut others) = (COLUMNS, Vec::new());
        for (key, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            match key {
                "columns" => columns = number(key, value)?,
                _ if HEAT_KEYS.split(", ").any(|known| known == key) => others.push((key, value)),
                _ => return Err(unknown(key, HEAT_KEYS)),
            }
        }
        let has_from = others.iter().any(|(key, _)| matches!(*key, "from" | "since"));
        let has_to = others.iter().any(|(key, _)| *key == "to");
        let mut traces = TraceQuery::from_pairs(others.into_iter(), now_ns)?;
        let range = &mut traces.range;
        range.to_ns = if has_to { range.to_ns } else { now_ns };
        range.from_ns = if has_from { range.from_ns } else { range.to_ns.saturating_sub(HOUR_NS) };
        Ok(HeatQuery { traces, columns })
    }
}

impl Range {
    /// From pairs that are decoded already; others are left to whoever knows them.
    ///
    /// # Errors
    ///
    /// A sentence: which parameter is wrong, and what it may be.
    pub fn from_pairs<'p>(
        pairs: impl Iterator<Item = (&'p str, &'p str)>,
        now_ns: u64,
    ) -> Result<Range, String> {
        let mut all = Range::default();
        for (key, value) in pairs {
            range(&mut all, key, value, now_ns)?;
        }
        Ok(all)
    }
}

/// The id of a trace.
///
/// # Errors
///
/// A sentence.
pub fn trace_id(text: &str) -> Result<[u8; 16], String> {
    unhex(text).ok_or_else(|| format!("`{text}` is no id of a trace: that is 32 hexadecimal digits"))
}

fn span_id(text: &str) -> Result<[u8; 8], String> {
    unhex(text).ok_or_else(|| format!("`{text}` is no id of a span: that is 16 hexadecimal digits"))
}

fn range(range: &mut Range, key: &str, value: &str, now_ns: u64) -> Result<bool, String> {
    match key {
        "from" => range.from_ns = millis(key, value)?,
        "to" => range.to_ns = millis(key, value)?,
        "since" => range.from_ns = now_ns.saturating_sub(duration(key, value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn span(span: &mut SpanFilter, key: &str, value: &str) -> Result<bool, String> {
    match key {
        "service" => span.service = Some(value.to_owned()),
        "name" => span.name = Some(value.to_owned()),
        "error" => span.error = Some(truth(key, value)?),
        "slower" => span.duration_min_ns = Some(duration(key, value)?),
        "faster" => span.duration_max_ns = Some(duration(key, value)?),
        "attribute" => span.attributes.push(Condition::parse(value)),
        "text" => span.text = Some(value.to_owned()),
        _ => return Ok(false),
    }
    Ok(true)
}

fn unknown(key: &str, known: &str) -> String {
    format!("there is no parameter `{key}`; there are {known}")
}

fn number(key: &str, value: &str) -> Result<usize, String> {
    value.parse().map_err(|_| format!("`{key}` is a number, and `{value}` is none"))
}

/// The number of a record.
fn sequence(key: &str, value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("`{key}` is the `seq` of a record, and `{value}` is none"))
}

fn truth(key: &str, value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| format!("`{key}` is `true` or `false`, not `{value}`"))
}

fn millis(key: &str, value: &str) -> Result<u64, String> {
    let ms: u64 = value.parse().map_err(|_| {
        format!(
            "`{key}` is a time in milliseconds since 1970, and `{value}` is none; `since=10m` counts from now"
        )
    })?;
    Ok(ms.saturating_mul(1_000_000))
}

/// A duration in nanoseconds: a number and `ns`, `us`, `ms`, `s`, `m`, `h` or `d`.
fn duration(key: &str, value: &str) -> Result<u64, String> {
    let at = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let unit = match &value[at..] {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3_600e9,
        "d" => 86_400e9,
        _ => f64::NAN,
    };
    match value[..at].parse::<f64>().map(|number| number * unit) {
        Ok(ns) if ns.is_finite() => Ok(ns as u64),
        _ => Err(format!("`{key}` is a duration such as 300ms, 1.5s or 10m, and `{value}` is none")),
    }
}

/// The least number of a level.
///
/// # Errors
///
/// A sentence.
pub fn severity(level: &str) -> Result<u8, String> {
    match level {
        "trace" => Ok(1),
        "debug" => Ok(5),
        "info" => Ok(9),
        "warn" => Ok(13),
        "error" => Ok(17),
        "fatal" => Ok(21),
        other => {
            Err(format!("there is no level `{other}`; there are trace, debug, info, warn, error and fatal"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces(pairs: &[(&str, &str)]) -> Result<TraceQuery, String> {
        TraceQuery::from_pairs(pairs.iter().copied(), 3_600_000_000_000)
    }

    #[test]
    fn a_query_is_read() {
        let query = traces(&[
            ("service", "payments"),
            ("slower", "1.5s"),
            ("error", "true"),
            ("attribute", "a=b"),
            ("since", "10m"),
            ("name", ""),
        ])
        .unwrap();
        assert_eq!(query.span.duration_min_ns, Some(1_500_000_000));
        assert_eq!(query.range.from_ns, 3_000_000_000_000);
        assert_eq!((query.span.error, query.span.name), (Some(true), None));
    }

    #[test]
    fn records_are_asked_for_by_trace_and_span() {
        let logs = |pairs: &[(&str, &str)]| LogQuery::from_pairs(pairs.iter().copied(), 0);
        let query = logs(&[("trace", &"4b".repeat(16)), ("span", "00f067aa0ba902b7")]).unwrap();
        assert_eq!(query.trace_id, Some([0x4b; 16]));
        assert_eq!(query.span_id, Some([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]));
        assert!(logs(&[("span", "00f067")]).unwrap_err().contains("16 hexadecimal digits"));
    }

    #[test]
    fn what_is_new_is_asked_for_by_the_number_of_a_record() {
        let logs = |pairs: &[(&str, &str)]| LogQuery::from_pairs(pairs.iter().copied(), 0);
        let query = logs(&[("instance", "shop-1"), ("after", "17")]).unwrap();
        assert_eq!((query.instance.as_deref(), query.after), (Some("shop-1"), Some(17)));
        assert!(logs(&[("after", "1-2")]).unwrap_err().contains("`seq`"));
    }

    #[test]
    fn a_map_of_heat_asks_as_a_list_does() {
        let heat = |pairs: &[(&str, &str)]| HeatQuery::from_pairs(pairs.iter().copied(), 3_600_000_000_001);
        let asked = [("caller", "shop"), ("callee", "payments"), ("slower", "1s"), ("columns", "10")];
        let query = heat(&asked).unwrap();
        assert_eq!((query.traces.range, query.columns), (Range { from_ns: 1, to_ns: 3_600_000_000_001 }, 10));
        assert_eq!(query.traces.span, traces(&asked[..3]).unwrap().span);
        assert_eq!(query.traces.edge, Some(("shop".to_owned(), "payments".to_owned())));
        let later = heat(&[("to", "7200000")]).unwrap().traces.range;
        assert_eq!(later, Range { from_ns: 3_600_000_000_000, to_ns: 7_200_000_000_000 });
        for unknown in ["limit", "before", "x"] {
            assert!(heat(&[(unknown, "1")]).unwrap_err().contains("columns"));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (key, value) in [
            ("slow", "1s"),
            ("slower", "1"),
            ("slower", "..s"),
            ("error", "1"),
            ("from", "-1"),
            ("before", "x"),
            ("limit", "-1"),
            ("caller", "a"),
        ] {
            let why = traces(&[(key, value)]).unwrap_err();
            assert!(why.contains(key) || why.contains(value), "{why}");
        }
    }
}

//! The one list of metrics: what there is, in which unit, with which labels.
//!
//! A metric is named as OpenTelemetry names it (`colony.call.duration`, unit `s`); what Prometheus calls it follows from that
//! by OpenTelemetry's rules of compatibility: dots become underscores, the unit is spelled out behind, a counter ends in
//! `_total`. `docs/telemetry/metrics.md` is held against this list by a test.
//!
//! **Labels are bounded**: their values are names from the manifest, of topics, queues and groups, or words of a short list;
//! never a path, a key or an address that a client chose.

mod list;

use std::fmt::Write as _;

pub use list::*;

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// As OpenTelemetry names it.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// In UCUM, as OpenTelemetry has it: `s`, `By`, `1`, or what is counted in braces.
    pub unit: &'static str,
    /// The names of its labels, in the order in which samples have their values.
    pub labels: &'static [&'static str],
    /// What it says, as a sentence.
    pub help: &'static str,
}

/// What the values of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Counts from the start of what counts, which is no later than the node's.
    Counter,
    /// Counts from when that which is counted was made: it was there before the node.
    Lasting,
    /// Is as it is now.
    Gauge,
    /// Counts times, in buckets.
    Histogram,
}

impl Kind {
    /// Its type in Prometheus.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Counter | Kind::Lasting => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

impl Metric {
    /// What Prometheus calls the family: without the `_total` of a counter.
    pub fn family(&self) -> String {
        let base = self.name.replace('.', "_");
        match unit_word(self.unit) {
            Some(unit) if !base.ends_with(unit) => format!("{base}_{unit}"),
            _ if self.unit == "1" && self.kind == Kind::Gauge => format!("{base}_ratio"),
            _ => base,
        }
    }

    /// What Prometheus calls its samples.
    pub fn exposed(&self) -> String {
        match self.kind {
            Kind::Counter | Kind::Lasting => self.family() + "_total",
            Kind::Gauge | Kind::Histogram => self.family(),
        }
    }
}

/// The metric of this name, OpenTelemetry's or Prometheus'.
pub fn find(name: &str) -> Option<&'static Metric> {
    ALL.iter().copied().find(|metric| metric.name == name || metric.exposed() == name)
}

/// How Prometheus spells a unit; none for what is only counted.
pub fn unit_word(unit: &str) -> Option<&'static str> {
    match unit {
        "s" => Some("seconds"),
        "By" => Some("bytes"),
        _ => None,
    }
}

/// The list as the table of `docs/telemetry/metrics.md`.
pub fn table() -> String {
    let mut text = String::from("| metric | Prometheus | kind | labels | it says |\n|---|---|---|---|---|\n");
    for metric in ALL {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} | {} | {} |",
            metric.name,
            metric.exposed(),
            metric.kind.word(),
            if labels.is_empty() { "-".to_owned() } else { labels.join(", ") },
            metric.help,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_both_worlds_want_them() {
        for metric in ALL {
            let part = |part: &str| {
                part.starts_with(|c: char| c.is_ascii_lowercase())
                    && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            };
            assert!(metric.name.starts_with("colony.") && metric.name.split('.').all(part), "{metric:?}");
            assert!(metric.labels.iter().all(|label| part(label) && *label != "le"), "{metric:?}");
            assert!(
                metric.help.ends_with('.') && !metric.help.contains(['|', '\n', '"', '\\']),
                "{metric:?}"
            );
            let braces = metric.unit.starts_with('{') && metric.unit.ends_with('}');
            assert!(braces || ["s", "By", "1"].contains(&metric.unit), "{metric:?}");
            assert!(
                metric.kind != Kind::Histogram || metric.unit == "s",
                "histograms are of times: {metric:?}"
            );
        }
    }

    #[test]
    fn none_is_there_twice() {
        let mut names: Vec<String> = ALL.iter().map(|metric| metric.exposed()).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn what_prometheus_calls_them() {
        assert_eq!(CALL_REQUESTS.exposed(), "colony_call_requests_total");
        assert_eq!(CALL_DURATION.exposed(), "colony_call_duration_seconds");
        assert_eq!(INSTANCE_CPU.exposed(), "colony_instance_cpu_time_seconds_total");
        assert_eq!(INSTANCE_MEMORY.exposed(), "colony_instance_memory_bytes");
        assert_eq!(SLO_BUDGET.exposed(), "colony_slo_budget_left_ratio");
        assert!(find("colony.call.requests") == Some(&CALL_REQUESTS) && find("colony_up").is_none());
    }

    #[test]
    fn the_document_has_the_list() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/telemetry/metrics.md");
        let text = std::fs::read_to_string(path).expect("docs/telemetry/metrics.md is there");
        let from = text.find("| metric |").expect("it has the table");
        let rest = &text[from..];
        let until = rest.find("\n\n").map_or(rest.len(), |end| end + 1);
        let table = table();
        if rest[..until] != table && std::env::var_os("CATALOGUE_UPDATE").is_some() {
            std::fs::write(path, format!("{}{table}{}", &text[..from], &rest[until..])).expect("written");
            return;
        }
        assert_eq!(&rest[..until], table, "CATALOGUE_UPDATE=1 cargo test -p telemetry writes it");
    }
}

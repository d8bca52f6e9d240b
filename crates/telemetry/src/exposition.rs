//! What was gathered, as Prometheus reads it: the text format 0.0.4, and OpenMetrics 1.0 with exemplars.
//!
//! Histograms become the classic ones with the bounds of [`BOUNDS`]: Prometheus' native ones are in its protobuf format only. A
//! bound that lies within a bucket of ours leaves that whole bucket above it, so what is told for it is too low by what took up
//! to a sixteenth less than the bound, never too high.

use std::fmt::Write as _;

use crate::catalogue::{self, Kind, Metric};
use crate::metrics::HistogramSnapshot;

/// The upper bounds of buckets in microseconds, and as they are written in seconds.
pub const BOUNDS: [(u64, &str); 15] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1.0"),
    (2_500_000, "2.5"),
    (5_000_000, "5.0"),
    (10_000_000, "10.0"),
    (30_000_000, "30.0"),
];

/// What a metric is for one set of values of its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Which metric.
    pub metric: &'static Metric,
    /// The values of its labels, in its order.
    pub labels: Vec<String>,
    /// How much.
    pub value: Value,
}

/// How much.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a histogram, with a few of the requests that are in it.
    Histogram(HistogramSnapshot, Vec<Exemplar>),
}

/// A request that is in a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// Its trace.
    pub trace_id: [u8; 16],
    /// How long it took, in microseconds.
    pub micros: u64,
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
}

impl Sample {
    /// A value of a counter or a gauge.
    pub fn number(metric: &'static Metric, labels: &[&str], value: f64) -> Sample {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        Sample {
            metric,
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            value: Value::Number(value),
        }
    }
}

/// A format that Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own text, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What somebody wants who says `accept`: OpenMetrics where that is named and not valued less than text.
    pub fn accepted(accept: &str) -> Format {
        let weight = |wanted: &str| {
            let ranges = accept.split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                if !parts.next()?.eq_ignore_ascii_case(wanted) {
                    return None;
                }
                let quality = parts.find_map(|part| part.strip_prefix("q="));
                Some(quality.map_or(1.0, |text| text.parse::<f64>().unwrap_or(0.0)))
            });
            ranges.fold(0.0_f64, f64::max)
        };
        let open = weight("application/openmetrics-text");
        if open > 0.0 && open >= weight("text/plain") { Format::OpenMetrics } else { Format::Text }
    }

    /// As `Content-Type` has it.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes samples: families in the order of the catalogue, samples in the order in which they come.
pub fn write(samples: &[Sample], format: Format) -> String {
    let mut out = String::new();
    for metric in catalogue::ALL.iter().copied() {
        let mut of = samples.iter().filter(|sample| std::ptr::eq(sample.metric, metric)).peekable();
        if of.peek().is_some() {
            head(&mut out, metric, format);
            of.for_each(|sample| one(&mut out, sample, format));
        }
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

fn head(out: &mut String, metric: &Metric, format: Format) {
    // OpenMetrics calls a counter's family without what its samples end in.
    let name = match format {
        Format::Text => metric.exposed(),
        Format::OpenMetrics => metric.family(),
    };
    let _ = writeln!(out, "# HELP {name} {}", metric.help);
    let _ = writeln!(out, "# TYPE {name} {}", metric.kind.word());
    if format == Format::OpenMetrics
        && let Some(unit) = catalogue::unit_word(metric.unit)
        && name.ends_with(unit)
    {
        let _ = writeln!(out, "# UNIT {name} {unit}");
    }
}

fn one(out: &mut String, sample: &Sample, format: Format) {
    match &sample.value {
        Value::Number(value) => {
            let name = sample.metric.exposed();
            let _ = writeln!(out, "{name}{} {value}", labels(sample, None));
        }
        Value::Histogram(histogram, exemplars) => buckets(out, sample, histogram, exemplars, format),
    }
}

fn buckets(
    out: &mut String,
    sample: &Sample,
    histogram: &HistogramSnapshot,
    exemplars: &[Exemplar],
    format: Format,
) {
    let name = sample.metric.family();
    let mut below = 0;
    let infinite = (u64::MAX, "+Inf");
    for (bound, text) in BOUNDS.iter().copied().chain([infinite]) {
        let count = if bound == u64::MAX { histogram.count() } else { histogram.count_within(bound) };
        let _ = write!(out, "{name}_bucket{} {count}", labels(sample, Some(text)));
        let within =
            |one: &&Exemplar| (below..=bound).contains(&one.micros) && (below == 0 || one.micros > below);
        if format == Format::OpenMetrics
            && count > 0
            && let Some(one) = exemplars.iter().filter(within).max_by_key(|one| one.at_ms)
        {
            let trace: String = one.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
            let (took, at) = (one.micros as f64 / 1e6, one.at_ms as f64 / 1e3);
            let _ = write!(out, " # {{trace_id=\"{trace}\"}} {took} {at}");
        }
        out.push('\n');
        below = bound;
    }
    let _ = writeln!(out, "{name}_sum{} {}", labels(sample, None), histogram.sum() as f64 / 1e6);
    let _ = writeln!(out, "{name}_count{} {}", labels(sample, None), histogram.count());
}

fn labels(sample: &Sample, le: Option<&str>) -> String {
    let own = sample.metric.labels.iter().copied().zip(sample.labels.iter().map(String::as_str));
    let all: Vec<String> = own
        .chain(le.map(|le| ("le", le)))
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text
}

/// What a metric's kind has to be for its value.
pub fn fits(sample: &Sample) -> bool {
    let is_histogram = matches!(sample.value, Value::Histogram(..));
    (sample.metric.kind == Kind::Histogram) == is_histogram
        && sample.labels.len() == sample.metric.labels.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{CALL_DURATION, NODE_MEMORY, TOPIC_LAG, TOPIC_PUBLISHED};
    use crate::metrics::Histogram;

    fn samples() -> Vec<Sample> {
        let histogram = Histogram::new();
        [400, 3_000, 3_100, 40_000_000].iter().for_each(|&micros| histogram.record(micros));
        let exemplar = Exemplar { trace_id: [0xab; 16], micros: 3_000, at_ms: 1_700_000_000_500 };
        vec![
            Sample::number(&TOPIC_PUBLISHED, &["orders"], 12.0),
            Sample::number(&TOPIC_LAG, &["orders", "a \"b\"\n\\"], 3.0),
            Sample::number(&NODE_MEMORY, &[], 1_048_576.0),
            Sample {
                metric: &CALL_DURATION,
                labels: ["gateway", "cart", "gateway /cart"].map(str::to_owned).to_vec(),
                value: Value::Histogram(histogram.snapshot(), vec![exemplar]),
            },
        ]
    }

    #[test]
    fn as_text() {
        let text = write(&samples(), Format::Text);
        assert!(text.starts_with("# HELP colony_call_duration_seconds Time from"), "{text}");
        let labels = "caller=\"gateway\",upstream=\"cart\",call=\"gateway /cart\"";
        for line in [
            format!("colony_call_duration_seconds_bucket{{{labels},le=\"0.0005\"}} 1\n"),
            format!("colony_call_duration_seconds_bucket{{{labels},le=\"0.005\"}} 3\n"),
            format!("colony_call_duration_seconds_bucket{{{labels},le=\"30.0\"}} 3\n"),
            format!("colony_call_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 4\n"),
            format!("colony_call_duration_seconds_sum{{{labels}}} 40.0065\n"),
            "# TYPE colony_topic_published_total counter\ncolony_topic_published_total{topic=\"orders\"} 12\n"
                .to_owned(),
            "colony_topic_lag{topic=\"orders\",group=\"a \\\"b\\\"\\n\\\\\"} 3\n".to_owned(),
            "colony_node_memory_bytes 1048576\n".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
        assert!(!text.contains("trace_id") && !text.contains("EOF"));
    }

    #[test]
    fn as_open_metrics_with_a_trace() {
        let text = write(&samples(), Format::OpenMetrics);
        assert!(text.ends_with("# EOF\n"));
        assert!(
            text.contains("# TYPE colony_topic_published counter\ncolony_topic_published_total{"),
            "{text}"
        );
        assert!(text.contains("# UNIT colony_call_duration_seconds seconds\n"));
        let trace = "ab".repeat(16);
        let with = format!("le=\"0.005\"}} 3 # {{trace_id=\"{trace}\"}} 0.003 1700000000.5\n");
        assert!(text.contains(&with), "{text}");
        assert_eq!(text.matches("trace_id").count(), 1);
    }

    #[test]
    fn who_accepts_what() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,/;q=0.1";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        for text in ["", "*/*", "text/plain", "application/openmetrics-text;q=0.1, text/plain", "q=", ";,;"] {
            assert_eq!(Format::accepted(text), Format::Text, "{text}");
        }
    }
}

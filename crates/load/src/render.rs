//! A report and its progress in aligned lines, for people.

use std::fmt::Write;

use crate::report::{Example, Latency, Report, StepReport, Tick};

/// The whole report, with a newline at its end.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let end = if report.interrupted { ", stopped early" } else { "" };
    line(&mut out, format!("{} against {}, {:.1} s{end}", report.name, report.target, report.seconds));
    line(&mut out, "");
    line(&mut out, format!("  requests     {}", requests(report)));
    line(
        &mut out,
        format!(
            "  rate         {:.1}/s intended, {:.1}/s achieved",
            report.intended_rate, report.achieved_rate
        ),
    );
    line(&mut out, format!("  latency      {}", latencies(&report.latency)));
    line(&mut out, format!("  received     {}", bytes(report.bytes)));
    line(&mut out, format!("  connections  {}", connections(report)));
    if report.lag.p99_us > LAG_US_NOTED {
        let lag = micros(report.lag.p99_us);
        line(
            &mut out,
            format!(
                "  note         the generator itself sent up to {lag} late (p99): part of the latency is its own"
            ),
        );
    }
    steps(&mut out, report);
    examples(&mut out, &report.examples);
    out
}

/// One line without a newline, about a hundred characters wide.
pub fn progress_line(tick: &Tick) -> String {
    let warming = if tick.warming { "  warming up" } else { "" };
    format!(
        "{:>4.0}/{:.0} s  {:>7}/s  p50 {:>8}  p99 {:>8}  {} ok  {} failed  {} in flight{warming}",
        tick.elapsed_s,
        tick.total_s,
        thousands(tick.rate.round() as u64),
        micros(tick.latency.p50_us),
        micros(tick.latency.p99_us),
        thousands(tick.ok),
        thousands(tick.failed),
        thousands(tick.in_flight),
    )
}

fn requests(report: &Report) -> String {
    let mut text = format!(
        "{} sent, {} ok, {} failed",
        thousands(report.sent),
        thousands(report.ok),
        thousands(report.failed)
    );
    if report.unfinished > 0 {
        let _ = write!(text, ", {} unfinished", thousands(report.unfinished));
    }
    let failures = &report.failures;
    let kinds = [
        ("could not connect", failures.connect),
        ("reset", failures.reset),
        ("no HTTP", failures.protocol),
        ("timed out", failures.timeout),
        ("nothing to save", failures.save),
        ("invalid", failures.invalid),
    ];
    let named = kinds
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{} {name}", thousands(*count)));
    let statuses =
        failures.status.iter().map(|(status, count)| format!("{} with {status}", thousands(*count)));
    let reasons: Vec<_> = named.chain(statuses).collect();
    if !reasons.is_empty() {
        let _ = write!(text, " ({})", reasons.join(", "));
    }
    text
}

fn latencies(latency: &Latency) -> String {
    let parts = [
        ("p50", latency.p50_us),
        ("p90", latency.p90_us),
        ("p99", latency.p99_us),
        ("p99.9", latency.p999_us),
        ("max", latency.max_us),
        ("mean", latency.mean_us),
    ];
    parts.map(|(name, value)| format!("{name} {}", micros(value))).join("   ")
}

fn connections(report: &Report) -> String {
    let opened = format!("{} opened", thousands(report.connections));
    match report.repeated {
        0 => opened,
        repeated => format!(
            "{opened}, {} requests sent again after the server closed an idle one",
            thousands(repeated)
        ),
    }
}

fn steps(out: &mut String, report: &Report) {
    let all: Vec<&StepReport> = report.journeys.iter().flat_map(|journey| &journey.steps).collect();
    if all.len() < 2 {
        return;
    }
    let width = all.iter().map(|step| step.name.chars().count()).max().unwrap_or(0).max(MIN_NAME);
    line(out, "");
    line(
        out,
        format!(
            "  {:<width$}    {:>9} {:>9} {:>7} {:>9} {:>9} {:>9} {:>9}",
            "step", "sent", "ok", "failed", "p50", "p90", "p99", "max"
        ),
    );
    for journey in &report.journeys {
        let counts = format!(
            "{} started, {} completed, {} failed",
            thousands(journey.started),
            thousands(journey.completed),
            thousands(journey.failed)
        );
        line(out, format!("  {}: {counts}", journey.name));
        for step in &journey.steps {
            let latency = &step.latency;
            line(
                out,
                format!(
                    "    {:<width$}  {:>9} {:>9} {:>7} {:>9} {:>9} {:>9} {:>9}",
                    step.name,
                    thousands(step.sent),
                    thousands(step.ok),
                    thousands(step.failed),
                    micros(latency.p50_us),
                    micros(latency.p90_us),
                    micros(latency.p99_us),
                    micros(latency.max_us)
                ),
            );
        }
    }
}

fn examples(out: &mut String, examples: &[Example]) {
    if examples.is_empty() {
        return;
    }
    line(out, "");
    line(out, "  failures, as first met");
    for example in examples {
        let what = example.status.map_or_else(|| example.kind.to_owned(), |status| status.to_string());
        line(
            out,
            format!("    {:>7} x {what:<8} {}: {}", thousands(example.count), example.step, example.detail),
        );
    }
}

fn line(out: &mut String, text: impl AsRef<str>) {
    out.push_str(text.as_ref().trim_end());
    out.push('\n');
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn micros(micros: u64) -> String {
    let value = micros as f64;
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.2} ms", value / 1e3),
        10_000..100_000 => format!("{:.1} ms", value / 1e3),
        100_000..1_000_000 => format!("{:.0} ms", value / 1e3),
        _ => format!("{:.2} s", value / 1e6),
    }
}

fn bytes(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", value / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", value / 1_048_576.0),
        _ => format!("{:.2} GiB", value / 1_073_741_824.0),
    }
}

/// Below this the generator's own lateness is not worth a word.
const LAG_US_NOTED: u64 = 2_000;
const MIN_NAME: usize = 12;

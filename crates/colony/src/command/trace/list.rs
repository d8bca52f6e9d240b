//! The list of traces, a line each, newest first, with how long their first span took: who asked has waited as long, and that is what
//! `--slower` asks for.

use std::fmt::Write as _;

use serde_json::Value;

use super::draw::{clock, took};
use crate::terminal::{Style, pad, paint};

/// Widest column of what a trace began with.
const NAME_WIDTH_MAX: usize = 44;

pub(super) fn traces(told: &Value, colours: bool) -> String {
    let traces = told["traces"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = String::new();
    let longest = traces.iter().map(|trace| name(trace).chars().count()).max().unwrap_or(0);
    let width = longest.min(NAME_WIDTH_MAX);
    for trace in traces {
        let failed = trace["error_count"].as_u64().unwrap_or(0);
        let id = trace["trace_id"].as_str().unwrap_or_default();
        let style = if failed > 0 { Style::Bad } else { Style::Plain };
        let mut shown = name(trace);
        shown = shown.chars().take(width).collect();
        let spans = trace["span_count"].as_u64().unwrap_or(0);
        let status = trace["status_code"].as_i64().map(|code| code.to_string()).unwrap_or_default();
        let _ = write!(
            text,
            "  {}  {}  {:>9}  {:>3}  {:>3} {:5}",
            paint(colours, Style::Dim, &clock(trace["start_us"].as_u64().unwrap_or(0), true)),
            pad(colours, style, &shown, width),
            took(trace["first_duration_ns"].as_u64().unwrap_or(0)),
            status,
            spans,
            if spans == 1 { "span" } else { "spans" },
        );
        let why = match trace["kept"].as_str() {
            Some("share") | None => "",
            Some(why) => why,
        };
        let _ = writeln!(text, "  {why:5}  {}", paint(colours, Style::Dim, id));
    }
    if traces.is_empty() {
        text.push_str("  no trace has all of that\n");
    }
    if told["cut"] == true {
        text.push_str("  not everything was looked at: ask for less time (--since), or for a service\n");
    } else if !told["next"].is_null() {
        text.push_str("  there are more (--limit)\n");
    }
    text
}

fn name(trace: &Value) -> String {
    let text = |key: &str| trace[key].as_str().unwrap_or_default();
    format!("{}: {}", text("service"), text("name"))
}

//! A trace as a drawing: a line for each span, with when it was, and what was logged in it where it was logged.
//!
//! `█` is where a span is on the critical path, `─` where it is not, `░` where it waited to be taken up, or is nothing but a wait, and `▓`
//! such a wait on the critical path.
//!
//! What a request has set off may go on long after it was answered. Then the drawing is as long as the request, unless all is wanted, and
//! `▸` at its end is for what comes later.

use std::fmt::Write as _;

use serde_json::Value;

use super::tree::{Row, rows};
use crate::terminal::{Style, pad, paint};

/// Widths of columns.
const SERVICE_MAX: usize = 16;
const NAME_MAX: usize = 42;
const TIME: usize = 9;
const BAR_MIN: usize = 16;
/// Most spans that are drawn.
const ROWS_MAX: usize = 1_000;

/// From so much more on than the request itself took, what it has set off is drawn apart.
const LATER: f64 = 1.25;

/// Attributes that tell of waiting within a span: for a place among those in flight, and for an instance to be there.
const WAITS: [(&str, &str); 2] =
    [("colony.concurrency.wait_ms", "a place"), ("colony.held_ms", "an instance")];

/// `whole`: as long as all took, however long the request itself did.
pub(super) fn trace(trace: &Value, width: usize, colours: bool, whole: bool) -> String {
    let spans = trace["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
    let logs = trace["logs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = rows(spans);
    let service_width =
        rows.iter().map(|row| chars(text(row.span, "service"))).max().unwrap_or(0).min(SERVICE_MAX);
    let name_width = rows.iter().map(|row| chars(&name(row))).max().unwrap_or(0).min(NAME_MAX);
    let bar = width.saturating_sub(2 + service_width + 2 + name_width + 2 + 1 + TIME + 8).max(BAR_MIN);
    let (all, own) = (number(trace, "duration_ns"), number(trace, "first_duration_ns"));
    let is_longer = trace["is_whole"] == true && all as f64 > own as f64 * LATER;
    let length_ns = if is_longer && !whole { own } else { all }.max(1);
    let mut drawn = head(trace, colours, is_longer);
    if is_longer && !whole {
        let _ = writeln!(drawn, "  drawn as far as the request; what comes after it is at ▸ (--whole)\n");
    }
    let drawing = Drawing { trace, bar, colours, length_ns };
    for row in rows.iter().take(ROWS_MAX) {
        let service = cut(text(row.span, "service"), service_width);
        let name = cut(&name(row), name_width);
        let failed = row.span["status"] == "error";
        let _ = write!(
            drawn,
            "  {}  {}  {} {:>TIME$}",
            pad(colours, Style::Name, &service, service_width),
            pad(colours, if failed { Style::Bad } else { Style::Plain }, &name, name_width),
            drawing.bar_of(row),
            took(number(row.span, "duration_ns")),
        );
        let _ = writeln!(drawn, "{}{}", remarks(row, colours), elsewhere(trace, row.span));
        let indent = " ".repeat(4 + service_width + 2 + 2 * row.depth);
        let own =
            logs.iter().filter(|log| log["span_id"].is_string() && log["span_id"] == row.span["span_id"]);
        own.for_each(|log| log_line(&mut drawn, log, &indent, colours));
    }
    if rows.len() > ROWS_MAX {
        let _ = writeln!(drawn, "  and {} more spans (--json has them)", rows.len() - ROWS_MAX);
    }
    let known = |log: &&Value| spans.iter().any(|span| span["span_id"] == log["span_id"]);
    let mut others = logs.iter().filter(|log| !known(log)).peekable();
    if others.peek().is_some() {
        drawn.push('\n');
    }
    others.for_each(|log| log_line(&mut drawn, log, "  ", colours));
    drawn
}

fn head(trace: &Value, colours: bool, is_longer: bool) -> String {
    let count = |key: &str, one: &str| match number(trace, key) {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    let services = trace["services"].as_array().map_or(0, Vec::len);
    let mut facts = vec![count("span_count", "span")];
    facts.push(if services == 1 { "1 service".to_owned() } else { format!("{services} services") });
    if number(trace, "error_count") > 0 {
        facts.push(paint(colours, Style::Bad, &format!("{} failed", number(trace, "error_count"))));
    }
    facts.push(match trace["kept"].as_str() {
        Some("error") => "kept because of the failure".to_owned(),
        Some("slow") => "kept because it was slow".to_owned(),
        Some(_) => match trace["weight"].as_f64().unwrap_or(1.0) {
            weight if weight > 1.05 => format!("kept for {weight:.0} like it"),
            _ => "kept".to_owned(),
        },
        None => "not decided yet whether it is kept".to_owned(),
    });
    if is_longer {
        facts.push(format!("{} with all that it has set off", took(number(trace, "duration_ns"))));
    }
    if trace["is_whole"] == false {
        facts.push("its beginning is not there".to_owned());
    }
    format!(
        "\n  {}  {}  {}\n  {}  {}\n\n",
        paint(colours, Style::Bold, &format!("{}: {}", text(trace, "service"), text(trace, "name"))),
        took(number(trace, if is_longer { "first_duration_ns" } else { "duration_ns" })),
        clock(number(trace, "start_us"), true),
        paint(colours, Style::Dim, text(trace, "trace_id")),
        facts.join(", "),
    )
}

struct Drawing<'t> {
    trace: &'t Value,
    bar: usize,
    colours: bool,
    /// What the bar stands for.
    length_ns: u64,
}

impl Drawing<'_> {
    fn bar_of(&self, row: &Row<'_>) -> String {
        let start_ns = offset_ns(self.trace, row.span);
        let mut cells = vec![' '; self.bar];
        self.fill(&mut cells, start_ns.saturating_sub(row.waited_ns), row.waited_ns, '░');
        let is_wait = row.span["attributes"]["colony.wait"].is_string();
        let (own, on_path) = if is_wait { ('░', '▓') } else { ('─', '█') };
        self.fill(&mut cells, start_ns, number(row.span, "duration_ns"), own);
        let path = self.trace["critical_path"].as_array().map(Vec::as_slice).unwrap_or_default();
        for stretch in path.iter().filter(|stretch| stretch["span_id"] == row.span["span_id"]) {
            self.fill(&mut cells, number(stretch, "offset_ns"), number(stretch, "duration_ns"), on_path);
        }
        // In microseconds the end of a trace may be a little before that of its spans.
        if start_ns + number(row.span, "duration_ns") > self.length_ns + 1_000 {
            cells[self.bar - 1] = '▸';
        }
        let style = if row.span["status"] == "error" { Style::Bad } else { Style::Good };
        paint(self.colours, style, &cells.into_iter().collect::<String>())
    }

    /// At least a cell, and none behind the end.
    fn fill(&self, cells: &mut [char], start_ns: u64, took_ns: u64, with: char) {
        if took_ns == 0 && with != '─' || start_ns > self.length_ns {
            return;
        }
        let cell = |ns: u64| (u128::from(ns) * self.bar as u128 / u128::from(self.length_ns)) as usize;
        let from = cell(start_ns).min(self.bar - 1);
        let to = cell(start_ns.saturating_add(took_ns)).clamp(from + 1, self.bar);
        cells[from..to].fill(with);
    }
}

/// How long after the beginning of the trace a span began.
fn offset_ns(trace: &Value, span: &Value) -> u64 {
    number(span, "start_us").saturating_sub(number(trace, "start_us")) * 1_000
}

/// A span's name, set in by how deep it lies.
fn name(row: &Row<'_>) -> String {
    let mark = match row.span["kind"].as_str() {
        Some("client") => "→ ",
        Some("producer") => "⇢ ",
        Some("consumer") => "⇠ ",
        _ => "",
    };
    format!("{}{mark}{}", "  ".repeat(row.depth), text(row.span, "name"))
}

/// What is behind the time: the status, what failed, how long it waited.
fn remarks(row: &Row<'_>, colours: bool) -> String {
    let mut remarks = String::new();
    if let Some(code) = row.span["attributes"]["http.response.status_code"].as_i64() {
        let _ = write!(remarks, "  {code}");
    }
    if row.waited_ns > 0 {
        let _ =
            write!(remarks, "  {}", paint(colours, Style::Warn, &format!("waited {}", took(row.waited_ns))));
    }
    for (key, what) in WAITS {
        if let Some(ms) = row.span["attributes"][key].as_f64().filter(|ms| *ms > 0.0) {
            let waited = format!("waited for {what} {}", took((ms * 1e6) as u64));
            let _ = write!(remarks, "  {}", paint(colours, Style::Warn, &waited));
        }
    }
    if row.span["status"] == "error" {
        let why = Some(text(row.span, "error")).filter(|why| !why.is_empty()).unwrap_or("failed");
        let _ = write!(remarks, "  {}", paint(colours, Style::Bad, &format!("! {}", plain(why))));
    }
    remarks
}

/// Other traces that a span is linked with: of a run of a job that in which it was scheduled.
fn elsewhere(trace: &Value, span: &Value) -> String {
    let links = span["links"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut others: Vec<&str> = links.iter().filter_map(|link| link["trace_id"].as_str()).collect();
    others.retain(|other| *other != text(trace, "trace_id"));
    others.dedup();
    match others[..] {
        [] => String::new(),
        [one] => format!("  of trace {one}"),
        ref several => format!("  of {} traces (--json)", several.len()),
    }
}

fn log_line(drawn: &mut String, log: &Value, indent: &str, colours: bool) {
    let level = text(log, "level");
    let style = match level {
        "error" | "fatal" => Style::Bad,
        "warn" => Style::Warn,
        _ => Style::Dim,
    };
    let at = clock(number(log, "at_us"), false);
    let said = paint(colours, style, &format!("{level:5} {}", plain(text(log, "body"))));
    let _ = writeln!(drawn, "{indent}{} {} {said}", paint(colours, Style::Dim, &at), text(log, "service"));
}

/// A time of day, UTC; with the day before it where days may differ.
pub(super) fn clock(us: u64, with_day: bool) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_micros(us);
    let all = humantime::format_rfc3339_millis(at).to_string();
    let (day, time) = all.trim_end_matches('Z').split_once('T').unwrap_or(("", &all));
    if with_day { format!("{day} {time}") } else { time.to_owned() }
}

/// A duration as one says it, also a short one.
pub(super) fn took(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} us", ns / 1_000),
        1_000_000..10_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        10_000_000..1_000_000_000 => format!("{} ms", ns / 1_000_000),
        1_000_000_000..120_000_000_000 => format!("{:.2} s", ns as f64 / 1e9),
        _ => format!("{} min", ns / 60_000_000_000),
    }
}

/// Without what would move the cursor: a service's words are shown as they are and not as they act.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn cut(text: &str, width: usize) -> String {
    let text = plain(text);
    match chars(&text) > width {
        true => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => text,
    }
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or(0)
}

//! What the node tells, as rows and columns of a view.

use std::cmp::Ordering;
use std::time::Duration;

use serde_json::Value;

use super::state::{State, Tab};
use crate::terminal::{self, Style, time};

/// Narrower than this, columns that matter less are left out.
const WIDE: usize = 100;

/// A view: its columns, and its rows.
pub(super) struct Grid {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
}

pub(super) struct Column {
    pub(super) name: &'static str,
    /// How wide; none: what is left.
    pub(super) width: Option<u16>,
    /// Stands right.
    pub(super) is_number: bool,
}

#[derive(Clone)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) style: Style,
    /// What it is sorted by; none: by the text.
    by: Option<f64>,
}

/// How a column is made of a row's object.
struct Maker {
    name: &'static str,
    width: Option<u16>,
    /// Only where there is room.
    is_extra: bool,
    cell: fn(&Value) -> Cell,
}

const fn column(name: &'static str, width: u16, cell: fn(&Value) -> Cell) -> Maker {
    Maker { name, width: Some(width), is_extra: false, cell }
}

const fn extra(name: &'static str, width: u16, cell: fn(&Value) -> Cell) -> Maker {
    Maker { name, width: Some(width), is_extra: true, cell }
}

const fn rest(name: &'static str, cell: fn(&Value) -> Cell) -> Maker {
    Maker { name, width: None, is_extra: false, cell }
}

const SERVICES: &[Maker] = &[
    rest("service", |one| words(one, "name").styled(Style::Name)),
    extra("state", 10, state),
    column(" ready", 6, ready),
    column(" req/s", 8, |one| rate(&one["rate"])),
    column(" errors", 7, errors),
    extra(" p50", 8, |one| seconds(&one["p50_s"])),
    column(" p99", 8, |one| seconds(&one["p99_s"])),
    column(" cpu", 6, |one| percent(&one["cpu"])),
    column(" memory", 9, |one| bytes(&one["memory_bytes"])),
    column(" restarts", 8, |one| count(&one["restarts"]).bad_above(0.0, Style::Warn)),
];

const CALLS: &[Maker] = &[
    rest("call", |one| words(one, "call").styled(Style::Name)),
    column(" req/s", 8, |one| rate(&one["rate"])),
    column(" errors", 7, errors),
    extra(" p50", 8, |one| seconds(&one["p50_s"])),
    column(" p99", 8, |one| seconds(&one["p99_s"])),
    column(" retry/s", 7, |one| rate(&one["retries"]).bad_above(0.0, Style::Warn)),
    column(" ref'd/s", 8, |one| rate(&one["refused"]).bad_above(0.0, Style::Warn)),
    column("breaker", 9, breaker),
];

const TOPICS: &[Maker] = &[
    rest("topic", |one| words(one, "topic").styled(Style::Name)),
    column("group", 18, |one| words(one, "group")),
    column(" msg/s", 7, |one| rate(&one["published"])),
    extra(" done/s", 7, |one| rate(&one["rate"])),
    column(" lag", 8, |one| count(&one["lag"])),
    column(" aside", 6, |one| count(&one["aside"]).bad_above(0.0, Style::Warn)),
    column(" dead", 6, |one| count(&one["dead"]).bad_above(0.0, Style::Bad)),
];

const QUEUES: &[Maker] = &[
    rest("queue", |one| words(one, "queue").styled(Style::Name)),
    column(" ready", 8, |one| count(&one["ready"])),
    column(" leased", 8, |one| count(&one["leased"])),
    column(" delayed", 8, |one| count(&one["delayed"])),
    extra(" blocked", 8, |one| count(&one["blocked"])),
    column(" dead", 7, |one| count(&one["dead"]).bad_above(0.0, Style::Bad)),
    column(" oldest", 9, |one| seconds(&one["oldest_s"])),
];

const OBJECTIVES: &[Maker] = &[
    rest("service", |one| words(one, "service").styled(Style::Name)),
    column("objective", 12, |one| words(one, "objective")),
    column(" target", 8, |one| share(&one["target"])),
    extra(" requests", 10, |one| count(&one["requests"])),
    column(" bad", 8, |one| count(&one["bad"])),
    column(" left", 8, left),
    column(" burn 1h", 8, |one| factor(&one["burn"]["1h"])),
    column(" burn 6h", 8, |one| factor(&one["burn"]["6h"])),
    column("alert", 6, |one| words(one, "alert").styled(Style::Bad)),
];

/// A view of what is told, for so many columns of a terminal.
pub(super) fn of(tab: Tab, digest: &Value, width: usize) -> Grid {
    let (makers, objects) = match tab {
        Tab::Services => (SERVICES, list(&digest["services"])),
        Tab::Calls => (CALLS, list(&digest["calls"])),
        Tab::Topics => (TOPICS, groups(digest)),
        Tab::Queues => (QUEUES, list(&digest["queues"])),
        Tab::Objectives => (OBJECTIVES, list(&digest["slos"])),
    };
    let makers: Vec<&Maker> = makers.iter().filter(|maker| width >= WIDE || !maker.is_extra).collect();
    let columns = makers.iter().map(|maker| Column {
        name: maker.name.trim_start(),
        width: maker.width,
        is_number: maker.name.starts_with(' '),
    });
    let rows = objects.iter().map(|one| makers.iter().map(|maker| (maker.cell)(one)).collect());
    Grid { columns: columns.collect(), rows: rows.collect() }
}

impl Grid {
    /// As the user wants it: filtered, and sorted with the most first, or the first of the alphabet.
    pub(super) fn arrange(&mut self, state: &State) {
        let wanted = state.filter.to_lowercase();
        self.rows.retain(|row| row.iter().any(|cell| cell.text.to_lowercase().contains(&wanted)));
        let Some(column) = state.sort.filter(|column| *column < self.columns.len()) else { return };
        self.rows.sort_by(|one, two| {
            let order = one[column].compare(&two[column]);
            if state.reverse { order.reverse() } else { order }
        });
    }

    /// As plain text.
    pub(super) fn table(&self, colours: bool) -> String {
        let heading = |column: &Column| format!("{}{}", if column.is_number { " " } else { "" }, column.name);
        let headings: Vec<String> = self.columns.iter().map(heading).collect();
        let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
        let row = |row: &Vec<Cell>| row.iter().map(|cell| (cell.text.clone(), cell.style)).collect();
        terminal::table(colours, &headings, &self.rows.iter().map(row).collect::<Vec<_>>())
    }
}

impl Cell {
    fn styled(self, style: Style) -> Cell {
        Cell { style, ..self }
    }

    fn bad_above(self, limit: f64, style: Style) -> Cell {
        if self.by.is_some_and(|by| by > limit) { self.styled(style) } else { self }
    }

    fn compare(&self, other: &Cell) -> Ordering {
        match (self.by, other.by) {
            (Some(one), Some(two)) => two.total_cmp(&one),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.text.cmp(&other.text),
        }
    }
}

/// The first line: how the system is as a whole.
pub(super) fn headline(digest: &Value) -> String {
    // What comes in from outside; without a gateway, all calls.
    let calls = list(&digest["calls"]);
    let outer: Vec<&Value> = calls
        .iter()
        .filter(|call| call["call"].as_str().is_some_and(|call| call.starts_with("gateway ")))
        .collect();
    let rate: f64 = outer.iter().filter_map(|call| call["rate"].as_f64()).sum();
    let failed: f64 =
        outer.iter().filter_map(|call| Some(call["rate"].as_f64()? * call["errors"].as_f64()?)).sum();
    let failed = if rate > 0.0 { failed / rate * 100.0 } else { 0.0 };
    let up = time(Duration::from_millis(digest["uptime_ms"].as_u64().unwrap_or(0)));
    let name = digest["name"].as_str().unwrap_or_default();
    let mut line = format!("{name}  up {up}  {rate:.1} req/s at the gateway, {failed:.1} % failed");
    let faults = digest["faults"].as_u64().unwrap_or(0);
    if faults > 0 {
        line.push_str(&format!("  {faults} faults injected"));
    }
    line
}

/// Alerts that fire, a line each.
pub(super) fn alerts(digest: &Value) -> Vec<String> {
    let one = |alert: Value| {
        let text = |key: &str| alert[key].as_str().unwrap_or_default().to_owned();
        format!("{}: {}", text("severity"), text("summary"))
    };
    list(&digest["alerts"]).into_iter().map(one).collect()
}

/// A row a group; of a topic without any, one.
fn groups(digest: &Value) -> Vec<Value> {
    let mut rows = Vec::new();
    for topic in list(&digest["topics"]) {
        let mut groups = list(&topic["groups"]);
        if groups.is_empty() {
            groups.push(Value::Object(serde_json::Map::new()));
        }
        rows.extend(groups.into_iter().map(|mut row| {
            row["topic"] = topic["topic"].clone();
            row["published"] = topic["rate"].clone();
            row
        }));
    }
    rows
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn words(one: &Value, key: &str) -> Cell {
    // A name may be whatever somebody called a topic.
    let text = one[key].as_str().unwrap_or_default();
    let text = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    Cell { text, style: Style::Plain, by: None }
}

fn number(value: &Value, show: impl Fn(f64) -> String) -> Cell {
    let by = value.as_f64();
    Cell {
        text: by.map_or("-".to_owned(), show),
        style: if by.is_none() { Style::Dim } else { Style::Plain },
        by,
    }
}

fn count(value: &Value) -> Cell {
    number(value, |count| format!("{count:.0}"))
}

fn rate(value: &Value) -> Cell {
    number(value, |rate| if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") })
}

fn percent(value: &Value) -> Cell {
    number(value, |share| format!("{:.0}%", share * 100.0))
}

fn share(value: &Value) -> Cell {
    number(value, |share| format!("{}%", (share * 1e6).round() / 1e4))
}

fn factor(value: &Value) -> Cell {
    number(value, |factor| format!("{factor:.1}x")).bad_above(1.0, Style::Warn)
}

fn left(one: &Value) -> Cell {
    let cell = percent(&one["budget_left"]);
    let spent = cell.by.is_some_and(|left| left < 0.0);
    if spent { cell.styled(Style::Bad) } else { cell }
}

fn errors(one: &Value) -> Cell {
    let shown = |share: f64| if share > 0.0 { format!("{:.1}%", share * 100.0) } else { "0%".to_owned() };
    number(&one["errors"], shown).bad_above(0.0, Style::Bad)
}

fn seconds(value: &Value) -> Cell {
    number(value, |seconds| match seconds {
        0.0 => "0".to_owned(),
        ..0.001 => format!("{:.0} us", seconds * 1e6),
        ..1.0 => format!("{:.1} ms", seconds * 1e3),
        ..120.0 => format!("{seconds:.1} s"),
        _ => format!("{:.0} min", seconds / 60.0),
    })
}

fn bytes(value: &Value) -> Cell {
    number(value, |bytes| match bytes / f64::from(1 << 20) {
        mib @ ..1000.0 => format!("{mib:.1} MiB"),
        mib => format!("{:.1} GiB", mib / 1024.0),
    })
}

fn ready(one: &Value) -> Cell {
    let (ready, wanted) = (one["ready"].as_f64(), one["wanted"].as_f64());
    let style = match (ready, wanted) {
        (Some(ready), Some(wanted)) if ready >= wanted => Style::Good,
        (Some(0.0), _) => Style::Bad,
        _ => Style::Warn,
    };
    let text = format!("{}/{}", ready.unwrap_or(0.0), wanted.unwrap_or(0.0));
    Cell { text, style, by: ready }
}

fn state(one: &Value) -> Cell {
    let cell = words(one, "state");
    let style = match cell.text.as_str() {
        "ready" => Style::Good,
        "crash-loop" | "failed" => Style::Bad,
        "stopped" => Style::Dim,
        _ => Style::Warn,
    };
    cell.styled(style)
}

fn breaker(one: &Value) -> Cell {
    let cell = words(one, "breaker");
    let style = match cell.text.as_str() {
        "open" => Style::Bad,
        "half-open" => Style::Warn,
        _ => Style::Dim,
    };
    cell.styled(style)
}

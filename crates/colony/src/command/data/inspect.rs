//! `colony data inspect`: what a folder holds.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use engine::{Clock as _, Inspection, System};
use log::{Cut, Log as _};
use machine::census::{Census, Topic};
use serde_json::{Value, json};

use super::{bytes, count, refused, verify};
use crate::args::DataFolder;
use crate::failure::Failure;
use crate::terminal::{self, Style, table};

pub(super) fn run(args: &DataFolder) -> Result<ExitCode, Failure> {
    let opened = Inspection::open(&args.folder, |shard, of| {
        terminal::progress(&format!("opening: shard {shard} of {of}"));
    });
    let inspection = opened.map_err(|error| refused(&args.folder, &error));
    terminal::end_progress();
    let found = Found::of(&inspection?)?;
    let text = if args.json { format!("{}\n", found.json()) } else { found.text(terminal::colours()) };
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// What is told.
struct Found {
    log_bytes: u64,
    /// What a start would cut off.
    torn: Vec<Cut>,
    segments: usize,
    store_bytes: u64,
    shards: Vec<Shard>,
    census: Census,
}

/// Where a shard stands.
struct Shard {
    number: u32,
    first: u64,
    last: u64,
    checkpoint: u64,
    time_ms: u64,
}

impl Found {
    fn of(inspection: &Inspection) -> Result<Found, Failure> {
        let mut census = Census::default();
        let mut shards = Vec::new();
        for shared in inspection.shards() {
            terminal::progress(&format!(
                "counting: shard {} of {}",
                shared.shard().0,
                inspection.count().count()
            ));
            let applied = shared.read();
            census.add(&applied.state, System.now().max(applied.time));
            if let Some(failure) = applied.state.failure() {
                terminal::end_progress();
                return Err(Failure::new(super::with_causes(failure)));
            }
            let (first, last) = inspection.span(shared);
            let (checkpoint, time_ms) = (applied.checkpointed, applied.time.as_millis());
            shards.push(Shard { number: shared.shard().0, first, last, checkpoint, time_ms });
        }
        terminal::end_progress();
        Ok(Found {
            log_bytes: inspection.log().bytes(),
            torn: inspection.log().recovery().cut.clone(),
            segments: inspection.log().segments(),
            store_bytes: inspection.store().disk_bytes(),
            shards,
            census,
        })
    }

    fn json(&self) -> Value {
        let census = &self.census;
        let shards: Vec<Value> = self.shards.iter().map(Shard::json).collect();
        let topics = census.topics.iter().map(|(name, topic)| (name.clone(), of_topic(topic)));
        let queues = census.queues.iter().map(|(name, queue)| {
            let object = json!({
                "ready": queue.ready, "delayed": queue.delayed, "leased": queue.leased, "blocked": queue.blocked,
                "dead": queue.dead, "paused": queue.paused,
            });
            (name.clone(), object)
        });
        let streams = census
            .streams
            .iter()
            .map(|(name, store)| (name.clone(), json!({ "streams": store.streams, "events": store.events })));
        json!({
            "format": log::FORMAT_VERSION,
            "log": {
                "bytes": self.log_bytes, "segments": self.segments,
                "torn": self.torn.iter().map(verify::torn).collect::<Vec<_>>(),
            },
            "store": { "bytes": self.store_bytes, "pairs": census.pairs },
            "payloads": {
                "log": { "count": census.payloads.count, "bytes": census.payloads.bytes },
                "store": { "count": census.moved.count, "bytes": census.moved.bytes },
                "lost": { "count": census.lost.count, "bytes": census.lost.bytes },
            },
            "shards": shards,
            "stores": census.stores,
            "topics": topics.collect::<serde_json::Map<_, _>>(),
            "queues": queues.collect::<serde_json::Map<_, _>>(),
            "streams": streams.collect::<serde_json::Map<_, _>>(),
            "configuration": census.configuration,
            "jobs": census.jobs,
            "locks": census.locks,
            "timers": census.timers,
            "outbox": census.outbox,
            "replies": census.replies,
            "unreadable": census.unreadable.len(),
        })
    }

    fn text(&self, colours: bool) -> String {
        let census = &self.census;
        let mut text = format!(
            "format {}, {}; the log has {} in {}, of which {} alive; the store has {}\n\n",
            log::FORMAT_VERSION,
            count(self.shards.len() as u64, "shard"),
            bytes(self.log_bytes),
            count(self.segments as u64, "segment"),
            alive(&census.payloads),
            bytes(self.store_bytes),
        );
        for cut in &self.torn {
            let _ = writeln!(text, "{}\n", verify::torn_text(cut));
        }
        if census.lost.count > 0 {
            let (lost, size) = (count(census.lost.count, "payload"), bytes(census.lost.bytes));
            let _ = writeln!(
                text,
                "{lost} ({size}) were damaged when their part of the log was given up, and are lost\n"
            );
        }
        let rows: Vec<_> = self.shards.iter().map(Shard::row).collect();
        text.push_str(&table(colours, &["shard", " first", " last", " checkpoint", " time"], &rows));
        text.push_str(&blocks(colours, census));
        text
    }
}

fn alive(payloads: &machine::census::Payloads) -> String {
    let verb = if payloads.count == 1 { "is" } else { "are" };
    format!("{} ({}) {verb}", count(payloads.count, "payload"), bytes(payloads.bytes))
}

impl Shard {
    fn json(&self) -> Value {
        json!({
            "shard": self.number, "first": self.first, "last": self.last, "applied": self.last,
            "checkpoint": self.checkpoint, "time_ms": self.time_ms,
        })
    }

    fn row(&self) -> Vec<(String, Style)> {
        let numbers =
            [self.first, self.last, self.checkpoint].map(|number| (number.to_string(), Style::Plain));
        let mut row = vec![(self.number.to_string(), Style::Plain)];
        row.extend(numbers);
        row.push((age(self.time_ms), Style::Dim));
        row
    }
}

/// How long ago a shard's last entry was.
fn age(time_ms: u64) -> String {
    if time_ms == 0 {
        return "-".to_owned();
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let age = now.saturating_sub(std::time::Duration::from_millis(time_ms));
    format!("{} ago", terminal::time(age))
}

fn of_topic(topic: &Topic) -> Value {
    json!({
        "partitions": topic.partitions, "messages": topic.messages, "bytes": topic.bytes, "delayed": topic.delayed,
        "lag": topic.groups,
    })
}

/// A table for each block that has something.
fn blocks(colours: bool, census: &Census) -> String {
    let cells = |name: &str, cells: &[String]| {
        let mut row = vec![(name.to_owned(), Style::Plain)];
        row.extend(cells.iter().map(|cell| (cell.clone(), Style::Plain)));
        row
    };
    let mut text = String::new();
    let mut add = |headings: &[&str], rows: Vec<Vec<(String, Style)>>| {
        if !rows.is_empty() {
            let _ = write!(text, "\n{}", table(colours, headings, &rows));
        }
    };
    let items = |stores: &std::collections::BTreeMap<String, u64>| {
        stores.iter().map(|(name, items)| cells(name, &[items.to_string()])).collect()
    };
    add(&["store", " items"], items(&census.stores));
    let topics = census.topics.iter().map(|(name, topic)| {
        let lags: Vec<String> = topic.groups.iter().map(|(group, lag)| format!("{group} {lag}")).collect();
        let lags = if lags.is_empty() { "-".to_owned() } else { lags.join(", ") };
        cells(name, &[topic.partitions.to_string(), topic.messages.to_string(), bytes(topic.bytes), lags])
    });
    add(&["topic", " partitions", " messages", " bytes", "groups' lag"], topics.collect());
    let queues = census.queues.iter().map(|(name, queue)| {
        let paused = if queue.paused { "paused" } else { "" };
        let counts = [queue.ready, queue.delayed, queue.leased, queue.blocked, queue.dead];
        let mut cells = cells(name, &counts.map(|count| count.to_string()));
        cells.push((paused.to_owned(), Style::Warn));
        cells
    });
    add(&["queue", " ready", " delayed", " leased", " blocked", " dead", ""], queues.collect());
    let streams = census.streams.iter();
    let streams =
        streams.map(|(name, store)| cells(name, &[store.streams.to_string(), store.events.to_string()]));
    add(&["streams of", " streams", " events"], streams.collect());
    add(&["configuration", " items"], items(&census.configuration));
    let others = [
        ("jobs", census.jobs),
        ("locks that are held", census.locks),
        ("timers", census.timers),
        ("commands on their way to other shards", census.outbox),
        ("replies that are remembered", census.replies),
        ("payloads in the store", census.moved.count),
        ("values that cannot be understood", census.unreadable.len() as u64),
    ];
    let others = others.iter().filter(|(_, count)| *count > 0);
    add(&["besides", " count"], others.map(|(what, count)| cells(what, &[count.to_string()])).collect());
    text
}

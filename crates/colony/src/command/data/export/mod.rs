//! `colony data export`: what a folder holds, as lines of JSON.
//!
//! Read in pages and printed as it comes, so that a folder of any size takes little memory. A payload that cannot be read
//! ends nothing: its line says so, all others are there, and the exit code is 1.

mod beside;

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::replica::Shared;
use engine::store::Fjall;
use engine::{Clock as _, Inspection, System};
use machine::key::Parts;
use machine::{Key, Order, Read as _, Stored, Table, Time, config, kv, queue, stream, topic};
use prost::Message;
use serde_json::{Map, Value, json};

use super::{refused, with_causes};
use crate::args::{ExportData, ExportKind};
use crate::failure::Failure;
use crate::terminal;

pub(super) fn run(args: &ExportData) -> Result<ExitCode, Failure> {
    let opened = Inspection::open(&args.folder, |shard, of| {
        terminal::progress(&format!("opening: shard {shard} of {of}"));
    });
    terminal::end_progress();
    let inspection = opened.map_err(|error| refused(&args.folder, &error))?;
    let mut export =
        Export { inspection: &inspection, args, now: System.now(), lines: String::new(), unreadable: 0 };
    for shard in inspection.shards() {
        export.shard(shard)?;
        if let Some(failure) = shard.read().state.failure() {
            return Err(Failure::new(with_causes(failure)));
        }
    }
    export.print()?;
    Ok(if export.unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Export<'a> {
    inspection: &'a Inspection,
    args: &'a ExportData,
    now: Time,
    /// What is not printed yet.
    lines: String,
    unreadable: u64,
}

/// What is told of a pair, and the payloads that belong to it, each with its name.
struct Told {
    line: Map<String, Value>,
    payloads: Vec<(Cow<'static, str>, Stored)>,
}

impl Told {
    /// Without payloads.
    fn of(line: Map<String, Value>) -> Told {
        Told { line, payloads: Vec::new() }
    }
}

/// Tells what there is to tell of a pair.
type Tell = fn(&Shared<Fjall>, &[u8], &Bytes, Time) -> Option<Told>;

impl Export<'_> {
    fn shard(&mut self, shard: &Shared<Fjall>) -> Result<(), Failure> {
        let args = self.args;
        if let Some(all) = args.wants(ExportKind::Item, args.store.as_deref(), Table::KvItem) {
            self.table(shard, &all, item)?;
        }
        if let Some(all) = args.wants(ExportKind::Message, args.topic.as_deref(), Table::TopicMessage) {
            self.table(shard, &all, message)?;
        }
        if let Some(all) = args.wants(ExportKind::Message, args.topic.as_deref(), Table::TopicDelayed) {
            self.table(shard, &all, delayed)?;
        }
        if let Some(all) = args.wants(ExportKind::Work, args.queue.as_deref(), Table::Queue) {
            for queue in queues(shard, &all) {
                self.queue(shard, &queue)?;
            }
        }
        if let Some(all) = args.wants(ExportKind::Event, args.streams.as_deref(), Table::StreamEvent) {
            self.table(shard, &all, event)?;
        }
        if let Some(all) = args.wants(ExportKind::Configuration, args.configuration.as_deref(), Table::Config)
        {
            self.table(shard, &all, configuration)?;
        }
        for (kind, table, tell) in beside::TABLES {
            if let Some(all) = args.wants(kind, None, table) {
                self.table(shard, &all, tell)?;
            }
        }
        Ok(())
    }

    /// All pairs whose key begins with `all`, as `tell` has them; those of which it tells nothing are no more.
    fn table(&mut self, shard: &Shared<Fjall>, all: &Key, tell: Tell) -> Result<(), Failure> {
        let mut from = all.clone();
        loop {
            let pairs = page(shard, &from, all);
            let Some((last, _)) = pairs.last() else { return Ok(()) };
            from = Key::from(last.as_slice()).u8(0);
            for (key, value) in &pairs {
                if let Some(told) = tell(shard, key, value, self.now) {
                    self.line(shard, told);
                }
            }
            self.print()?;
        }
    }

    fn queue(&mut self, shard: &Shared<Fjall>, name: &str) -> Result<(), Failure> {
        for which in STANDINGS {
            let mut from: Option<Vec<u8>> = None;
            loop {
                let page = queue::peek(&shard.read().state, name, which, from.as_deref(), PAGE);
                for peeked in page.items {
                    self.line(shard, work(name, peeked));
                }
                self.print()?;
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, shard: &Shared<Fjall>, told: Told) {
        let mut line = told.line;
        for (name, stored) in told.payloads {
            match self.inspection.payload(shard, &stored) {
                Ok(payload) => put_bytes(&mut line, &name, &payload),
                Err(failure) => {
                    self.unreadable += 1;
                    line.insert("error".to_owned(), format!("{name}: {}", with_causes(&failure)).into());
                }
            }
        }
        self.lines.push_str(&Value::Object(line).to_string());
        self.lines.push('\n');
    }

    fn print(&mut self) -> Result<(), Failure> {
        terminal::print(&std::mem::take(&mut self.lines))
    }
}

impl ExportData {
    /// Where the keys begin of what is wanted of a kind, of which one may have been named.
    fn wants(&self, kind: ExportKind, named: Option<&str>, table: Table) -> Option<Key> {
        let any = [&self.store, &self.topic, &self.queue, &self.streams, &self.configuration];
        match named {
            Some(name) => Some(Key::new(table).name(name)),
            None if any.iter().any(|one| one.is_some()) => None,
            None => (self.kind.is_empty() || self.kind.contains(&kind)).then(|| Key::new(table)),
        }
    }
}

fn page(shard: &Shared<Fjall>, from: &Key, all: &Key) -> Vec<(Vec<u8>, Bytes)> {
    let mut pairs = Vec::new();
    let visit = &mut |key: &[u8], value: &Bytes| {
        pairs.push((key.to_vec(), value.clone()));
        if pairs.len() < PAGE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    shard.read().state.scan(from.as_bytes(), all.end().as_bytes(), Order::Forwards, visit);
    pairs
}

fn queues(shard: &Shared<Fjall>, all: &Key) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    shard.read().state.scan_prefix(all, &mut |key, _| {
        if let Some(name) = Parts::of(key).name().filter(|name| names.last().is_none_or(|last| last != name))
        {
            names.push(name.to_owned());
        }
        ControlFlow::Continue(())
    });
    names
}

fn item(_: &Shared<Fjall>, key: &[u8], value: &Bytes, now: Time) -> Option<Told> {
    let item = kv::Item::decode(value.clone()).ok()?;
    if item.expires().is_some_and(|expires| expires <= now) {
        return None;
    }
    let mut parts = Parts::of(key);
    let mut line = line(&json!({
        "kind": "item", "store": parts.name()?, "scope": parts.name()?, "etag": item.etag,
        "expires_ms": item.expires().map(Time::as_millis),
    }));
    put_bytes(&mut line, "key", parts.rest());
    Some(Told { line, payloads: vec![("value".into(), item.value)] })
}

fn message(_: &Shared<Fjall>, key: &[u8], value: &Bytes, now: Time) -> Option<Told> {
    let message = topic::Message::decode(value.clone()).ok()?;
    if message.is_expired(now) {
        return None;
    }
    let mut parts = Parts::of(key);
    let attributes = &message.attributes;
    let mut line = line(&json!({
        "kind": "message", "topic": parts.name()?, "partition": parts.u32()?, "offset": parts.u64()?,
        "time_ms": message.time, "content_type": attributes.content_type, "headers": headers(&attributes.headers),
    }));
    put_bytes(&mut line, "key", &attributes.key);
    Some(Told { line, payloads: vec![("payload".into(), message.body)] })
}

/// A message that has no offset yet.
fn delayed(_: &Shared<Fjall>, key: &[u8], value: &Bytes, _: Time) -> Option<Told> {
    let message = topic::Delayed::decode(value.clone()).ok()?;
    let mut parts = Parts::of(key);
    let attributes = &message.attributes;
    let mut line = line(&json!({
        "kind": "message", "topic": parts.name()?, "partition": parts.u32()?, "due_ms": message.due,
        "content_type": attributes.content_type, "headers": headers(&attributes.headers),
    }));
    put_bytes(&mut line, "key", &attributes.key);
    Some(Told { line, payloads: vec![("payload".into(), message.body)] })
}

fn work(name: &str, peeked: queue::Peeked) -> Told {
    let item = peeked.item;
    let standing = match peeked.standing {
        queue::Standing::Ready => "ready",
        queue::Standing::Delayed(_) => "delayed",
        queue::Standing::Blocked => "blocked",
        queue::Standing::Leased { .. } => "leased",
        queue::Standing::Dead(_) => "dead",
    };
    let line = line(&json!({
        "kind": "work", "queue": name, "id": peeked.id, "standing": standing, "key": item.key,
        "priority": item.priority, "sent_ms": item.sent_ms, "failures": peeked.history.failures.len(),
        "headers": headers(&item.headers),
    }));
    Told { line, payloads: vec![("payload".into(), item.body)] }
}

/// Events that a stream has given up may be there for a while.
fn event(shard: &Shared<Fjall>, key: &[u8], value: &Bytes, _: Time) -> Option<Told> {
    let event = stream::Event::decode(value.clone()).ok()?;
    let mut parts = Parts::of(key);
    let (store, name, version) = (parts.name()?, parts.name()?, parts.u64()?);
    let stream = stream::find(&shard.read().state, store, name)?;
    if version < stream.first() {
        return None;
    }
    let mut line = line(&json!({
        "kind": "event", "store": store, "stream": name, "version": version, "position": event.position,
        "type": event.r#type, "time_ms": event.time,
    }));
    put_bytes(&mut line, "id", &event.id);
    let metadata = event.metadata.map(|metadata| ("metadata".into(), metadata));
    let payloads = std::iter::once(("payload".into(), event.payload)).chain(metadata).collect();
    Some(Told { line, payloads })
}

fn configuration(_: &Shared<Fjall>, key: &[u8], value: &Bytes, _: Time) -> Option<Told> {
    let mut parts = Parts::of(key);
    let store = parts.name()?;
    // How many there are is kept beside the items.
    parts.u8().filter(|kind| *kind == 1)?;
    let item = config::Item::decode(value.clone()).ok()?;
    let mut line = line(&json!({
        "kind": "configuration", "store": store, "revision": item.revision, "version": item.version,
        "metadata": item.metadata,
    }));
    put_bytes(&mut line, "key", parts.rest());
    Some(Told { line, payloads: vec![("value".into(), item.value)] })
}

fn headers(headers: &[topic::Header]) -> Vec<Value> {
    let object = |header: &topic::Header| {
        let mut object = line(&json!({ "name": header.name }));
        put_bytes(&mut object, "value", &header.value);
        Value::Object(object)
    };
    headers.iter().map(object).collect()
}

fn line(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Bytes as text if they are some, else in base64 under a name that says so.
fn put_bytes(line: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => line.insert(name.to_owned(), text.into()),
        Err(_) => line.insert(format!("{name}_base64"), STANDARD.encode(bytes).into()),
    };
}

const STANDINGS: [queue::Which; 5] = [
    queue::Which::Ready,
    queue::Which::Delayed,
    queue::Which::Blocked,
    queue::Which::Leased,
    queue::Which::Dead,
];
/// How many are read and printed at a time.
const PAGE: usize = 256;

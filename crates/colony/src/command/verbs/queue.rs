//! `colony send` and `colony receive`: items of a queue.

use std::path::Path;
use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::ask::Ask;
use super::payload::{Data, metadata};
use super::shown;
use super::tell;
use super::through::{Way, Whose, find};
use crate::args::verbs::{Receive, Send, Standing};
use crate::failure::Failure;
use crate::terminal;

pub(super) async fn send(args: &Send, data: Option<&Path>) -> Result<(), Failure> {
    let payload = Data::some(&args.what)?;
    let way = find(&args.through, Whose::Nodes, data).await?;
    let mut ask = Ask::new(&way, Method::POST, &["queues", &args.queue, "send"])
        .query_if("priority", args.priority.map(|priority| priority.to_string()))
        .query_if("delay", args.delay.map(millis))
        .query_if("ttl", args.ttl.map(millis))
        .query_if("key", args.key.as_deref())
        .query_if("dedupId", args.dedup_id.as_deref());
    for (name, value) in metadata(&args.metadata)? {
        ask = ask.query(&format!("metadata.{name}"), value);
    }
    let sent: Value = ask.once(&args.once)?.data(payload)?.answer().await?.read()?;
    let id = sent["id"].as_str().unwrap_or_default();
    let said = match sent["duplicate"].as_bool() {
        Some(true) => format!("{id} was sent before\n"),
        _ => format!("sent {id}\n"),
    };
    tell(args.through.json, &sent, &said)
}

pub(super) async fn receive(args: &Receive, data: Option<&Path>) -> Result<(), Failure> {
    let way = find(&args.through, Whose::Nodes, data).await?;
    let answer = match args.peek {
        true => Ask::new(&way, Method::GET, &["queues", &args.queue, "items"])
            .query("state", word(args.state))
            .query("max", args.max.to_string()),
        false => Ask::new(&way, Method::POST, &["queues", &args.queue, "receive"]).json(&wanted(args)),
    };
    let answer = answer.answer().await?;
    let Received { items } = answer.read()?;
    let printed = match args.through.json {
        true => terminal::print(&answer.line()),
        false => print(&items),
    };
    let receipts: Vec<&str> = items.iter().map(|item| item.receipt.as_str()).collect();
    if args.peek || receipts.is_empty() {
        return printed;
    }
    match &printed {
        // Nobody has seen them, so another may have them at once.
        Err(_) => drop(settle(&way, &args.queue, "release", &receipts).await),
        Ok(()) if args.no_ack => {}
        Ok(()) => acknowledge(&way, &args.queue, &receipts).await?,
    }
    printed
}

fn wanted(args: &Receive) -> Value {
    let mut wanted = json!({ "max": args.max, "consumer": "colony receive" });
    for (name, span) in [("wait", args.wait), ("lease", args.lease)] {
        if let Some(span) = span {
            wanted[name] = millis(span).into();
        }
    }
    wanted
}

async fn acknowledge(way: &Way, queue: &str, receipts: &[&str]) -> Result<(), Failure> {
    let fenced = settle(way, queue, "ack", receipts).await.map_err(|failure| Failure {
        message: format!(
            "what was printed could not be acknowledged, and is received again: {}",
            failure.message
        ),
        ..failure
    })?;
    match fenced["fenced"].as_array().map_or(0, Vec::len) {
        0 => Ok(()),
        late => Err(Failure::new(format!(
            "{late} of the items printed could not be acknowledged, for their lease was over: another gets them"
        ))
        .hint("`--lease 5m` has them for longer")),
    }
}

async fn settle(way: &Way, queue: &str, verb: &str, receipts: &[&str]) -> Result<Value, Failure> {
    let ask = Ask::new(way, Method::POST, &["queues", queue, verb]);
    ask.json(&json!({ "receipts": receipts })).answer().await?.read()
}

/// An item a line; bytes as they are.
fn print(items: &[Item<'_>]) -> Result<(), Failure> {
    let mut out = Vec::new();
    for item in items {
        out.extend(shown(item.data, item.data_base64.as_deref()));
        out.push(b'\n');
    }
    terminal::print_bytes(&out)
}

/// As the API has spans of time.
fn millis(span: Duration) -> String {
    format!("{}ms", span.as_millis())
}

fn word(state: Standing) -> &'static str {
    match state {
        Standing::Ready => "ready",
        Standing::Delayed => "delayed",
        Standing::Blocked => "blocked",
        Standing::Leased => "leased",
        Standing::Dead => "dead",
    }
}

#[derive(Deserialize)]
struct Received<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(default)]
    receipt: String,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    data_base64: Option<String>,
}

//! `colony state`: items of a store.

use std::path::Path;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::ask::{Answer, Ask};
use super::payload::named;
use super::through::{Whose, find};
use super::{spliced, tell};
use crate::args::verbs::{DeleteState, GetState, SetState};
use crate::failure::Failure;
use crate::terminal;

pub(super) async fn get(args: &GetState, data: Option<&Path>) -> Result<(), Failure> {
    let way = find(&args.through, Whose::Applications, data).await?;
    let answer = Ask::new(&way, Method::GET, &["state", &args.store, &args.key]).answer().await?;
    if answer.status == StatusCode::NO_CONTENT {
        return Err(Failure::new(format!("there is no item `{}` in {}", args.key, args.store)).hint(
            "items are those of one application, unless the store says otherwise: `--app-id` names it",
        ));
    }
    match args.through.json {
        true => terminal::print(&told(args, &answer)),
        false => {
            let mut value = answer.body.to_vec();
            if !value.ends_with(b"\n") {
                value.push(b'\n');
            }
            terminal::print_bytes(&value)
        }
    }
}

pub(super) async fn set(args: &SetState, data: Option<&Path>) -> Result<(), Failure> {
    let bytes = named(&args.value)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        Failure::new("the value is neither JSON nor text").hint("bytes can be kept as base64, in a text")
    })?;
    // As it was written, for what becomes of numbers otherwise.
    let value = match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) if !args.text => text.trim().to_owned(),
        _ => Value::from(text).to_string(),
    };
    let mut item = json!({ "key": args.key });
    if let Some(etag) = &args.etag {
        item["etag"] = etag.as_str().into();
    }
    if args.etag.is_some() || args.new {
        item["options"] = json!({ "concurrency": "first-write" });
    }
    if let Some(ttl) = args.ttl {
        item["metadata"] = json!({ "ttlInSeconds": ttl.as_secs().max(1).to_string() });
    }
    let body = format!("[{}]", spliced(&item.to_string(), "value", &value));
    let way = find(&args.through, Whose::Applications, data).await?;
    let ask = Ask::new(&way, Method::POST, &["state", &args.store]).once(&args.once)?;
    ask.json_text(body).answer().await?;
    let told = json!({ "store": args.store, "key": args.key, "saved": true });
    tell(args.through.json, &told, &format!("saved {}\n", args.key))
}

pub(super) async fn delete(args: &DeleteState, data: Option<&Path>) -> Result<(), Failure> {
    let way = find(&args.through, Whose::Applications, data).await?;
    let mut ask = Ask::new(&way, Method::DELETE, &["state", &args.store, &args.key]).once(&args.once)?;
    if let Some(etag) = &args.etag {
        ask = ask.header("if-match", etag)?.query("concurrency", "first-write");
    }
    ask.answer().await?;
    let told = json!({ "store": args.store, "key": args.key, "deleted": true });
    tell(args.through.json, &told, &format!("deleted {}\n", args.key))
}

/// An item with its ETag; its value as it was written.
fn told(args: &GetState, answer: &Answer) -> String {
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
    let mut head = json!({ "store": args.store, "key": args.key });
    for (name, header) in [("etag", header("etag")), ("expires", header("metadata.ttlexpiretime"))] {
        if let Some(header) = header {
            head[name] = header.into();
        }
    }
    let value = match serde_json::from_slice::<serde::de::IgnoredAny>(&answer.body) {
        Ok(_) => String::from_utf8_lossy(&answer.body).trim().to_owned(),
        Err(_) => Value::from(String::from_utf8_lossy(&answer.body)).to_string(),
    };
    format!("{}\n", spliced(&head.to_string(), "value", &value))
}

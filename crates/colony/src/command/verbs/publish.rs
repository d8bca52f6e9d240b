//! `colony publish`: a message to a topic.

use std::path::Path;

use hyper::Method;
use serde_json::{Value, json};

use super::ask::Ask;
use super::payload::{Data, metadata};
use super::tell;
use super::through::{Whose, find};
use crate::args::verbs::Publish;
use crate::failure::Failure;

pub(super) async fn run(args: &Publish, data: Option<&Path>) -> Result<(), Failure> {
    let topic = args.topic.as_deref().or(args.named.as_deref()).unwrap_or_default();
    let has_flags = args.what.body.is_some() || args.what.data_file.is_some();
    // Dapr's may say nothing.
    let mut payload = match has_flags || args.named.is_some() {
        true => Data::or_flags(&args.what)?,
        false => Data::some(&args.what.word)?,
    };
    if args.what.word.content_type.is_none() && is_envelope(&payload) {
        payload.content_type = "application/cloudevents+json".to_owned();
    }
    let way = find(&args.through, Whose::Applications, data).await?;
    let mut ask = Ask::new(&way, Method::POST, &["publish", &args.pubsub, topic])
        .query_if("metadata.partitionKey", args.key.as_deref())
        .query_if("metadata.ttlInSeconds", args.ttl.map(|ttl| ttl.as_secs().max(1).to_string()))
        .query_if("metadata.delay", args.delay.map(|delay| format!("{}ms", delay.as_millis())))
        .query_if("metadata.rawPayload", args.raw.then_some("true"));
    for (name, value) in metadata(&args.metadata)? {
        ask = ask.query(&format!("metadata.{name}"), value);
    }
    ask.once(&args.once)?.data(payload)?.answer().await?;
    let told = json!({ "pubsub": args.pubsub, "topic": topic, "published": true });
    tell(args.through.json, &told, &format!("published to {topic}\n"))
}

/// Whether it is a CloudEvent already, by what each of them must have.
fn is_envelope(data: &Data) -> bool {
    let event: Value = serde_json::from_slice(&data.bytes).unwrap_or_default();
    ["specversion", "id", "source", "type"].iter().all(|name| event[name].is_string())
}

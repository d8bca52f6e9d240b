//! `colony stream`: events appended, read and followed.

use std::path::Path;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::ask::{Ask, lost, refused, whole};
use super::payload::{Data, metadata};
use super::through::{Way, Whose, find};
use super::{shown, spliced, tell};
use crate::args::verbs::{AppendStream, ReadStream, StreamProjection};
use crate::failure::Failure;
use crate::terminal;

pub(super) async fn append(args: &AppendStream, data: Option<&Path>) -> Result<(), Failure> {
    let payload = Data::of(&args.what)?;
    let event = event(args, payload)?;
    let way = find(&args.through, Whose::Nodes, data).await?;
    if args.create {
        make(&way, &args.store).await?;
    }
    let ask = Ask::new(&way, Method::POST, &["streams", &args.store, &args.stream]);
    let ask = ask.query_if("expected", args.expected.as_deref()).once(&args.once)?;
    let appended: Value = ask.json_text(format!("[{event}]")).answer().await?.read()?;
    let said = format!("appended {}@{}\n", args.stream, appended["version"]);
    tell(args.through.json, &appended, &said)
}

pub(super) async fn read(args: &ReadStream, data: Option<&Path>) -> Result<(), Failure> {
    let way = find(&args.through, Whose::Nodes, data).await?;
    let mut segments = vec!["streams", args.store.as_str()];
    segments.extend(args.stream.as_deref());
    let mut ask = Ask::new(&way, Method::GET, &segments).query_if("from", args.from.as_deref());
    for kind in &args.kinds {
        ask = ask.query("type", kind);
    }
    if args.follow {
        return follow(&way, ask.header("accept", "text/event-stream")?, args.through.json).await;
    }
    ask = ask
        .query_if("direction", args.backwards.then_some("backwards"))
        .query_if("max", args.max.map(|max| max.to_string()));
    let answer = ask.answer().await?;
    if args.through.json {
        return terminal::print(&answer.line());
    }
    let Page { events } = answer.read()?;
    let mut out = Vec::new();
    for event in &events {
        event.write(&mut out);
    }
    terminal::print_bytes(&out)
}

pub(super) async fn projection(args: &StreamProjection, data: Option<&Path>) -> Result<(), Failure> {
    // Whose state it is says the application.
    let way = find(&args.through, Whose::Applications, data).await?;
    let segments = ["streams", &args.store, "projections", &args.projection];
    let ask = |method| Ask::new(&way, method, &segments).query("state", &args.state);
    if let Some(position) = &args.set {
        let body = json!({ "position": position }).to_string();
        ask(Method::PUT).json_text(body).answer().await?;
    }
    let told: Value = ask(Method::GET).answer().await?.read()?;
    let position = told["position"].as_str().filter(|position| !position.is_empty()).unwrap_or("start");
    tell(args.through.json, &told, &format!("{} is at {position}\n", args.projection))
}

/// An event as it is sent; its data as they were written.
fn event(args: &AppendStream, payload: Data) -> Result<String, Failure> {
    let mut event = Map::new();
    event.insert("type".to_owned(), args.kind.as_str().into());
    if let Some(id) = &args.id {
        event.insert("id".to_owned(), id.as_str().into());
    }
    let beside = metadata(&args.metadata)?;
    if !beside.is_empty() {
        let beside = beside.into_iter().map(|(name, value)| (name, value.into()));
        event.insert("metadata".to_owned(), Value::Object(beside.collect()));
    }
    if args.what.payload.is_none() {
        return Ok(Value::Object(event).to_string());
    }
    let is_json = payload.is_json() && payload.content_type == JSON;
    event.insert("contentType".to_owned(), payload.content_type.as_str().into());
    let event = Value::Object(event).to_string();
    Ok(match std::str::from_utf8(&payload.bytes) {
        Ok(text) if is_json => spliced(&event, "data", text.trim()),
        Ok(text) if payload.content_type.starts_with("text/") => {
            spliced(&event, "data", &Value::from(text).to_string())
        }
        _ => spliced(&event, "dataBase64", &Value::from(super::base64(&payload.bytes)).to_string()),
    })
}

/// Makes a store, if there is none: one that is there keeps its settings.
async fn make(way: &Way, store: &str) -> Result<(), Failure> {
    let there = Ask::new(way, Method::GET, &["streams", store]).answer().await;
    match there {
        Err(failure) if failure.details.get("status") == Some(&404.into()) => {
            Ask::new(way, Method::PUT, &["streams", store]).answer().await.map(drop)
        }
        there => there.map(drop),
    }
}

/// Prints events as they come, until there are no more to come.
async fn follow(way: &Way, ask: Ask<'_>, json: bool) -> Result<(), Failure> {
    let (head, body) = ask.send().await?.into_parts();
    if head.status != StatusCode::OK {
        return Err(refused(head.status, &whole(way, body).await?));
    }
    tokio::select! {
        ended = tell_all(way, body, json) => ended,
        gone = terminal::reader_gone() => Err(gone),
    }
}

async fn tell_all(way: &Way, mut body: Incoming, json: bool) -> Result<(), Failure> {
    let mut events = Events::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| lost(way, &error))?;
        events.text.extend_from_slice(frame.data_ref().map_or(&[], |data| data.as_ref()));
        while let Some(said) = events.next() {
            match said.kind.as_str() {
                "error" => return Err(refused(StatusCode::INTERNAL_SERVER_ERROR, said.data.as_bytes())),
                _ if json => terminal::print(&said.line())?,
                _ => terminal::print_bytes(&said.shown()?)?,
            }
        }
        if events.text.len() > EVENT_BYTES_MAX {
            return Err(Failure::new(format!("an event has more than {} MiB", EVENT_BYTES_MAX >> 20)));
        }
    }
    Err(Failure::new("the sidecar ended").hint("`--from CURSOR` goes on behind the last event"))
}

/// Server-sent events, as they come.
#[derive(Default)]
struct Events {
    text: Vec<u8>,
}

/// One of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    kind: String,
    id: String,
    data: String,
}

impl Events {
    /// The next that is there as a whole, and says something.
    fn next(&mut self) -> Option<Said> {
        loop {
            let end = self.text.windows(2).position(|two| two == b"\n\n")?;
            let text: Vec<u8> = self.text.drain(..end + 2).collect();
            let mut said = Said::default();
            for line in String::from_utf8_lossy(&text).lines() {
                match line.split_once(": ") {
                    Some(("event", kind)) => kind.clone_into(&mut said.kind),
                    Some(("id", id)) => id.clone_into(&mut said.id),
                    Some(("data", data)) => said.data.push_str(data),
                    _ => {}
                }
            }
            if !said.data.is_empty() {
                return Some(said);
            }
        }
    }
}

impl Said {
    /// The event as an object, with where to go on from.
    fn line(&self) -> String {
        format!("{}\n", spliced(&self.data, "cursor", &Value::from(self.id.as_str()).to_string()))
    }

    fn shown(&self) -> Result<Vec<u8>, Failure> {
        let event: Event<'_> = serde_json::from_str(&self.data)
            .map_err(|error| Failure::new(format!("an event cannot be understood: {error}")))?;
        let mut out = Vec::new();
        event.write(&mut out);
        Ok(out)
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    events: Vec<Event<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    stream: String,
    version: u64,
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    data_base64: Option<String>,
}

impl Event<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(format!("{}@{}  {}", self.stream, self.version, self.kind).bytes());
        let data = shown(self.data, self.data_base64.as_deref());
        if !data.is_empty() {
            out.extend(b"  ");
            out.extend(data);
        }
        out.push(b'\n');
    }
}

const JSON: &str = "application/json";
/// Longest event that is kept while it comes: a payload's 1 MiB in base64, with much beside it.
const EVENT_BYTES_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_when_they_are_there_as_a_whole() {
        let mut events = Events::default();
        let mut had = Vec::new();
        for byte in b": nothing for a while\n\nid: 7\ndata: {\"a\":1}\n\nevent: error\ndata: {}\n\nid: 8" {
            events.text.push(*byte);
            had.extend(events.next());
        }
        let said = |kind: &str, id: &str, data: &str| Said {
            kind: kind.to_owned(),
            id: id.to_owned(),
            data: data.to_owned(),
        };
        assert_eq!(had, [said("", "7", "{\"a\":1}"), said("error", "", "{}")]);
        assert_eq!(had[0].line(), "{\"a\":1,\"cursor\":\"7\"}\n");
    }
}

//! `colony invoke`: a method of an application, and what it answers.

use std::path::Path;
use std::process::ExitCode;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value};

use super::ask::{Ask, lost, refused, whole};
use super::payload::Data;
use super::spliced;
use super::through::{Way, Whose, find, of_application};
use crate::args::verbs::{Invoke, Through};
use crate::failure::Failure;
use crate::terminal;

pub(super) async fn run(args: &Invoke, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let app_id = args.app_id.as_deref().or(args.named.as_deref()).unwrap_or_default();
    let payload = Data::or_flags(&args.what)?;
    let verb = Method::from_bytes(args.verb.as_bytes())
        .map_err(|_| Failure::new(format!("`{}` is no method of HTTP", args.verb)))?;
    let way = way(args, app_id, data).await?;
    let mut ask = Ask::new(&way, verb, &["invoke", app_id, "method"]).path(&args.method);
    for header in &args.header {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| Failure::new(format!("`{header}` is no header")).hint("write NAME: VALUE"))?;
        ask = ask.header(name.trim(), value.trim())?;
    }
    if !payload.bytes.is_empty() {
        ask = ask.data(payload)?;
    }
    let (head, body) = ask.send().await?.into_parts();
    if head.status.is_success() && !args.json {
        print(&way, body).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let body = whole(&way, body).await?;
    if !head.status.is_success() && is_ours(&body) {
        return Err(refused(head.status, &body));
    }
    if args.json {
        terminal::print(&object(head.status, &head.headers, &body))?;
        return Ok(if head.status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    terminal::print_bytes(&body)?;
    end_line(body.last())?;
    Err(Failure::new(format!("{app_id} answered {}", head.status)))
}

/// Whoever is named; else the application itself, which is where it is sure to be known; else as ever.
async fn way(args: &Invoke, app_id: &str, data: Option<&Path>) -> Result<Way, Failure> {
    let through = Through {
        app_id: args.from.clone().or_else(|| args.unix_domain_socket.as_ref().map(|_| app_id.to_owned())),
        address: args.address.clone(),
        unix_domain_socket: args.unix_domain_socket.clone(),
        json: args.json,
    };
    let is_open = through.app_id.is_none() && through.address.is_none();
    if is_open && let Some(way) = of_application(app_id, data).await {
        return Ok(way);
    }
    find(&through, Whose::Nodes, data).await
}

/// Whether an answer that is no success is the sidecar's own: that there is nobody to be called, or that it may not be.
fn is_ours(body: &[u8]) -> bool {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    error["errorCode"].as_str().is_some_and(|code| code.starts_with("ERR_")) || body == b"invalid api token\n"
}

/// Prints a body as it comes.
async fn print(way: &Way, mut body: Incoming) -> Result<(), Failure> {
    let mut last = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| lost(way, &error))?;
        if let Some(data) = frame.data_ref() {
            terminal::print_bytes(data)?;
            last = data.last().copied().or(last);
        }
    }
    end_line(last.as_ref())
}

/// Ends a line that has not ended by itself.
fn end_line(last: Option<&u8>) -> Result<(), Failure> {
    match last {
        None | Some(b'\n') => Ok(()),
        Some(_) => terminal::print("\n"),
    }
}

/// An answer as an object: its data as they are if they are JSON, as text, or in base64.
fn object(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> String {
    let mut told = Map::new();
    told.insert("status".to_owned(), status.as_u16().into());
    let texts = headers
        .iter()
        .map(|(name, value)| (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes()))));
    told.insert("headers".to_owned(), Value::Object(texts.collect()));
    let told = Value::Object(told).to_string();
    let told = match (serde_json::from_slice::<serde::de::IgnoredAny>(body), std::str::from_utf8(body)) {
        _ if body.is_empty() => told,
        (Ok(_), Ok(text)) => spliced(&told, "data", text.trim()),
        (_, Ok(text)) => spliced(&told, "data", &Value::from(text).to_string()),
        (_, Err(_)) => spliced(&told, "dataBase64", &Value::from(super::base64(body)).to_string()),
    };
    format!("{told}\n")
}

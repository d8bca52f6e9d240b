//! `colony logs`: what the services have written, and what they write.
//!
//! The last lines come from the node's memory as they were written, and so do those that follow. What is asked for by a trace, a time,
//! a level, an instance or a text comes from the window on the disk, as records; and so does all of a node that is down.

use std::path::Path;
use std::process::ExitCode;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use telemetry::logs::{Line, Stream};
use telemetry::parse::{self, Origin};
use telemetry::query::LogQuery;
use telemetry::{KeptLog, LogRecord};

use crate::args::Logs;
use crate::client::Client;
use crate::failure::Failure;
use crate::kept::Kept;
use crate::terminal;

/// Column of names.
const NAME_WIDTH: usize = 18;
/// How many lines are shown, if nothing is said.
const LINES: usize = 100;
/// Most records that are asked for at a time, and most pages.
const PAGE: usize = 1_000;
/// Most records that are shown.
const RECORDS_MAX: usize = 100_000;

pub(crate) async fn run(args: &Logs, data: Option<&Path>) -> Result<ExitCode, Failure> {
    match Kept::find(data).await? {
        Kept::Running(client) if args.follow || !is_of_records(args) => lines(args, &client).await,
        Kept::Folder(_) if args.follow => Client::find(data).await.map(|_| ExitCode::SUCCESS),
        kept => records(args, &kept).await,
    }
}

fn is_of_records(args: &Logs) -> bool {
    let asked = [&args.trace, &args.since, &args.level, &args.instance, &args.text];
    asked.into_iter().any(Option::is_some)
}

/// From memory.
async fn lines(args: &Logs, client: &Client) -> Result<ExitCode, Failure> {
    let mut path = format!("/v1/logs?lines={}&follow={}", args.lines.unwrap_or(LINES), args.follow);
    if let Some(service) = &args.service {
        known(client, service).await?;
        path.push_str(&format!("&service={service}"));
    }
    let stream = client.stream(&path).await?;
    tokio::select! {
        shown = show(stream, args) => shown.map(|()| ExitCode::SUCCESS),
        failure = terminal::reader_gone() => Err(failure),
    }
}

async fn show(mut stream: Incoming, args: &Logs) -> Result<(), Failure> {
    let mut text = Vec::new();
    let colours = terminal::colours();
    let query = narrowed(args)?;
    while let Some(frame) = stream.frame().await {
        let Ok(frame) = frame else { break };
        let Some(data) = frame.data_ref() else { continue };
        text.extend_from_slice(data);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            print(&line, query.as_ref(), args.json, colours)?;
        }
    }
    Ok(())
}

fn print(json: &[u8], query: Option<&LogQuery>, as_json: bool, colours: bool) -> Result<(), Failure> {
    let Ok(line) = serde_json::from_slice::<Line>(json) else { return Ok(()) };
    if query.is_some_and(|query| !query.is_met(&KeptLog { seq: 0, record: parsed(&line) })) {
        return Ok(());
    }
    if as_json {
        return terminal::print(&String::from_utf8_lossy(json));
    }
    let (name, stream) = (&line.instance, line.stream);
    terminal::print(&terminal::output_line(colours, NAME_WIDTH, name, stream, &line.text))
}

/// A line as the record that is kept of it.
fn parsed(line: &Line) -> LogRecord {
    let origin = Origin {
        service: line.service.clone().into(),
        instance: line.instance.clone().into(),
        stream: line.stream,
        at_ns: line.unix_ms * 1_000_000,
    };
    parse::line(origin, &line.text)
}

/// What is asked of lines as they come; none: all are wanted.
fn narrowed(args: &Logs) -> Result<Option<LogQuery>, Failure> {
    let asked = [("level", &args.level), ("instance", &args.instance), ("text", &args.text)];
    let pairs: Vec<_> = asked.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))).collect();
    if pairs.is_empty() {
        return Ok(None);
    }
    LogQuery::from_pairs(pairs.into_iter(), 0).map(Some).map_err(Failure::new)
}

/// From the window.
async fn records(args: &Logs, kept: &Kept) -> Result<ExitCode, Failure> {
    let most = if args.trace.is_some() || args.since.is_some() { RECORDS_MAX } else { LINES };
    let wanted = args.lines.unwrap_or(most);
    let mut newest_first: Vec<Value> = Vec::new();
    let mut before = String::new();
    while newest_first.len() < wanted {
        let limit = (wanted - newest_first.len()).min(PAGE).to_string();
        let mut pairs = vec![("limit", limit.as_str()), ("before", before.as_str())];
        let optional = [
            ("service", &args.service),
            ("trace", &args.trace),
            ("since", &args.since),
            ("level", &args.level),
            ("instance", &args.instance),
            ("text", &args.text),
        ];
        pairs.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))));
        let mut page = kept.ask("/api/logs", &pairs).await?;
        if let Value::Array(logs) = page["logs"].take() {
            newest_first.extend(logs);
        }
        match page["next"].as_str() {
            Some(next) => before = next.to_owned(),
            None => break,
        }
    }
    if newest_first.is_empty() && wanted > 0 && !args.json {
        terminal::print("  no line has all of that\n")?;
    }
    let colours = terminal::colours();
    for log in newest_first.iter().rev() {
        match args.json {
            true => terminal::print(&format!("{log}\n"))?,
            false => terminal::print(&record(log, colours))?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A record as a line.
fn record(log: &Value, colours: bool) -> String {
    let text = |key: &str| log[key].as_str().unwrap_or_default();
    let stream = match log["attributes"]["log.iostream"].as_str() {
        Some("stdout") => Stream::Stdout,
        Some("stderr") => Stream::Stderr,
        _ => Stream::Colony,
    };
    let name = if text("instance").is_empty() { text("service") } else { text("instance") };
    let said = format!("{:5} {}", text("level"), text("body"));
    terminal::output_line(colours, NAME_WIDTH, name, stream, &said)
}

/// A service that does not exist has no lines, which would look like silence.
async fn known(client: &Client, service: &str) -> Result<(), Failure> {
    let status = client.call(hyper::Method::GET, "/api/status", None).await?;
    let services = status["services"].as_array().into_iter().flatten();
    let names: Vec<&str> = services.filter_map(|service| service["name"].as_str()).collect();
    match names.contains(&service) {
        true => Ok(()),
        false => {
            Err(Failure::new(format!("there is no service `{service}`; there are {}", names.join(", "))))
        }
    }
}

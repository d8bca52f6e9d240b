//! `colony topics`: what there is, how far groups are, and what becomes of messages that fail.

use std::path::Path;

use hyper::Method;
use serde_json::{Value, json};

use super::ask::Ask;
use super::tell;
use super::through::{Whose, find};
use crate::args::verbs::{
    End, FailedTopics, LagTopics, ListTopics, Resolution, ResolveTopics, SeekTopics, TopicsCommand,
};
use crate::failure::Failure;
use crate::terminal::{self, Style};

pub(super) async fn run(command: &TopicsCommand, data: Option<&Path>) -> Result<(), Failure> {
    match command {
        TopicsCommand::List(args) => list(args, data).await,
        TopicsCommand::Lag(args) => lag(args, data).await,
        TopicsCommand::Seek(args) => seek(args, data).await,
        TopicsCommand::Failed(args) => failed(args, data).await,
        TopicsCommand::Resolve(args) => resolve(args, data).await,
    }
}

async fn list(args: &ListTopics, data: Option<&Path>) -> Result<(), Failure> {
    let way = find(&args.through, Whose::Nodes, data).await?;
    let answer = Ask::new(&way, Method::GET, &["topics", &args.pubsub]).query("max", "1000").answer().await?;
    if args.through.json {
        return terminal::print(&answer.line());
    }
    let told: Value = answer.read()?;
    let mut rows = Vec::new();
    for topic in members(&told, "topics") {
        let head = [(text(topic, "name"), Style::Name), plain(topic, "messages")];
        let groups = members(topic, "groups");
        rows.extend(groups.iter().map(|group| [&head[..], &standing(group)].concat()));
        if groups.is_empty() {
            rows.push(head.to_vec());
        }
    }
    table(
        &rows,
        &["TOPIC", " MESSAGES", "GROUP", " LAG", " ASIDE", " SKIPPED", " DEAD"],
        &format!("nothing was published to {}", args.pubsub),
    )
}

async fn lag(args: &LagTopics, data: Option<&Path>) -> Result<(), Failure> {
    let way = find(&args.through, Whose::Nodes, data).await?;
    let answer = Ask::new(&way, Method::GET, &["topics", &args.pubsub, &args.topic]).answer().await?;
    if args.through.json {
        return terminal::print(&answer.line());
    }
    let told: Value = answer.read()?;
    let mut rows = Vec::new();
    for group in members(&told, "groups") {
        for at in members(group, "partitions") {
            let partition =
                members(&told, "partitions").iter().find(|one| one["partition"] == at["partition"]);
            let next = partition.map_or_else(String::new, |partition| text(partition, "next"));
            rows.push(vec![
                (text(group, "name"), Style::Name),
                plain(at, "partition"),
                plain(at, "offset"),
                (next, Style::Plain),
                plain(at, "lag"),
            ]);
        }
    }
    table(
        &rows,
        &["GROUP", " PARTITION", " OFFSET", " END", " LAG"],
        &format!("nobody consumes {}", args.topic),
    )
}

async fn seek(args: &SeekTopics, data: Option<&Path>) -> Result<(), Failure> {
    let (to, said) = match (args.to, &args.time, args.partition, args.offset) {
        (Some(End::Start), ..) => (json!({ "to": "start" }), "the start".to_owned()),
        (Some(End::End), ..) => (json!({ "to": "end" }), "the end".to_owned()),
        (None, Some(time), ..) => (json!({ "time": time }), time.clone()),
        (None, None, partition, offset) => {
            let (partition, offset) = (partition.unwrap_or_default(), offset.unwrap_or_default());
            let said = format!("offset {offset} of partition {partition}");
            (json!({ "partition": partition, "offset": offset }), said)
        }
    };
    let way = find(&args.through, Whose::Nodes, data).await?;
    let segments = ["topics", &args.pubsub, &args.topic, "groups", &args.group, "seek"];
    Ask::new(&way, Method::POST, &segments).json(&to).answer().await?;
    let told = json!({ "topic": args.topic, "group": args.group, "moved": to });
    tell(args.through.json, &told, &format!("{} goes on at {said}\n", args.group))
}

async fn failed(args: &FailedTopics, data: Option<&Path>) -> Result<(), Failure> {
    let way = find(&args.through, Whose::Nodes, data).await?;
    let segments = ["topics", &args.pubsub, &args.topic, "groups", &args.group, "failed"];
    let answer = Ask::new(&way, Method::GET, &segments).query("max", args.max.to_string()).answer().await?;
    if args.through.json {
        return terminal::print(&answer.line());
    }
    let told: Value = answer.read()?;
    let row = |message: &Value| {
        let failures = members(message, "failures");
        let cause = failures.last().map_or_else(String::new, |failure| text(failure, "cause"));
        vec![
            (text(message, "key"), Style::Name),
            plain(message, "partition"),
            plain(message, "offset"),
            plain(message, "state"),
            plain(message, "attempts"),
            (cause.lines().next().unwrap_or_default().to_owned(), Style::Plain),
        ]
    };
    let rows: Vec<_> = members(&told, "messages").iter().map(row).collect();
    table(
        &rows,
        &["KEY", " PARTITION", " OFFSET", "STATE", " ATTEMPTS", "CAUSE"],
        &format!("{} has failed at nothing", args.group),
    )
}

async fn resolve(args: &ResolveTopics, data: Option<&Path>) -> Result<(), Failure> {
    let (action, said) = match args.action {
        Resolution::Retry => ("retry", "are delivered again"),
        Resolution::Skip => ("skip", "are left out"),
        Resolution::DeadLetter => ("deadLetter", "are dead letters"),
    };
    let mut body = json!({ "action": action });
    if let Some(key) = &args.key {
        body["key"] = key.as_str().into();
    }
    let way = find(&args.through, Whose::Nodes, data).await?;
    let segments = ["topics", &args.pubsub, &args.topic, "groups", &args.group, "resolve"];
    let resolved: Value = Ask::new(&way, Method::POST, &segments).json(&body).answer().await?.read()?;
    tell(args.through.json, &resolved, &format!("{} messages {said}\n", resolved["resolved"]))
}

fn table(rows: &[Vec<(String, Style)>], headings: &[&str], nothing: &str) -> Result<(), Failure> {
    terminal::print(&match rows.is_empty() {
        true => format!("{nothing}\n"),
        false => terminal::table(terminal::colours(), headings, rows),
    })
}

fn standing(group: &Value) -> Vec<(String, Style)> {
    vec![
        plain(group, "name"),
        plain(group, "lag"),
        plain(group, "aside"),
        plain(group, "skipped"),
        plain(group, "dead"),
    ]
}

fn members<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

fn plain(of: &Value, name: &str) -> (String, Style) {
    (text(of, name), Style::Plain)
}

fn text(of: &Value, name: &str) -> String {
    match &of[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

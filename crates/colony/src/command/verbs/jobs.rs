//! `colony jobs`: what an application is called for at its time.

use std::path::Path;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::ask::Ask;
use super::payload::named;
use super::through::{Whose, find};
use super::{spliced, tell};
use crate::args::verbs::{DeleteJob, OneJob, ScheduleJob, Through};
use crate::failure::Failure;
use crate::terminal::{self, Style};

pub(super) async fn list(through: &Through, data: Option<&Path>) -> Result<(), Failure> {
    let way = find(through, Whose::Applications, data).await?;
    let answer = Ask::new(&way, Method::GET, &["jobs"]).answer().await?;
    if through.json {
        return terminal::print(&answer.line());
    }
    let told: Value = answer.read()?;
    let jobs = told["jobs"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<Vec<(String, Style)>> = jobs.iter().map(row).collect();
    terminal::print(&match rows.is_empty() {
        true => "no jobs are scheduled\n".to_owned(),
        false => terminal::table(terminal::colours(), &["JOB", "SCHEDULE", "DUE", " REPEATS"], &rows),
    })
}

fn row(job: &Value) -> Vec<(String, Style)> {
    let text = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
    let repeats = job["repeats"].as_u64().map(|repeats| repeats.to_string()).unwrap_or_default();
    vec![
        (text("name"), Style::Name),
        (text("schedule"), Style::Plain),
        (text("dueTime"), Style::Plain),
        (repeats, Style::Plain),
    ]
}

pub(super) async fn get(args: &OneJob, data: Option<&Path>) -> Result<(), Failure> {
    let way = find(&args.through, Whose::Applications, data).await?;
    let answer = Ask::new(&way, Method::GET, &["jobs", &args.name]).answer().await?;
    if args.through.json {
        return terminal::print(&answer.line());
    }
    let job: Map<String, Value> = answer.read()?;
    let mut text = String::new();
    for (name, value) in &job {
        let value = if name == "data" { &value["value"] } else { value };
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.push_str(&format!("{name}: {value}\n"));
    }
    terminal::print(&text)
}

pub(super) async fn schedule(args: &ScheduleJob, data: Option<&Path>) -> Result<(), Failure> {
    let mut job = Map::new();
    for (name, text) in [("schedule", &args.schedule), ("dueTime", &args.due), ("ttl", &args.ttl)] {
        if let Some(text) = text {
            job.insert(name.to_owned(), text.as_str().into());
        }
    }
    if let Some(repeats) = args.repeats {
        job.insert("repeats".to_owned(), repeats.into());
    }
    if args.overwrite {
        job.insert("overwrite".to_owned(), true.into());
    }
    let job = Value::Object(job).to_string();
    let body = match args.payload.as_deref().map(named).transpose()? {
        None => job,
        Some(bytes) => {
            let text = String::from_utf8(bytes.to_vec()).map_err(|_| {
                Failure::new("what a job brings is JSON or text")
                    .hint("bytes can be sent as base64, in a text")
            })?;
            let data = match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
                Ok(_) => text.trim().to_owned(),
                Err(_) => Value::from(text).to_string(),
            };
            spliced(&job, "data", &data)
        }
    };
    let way = find(&args.through, Whose::Applications, data).await?;
    let ask = Ask::new(&way, Method::POST, &["jobs", &args.name]).once(&args.once)?;
    ask.json_text(body).answer().await?;
    tell(
        args.through.json,
        &json!({ "name": args.name, "scheduled": true }),
        &format!("scheduled {}\n", args.name),
    )
}

pub(super) async fn delete(args: &DeleteJob, data: Option<&Path>) -> Result<(), Failure> {
    let way = find(&args.through, Whose::Applications, data).await?;
    Ask::new(&way, Method::DELETE, &["jobs", &args.name]).once(&args.once)?.answer().await?;
    tell(
        args.through.json,
        &json!({ "name": args.name, "deleted": true }),
        &format!("deleted {}\n", args.name),
    )
}

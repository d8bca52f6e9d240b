//! `colony apply`, `restart`, `scale`, `stop`: commands to a running node.

use std::process::ExitCode;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::check::counted;
use crate::args;
use crate::client::Client;
use crate::failure::Failure;
use crate::terminal::{self, Style, paint, time};

pub(crate) async fn apply(args: &args::Json) -> Result<ExitCode, Failure> {
    let report = Client::find().await?.call(Method::POST, "/v1/apply", None).await?;
    if args.json {
        terminal::print(&format!("{report}\n"))?;
    } else {
        terminal::print(&crate::node::reload::render(&report, terminal::colours()))?;
    }
    Ok(match report["applied"].as_bool() {
        Some(true) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

pub(crate) async fn restart(args: &args::OneService) -> Result<ExitCode, Failure> {
    let done = ask("restart", json!({ "service": args.service })).await?;
    say(args.json, &done, "restarted")
}

pub(crate) async fn scale(args: &args::Scale) -> Result<ExitCode, Failure> {
    let done = ask("scale", json!({ "service": args.service, "instances": args.instances })).await?;
    say(args.json, &done, "scaled")
}

pub(crate) async fn stop(args: &args::Stop) -> Result<ExitCode, Failure> {
    let Some(service) = &args.service else {
        let client = Client::find().await?;
        let done = client.call(Method::POST, "/v1/stop", Some(json!({}))).await?;
        while crate::socket::connect(&client.root().join(".colony")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        terminal::print(&if args.json {
            format!("{done}\n")
        } else {
            format!("stopped {}\n", done["stopping"].as_str().unwrap_or("everything"))
        })?;
        return Ok(ExitCode::SUCCESS);
    };
    let done = ask("stop", json!({ "service": service })).await?;
    say(args.json, &done, "stopped")
}

async fn ask(what: &str, body: Value) -> Result<Value, Failure> {
    Client::find().await?.call(Method::POST, &format!("/v1/{what}"), Some(body)).await
}

fn say(as_json: bool, done: &Value, what: &str) -> Result<ExitCode, Failure> {
    if as_json {
        terminal::print(&format!("{done}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let took = Duration::from_millis(done["took_ms"].as_u64().unwrap_or(0));
    let instances = done["instances"].as_array().map_or(0, Vec::len);
    let count = match instances {
        0 => String::new(),
        count => format!(": {}", counted(count, "instance")),
    };
    let service = done["service"].as_str().unwrap_or("");
    let said = paint(terminal::colours(), Style::Good, what);
    terminal::print(&format!("{said} {service} in {}{count}\n", time(took)))?;
    Ok(ExitCode::SUCCESS)
}

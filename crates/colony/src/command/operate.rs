//! `colony apply`, `restart`, `scale`, `stop`: commands to a running node.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Method;
use serde_json::{Value, json};
use telemetry::logs::{Line, Stream};

use super::check::counted;
use crate::args;
use crate::client::{Client, part};
use crate::failure::Failure;
use crate::terminal::{self, Style, paint, time};

/// What the lines of a build have for an instance.
const BUILD: &str = "build";

pub(crate) async fn apply(args: &args::Json, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let report = Client::find(data).await?.call(Method::POST, "/api/apply", None).await?;
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

pub(crate) async fn restart(args: &args::OneService, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let client = Client::find(data).await?;
    let path = format!("/api/services/{}/restart", part(&args.service));
    let asking = client.call(Method::POST, &path, None);
    let done = match args.json {
        true => asking.await?,
        false => showing_build(&client, &args.service, asking).await?,
    };
    say(args.json, &done, "restarted")
}

pub(crate) async fn scale(args: &args::Scale, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let done = ask(data, &args.service, "scale", Some(json!({ "instances": args.instances }))).await?;
    say(args.json, &done, "scaled")
}

pub(crate) async fn stop(args: &args::Stop, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let Some(service) = &args.service else {
        let client = Client::find(data).await?;
        let done = client.call(Method::POST, "/api/stop", None).await?;
        client.gone().await;
        terminal::print(&if args.json {
            format!("{done}\n")
        } else {
            format!("stopped {}\n", done["stopping"].as_str().unwrap_or("everything"))
        })?;
        return Ok(ExitCode::SUCCESS);
    };
    let done = ask(data, service, "stop", None).await?;
    say(args.json, &done, "stopped")
}

/// Shows what a build of the service writes, until the answer is there.
async fn showing_build<T>(client: &Client, service: &str, asking: impl Future<Output = T>) -> T {
    let path = format!("/v1/logs?lines=0&follow=true&service={service}");
    let Ok(mut stream) = client.stream(&path).await else { return asking.await };
    let shown = async {
        let mut text = Vec::new();
        while let Some(Ok(frame)) = stream.frame().await {
            text.extend_from_slice(frame.data_ref().map_or(&[], |data| data.as_ref()));
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let json: Vec<u8> = text.drain(..=end).collect();
                show_build_line(service, &json);
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        done = asking => done,
        never = shown => never,
    }
}

fn show_build_line(service: &str, json: &[u8]) {
    let Ok(line) = serde_json::from_slice::<Line>(json) else { return };
    let begins = line.stream == Stream::Colony && line.text.starts_with(&format!("{service}: building"));
    if begins || line.instance == BUILD {
        terminal::end_progress();
        terminal::out(&terminal::output_line(
            terminal::colours(),
            BUILD.len(),
            BUILD,
            line.stream,
            &line.text,
        ));
    }
}

async fn ask(data: Option<&Path>, service: &str, what: &str, body: Option<Value>) -> Result<Value, Failure> {
    let path = format!("/api/services/{}/{what}", part(service));
    Client::find(data).await?.call(Method::POST, &path, body).await
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

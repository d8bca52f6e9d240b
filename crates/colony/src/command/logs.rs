//! `colony logs`: what the services have written, and what they write.

use std::path::Path;
use std::process::ExitCode;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use telemetry::logs::Line;

use crate::args::Logs;
use crate::client::Client;
use crate::failure::Failure;
use crate::terminal;

/// Column of names.
const NAME_WIDTH: usize = 18;

pub(crate) async fn run(args: &Logs, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let client = Client::find(data).await?;
    let mut path = format!("/v1/logs?lines={}&follow={}", args.lines, args.follow);
    if let Some(service) = &args.service {
        known(&client, service).await?;
        path.push_str(&format!("&service={service}"));
    }
    let stream = client.stream(&path).await?;
    tokio::select! {
        shown = show(stream, args.json) => shown.map(|()| ExitCode::SUCCESS),
        failure = terminal::reader_gone() => Err(failure),
    }
}

async fn show(mut stream: Incoming, as_json: bool) -> Result<(), Failure> {
    let mut text = Vec::new();
    let colours = terminal::colours();
    while let Some(frame) = stream.frame().await {
        let Ok(frame) = frame else { break };
        let Some(data) = frame.data_ref() else { continue };
        text.extend_from_slice(data);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            print(&line, as_json, colours)?;
        }
    }
    Ok(())
}

fn print(json: &[u8], as_json: bool, colours: bool) -> Result<(), Failure> {
    if as_json {
        return terminal::print(&String::from_utf8_lossy(json));
    }
    match serde_json::from_slice::<Line>(json) {
        Ok(line) => {
            let (name, stream) = (&line.instance, line.stream);
            terminal::print(&terminal::output_line(colours, NAME_WIDTH, name, stream, &line.text))
        }
        Err(_) => Ok(()),
    }
}

/// A service that does not exist has no lines, which would look like silence.
async fn known(client: &Client, service: &str) -> Result<(), Failure> {
    let status = client.call(hyper::Method::GET, "/v1/status", None).await?;
    let services = status["services"].as_array().into_iter().flatten();
    let names: Vec<&str> = services.filter_map(|service| service["name"].as_str()).collect();
    match names.contains(&service) {
        true => Ok(()),
        false => {
            Err(Failure::new(format!("there is no service `{service}`; there are {}", names.join(", "))))
        }
    }
}

//! `colony list`, and `colony stop --app-id`: the applications that are served on this machine, whichever process they belong to.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::args::{List, ListAs, Stop};
use crate::failure::Failure;
use crate::registry;
use crate::sidecars::{self, About};
use crate::source;
use crate::terminal::{self, Style};

pub(crate) async fn run(args: &List, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let mut all = Vec::new();
    for folder in folders(data) {
        all.extend(sidecars::list(&folder).await.unwrap_or_default());
    }
    let text = match if args.json { ListAs::Json } else { args.output } {
        ListAs::Table => table(&all),
        ListAs::Json => format!("{}\n", Value::from_iter(all.iter().map(object))),
        ListAs::Yaml => yaml(&all),
    };
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Ends applications by their ids.
pub(crate) async fn stop(args: &Stop, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let folders = folders(data);
    for app_id in &args.app_id {
        let mut ended = 0;
        for folder in &folders {
            ended += sidecars::stop(folder, app_id).await.unwrap_or(0);
        }
        match ended {
            0 => {
                return Err(Failure::new(format!("no application {app_id:?} is served"))
                    .hint("`colony list` says which are"));
            }
            ended if args.json => {
                terminal::print(&format!("{{\"app_id\":{:?},\"ended\":{ended}}}\n", app_id))?
            }
            1 => terminal::print(&format!("{app_id} is being ended\n"))?,
            several => terminal::print(&format!("{several} instances of {app_id} are being ended\n"))?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where somebody may serve: what was named, else all that this user has on this machine.
pub(super) fn folders(data: Option<&Path>) -> Vec<PathBuf> {
    let engine = source::shared_data(data).join(sidecars::FOLDER);
    let mut folders = if data.is_some() { Vec::new() } else { registry::hosts() };
    if !folders.contains(&engine) {
        folders.push(engine);
    }
    folders
}

fn table(all: &[About]) -> String {
    let headings = ["APP ID", "HTTP PORT", "GRPC PORT", "APP PORT", "COMMAND", "AGE", "APP PID", "PID"];
    let rows: Vec<Vec<(String, Style)>> = all
        .iter()
        .map(|one| {
            let note = |key: &str| one.notes.get(key).cloned().unwrap_or_default();
            let plain = |text: String| (text, Style::Plain);
            vec![
                (one.app_id.clone(), Style::Name),
                plain(port(&one.http)),
                plain(port(&one.grpc)),
                plain(one.app_port.map(|port| port.to_string()).unwrap_or_default()),
                // In a manifest it may have several lines.
                plain(note("appCommand").split_whitespace().collect::<Vec<_>>().join(" ")),
                plain(terminal::time(age(one))),
                plain(note("appPID")),
                plain(note("sidecarPID")),
            ]
        })
        .collect();
    match all {
        [] => "nothing is served; `colony run` and `colony sidecar` serve applications\n".to_owned(),
        _ => terminal::table(terminal::colours(), &headings, &rows),
    }
}

/// As `dapr list` names what it tells.
fn object(one: &About) -> Value {
    let note = |key: &str| one.notes.get(key).cloned().unwrap_or_default();
    let number = |text: String| Value::from(text.parse::<u64>().unwrap_or(0));
    let created = UNIX_EPOCH + Duration::from_millis(one.since_unix_ms);
    let mut object = Map::new();
    let mut add = |key: &str, value: Value| object.insert(key.to_owned(), value);
    add("appId", one.app_id.as_str().into());
    add("httpPort", number(port(&one.http)));
    add("grpcPort", number(port(&one.grpc)));
    add("appPort", one.app_port.unwrap_or(0).into());
    add("appProtocol", one.app_protocol.as_str().into());
    add("command", note("appCommand").into());
    add("age", terminal::time(age(one)).into());
    add("created", humantime::format_rfc3339_seconds(created).to_string().into());
    add("daprdPid", number(note("sidecarPID")));
    add("cliPid", number(note("cliPID")));
    add("appPid", number(note("appPID")));
    add("runTemplatePath", note("runTemplatePath").into());
    add("runTemplateName", note("runTemplateName").into());
    add("appLogPath", note("appLogPath").into());
    add("daprdLogPath", note("daprdLogPath").into());
    add("http", one.http.clone().into());
    add("grpc", one.grpc.clone().into());
    add("servedBy", one.holder.into());
    object.into()
}

/// A scalar of JSON is one of YAML.
fn yaml(all: &[About]) -> String {
    let mut text = String::new();
    for one in all {
        let Value::Object(object) = object(one) else { continue };
        for (at, (key, value)) in object.iter().enumerate() {
            let _ = writeln!(text, "{} {key}: {value}", if at == 0 { "-" } else { " " });
        }
    }
    if all.is_empty() { "[]\n".to_owned() } else { text }
}

/// The port of an address; of a socket there is none.
fn port(addresses: &[String]) -> String {
    let first = addresses.first().and_then(|address| address.rsplit(':').next());
    first.filter(|port| port.parse::<u16>().is_ok()).unwrap_or_default().to_owned()
}

fn age(one: &About) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(one.since_unix_ms))
}

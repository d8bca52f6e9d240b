//! What is kept of traces and logs, wherever it is: asked of the node that runs, or read from the data folder of one that does not.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::Method;
use serde_json::Value;
use telemetry::Telemetry;

use crate::client::Client;
use crate::failure::Failure;
use crate::node::TELEMETRY;
use crate::source;

/// Whom to ask.
pub(crate) enum Kept {
    /// A node.
    Running(Client),
    /// Its folder.
    Folder(Telemetry),
}

impl Kept {
    /// That of the node that a command means; of one that is down where none is up.
    pub(crate) async fn find(data: Option<&Path>) -> Result<Kept, Failure> {
        let failure = match Client::find(data).await {
            Ok(client) => return Ok(Kept::Running(client)),
            Err(failure) => failure,
        };
        let Some(folder) = folder(data) else { return Err(failure) };
        let read = Telemetry::read(&folder);
        Ok(Kept::Folder(
            read.map_err(|error| Failure::new(format!("cannot read {}: {error}", folder.display())))?,
        ))
    }

    /// The JSON that a path of the API answers.
    pub(crate) async fn ask(&self, path: &str, pairs: &[(&str, &str)]) -> Result<Value, Failure> {
        let query: Vec<String> =
            pairs.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
        let query = query.join("&");
        match self {
            Kept::Running(client) => client.call(Method::GET, &format!("{path}?{query}"), None).await,
            Kept::Folder(telemetry) => {
                let answer = telemetry::api::answer(telemetry, path, &query, unix_ns());
                let value: Value = serde_json::from_str(&answer.body).unwrap_or_default();
                match answer.status {
                    200 => Ok(value),
                    _ => Err(Failure::new(value["detail"].as_str().unwrap_or_default().to_owned())),
                }
            }
        }
    }
}

/// The folder that was named, or the nearest: here or above.
fn folder(data: Option<&Path>) -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let known = data.map(|data| data.join(TELEMETRY));
    let near = here.ancestors().map(|folder| folder.join(source::DATA).join(TELEMETRY));
    match known {
        Some(known) => Some(known).filter(|folder| folder.is_dir()),
        None => near.into_iter().find(|folder| folder.is_dir()),
    }
}

/// As it may stand behind the `?` of a URL.
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

//! `colony sidecar` on resource files of a test's own.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use prost::Message;
use serde_json::Value;
use tempfile::TempDir;

use crate::world::{self, Answer};

/// A sidecar that serves, ended when dropped.
pub struct Sidecar {
    child: Child,
    pub said: Vec<Value>,
    http: SocketAddr,
    grpc: SocketAddr,
}

/// A folder with files.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    folder
}

/// A component in a file of its own.
pub fn component(name: &str, kind: &str, settings: &[(&str, &str)], more: &str) -> String {
    let settings: String = settings
        .iter()
        .map(|(name, value)| format!("    - name: {name}\n      value: \"{value}\"\n"))
        .collect();
    let metadata = if settings.is_empty() { String::new() } else { format!("  metadata:\n{settings}") };
    format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\nspec:\n  type: {kind}\n  version: v1\n{metadata}{more}"
    )
}

/// The command in a folder whose `resources` it reads.
pub fn command(folder: &Path, app_id: &str, more: &[&str]) -> Command {
    let mut command = Command::new(world::binary());
    command
        .args(["sidecar", "--app-id", app_id, "--dapr-http-port", "0", "--dapr-grpc-port", "0"])
        .args(["--dapr-listen-addresses", "127.0.0.1", "--resources-path", "resources"])
        .args(more)
        .current_dir(folder)
        .env_remove("DAPR_API_TOKEN")
        .stdin(Stdio::null());
    command
}

/// What a sidecar says that does not start.
pub fn refused(folder: &Path, app_id: &str, more: &[&str]) -> String {
    let output: Output = command(folder, app_id, more).output().expect("colony runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(!output.status.success(), "it started: {text}");
    text
}

impl Sidecar {
    /// Starts it, and waits until it serves.
    pub fn start(folder: &Path, app_id: &str, more: &[&str], env: &[(&str, &str)]) -> Sidecar {
        let mut command = command(folder, app_id, more);
        command.arg("--log-as-json").envs(env.iter().copied()).stdout(Stdio::piped());
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let child = command.spawn().expect("colony starts");
        let mut sidecar = Sidecar { child, said: Vec::new(), http: nowhere, grpc: nowhere };
        let mut lines = BufReader::new(sidecar.child.stdout.take().expect("piped")).lines();
        loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {:#?}", sidecar.said)).expect("text");
            let line: Value = serde_json::from_str(&line).unwrap_or(Value::String(line));
            sidecar.said.push(line.clone());
            if line["event"] == "ready" {
                let address =
                    |of: &str| line[of][0].as_str().expect("an address").parse().expect("an address");
                (sidecar.http, sidecar.grpc) = (address("http"), address("grpc"));
                // Somebody reads on, or it would wait at a full pipe.
                std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
                return sidecar;
            }
        }
    }

    /// Asks over HTTP.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask_with(method, path, &[], body)
    }

    /// Asks over HTTP, with headers.
    pub fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        world::request(&self.http.to_string(), method, path, headers, Some(body))
    }

    /// Asks over HTTP and is answered JSON, or nothing.
    pub fn json(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let answer = self.ask(method, path, body);
        let json = if answer.body.is_empty() { Value::Null } else { answer.json() };
        (answer.status, json)
    }

    /// Calls a method over gRPC: what it answers, or its status and message.
    pub fn call<T: Message + Default>(
        &self,
        method: &str,
        request: &impl Message,
    ) -> Result<T, (u32, String)> {
        let message = request.encode_to_vec();
        let mut frame = vec![0];
        frame.extend((message.len() as u32).to_be_bytes());
        frame.extend(message);
        let url = format!("http://{}/dapr.proto.runtime.v1.Dapr/{method}", self.grpc);
        let mut curl = Command::new("curl")
            .args(["-sS", "--http2-prior-knowledge", "-X", "POST", "-H", "content-type: application/grpc"])
            .args(["-H", "te: trailers", "--data-binary", "@-", "-D", "/dev/stderr", "-o", "-", &url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("curl is installed");
        curl.stdin.take().expect("piped").write_all(&frame).expect("sent");
        let output = curl.wait_with_output().expect("curl ends");
        let head = String::from_utf8_lossy(&output.stderr).into_owned();
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.map(|value| value.trim().to_owned())
        };
        match field("grpc-status").as_deref() {
            Some("0") => Ok(T::decode(&output.stdout[5..]).expect("a message")),
            Some(status) => {
                Err((status.parse().expect("a number"), field("grpc-message").unwrap_or_default()))
            }
            None => panic!("no answer: {head}"),
        }
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

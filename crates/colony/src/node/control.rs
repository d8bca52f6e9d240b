//! The node's control interface: what the console answers, over a socket in the node's data folder, which only its user may
//! open. `colony status`, `logs`, `restart` and the rest are its clients.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use console::Console;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use telemetry::logs::LogWindow;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

<<<<<<< HEAD
use super::{Node, measure};
use crate::args::Force;
use crate::command::explain;
use crate::faults::Wanted;
=======
use super::Node;
>>>>>>> 16c6b0c (The console: a page of the running system, the JSON behind it, and its door)
use crate::socket::{self, SOCKET};

/// Lines of a log sent at a time.
const LOG_LOT: usize = 256;

/// Opens the socket and answers until the task is aborted.
pub(crate) fn serve(node: &Node, console: Console) -> io::Result<JoinHandle<()>> {
    let data_dir = node.source.data_dir();
    let path = data_dir.join(SOCKET);
    let listener = socket::listen(&data_dir)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let logs = node.logs.clone();
    Ok(tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let (console, logs) = (console.clone(), logs.clone());
            tokio::spawn(async move {
                let service = service_fn(|request| answer(&console, &logs, request));
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }))
}

<<<<<<< HEAD
/// What a command may say.
#[derive(Deserialize, Default)]
struct Command {
    service: Option<String>,
    instances: Option<u32>,
    call: Option<String>,
    state: Option<Force>,
    fault: Option<Wanted>,
    id: Option<u64>,
}

async fn answer(node: Arc<Node>, request: Request<Incoming>) -> Result<Response<Lines>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if head.method == Method::GET && path == "/v1/metrics" {
        let asked = measure::api::metrics(&node, head.uri.query().unwrap_or(""));
        return Ok(match asked {
            Ok(value) => json_answer(StatusCode::OK, "application/json", &node.printer.redacted(value)),
            Err(why) => Problem::new(StatusCode::BAD_REQUEST, why).answer(&node),
        });
    }
    if (&head.method, path.as_str()) == (&Method::GET, "/v1/logs") {
        return Ok(logs(node.logs.clone(), head.uri.query().unwrap_or("")));
    }
    if head.method == Method::GET && telemetry::api::is_path(&path) {
        return Ok(kept(&node, path, head.uri.query().unwrap_or("").to_owned()).await);
    }
    let command = match Limited::new(body, COMMAND_BYTES_MAX).collect().await.map(|body| body.to_bytes()) {
        Ok(bytes) if bytes.is_empty() => Ok(Command::default()),
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map_err(|error| format!("the command is not valid: {error}"))
        }
        Err(error) => Err(format!("the command could not be read: {error}")),
    };
    let done = match command {
        Ok(command) => carry_out(&node, &head.method, &path, command).await,
        Err(detail) => Err(Problem { status: StatusCode::BAD_REQUEST, detail }),
    };
    Ok(match done {
        Ok(value) => json_answer(StatusCode::OK, "application/json", &node.printer.redacted(value)),
        Err(problem) => problem.answer(&node),
    })
}

/// What is kept of traces and logs. Reads the disk, so another thread does it.
async fn kept(node: &Arc<Node>, path: String, query: String) -> Response<Lines> {
    let telemetry = node.telemetry().clone();
    let now_ns = super::unix_ms() * 1_000_000;
    let asked = move || telemetry::api::answer(&telemetry, &path, &query, now_ns);
    let Ok(told) = tokio::task::spawn_blocking(asked).await else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "what is kept could not be read")
            .answer(node);
    };
    let mut answer = Response::new(Lines::once(node.printer.redact(&told.body)));
    *answer.status_mut() = StatusCode::from_u16(told.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// Why a command was not carried out.
struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into() }
    }

    fn answer(self, node: &Node) -> Response<Lines> {
        let title = self.status.canonical_reason();
        let document = json!({ "status": self.status.as_u16(), "title": title, "detail": self.detail });
        json_answer(self.status, "application/problem+json", &node.printer.redacted(document))
    }
}

async fn carry_out(
    node: &Arc<Node>,
    method: &Method,
    path: &str,
    command: Command,
) -> Result<Value, Problem> {
    let refused = |error: CommandError| refused(&error);
    let done = match (method.as_str(), path, command.service) {
        ("GET", "/v1/status", _) => serde_json::to_value(node.status()),
        ("GET", "/v1/slos", _) => Ok(measure::api::slos(node)),
        ("GET", "/v1/top", _) => Ok(measure::digest::top(node).await),
        ("POST", "/v1/apply", _) => {
            let report = node.reload().await;
            // What is wrong with the manifest is told to whoever asked.
            if report["drawn"].is_null() {
                node.printer.reloaded(&report);
            }
            Ok(report)
        }
        ("POST", "/v1/restart", Some(service)) => {
            node.printer.changed("rollout", format!("the instances of {service} are replaced"));
            serde_json::to_value(node.supervisor.restart(&service, None).await.map_err(refused)?)
        }
        ("POST", "/v1/stop", Some(service)) => {
            node.printer.changed("stop", format!("{service} is stopped"));
            let done = node.supervisor.stop(&service).await.map_err(refused)?;
            node.mesh.give_up(&service);
            serde_json::to_value(done)
        }
        ("POST", "/v1/scale", Some(service)) => {
            let Some(instances) = command.instances else {
                return Err(Problem::new(StatusCode::BAD_REQUEST, "`instances` is missing"));
            };
            node.printer.changed("scale", format!("{service} is to have {instances} instances"));
            serde_json::to_value(node.supervisor.scale(&service, instances).await.map_err(refused)?)
        }
        ("POST", "/v1/stop", None) => {
            node.ending.notify_one();
            let name = node.current().manifest.name.clone();
            Ok(json!({ "stopping": name, "manifest": node.source.file }))
        }
        ("POST", "/v1/breaker", _) => {
            let (Some(call), Some(state)) = (command.call, command.state) else {
                return Err(Problem::new(StatusCode::BAD_REQUEST, "`call` or `state` is missing"));
            };
            force_breaker(node, &call, state)?;
            let how = json!(state).as_str().unwrap_or_default().to_owned();
            node.printer.changed("breaker", format!("the breaker of {call} is set to {how}"));
            Ok(json!({ "call": call, "state": state }))
        }
        ("POST", "/v1/terms", _) => {
            let (manifest, call) = (node.current().manifest.clone(), command.call.unwrap_or_default());
            let terms = explain::live::terms(&node.source, manifest, &call);
            Ok(terms.ok_or_else(|| impossible(format!("there is no call `{call}`")))?)
        }
        ("GET", "/v1/faults", _) => Ok(json!({ "faults": node.mesh.status().faults })),
        ("POST", "/v1/faults", _) => {
            let wanted = command.fault;
            let wanted = wanted.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "`fault` is missing"))?;
            serde_json::to_value(node.add_fault(&wanted).map_err(impossible)?)
        }
        ("DELETE", "/v1/faults", _) => {
            Ok(json!({ "cleared": node.clear_faults(command.id).map_err(impossible)? }))
        }
        ("POST", "/v1/restart" | "/v1/scale", None) => {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "`service` is missing"));
        }
        _ => return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no {method} {path}"))),
    };
    done.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn impossible(why: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why)
}

fn force_breaker(node: &Node, call: &str, state: Force) -> Result<(), Problem> {
    let force = match state {
        Force::Open => policy::Force::Open,
        Force::Closed => policy::Force::Closed,
        Force::Auto => policy::Force::Auto,
    };
    node.mesh.force_breaker(call, force).map_err(|error| {
        let detail = match error {
            ForceError::NoCall { known } if known.is_empty() => {
                format!("there is no call `{call}`, nor any other")
            }
            ForceError::NoCall { known } => {
                format!("there is no call `{call}`; there are\n    {}", known.join("\n    "))
            }
            ForceError::NoBreaker => format!("`{call}` has `breaker: none`, so there is nothing to force"),
        };
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    })
}

fn refused(error: &CommandError) -> Problem {
    let status = if error.is_callers() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::CONFLICT };
    let mut detail = error.to_string();
    if let CommandError::Failed { last_lines, .. } = error {
        for line in last_lines {
            detail.push_str("\n    ");
            detail.push_str(line);
        }
    }
    Problem { status, detail }
}

fn json_answer(status: StatusCode, content_type: &'static str, value: &Value) -> Response<Lines> {
    let mut answer = Response::new(Lines::once(format!("{value}\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
=======
async fn answer(
    console: &Console,
    lines: &Arc<LogWindow>,
    request: Request<Incoming>,
) -> Result<Response<console::Body>, Infallible> {
    if (request.method(), request.uri().path()) == (&Method::GET, "/v1/logs") {
        return Ok(logs(lines.clone(), request.uri().query().unwrap_or("")));
    }
    Ok(console.answer(request).await)
>>>>>>> 16c6b0c (The console: a page of the running system, the JSON behind it, and its door)
}

/// The last lines, and if asked for all that come, as one JSON object a line.
fn logs(window: Arc<LogWindow>, query: &str) -> Response<console::Body> {
    let parameter = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    };
    let service = parameter("service");
    let count = parameter("lines").and_then(|text| text.parse().ok()).unwrap_or(100);
    let follow = parameter("follow").is_some_and(|value| value == "true");
    let (sender, receiver) = mpsc::channel(8);
    tokio::spawn(async move {
        let mut newest = window.newest();
        let mut tail = window.tail(service.as_deref(), count);
        tail.retain(|line| line.seq <= newest);
        if sender.send(lot(&tail)).await.is_err() {
            return;
        }
        while follow && !sender.is_closed() {
            tokio::select! {
                () = window.changed(newest) => {}
                () = sender.closed() => return,
            }
            let since = window.since(newest, service.as_deref(), LOG_LOT);
            newest = since.next;
            if !since.lines.is_empty() && sender.send(lot(&since.lines)).await.is_err() {
                return;
            }
        }
    });
    let mut answer = Response::new(console::Body::new(Lines(receiver)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    answer
}

fn lot(lines: &[telemetry::logs::Line]) -> Bytes {
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line).unwrap_or_default());
        text.push('\n');
    }
    text.into()
}

/// A body of text, as it comes.
struct Lines(mpsc::Receiver<Bytes>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

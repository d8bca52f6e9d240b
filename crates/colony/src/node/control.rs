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

use super::Node;
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

async fn answer(
    console: &Console,
    lines: &Arc<LogWindow>,
    request: Request<Incoming>,
) -> Result<Response<console::Body>, Infallible> {
    if (request.method(), request.uri().path()) == (&Method::GET, "/v1/logs") {
        return Ok(logs(lines.clone(), request.uri().query().unwrap_or("")));
    }
    Ok(console.answer(request).await)
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

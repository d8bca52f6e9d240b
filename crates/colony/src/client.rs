//! Talks to a running node over the socket in its data folder.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::failure::Failure;
use crate::socket::connect;
use crate::terminal;

/// A running node.
pub(crate) struct Client {
    data_dir: PathBuf,
}

impl Client {
    /// The node of a data folder, whether or not it answers.
    pub(crate) fn at(data_dir: &Path) -> Client {
        Client { data_dir: data_dir.to_owned() }
    }

    /// Waits until the node is gone.
    pub(crate) async fn gone(&self) {
        while connect(&self.data_dir).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks, and waits for the whole answer; tells a person at a terminal when that takes long.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let waiting = tokio::spawn(tell_waiting());
        let answer = self.call_quietly(method, path, body).await;
        waiting.abort();
        terminal::end_progress();
        answer
    }

    /// The same without a word to whoever sits at the terminal.
    pub(crate) async fn call_quietly(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let answer = self.send(method, path, body).await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.map_err(lost)?.to_bytes();
        let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        match status.is_success() {
            true => Ok(value),
            false => Err(refused(status, &value)),
        }
    }

    /// Asks, and gives the answer as it comes.
    pub(crate) async fn stream(&self, path: &str) -> Result<Incoming, Failure> {
        let answer = self.send(Method::GET, path, None).await?;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            status => {
                let bytes = answer.into_body().collect().await.map_err(lost)?.to_bytes();
                Err(refused(status, &serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Response<Incoming>, Failure> {
        let stream = connect(&self.data_dir).await.map_err(|error| {
            Failure::new(format!(
                "the node with its data in {} does not answer: {error}",
                self.data_dir.display()
            ))
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        tokio::spawn(connection);
        let body = Full::new(body.map_or(Bytes::new(), |value| value.to_string().into()));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "colony")
            .header("content-type", "application/json")
            .body(body)
            .map_err(|error| Failure::new(format!("cannot ask the node: {error}")))?;
        sender.send_request(request).await.map_err(lost)
    }
}

/// Counts the seconds for a person at a terminal, until it is aborted.
async fn tell_waiting() {
    let started = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let seconds = started.elapsed().as_secs();
        terminal::progress(&format!("waiting, {seconds} s; `colony logs -f` shows what happens"));
    }
}

fn lost(error: hyper::Error) -> Failure {
    Failure::new(format!("the node went away: {error}"))
}

fn refused(status: StatusCode, problem: &Value) -> Failure {
    let text = |key: &str| problem.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut failure = Failure::new(text("detail").unwrap_or_else(|| format!("the node answered {status}")));
    if let Some(remedy) = text("remedy") {
        failure = failure.hint(remedy);
    }
    failure
}

/// A name as part of an address.
pub(crate) fn part(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

//! A sidecar in this process, and clients that write requests by hand.

use std::sync::Arc;
use std::time::Duration;

use api::config::{Block, Component, Place, Prefix};
use api::{Api, Config, Host, Instance, Server};
use bytes::{Buf, Bytes};
use engine::Embedded;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A sidecar of the application `shop`.
pub struct World {
    /// The one that answered first.
    pub api: Arc<Api>,
    pub instance: Arc<Instance>,
    pub http: String,
    pub grpc: String,
    pub said: Arc<std::sync::Mutex<Vec<String>>>,
    stop: Arc<Notify>,
    running: JoinHandle<()>,
    pub host: Arc<Host>,
    _dir: Arc<TempDir>,
}

impl World {
    pub async fn new() -> World {
        World::with(|_| {}).await
    }

    /// One that is set up otherwise.
    pub async fn with(change: impl FnOnce(&mut Config)) -> World {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let disk = Embedded::open_in(dir.path(), engine::Config::default()).unwrap();
        World::on(Host::new(disk, engine::Config::default()), dir, "shop", change).await
    }

    /// That of another application of the same host.
    pub async fn beside(&self, app_id: &str, change: impl FnOnce(&mut Config)) -> World {
        World::on(Arc::clone(&self.host), Arc::clone(&self._dir), app_id, change).await
    }

    async fn on(host: Arc<Host>, dir: Arc<TempDir>, app_id: &str, change: impl FnOnce(&mut Config)) -> World {
        let local = || vec!["127.0.0.1:0".parse().unwrap()];
        let mut config = Config { http: local(), grpc: local(), ..Config::new(app_id) };
        change(&mut config);
        let said: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
        let saying = Arc::clone(&said);
        let say = Box::new(move |line: &str| saying.lock().unwrap().push(line.to_owned()));
        let instance = host.join(config, say).unwrap();
        let api = instance.api();
        let server = Server::bind(&api.config).await.unwrap();
        let (http, grpc) = (server.http_addresses()[0].to_string(), server.grpc_addresses()[0].to_string());
        let stop = Arc::new(Notify::new());
        let running = tokio::spawn({
            let (instance, stop) = (Arc::clone(&instance), Arc::clone(&stop));
            async move { server.run(&instance, stop.notified()).await }
        });
        World { api, instance, http, grpc, said, stop, running, host, _dir: dir }
    }

    /// Has it answer by what is declared otherwise from now on.
    pub fn renew(&self, change: impl FnOnce(&mut Config)) {
        let mut config = self.instance.api().config.clone();
        change(&mut config);
        self.instance.renew(config).unwrap();
    }

    /// Asks for the end, and waits for it.
    pub async fn end(self) {
        self.stop.notify_one();
        self.ended().await;
    }

    /// Waits for the end.
    pub async fn ended(self) {
        timeout(PATIENCE, self.running).await.expect("it ends").unwrap();
    }

    pub async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask_with(method, path, &[], body.as_bytes()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, body).await
    }

    pub async fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.http);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        let mut stream = TcpStream::connect(&self.http).await.unwrap();
        stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        Answer::read(&mut stream).await
    }

    /// Makes a call.
    pub async fn call<T: prost::Message + Default>(
        &self,
        method: &str,
        request: &impl prost::Message,
    ) -> Result<T, Refused> {
        self.call_with(method, request, HeaderMap::new()).await
    }

    pub async fn call_with<T: prost::Message + Default>(
        &self,
        method: &str,
        request: &impl prost::Message,
        metadata: HeaderMap,
    ) -> Result<T, Refused> {
        let message = request.encode_to_vec();
        let mut body = vec![0];
        body.extend_from_slice(&(message.len() as u32).to_be_bytes());
        body.extend_from_slice(&message);
        let uri = format!("http://{}/{method}", self.grpc);
        let mut request =
            Request::post(uri).header("content-type", "application/grpc").header("te", "trailers");
        request.headers_mut().unwrap().extend(metadata);
        let stream = TokioIo::new(TcpStream::connect(&self.grpc).await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        let response =
            sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = timeout(PATIENCE, body.collect()).await.expect("an answer").unwrap();
        let trailers = body.trailers().cloned().unwrap_or(head.headers);
        if trailers["grpc-status"] != "0" {
            return Err(Refused::read(&trailers));
        }
        let mut bytes = body.to_bytes();
        bytes.advance(5);
        Ok(T::decode(bytes).unwrap())
    }
}

/// A store that is declared.
pub fn store(name: &str, place: Place, prefix: Prefix) -> Component {
    let kind = match place {
        Place::Disk => "state.colony",
        Place::Memory => "state.in-memory",
        Place::Outside(_) => "state.redis",
    };
    let block = Block::State { place, prefix };
    Component { name: name.to_owned(), kind: kind.to_owned(), version: "v1".to_owned(), block }
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub async fn read(stream: &mut TcpStream) -> Answer {
        let mut bytes = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an answer");
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The status, and the code of an error.
    pub fn refused(&self) -> (u16, String) {
        (self.status, self.json()["errorCode"].as_str().unwrap_or_default().to_owned())
    }
}

/// A call that was refused.
#[derive(Debug)]
pub struct Refused {
    pub code: u16,
    pub message: String,
    pub details: Option<api::proto::rpc::Status>,
}

impl Refused {
    fn read(trailers: &HeaderMap) -> Refused {
        use base64::Engine;
        let text = |name: &str| trailers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
        let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
        let details = trailers.get("grpc-status-details-bin").map(|value| {
            let bytes = engine.decode(value.to_str().unwrap().trim_end_matches('=')).unwrap();
            prost::Message::decode(&bytes[..]).unwrap()
        });
        let message =
            percent_encoding::percent_decode_str(text("grpc-message")).decode_utf8().unwrap().into_owned();
        Refused { code: text("grpc-status").parse().unwrap(), message, details }
    }
}

/// How long something may take that comes at once.
pub const PATIENCE: Duration = Duration::from_secs(20);

//! HTTP/1.1 by hand over a real socket, both sides: what is sent is exactly what the story says,
//! and what came is there to be looked at.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::soon;

/// A connection and what was read from it ahead.
pub struct Wire {
    pub stream: TcpStream,
    ahead: Vec<u8>,
}

/// A request as a server saw it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
}

/// An answer as a client saw it.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

type Fields = Vec<(String, String)>;

fn find<'h>(headers: &'h Fields, name: &str) -> Option<&'h str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in: {}", self.text()))
    }

    /// What an echoing server saw in this header, all lines of it.
    pub fn echoed(&self, name: &str) -> Vec<String> {
        let json = self.json();
        let lines = json["headers"].as_array().expect("an echo").iter();
        lines
            .filter(|line| line[0].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name)))
            .map(|line| line[1].as_str().expect("text").to_owned())
            .collect()
    }

    /// Asserts that this is a problem that the data plane made itself, and returns it.
    pub fn problem(&self, status: u16, name: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let json = self.json();
        assert_eq!(json["type"], format!("urn:colony:problem:{name}"), "{json}");
        assert_eq!(json["status"], status, "{json}");
        json
    }
}

impl Wire {
    pub fn new(stream: TcpStream) -> Wire {
        Wire { stream, ahead: Vec::new() }
    }

    pub async fn connect(address: SocketAddr) -> Wire {
        let stream = soon("connecting", TcpStream::connect(address)).await.expect("somebody listens");
        stream.set_nodelay(true).expect("a socket");
        Wire::new(stream)
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("the peer takes it");
    }

    /// The same, where the peer may have gone.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Sends one request and reads its answer.
    pub async fn ask(&mut self, request: &str) -> Answer {
        self.send(request).await;
        self.answer_to(request.split(' ').next().unwrap_or("")).await
    }

    /// Reads the answer to a request that is not `HEAD`.
    pub async fn answer(&mut self) -> Answer {
        self.answer_to("GET").await
    }

    pub async fn answer_to(&mut self, method: &str) -> Answer {
        let mut answer = self.head().await;
        let bodyless = method == "HEAD" || matches!(answer.status, 100..200 | 204 | 304);
        if bodyless {
            return answer;
        }
        if answer.header("transfer-encoding").is_some() {
            (answer.body, answer.trailers) =
                soon("a chunked body", self.chunks()).await.expect("a whole chunked body");
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().expect("a length");
            answer.body = soon("a sized body", self.take(length)).await.expect("a whole body");
        } else {
            answer.body = soon("a body until the end", self.rest()).await;
        }
        answer
    }

    /// Reads an answer's head.
    pub async fn head(&mut self) -> Answer {
        let head = soon("an answer", self.block()).await.expect("an answer before the end");
        let (first, headers) = parse(&head);
        let status = first.split(' ').nth(1).and_then(|text| text.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {head}"));
        Answer { status, headers, ..Answer::default() }
    }

    /// Reads a request's head. None: the client ended.
    pub async fn request(&mut self) -> Option<Seen> {
        let head = self.block().await?;
        let (first, headers) = parse(&head);
        let mut words = first.split(' ').map(str::to_owned);
        let method = words.next().unwrap_or_default();
        Some(Seen { method, target: words.next().unwrap_or_default(), headers })
    }

    /// Reads the body of a request. None: it broke off.
    pub async fn body_of(&mut self, seen: &Seen) -> Option<(Vec<u8>, Fields)> {
        if seen.header("transfer-encoding").is_some() {
            return self.chunks().await;
        }
        let length = seen.header("content-length").map_or(0, |text| text.parse().expect("a length"));
        self.take(length).await.map(|body| (body, Vec::new()))
    }

    /// One chunk, empty for the last.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.line().await?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(Vec::new());
        }
        let data = self.take(size).await?;
        self.line().await?;
        Some(data)
    }

    pub async fn chunks(&mut self) -> Option<(Vec<u8>, Fields)> {
        let mut all = Vec::new();
        loop {
            let chunk = self.chunk().await?;
            if chunk.is_empty() {
                break;
            }
            all.extend(chunk);
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.line().await?;
            match line.split_once(':') {
                Some((name, value)) => trailers.push((name.to_owned(), value.trim().to_owned())),
                None => return Some((all, trailers)),
            }
        }
    }

    /// Lines up to the first empty one.
    async fn block(&mut self) -> Option<String> {
        let mut block = String::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Some(block);
            }
            block.push_str(&line);
            block.push('\n');
        }
    }

    pub async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.ahead.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            self.more().await?;
        }
    }

    pub async fn take(&mut self, size: usize) -> Option<Vec<u8>> {
        while self.ahead.len() < size {
            self.more().await?;
        }
        Some(self.ahead.drain(..size).collect())
    }

    /// Everything up to the end of the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.more().await.is_some() {}
        std::mem::take(&mut self.ahead)
    }

    /// Everything up to the end of the connection, or what came in this time, as text.
    pub async fn rest_or(&mut self, time: Duration) -> String {
        let _ = tokio::time::timeout(time, async { while self.more().await.is_some() {} }).await;
        String::from_utf8_lossy(&std::mem::take(&mut self.ahead)).into_owned()
    }

    /// Whether the peer ends the connection without another byte.
    pub async fn ends(&mut self) -> bool {
        let rest = soon("the end of the connection", self.rest()).await;
        assert!(rest.is_empty(), "more came: {}", String::from_utf8_lossy(&rest));
        true
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.ahead).await {
            Ok(1..) => Some(()),
            Ok(0) | Err(_) => None,
        }
    }

    /// The same connection once more, to write on while this one reads.
    pub fn twin(&self) -> Wire {
        let same = self.stream.as_fd().try_clone_to_owned().expect("a descriptor");
        Wire::new(TcpStream::from_std(same.into()).expect("a socket"))
    }

    /// Ends the connection by a reset, as a crashed program's kernel does.
    pub fn reset(self) {
        let _ = self.stream.set_zero_linger();
    }
}

fn parse(block: &str) -> (String, Fields) {
    let mut lines = block.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    let headers = lines.filter_map(|line| line.split_once(':'));
    (first, headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
}

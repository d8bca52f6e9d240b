//! One request to a sidecar, and what it answers.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::payload::Data;
use super::through::Way;
use crate::failure::Failure;

/// A request on its way.
pub(super) struct Ask<'a> {
    way: &'a Way,
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
}

/// An answer that has come as a whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl<'a> Ask<'a> {
    /// For what lies below `v1.0`: the segments are names, as they are.
    pub(super) fn new(way: &'a Way, method: Method, segments: &[&str]) -> Ask<'a> {
        let mut target = String::from("/v1.0");
        for segment in segments {
            target.push('/');
            encode(segment, &mut target);
        }
        Ask { way, method, target, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// With a path that is written as it is to be sent, but for what cannot be.
    pub(super) fn path(mut self, path: &str) -> Ask<'a> {
        self.target.push('/');
        for byte in path.trim_start_matches('/').bytes() {
            match byte {
                b'!'..=b'~' if !b"\"#<>\\^`{|}".contains(&byte) => self.target.push(char::from(byte)),
                byte => push_encoded(byte, &mut self.target),
            }
        }
        self
    }

    pub(super) fn query(mut self, name: &str, value: impl AsRef<str>) -> Ask<'a> {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        encode(name, &mut self.target);
        self.target.push('=');
        encode(value.as_ref(), &mut self.target);
        self
    }

    pub(super) fn query_if(self, name: &str, value: Option<impl AsRef<str>>) -> Ask<'a> {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Result<Ask<'a>, Failure> {
        let odd = |what: &str| Failure::new(format!("`{name}: {value}` is no header: {what}"));
        let key =
            HeaderName::try_from(name).map_err(|_| odd("its name has characters that none may have"))?;
        let value =
            HeaderValue::try_from(value).map_err(|_| odd("its value has characters that none may have"))?;
        self.headers.append(key, value);
        Ok(self)
    }

    /// What it is done once under, if that is wanted.
    pub(super) fn once(self, once: &crate::args::verbs::Once) -> Result<Ask<'a>, Failure> {
        match &once.idempotency_key {
            Some(key) => self.header("idempotency-key", key),
            None => Ok(self),
        }
    }

    pub(super) fn data(mut self, data: Data) -> Result<Ask<'a>, Failure> {
        self = self.header(CONTENT_TYPE.as_str(), &data.content_type)?;
        self.body = data.bytes;
        Ok(self)
    }

    pub(super) fn json(self, body: &Value) -> Ask<'a> {
        self.json_text(body.to_string())
    }

    /// The same, as it is written.
    pub(super) fn json_text(mut self, body: String) -> Ask<'a> {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = body.into();
        self
    }

    /// The answer if it is a success, else what it says is wrong.
    pub(super) async fn answer(self) -> Result<Answer, Failure> {
        let (way, response) = (self.way, self.send().await?);
        let (head, body) = response.into_parts();
        let body = whole(way, body).await?;
        match head.status.is_success() {
            true => Ok(Answer { status: head.status, headers: head.headers, body }),
            false => Err(refused(head.status, &body)),
        }
    }

    /// The head of an answer, and the body as it comes, whatever it says.
    pub(super) async fn send(self) -> Result<Response<Incoming>, Failure> {
        let Ask { way, method, target, mut headers, body } = self;
        if let Some(token) = std::env::var("DAPR_API_TOKEN").ok().filter(|token| !token.is_empty()) {
            let token = HeaderValue::try_from(token)
                .map_err(|_| Failure::new("DAPR_API_TOKEN has characters that no header may have"))?;
            headers.insert("dapr-api-token", token);
        }
        headers.entry("host").or_insert(HeaderValue::from_static("localhost"));
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().map_err(|error| Failure::new(format!("`{target}`: {error}")))?;
        *request.headers_mut() = headers;
        let stream = match timeout(CONNECT, connect(way)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(way, &error.to_string())),
            Err(_) => return Err(unreachable(way, "it cannot be connected to within five seconds")),
        };
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| lost(way, &error))?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| lost(way, &error))
    }
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn connect(way: &Way) -> std::io::Result<Box<dyn Stream>> {
    Ok(match way {
        Way::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        Way::Unix(path) => Box::new(UnixStream::connect(path).await?),
    })
}

fn unreachable(way: &Way, why: &str) -> Failure {
    Failure::new(format!("the sidecar at {way} cannot be reached: {why}"))
        .hint("`colony list` says who is served, and where")
}

impl Answer {
    /// What it says in JSON.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::new(format!("what the sidecar answered cannot be understood: {error}"))
                .hint("its version may be another than that of this command")
        })
    }

    /// The same as it stands, on a line.
    pub(super) fn line(&self) -> String {
        format!("{}\n", String::from_utf8_lossy(&self.body).trim_end())
    }
}

/// All of a body, if it is not too long to be kept.
pub(super) async fn whole(way: &Way, body: Incoming) -> Result<Bytes, Failure> {
    let collected = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    collected.map(|body| body.to_bytes()).map_err(|error| match error.is::<LengthLimitError>() {
        true => Failure::new(format!("the answer is longer than {} MiB", ANSWER_BYTES_MAX >> 20)),
        false => Failure::new(format!("the answer of the sidecar at {way} broke off: {error}")),
    })
}

pub(super) fn lost(way: &Way, error: &hyper::Error) -> Failure {
    Failure::new(format!("the sidecar at {way} went away before it answered: {error}"))
        .hint("whether it was done is not known; `--idempotency-key KEY`, where it is taken, makes it safe to ask again")
}

/// What a sidecar says that refuses.
pub(super) fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = error["errorCode"].as_str().unwrap_or_default();
    let message = match error["message"].as_str() {
        Some(message) => message.to_owned(),
        None => format!("the sidecar answered {status}: {}", String::from_utf8_lossy(body).trim()),
    };
    let failure = Failure::new(message.trim_end_matches([':', ' ', '.']));
    let failure = match (status, code) {
        (StatusCode::UNAUTHORIZED, _) => failure.hint("put the sidecar's token into DAPR_API_TOKEN"),
        (_, "ERR_STREAM_NOT_FOUND") => {
            failure.hint("`colony stream append --create` makes the store with its first event")
        }
        _ => failure,
    };
    let failure = failure.detail("status", status.as_u16());
    if code.is_empty() { failure } else { failure.detail("code", code) }
}

/// Everything but what RFC 3986 never has encoded.
fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte => push_encoded(byte, out),
        }
    }
}

fn push_encoded(byte: u8, out: &mut String) {
    let _ = write!(out, "%{byte:02X}");
}

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest answer that is kept.
const ANSWER_BYTES_MAX: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_and_paths_are_left_alone() {
        let way = Way::Tcp(String::new());
        let ask = Ask::new(&way, Method::GET, &["state", "a/b", "é ?"]).query("x", "1&2").query("y", "");
        assert_eq!(ask.target, "/v1.0/state/a%2Fb/%C3%A9%20%3F?x=1%262&y=");
        let ask = Ask::new(&way, Method::GET, &["invoke", "a", "method"]).path("/x/%2F y?q=é&r={1}");
        assert_eq!(ask.target, "/v1.0/invoke/a/method/x/%2F%20y?q=%C3%A9&r=%7B1%7D");
    }

    #[test]
    fn what_is_refused_is_told_with_its_code() {
        let failure = refused(StatusCode::CONFLICT, br#"{"errorCode":"ERR_X","message":"no such thing"}"#);
        assert_eq!((failure.message.as_str(), &failure.details["code"]), ("no such thing", &"ERR_X".into()));
        let failure = refused(StatusCode::UNAUTHORIZED, b"invalid api token\n");
        assert_eq!(failure.message, "the sidecar answered 401 Unauthorized: invalid api token");
        assert!(failure.hints[0].contains("DAPR_API_TOKEN"));
    }
}

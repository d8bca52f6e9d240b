//! A peer behind HTTP: the remote half of every peer trait stands on [`Remote`].
//!
//! Connections are kept and used again. One that was kept may have been closed by the other side just
//! as a request went out on it, so such a request is sent again on the next connection. That is right
//! because every request made here may be repeated: it is a GET, a DELETE, a POST with an
//! `Idempotency-Key`, which also lets a sidecar retry it, or a write of a fact ([`crate::store::durable`]).
//! Other policies (timeouts, retries, breakers) are not this program's business: they are in the manifest.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::context::Context;
use crate::problem::Problem;

/// What a method of a peer trait returns, local or remote.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, Problem>> + Send + 'a>>;

/// A peer and the connections kept to it.
pub struct Remote {
    name: &'static str,
    authority: String,
    host: HeaderValue,
    prefix: String,
    idle: Mutex<Vec<Connection>>,
}

impl Remote {
    /// A peer called `name` (for messages) at `url`, `http://HOST:PORT` with an optional path prefix.
    ///
    /// # Errors
    /// A sentence when `url` is not such an address.
    pub fn new(name: &'static str, url: &str) -> Result<Self, String> {
        let wrong = || format!("the address of {name}, `{url}`, must look like http://127.0.0.1:3001");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        if uri.scheme_str() != Some("http") || authority.as_str().contains('@') {
            return Err(wrong());
        }
        Ok(Remote {
            name,
            authority: format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80)),
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            idle: Mutex::default(),
        })
    }

    /// `GET path`.
    pub async fn get<T: DeserializeOwned>(&self, cx: &Context, path: &str) -> Result<T, Problem> {
        let call = Call::new(Method::GET, path).with(cx);
        self.read(&self.exchange(&call).await?)
    }

    /// `DELETE path`; the answer's body is of no interest.
    pub async fn delete(&self, cx: &Context, path: &str) -> Result<(), Problem> {
        self.exchange(&Call::new(Method::DELETE, path).with(cx)).await.map(drop)
    }

    /// `POST path` with a JSON body. `key` tells the peer, and whatever is between, what a repeat is of.
    pub async fn post<T: DeserializeOwned>(
        &self,
        cx: &Context,
        path: &str,
        key: &str,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        let key = HeaderValue::from_str(key)
            .map_err(|_| Problem::invalid("Idempotency-Key is not visible ASCII."))?;
        let call = Call::new(Method::POST, path).with(cx).header("idempotency-key", key).json(self, body)?;
        self.read(&self.exchange(&call).await?)
    }

    /// The answer to a call, whatever its status.
    pub async fn send(&self, call: &Call<'_>) -> Result<Response<Bytes>, Problem> {
        match tokio::time::timeout(EXCHANGE_TIME_MAX, self.answer(call)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unavailable(format!("no answer in {} s", EXCHANGE_TIME_MAX.as_secs()))),
        }
    }

    /// An answer whose body comes piece by piece, for as long as it takes.
    pub async fn open(&self, call: &Call<'_>) -> Result<Incoming, Problem> {
        let mut connection = self.connect().await?;
        let sent =
            tokio::time::timeout(EXCHANGE_TIME_MAX, connection.send_request(self.request(call)?)).await;
        let response = sent.map_err(|_| self.unavailable("no answer".to_owned()))?;
        let response = response.map_err(|e| self.unavailable(format!("no answer: {e}")))?;
        match response.status() {
            status if status.is_success() => Ok(response.into_body()),
            status => Err(self.problem(status, &[])),
        }
    }

    async fn exchange(&self, call: &Call<'_>) -> Result<Bytes, Problem> {
        let answer = self.send(call).await?;
        match answer.status() {
            status if status.is_success() => Ok(answer.into_body()),
            status => Err(self.problem(status, answer.body())),
        }
    }

    async fn answer(&self, call: &Call<'_>) -> Result<Response<Bytes>, Problem> {
        let (connection, response) = self.head(call).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX)
            .collect()
            .await
            .map_err(|e| self.unavailable(format!("the answer broke off: {e}")))?
            .to_bytes();
        self.keep(connection);
        Ok(Response::from_parts(head, body))
    }

    async fn head(&self, call: &Call<'_>) -> Result<(Connection, Response<Incoming>), Problem> {
        while let Some(mut connection) = self.kept() {
            if connection.ready().await.is_ok()
                && let Ok(response) = connection.send_request(self.request(call)?).await
            {
                return Ok((connection, response));
            }
        }
        let mut connection = self.connect().await?;
        let sent = connection.send_request(self.request(call)?).await;
        let response = sent.map_err(|e| self.unavailable(format!("no answer: {e}")))?;
        Ok((connection, response))
    }

    async fn connect(&self) -> Result<Connection, Problem> {
        let failed = |e: &dyn std::fmt::Display| self.unavailable(format!("cannot connect: {e}"));
        let stream = TcpStream::connect(&self.authority).await.map_err(|e| failed(&e))?;
        stream.set_nodelay(true).map_err(|e| failed(&e))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| failed(&e))?;
        // The sender is told of every failure that matters; the driver has nobody else to tell.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    fn request(&self, call: &Call<'_>) -> Result<Request<Full<Bytes>>, Problem> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{}", self.prefix, call.path))
            .body(Full::new(call.body.clone()))
            .map_err(|e| self.unavailable(format!("request: {e}")))?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if !call.body.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &call.headers {
            headers.insert(*name, value.clone());
        }
        match call.cx {
            Some(cx) => cx.apply(headers),
            None => Context::current().apply(headers),
        }
        Ok(request)
    }

    fn kept(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|c| !c.is_closed());
        if idle.len() < IDLE_MAX && !connection.is_closed() {
            idle.push(connection);
        }
    }

    /// What an answer says.
    pub fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Problem> {
        serde_json::from_slice(body)
            .map_err(|e| self.unavailable(format!("an answer that can't be read: {e}")))
    }

    /// A peer's refusal is handed on as it is; a peer's failure means that the peer is unavailable.
    fn problem(&self, status: StatusCode, body: &[u8]) -> Problem {
        let told: Option<Problem> = serde_json::from_slice(body).ok();
        if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            let title = status.canonical_reason().unwrap_or("Refused");
            return told.unwrap_or_else(|| {
                Problem::new(status, "refused", title, format!("{} refused.", self.name))
            });
        }
        let why = told.map(|p| if p.detail.is_empty() { p.title } else { p.detail }).unwrap_or_default();
        self.unavailable(format!("answered {} {why}", status.as_u16()).trim_end().to_owned())
    }

    fn unavailable(&self, detail: String) -> Problem {
        Problem::unavailable(self.name, format!("{}: {detail}", self.name))
    }
}

/// Text as one segment of a path or one value of a query.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

type Connection = SendRequest<Full<Bytes>>;

/// A request to a peer, which may be sent more than once.
pub struct Call<'a> {
    cx: Option<&'a Context>,
    method: Method,
    path: &'a str,
    headers: Vec<(&'static str, HeaderValue)>,
    body: Bytes,
}

impl<'a> Call<'a> {
    /// Without a body.
    pub fn new(method: Method, path: &'a str) -> Self {
        Call { cx: None, method, path, headers: Vec::new(), body: Bytes::new() }
    }

    /// On behalf of a request.
    pub fn with(mut self, cx: &'a Context) -> Self {
        self.cx = Some(cx);
        self
    }

    /// With a header, instead of the one that it would have.
    pub fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With a body in JSON for that peer.
    pub fn json(mut self, to: &Remote, body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(body).map_err(|e| to.unavailable(format!("request body: {e}")))?;
        self.body = body.into();
        Ok(self)
    }
}

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Connections kept to a peer. More may be open while requests need them.
const IDLE_MAX: usize = 64;
/// Largest answer that is read, bytes.
const BODY_BYTES_MAX: usize = 4 << 20;
/// From a call to the end of its answer. Only a last resort, far above what a manifest should allow.
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port_and_maybe_a_prefix() {
        let remote = Remote::new("cart", "http://127.0.0.1:3001/v1/").expect("a good address");
        assert_eq!((remote.authority.as_str(), remote.prefix.as_str()), ("127.0.0.1:3001", "/v1"));
        for bad in ["127.0.0.1:3001", "https://cart", "http://u:p@cart", "/cart", ""] {
            assert!(Remote::new("cart", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn refusals_pass_and_failures_become_unavailable() {
        let remote = Remote::new("cart", "http://127.0.0.1:1").expect("a good address");
        let refusal =
            remote.problem(StatusCode::NOT_FOUND, br#"{"title":"Gone","status":404,"detail":"no mug"}"#);
        assert_eq!((refusal.status, refusal.detail.as_str()), (404, "no mug"));
        assert_eq!(remote.problem(StatusCode::INTERNAL_SERVER_ERROR, b"oops").status, 503);
        assert_eq!(remote.problem(StatusCode::TOO_MANY_REQUESTS, b"").status, 503);
    }

    #[test]
    fn encoded_text_cannot_leave_its_segment() {
        assert_eq!(encoded("../a b?c&d/é"), "..%2Fa%20b%3Fc%26d%2F%C3%A9");
    }
}

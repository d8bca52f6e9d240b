//! A small HTTP/1.1 client: one request, its answer, and when sending it once more is right.

mod pool;

use bytes::{Bytes, BytesMut};
use http::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use crate::journeys::Call;
pub(crate) use pool::{Lease, Pool};

/// An answer, with as much of its body as the caller asked to keep.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub bytes: u64,
    pub kept: Bytes,
}

/// No answer, or not all of it.
#[derive(Debug)]
pub(crate) enum Broken {
    /// No connection could be opened.
    Connect(std::io::Error),
    /// The connection ended before the answer did.
    Reset(String),
    /// What came was no HTTP.
    Protocol(String),
}

/// Sends requests over a pool.
pub(crate) struct Client {
    pub pool: Pool,
    host: HeaderValue,
    repeated: std::cell::Cell<u64>,
}

impl Client {
    /// `host` is a valid authority.
    pub(crate) fn new(pool: Pool, host: &str) -> Client {
        let host = HeaderValue::from_str(host).unwrap_or_else(|_| HeaderValue::from_static(""));
        Client { pool, host, repeated: std::cell::Cell::new(0) }
    }

    /// Requests sent again because the server had closed an idle connection.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated.get()
    }

    /// One request and its whole answer. Gives the lease back for [`Pool::give_back`], which the
    /// caller does after it has noted the time.
    ///
    /// A server may close an idle connection in the moment a request is sent on it. As RFC 9110,
    /// 9.2.2 allows, such a request is sent once more on a fresh connection: when it never left, or
    /// when repeating it is harmless (an idempotent method, or an `Idempotency-Key`).
    pub(crate) async fn exchange(
        &self,
        call: &Call,
        path: &str,
        keep: usize,
    ) -> Result<(Answer, Lease), Broken> {
        let mut lease = self.pool.take().await?;
        match self.head(&mut lease, call, path).await {
            Ok(response) => return read(response, keep).await.map(|answer| (answer, lease)),
            Err(Unanswered { harmless: false, broken }) => return Err(broken),
            Err(Unanswered { broken, .. }) if !lease.reused => return Err(broken),
            Err(_) => {}
        }
        self.repeated.set(self.repeated.get() + 1);
        self.pool.reconnect(&mut lease).await?;
        match self.head(&mut lease, call, path).await {
            Ok(response) => read(response, keep).await.map(|answer| (answer, lease)),
            Err(Unanswered { broken, .. }) => Err(broken),
        }
    }

    async fn head(
        &self,
        lease: &mut Lease,
        call: &Call,
        path: &str,
    ) -> Result<http::Response<Incoming>, Unanswered> {
        let request = self
            .request(call, path)
            .map_err(|error| Unanswered { harmless: false, broken: Broken::Protocol(error.to_string()) })?;
        lease.sender.try_send_request(request).await.map_err(|mut error| {
            let never_left = error.take_message().is_some();
            let error = error.into_error();
            Unanswered {
                harmless: !error.is_parse() && (never_left || may_repeat(call)),
                broken: if error.is_parse() {
                    Broken::Protocol(tell(&error))
                } else {
                    Broken::Reset(tell(&error))
                },
            }
        })
    }

    fn request(&self, call: &Call, path: &str) -> http::Result<Request<Full<Bytes>>> {
        let mut request =
            Request::builder().method(&call.method).uri(path).body(Full::new(call.body.clone()))?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static("colony-load"));
        for (name, value) in &call.headers {
            headers.insert(name.clone(), value.clone());
        }
        Ok(request)
    }
}

/// A request whose answer did not begin.
struct Unanswered {
    harmless: bool,
    broken: Broken,
}

/// What Go's `net/http` repeats, too: idempotent methods (RFC 9110, 9.2.2) and keyed requests.
fn may_repeat(call: &Call) -> bool {
    let is_key = |(name, value): &(HeaderName, HeaderValue)| {
        name == "idempotency-key" && !value.as_bytes().trim_ascii().is_empty()
    };
    call.method.is_idempotent() || call.headers.iter().any(is_key)
}

async fn read(response: http::Response<Incoming>, keep: usize) -> Result<Answer, Broken> {
    let status = response.status();
    let mut body = response.into_body();
    let mut kept = BytesMut::new();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Broken::Reset(tell(&error)))?;
        let Some(data) = frame.data_ref() else { continue };
        bytes += data.len() as u64;
        kept.extend_from_slice(&data[..data.len().min(keep - kept.len())]);
    }
    Ok(Answer { status, bytes, kept: kept.freeze() })
}

/// An error with its causes, in one line.
fn tell(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

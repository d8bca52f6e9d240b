//! Where requests go: a host and a port, and what is spoken there.

use std::sync::Arc;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request, Response};
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::rustls::ClientConfig;
use tonic::body::Body;

use super::io::{self, Io};
use super::{Held, Unanswered, http1, http2};

/// A way to somebody.
pub(crate) struct Way {
    name: String,
    port: u16,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) authority: Authority,
    host: HeaderValue,
    lines: Lines,
}

enum Lines {
    Http1(http1::Pool),
    Http2(http2::Shared),
}

impl Way {
    /// None if that is no host.
    pub(crate) fn new(host: &str, port: u16, tls: Option<Arc<ClientConfig>>, http2: bool) -> Option<Way> {
        let name = host.trim_matches(['[', ']']);
        let usual = port == if tls.is_some() { 443 } else { 80 };
        let authority = match (name.contains(':'), usual) {
            (true, true) => format!("[{name}]"),
            (true, false) => format!("[{name}]:{port}"),
            (false, true) => name.to_owned(),
            (false, false) => format!("{name}:{port}"),
        };
        Some(Way {
            host: HeaderValue::from_str(&authority).ok()?,
            authority: Authority::try_from(authority).ok()?,
            name: name.to_owned(),
            port,
            tls,
            lines: match http2 {
                true => Lines::Http2(http2::Shared::default()),
                false => Lines::Http1(http1::Pool::default()),
            },
        })
    }

    /// Sends a request with a path for a URI; `permit` is held until the answer's body is over.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Request<Body>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Response<Held>, Unanswered> {
        match &self.lines {
            Lines::Http1(pool) => {
                request.headers_mut().insert(HOST, self.host.clone());
                let (response, line) = http1::send(self, pool, request).await?;
                Ok(response.map(|body| Held::new(body, Some((Arc::clone(self), line)), permit)))
            }
            Lines::Http2(shared) => {
                let response = http2::send(self, shared, request).await?;
                Ok(response.map(|body| Held::new(body, None, permit)))
            }
        }
    }

    /// Takes back a connection whose call is over.
    pub(super) fn give_back(&self, line: Box<http1::Line>) {
        if let Lines::Http1(pool) = &self.lines {
            pool.give_back(line);
        }
    }

    pub(super) async fn connect(&self) -> Result<Io, Unanswered> {
        let connected = io::connect(&self.name, self.port, self.tls.as_ref()).await;
        connected.map_err(|error| Unanswered::Unreachable(format!("{}: {error}", self.authority)))
    }
}

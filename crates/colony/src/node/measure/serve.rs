//! `/metrics` on a listener of its own, for who wants no console or another address.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::node::Node;
use crate::process::port_in_use;

/// Most connections at a time: whoever scrapes has one.
const CONNECTIONS_MAX: usize = 32;
/// How long a head may take, and what is asked may.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest life of a connection: who scrapes comes again.
const LIFE_MAX: Duration = Duration::from_secs(600);

/// Where metrics are asked for.
pub(in crate::node) struct Door {
    listener: TcpListener,
    address: SocketAddr,
}

impl Door {
    /// Takes the address, before anything is started.
    ///
    /// # Errors
    ///
    /// If it cannot be had.
    pub(in crate::node) async fn bind(address: SocketAddr) -> Result<Door, Failure> {
        let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                port_in_use(address.port()).hint("name another address with --metrics")
            }
            _ => Failure::new(format!("cannot serve metrics at {address}: {error}")),
        })?;
        let address = listener.local_addr().unwrap_or(address);
        Ok(Door { listener, address })
    }

    pub(in crate::node) fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// Answers until the node ends.
    pub(in crate::node) fn open(self, node: Arc<Node>) {
        tokio::spawn(accept(node, self.listener));
    }
}

async fn accept(node: Arc<Node>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, mostly.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let node = node.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(node.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(16 << 10)
                .serve_connection(TokioIo::new(stream), service);
            let _ = timeout(LIFE_MAX, connection).await;
            drop(place);
        });
    }
}

async fn answer(node: Arc<Node>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut answer = Response::new(Full::default());
    match request.uri().path() {
        "/metrics" if is_read => {
            let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("");
            match timeout(PATIENCE, super::exposed(&node, accept)).await {
                Ok((content_type, text)) => {
                    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                    *answer.body_mut() = Full::new(text.into());
                }
                Err(_) => *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
            }
        }
        "/metrics" => {
            *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        _ => *answer.status_mut() = StatusCode::NOT_FOUND,
    }
    Ok(answer)
}

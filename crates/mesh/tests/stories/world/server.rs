//! Servers behind the data plane: real sockets, scripted connection by connection or request by
//! request, so that they misbehave exactly as a story needs it.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh::Endpoint;
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::wire::{Seen, Wire};

/// A server that ends with its story, or when it is killed.
pub struct Server {
    pub id: String,
    pub address: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    open: AtomicUsize,
    requests: AtomicUsize,
}

/// A connection as a script gets it.
pub struct Served {
    pub wire: Wire,
    open: Open,
}

/// Counts a connection for as long as it is held.
struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Served {
    /// The next request's head, counted.
    pub async fn request(&mut self) -> Option<Seen> {
        let seen = self.wire.request().await?;
        self.open.0.requests.fetch_add(1, Ordering::SeqCst);
        Some(seen)
    }

    /// The next request's head and body, counted.
    pub async fn whole(&mut self) -> Option<(Seen, Vec<u8>)> {
        let seen = self.request().await?;
        let (body, _) = self.wire.body_of(&seen).await?;
        Some((seen, body))
    }

    /// The bare connection, counted as open while the second part is held.
    pub fn into_stream(self) -> (TcpStream, impl Send) {
        (self.wire.stream, self.open)
    }

    pub async fn text(&mut self, status: &str, body: &str) {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        self.wire.try_send(answer).await;
    }
}

impl Server {
    /// Runs `script` on each connection.
    pub async fn scripted<F, R>(script: F) -> Server
    where
        F: Fn(Served) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        Server::on(TcpListener::bind("127.0.0.1:0").await.expect("a free port"), script)
    }

    fn on<F, R>(listener: TcpListener, script: F) -> Server
    where
        F: Fn(Served) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().expect("bound");
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                counted.connections.fetch_add(1, Ordering::SeqCst);
                counted.open.fetch_add(1, Ordering::SeqCst);
                let served = Served { wire: Wire::new(stream), open: Open(counted.clone()) };
                connections.spawn(script(served));
                while connections.try_join_next().is_some() {}
            }
        });
        Server { id: format!("server-{}", address.port()), address, counts, task }
    }

    /// Answers each request by what `answer` makes of it and of how many came before; None resets.
    pub async fn answering<F, R>(answer: F) -> Server
    where
        F: Fn(usize, Seen, Vec<u8>) -> R + Send + Sync + 'static,
        R: Future<Output = Option<String>> + Send + 'static,
    {
        let answer = Arc::new(answer);
        Server::scripted(move |mut served| {
            let answer = answer.clone();
            async move {
                while let Some((seen, body)) = served.whole().await {
                    let before = served.open.0.requests.load(Ordering::SeqCst) - 1;
                    match answer(before, seen, body).await {
                        Some(text) => served.wire.try_send(text).await,
                        None => return served.wire.reset(),
                    };
                }
            }
        })
        .await
    }

    /// Always 200 and this body, at an address of its own choice; None: that is taken.
    pub async fn at(address: SocketAddr, body: &'static str) -> Option<Server> {
        let listener = TcpListener::bind(address).await.ok()?;
        Some(Server::on(listener, move |mut served| async move {
            while served.request().await.is_some() {
                served.text("200 OK", body).await;
            }
        }))
    }

    /// Always this answer.
    pub async fn fixed(status: &'static str, body: &'static str) -> Server {
        Server::answering(move |_, _, _| async move { Some(answer(status, body)) }).await
    }

    /// Always this answer, after a while.
    pub async fn slow(wait: Duration, body: &'static str) -> Server {
        Server::answering(move |_, _, _| async move {
            tokio::time::sleep(wait).await;
            Some(answer("200 OK", body))
        })
        .await
    }

    /// Each of these in turn, then the last for ever.
    pub async fn playing(statuses: &'static [&'static str]) -> Server {
        Server::answering(move |nth, _, _| async move {
            match statuses[nth.min(statuses.len() - 1)] {
                "reset" => None,
                status => Some(answer(status, status)),
            }
        })
        .await
    }

    /// Answers with what it got, as JSON.
    pub async fn echo() -> Server {
        Server::answering(|_, seen, body| async move {
            let json = json!({
                "method": seen.method, "target": seen.target, "headers": seen.headers,
                "body": String::from_utf8_lossy(&body),
            });
            Some(answer("200 OK", &json.to_string()))
        })
        .await
    }

    /// The same over cleartext HTTP/2, with the authority as `host`.
    pub async fn echo_http2() -> Server {
        Server::http2(|request| async move {
            let (head, body) = request.into_parts();
            let collected = body.collect().await.expect("a whole body");
            let trailers = collected.trailers().cloned().unwrap_or_default();
            let lines = head.headers.iter().map(|(name, value)| json!([name.as_str(), value.to_str().unwrap()]));
            let authority = head.uri.authority().map_or("", |authority| authority.as_str());
            let host = std::iter::once(json!([":authority", authority]));
            let json = json!({
                "method": head.method.as_str(),
                "target": head.uri.path_and_query().map_or("", |path| path.as_str()),
                "headers": lines.chain(host).collect::<Vec<_>>(),
                "version": format!("{:?}", head.version),
                "trailers": trailers.iter().map(|(n, v)| json!([n.as_str(), v.to_str().unwrap()])).collect::<Vec<_>>(),
                "body": String::from_utf8_lossy(&collected.to_bytes()),
            });
            Response::new(Full::new(Bytes::from(json.to_string())))
        })
        .await
    }

    /// Cleartext HTTP/2 by prior knowledge.
    pub async fn http2<F, R, B>(answer: F) -> Server
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<B>> + Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Server::scripted(move |served| {
            let answer = answer.clone();
            async move {
                let Served { wire, open, .. } = served;
                let service = hyper::service::service_fn(|request| {
                    open.0.requests.fetch_add(1, Ordering::SeqCst);
                    let answering = answer(request);
                    async move { Ok::<_, Infallible>(answering.await) }
                });
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(wire.stream), service)
                    .await;
            }
        })
        .await
    }

    /// An address where nobody listens, and nobody will while the story lasts.
    pub async fn dead() -> Server {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = socket.local_addr().expect("bound");
        let task = tokio::spawn(async move {
            let _held = socket;
            std::future::pending().await
        });
        Server { id: format!("dead-{}", address.port()), address, counts: Arc::default(), task }
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.id.clone(), self.address)
    }

    /// Requests that came so far.
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// Connections made so far.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// Ends the server with all its connections, as the death of its process does.
    pub fn kill(&self) {
        self.task.abort();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A whole answer.
pub fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

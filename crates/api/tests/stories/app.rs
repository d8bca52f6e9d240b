//! An application that is called, written in a line by who needs one.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// It ends with this.
pub struct App {
    pub port: u16,
    serving: JoinHandle<()>,
}

/// What it answers.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

impl App {
    /// Answers each request by this, over HTTP/1.1 and HTTP/2.
    pub async fn new<F>(answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static) -> App
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = answer.clone();
                let service = service_fn(move |request| {
                    let answered = answer(request);
                    async { Ok::<_, Infallible>(answered.await) }
                });
                connections.spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        App { port, serving }
    }

    /// Says what it was asked, a line each: method and path, headers, and the body.
    pub async fn echo() -> App {
        App::new(|request| async {
            let (head, body) = request.into_parts();
            let mut text = format!("{} {}\n", head.method, head.uri.path_and_query().unwrap());
            for (name, value) in &head.headers {
                text.push_str(&format!("{name}: {}\n", value.to_str().unwrap_or_default()));
            }
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            said(200, format!("{text}\n{}", String::from_utf8_lossy(&body)))
        })
        .await
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An answer with this status and body.
pub fn said(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    Response::builder().status(status).body(Full::new(body.into()).boxed_unsync()).unwrap()
}

//! An application that is called, written in a line by who needs one.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{Either, ready};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

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
        App::over(None, 0, answer).await
    }

    /// The same on a port that it was known to have.
    pub async fn at<F>(port: u16, answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static) -> App
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        App::over(None, port, answer).await
    }

    /// The same with TLS, by a certificate of its own that speaks these protocols.
    pub async fn with_tls<F>(
        protocols: &[&str],
        answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    ) -> App
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = builder.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        App::over(Some(TlsAcceptor::from(Arc::new(config))), 0, answer).await
    }

    async fn over<F>(
        tls: Option<TlsAcceptor>,
        port: u16,
        answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    ) -> App
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, tls) = (answer.clone(), tls.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let answered = match beside(request.uri().path()) {
                        Some(answer) => Either::Left(ready(answer)),
                        None => Either::Right(answer(request)),
                    };
                    async { Ok::<_, Infallible>(answered.await) }
                });
                connections.spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    let _ = match tls {
                        None => builder.serve_connection(TokioIo::new(stream), service).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            builder.serve_connection(TokioIo::new(stream), service).await
                        }
                    };
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

/// What every application is asked when it is reached, and those here say nothing to.
fn beside(path: &str) -> Option<Response<Body>> {
    match path {
        "/dapr/config" | "/dapr/subscribe" => Some(said(404, "")),
        "/dapr.proto.runtime.v1.AppCallback/ListTopicSubscriptions" => {
            let mut unimplemented = said(200, "");
            let headers = unimplemented.headers_mut();
            headers.insert("content-type", "application/grpc".parse().unwrap());
            headers.insert("grpc-status", "12".parse().unwrap());
            Some(unimplemented)
        }
        _ => None,
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

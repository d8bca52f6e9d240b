//! Connections, and what holds for every answer. Over TCP the door is kept ([`crate::access`]); over the node's own socket who could
//! open it is let in.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::access::{Door, Entry};
use crate::api::{self, Served};
use crate::assets;
use crate::live::Live;
use crate::problem::Problem;
use crate::sources::Sources;
use crate::token::{SESSION_SECONDS, Token};

/// What an answer has for a body.
pub type Body = axum::body::Body;

/// Most connections over TCP at a time; others wait to be taken.
const CONNECTIONS_MAX: usize = 256;
/// How long a head may take to come.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// How long until it is tried again to take a connection.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
/// Nothing but the console's own files, and none of it within another page. Scripts cannot write HTML as text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// The console of a node. Clones are handles on the same one.
#[derive(Clone)]
pub struct Console {
    served: Served,
    routes: Router,
}

impl Console {
    /// Of this node.
    pub fn new(sources: Arc<dyn Sources>) -> Console {
        let served = Served::new(sources, Live::default());
        let routes = api::routes(served.clone());
        Console { served, routes }
    }

    /// Answers who came over the node's own socket.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        use tower_service::Service;
        let answered = self.routes.clone().call(request.map(Body::new)).await;
        answered.unwrap_or_else(|never| match never {})
    }

    /// Looks at the node once a second, until it is dropped: rates are there then when somebody asks.
    pub async fn watch(&self) {
        loop {
            self.served.look().await;
            tokio::time::sleep(crate::live::EVERY).await;
        }
    }

    /// Answers who knows the token, until it is dropped.
    pub async fn serve(&self, listener: TcpListener, token: Token) {
        let port = listener.local_addr().as_ref().map_or(0, SocketAddr::port);
        let door = Arc::new(Door::new(token, port));
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(_) => {
                    tokio::time::sleep(BETWEEN_TRIES).await;
                    continue;
                }
            };
            let (console, door) = (self.clone(), Arc::clone(&door));
            tokio::spawn(async move {
                let _place = place;
                let service = service_fn(|request| console.at_the_door(&door, request));
                let _ = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_MAX)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }

    async fn at_the_door(&self, door: &Door, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let is_api = request.uri().path().starts_with("/api/");
        let is_file = request.uri().path().starts_with("/assets/");
        let mut answer = match door.entry(request.method(), request.uri(), request.headers(), now) {
            Entry::Admitted => self.answer(request).await,
            Entry::Exchange(to) => exchange(door, &to, now),
            Entry::Refused(problem) if problem.status == StatusCode::UNAUTHORIZED && !is_api => {
                let page = [(CONTENT_TYPE, "text/html; charset=utf-8")];
                (StatusCode::UNAUTHORIZED, page, assets::LOCKED).into_response()
            }
            Entry::Refused(problem) => problem.into_response(),
        };
        let may_be_kept = is_file && answer.status() == StatusCode::OK;
        keep_to_itself(answer.headers_mut(), may_be_kept);
        Ok(answer)
    }
}

fn exchange(door: &Door, to: &str, now: u64) -> Response<Body> {
    let session = door.token.session(now);
    let cookie =
        format!("{}={session}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Strict", door.cookie);
    match HeaderValue::from_str(to) {
        Ok(to) => (StatusCode::SEE_OTHER, [(LOCATION, to)], [(SET_COOKIE, cookie)]).into_response(),
        Err(_) => Problem::invalid("there is no such address").into_response(),
    }
}

/// What browsers do with every answer. A file of the page never changes where it lies.
fn keep_to_itself(headers: &mut HeaderMap, may_be_kept: bool) {
    let kept = if may_be_kept { "private, max-age=31536000, immutable" } else { "no-store" };
    let rules: [(HeaderName, &'static str); 6] = [
        (CACHE_CONTROL, kept),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in rules {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

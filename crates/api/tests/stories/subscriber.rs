//! An application that subscribes: it says to what, notes what it is brought, and answers as it is told to.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::subscription::{Knobs, Origin, Route, Routes, Subscription};
use bytes::Bytes;
use components::pubsub::Message;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

use crate::world::{PATIENCE, World};

/// It is gone when this is dropped.
pub struct Subscriber {
    pub port: u16,
    notes: Arc<Notes>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Notes {
    had: Mutex<Vec<Had>>,
    under_way: Mutex<(usize, usize)>,
}

/// A request that it has had.
#[derive(Clone, Debug)]
pub struct Had {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What it does with a request.
#[derive(Clone, Debug)]
pub enum Does {
    /// Answers with this status and body, after a while.
    Answers(u16, String, Duration),
    /// Nothing.
    Hangs,
    /// Closes the connection.
    Breaks,
}

impl Had {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// It is done with it.
pub fn done() -> Does {
    answers(200, "")
}

pub fn answers(status: u16, body: &str) -> Does {
    Does::Answers(status, body.to_owned(), Duration::ZERO)
}

impl Subscriber {
    /// One that subscribes to this, and does with the how manieth event on a path what `does` says.
    pub async fn new(
        subscribes: &str,
        does: impl Fn(&Had, usize) -> Does + Send + Sync + 'static,
    ) -> Subscriber {
        Subscriber::at(0, subscribes, does).await
    }

    /// The same at this port.
    pub async fn at(
        port: u16,
        subscribes: &str,
        does: impl Fn(&Had, usize) -> Does + Send + Sync + 'static,
    ) -> Subscriber {
        let subscribes = subscribes.to_owned();
        Subscriber::serving(port, move |had, count| match had.path.as_str() {
            "/dapr/config" => answers(404, ""),
            "/dapr/subscribe" => answers(200, &subscribes),
            _ => does(had, count),
        })
        .await
    }

    /// One that does with each request, also when it is asked what it subscribes to, what `does` says.
    pub async fn serving(
        port: u16,
        does: impl Fn(&Had, usize) -> Does + Send + Sync + 'static,
    ) -> Subscriber {
        let listener = listening(port).await;
        let port = listener.local_addr().unwrap().port();
        let notes: Arc<Notes> = Arc::default();
        let (noting, does) = (Arc::clone(&notes), Arc::new(does));
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (notes, does) = (Arc::clone(&noting), Arc::clone(&does));
                let service = service_fn(move |request| {
                    let (notes, does) = (Arc::clone(&notes), Arc::clone(&does));
                    async move { answered(request, &notes, &*does).await }
                });
                connections.spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Subscriber { port, notes, serving }
    }

    /// All that it has had.
    pub fn all(&self) -> Vec<Had> {
        self.notes.had.lock().unwrap().clone()
    }

    /// The events that it has had on a path.
    pub fn on(&self, path: &str) -> Vec<Had> {
        self.all().into_iter().filter(|had| had.path == path).collect()
    }

    /// The most requests that were under way at a time.
    pub fn most_under_way(&self) -> usize {
        self.notes.under_way.lock().unwrap().1
    }

    /// Waits until it has had this many on a path.
    pub async fn has(&self, count: usize, path: &str) -> Vec<Had> {
        until(|| self.on(path).len() >= count, || format!("{count} on {path}: {:?}", self.all())).await;
        self.on(path)
    }
}

/// A port that has been used before may not be free at once.
async fn listening(port: u16) -> TcpListener {
    loop {
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => return listener,
            Err(_) => sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn answered(
    request: Request<Incoming>,
    notes: &Notes,
    does: &(dyn Fn(&Had, usize) -> Does + Send + Sync),
) -> Result<Response<Full<Bytes>>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = head.uri.path_and_query().unwrap().to_string();
    let had = Had { path, headers: head.headers, body };
    let count = {
        let mut all = notes.had.lock().unwrap();
        all.push(had.clone());
        all.iter().filter(|other| other.path == had.path).count()
    };
    {
        let mut under_way = notes.under_way.lock().unwrap();
        under_way.0 += 1;
        under_way.1 = under_way.1.max(under_way.0);
    }
    let answer = match does(&had, count) {
        Does::Answers(status, body, after) => {
            sleep(after).await;
            Ok(Response::builder().status(status).body(Full::from(body)).unwrap())
        }
        Does::Hangs => std::future::pending().await,
        Does::Breaks => Err(io::Error::other("as it was told to")),
    };
    notes.under_way.lock().unwrap().0 -= 1;
    answer
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Waits until something is so.
pub async fn until(is_so: impl Fn() -> bool, what: impl Fn() -> String) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{}", what());
        sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a sidecar has told that its application is away. Its connection may break before it is found to be, and of one trouble
/// it is told once.
pub fn is_told_away(said: &str) -> bool {
    said.contains("events of topic \"orders\" of \"pubsub\" wait: ") || said.contains(" is tried again: ")
}

/// A sidecar of `shop`, which is this application.
pub async fn beside(app: &Subscriber) -> World {
    beside_with(app, |_| {}).await
}

/// The same, set up otherwise.
pub async fn beside_with(app: &Subscriber, change: impl FnOnce(&mut api::Config)) -> World {
    let port = app.port;
    World::with(|config| {
        config.app.port = Some(port);
        change(config);
    })
    .await
}

/// A subscription to a topic of `pubsub` that is declared.
pub fn declared(topic: &str, route: &str) -> Subscription {
    Subscription {
        pubsub: "pubsub".to_owned(),
        topic: topic.to_owned(),
        routes: Routes::all_to(Route::new(route)),
        dead_letter: None,
        metadata: BTreeMap::new(),
        knobs: Knobs::default(),
        bulk: None,
        origin: Origin::Declarative,
    }
}

/// An event with this id.
pub fn event(id: &str) -> Message {
    Message::new(format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"test","type":"made","datacontenttype":"application/json","data":{{"n":1.50}}}}"#
    ))
}

/// Publishes to a topic of `pubsub`.
pub async fn publish(world: &World, topic: &str, message: Message) {
    world.api.pubsub("pubsub").unwrap().send(topic, message).await.unwrap();
}

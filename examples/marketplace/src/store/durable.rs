//! Facts behind the application API: state with ETags, event streams with expected versions, topics, and a queue.
//!
//! A write whose answer is lost fails for who asked, though it may have been done. That does no harm, for whoever writes
//! here looks first and may do so again: what there is already is what was wanted.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::http::{HeaderValue, Method, Response, StatusCode};
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Item, Journal, Kept, Shelf};
use crate::context::Context;
use crate::problem::Problem;
use crate::remote::{Call, Remote, Reply, encoded};

/// The application API beside this process.
pub struct Sidecar(pub(super) Remote);

impl Sidecar {
    /// The one whose port the environment names, if it does.
    ///
    /// # Errors
    /// A sentence if that is no port.
    pub fn of(env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Arc<Sidecar>>, String> {
        let Some(port) = env("DAPR_HTTP_PORT").filter(|port| !port.is_empty()) else { return Ok(None) };
        let port: u16 =
            port.parse().map_err(|_| format!("DAPR_HTTP_PORT is `{port}`, which is not a port"))?;
        let remote = Remote::new("storage", &format!("http://127.0.0.1:{port}/v1.0"))?;
        Ok(Some(Arc::new(Sidecar(remote))))
    }

    /// Publishes an event. Those about the same order arrive in their order.
    ///
    /// # Errors
    /// 503 when it is not known to be published.
    pub async fn publish(&self, topic: &str, order: &str, data: &Value) -> Result<(), Problem> {
        let path = format!("/publish/{PUBSUB}/{topic}?metadata.partitionKey={}", encoded(order));
        self.post(&path, data).await
    }

    /// Sends work about an order to a queue, where it waits for a while; not again if it was there lately.
    ///
    /// # Errors
    /// 503 when it is not known to be sent.
    pub async fn send(&self, queue: &str, order: &str, delay: &str) -> Result<(), Problem> {
        let path = format!("/queues/{queue}/send?delay={delay}&dedupId={}", encoded(order));
        self.post(&path, &json!({ "order": order })).await
    }

    /// Has a queue brought to a route of this program.
    ///
    /// # Errors
    /// 503 when that is not known to be so.
    pub async fn push(&self, queue: &str, settings: &Value, push: &Value) -> Result<(), Problem> {
        self.put(&format!("/queues/{queue}"), settings).await?;
        self.put(&format!("/queues/{queue}/push"), push).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<(), Problem> {
        accepted(self.0.send(&Call::new(Method::POST, path).json(&self.0, body)?).await?).map(drop)
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<(), Problem> {
        accepted(self.0.send(&Call::new(Method::PUT, path).json(&self.0, body)?).await?).map(drop)
    }
}

/// A store of state.
pub struct DurableShelf<T> {
    sidecar: Arc<Sidecar>,
    store: &'static str,
    things: PhantomData<fn() -> T>,
}

impl<T> DurableShelf<T> {
    /// The store of that name.
    pub fn new(sidecar: Arc<Sidecar>, store: &'static str) -> Self {
        DurableShelf { sidecar, store, things: PhantomData }
    }

    /// Writes a thing, whatever was there before.
    pub(super) async fn write(&self, key: &str, value: &T) -> Result<(), Problem>
    where
        T: Kept,
    {
        self.sidecar.post(&format!("/state/{}", self.store), &json!([{ "key": key, "value": value }])).await
    }

    fn path(&self, key: &str) -> String {
        format!("/state/{}/{}", self.store, encoded(key))
    }
}

impl<T: Kept> Shelf<T> for DurableShelf<T> {
    fn get<'a>(&'a self, key: &'a str) -> Reply<'a, Option<Item<T>>> {
        Box::pin(async move {
            let remote = &self.sidecar.0;
            let answer = accepted(remote.send(&Call::new(Method::GET, &self.path(key))).await?)?;
            if answer.status() == StatusCode::NO_CONTENT {
                return Ok(None);
            }
            let edition = answer.headers().get("etag").and_then(|tag| tag.to_str().ok());
            let edition = edition.unwrap_or_default().to_owned();
            Ok(Some(Item { value: remote.read(answer.body())?, edition }))
        })
    }

    fn put<'a>(&'a self, key: &'a str, value: &'a T, seen: Option<&'a str>) -> Reply<'a, bool> {
        Box::pin(async move {
            let remote = &self.sidecar.0;
            let value = serde_json::to_value(value).map_err(|e| Problem::invalid(e.to_string()))?;
            let mut item = json!({ "key": key, "value": value, "options": { "concurrency": "first-write" } });
            if let Some(edition) = seen {
                item["etag"] = edition.into();
            }
            let path = format!("/state/{}", self.store);
            let answer = remote.send(&Call::new(Method::POST, &path).json(remote, &[item])?).await?;
            is_done(answer)
        })
    }

    fn remove<'a>(&'a self, key: &'a str, seen: &'a str) -> Reply<'a, bool> {
        Box::pin(async move {
            let remote = &self.sidecar.0;
            let edition = HeaderValue::from_str(seen).map_err(|e| Problem::invalid(e.to_string()))?;
            let path = self.path(key);
            let call = Call::new(Method::DELETE, &path).header("if-match", edition);
            is_done(remote.send(&call).await?)
        })
    }
}

/// A store of event streams.
pub struct DurableJournal<E> {
    pub(super) sidecar: Arc<Sidecar>,
    pub(super) store: &'static str,
    settings: Value,
    events: PhantomData<fn() -> E>,
}

impl<E: Kept> DurableJournal<E> {
    /// The store of that name, which is made with these settings if there is none.
    pub fn new(sidecar: Arc<Sidecar>, store: &'static str, settings: Value) -> Self {
        DurableJournal { sidecar, store, settings, events: PhantomData }
    }

    /// Makes the store, or makes sure that there is one.
    pub(super) async fn define(&self) -> Result<(), Problem> {
        self.sidecar.put(&format!("/streams/{}", self.store), &self.settings).await
    }
}

#[derive(Deserialize)]
struct Page<E> {
    events: Vec<Happened<E>>,
}

#[derive(Deserialize)]
struct Happened<E> {
    data: E,
}

impl<E: Kept> Journal<E> for DurableJournal<E> {
    fn append<'a>(&'a self, stream: &'a str, after: Option<u64>, event: &'a E) -> Reply<'a, bool> {
        Box::pin(async move {
            let remote = &self.sidecar.0;
            let expected = match after {
                None => String::new(),
                Some(0) => "?expected=noStream".to_owned(),
                Some(version) => format!("?expected={version}"),
            };
            let path = format!("/streams/{}/{}{expected}", self.store, encoded(stream));
            let data = serde_json::to_value(event).map_err(|e| Problem::invalid(e.to_string()))?;
            let kind = data["fact"].as_str().unwrap_or(self.store).to_owned();
            let trace = Context::current().noted();
            let call = Call::new(Method::POST, &path)
                .json(remote, &[json!({ "type": kind, "data": data, "metadata": trace })])?;
            let mut answer = remote.send(&call).await?;
            if answer.status() == StatusCode::NOT_FOUND {
                self.define().await?;
                answer = remote.send(&call).await?;
            }
            is_done(answer)
        })
    }

    fn read<'a>(&'a self, stream: &'a str) -> Reply<'a, Vec<E>> {
        Box::pin(async move {
            let remote = &self.sidecar.0;
            let path = format!("/streams/{}/{}", self.store, encoded(stream));
            let answer = remote.send(&Call::new(Method::GET, &path)).await?;
            if answer.status() == StatusCode::NOT_FOUND {
                return Ok(Vec::new());
            }
            let page: Page<E> = remote.read(accepted(answer)?.body())?;
            Ok(page.events.into_iter().map(|event| event.data).collect())
        })
    }
}

/// False for a conflict: somebody else was first.
fn is_done(answer: Response<Bytes>) -> Result<bool, Problem> {
    match answer.status() {
        StatusCode::CONFLICT => Ok(false),
        _ => accepted(answer).map(|_| true),
    }
}

/// A refusal is nothing that who asked the shop could do anything about.
fn accepted(answer: Response<Bytes>) -> Result<Response<Bytes>, Problem> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let (status, why) = (answer.status().as_u16(), String::from_utf8_lossy(answer.body()));
    Err(Problem::unavailable("storage", format!("storage: {status} {why}")))
}

/// The broker that the shop's events go by.
pub const PUBSUB: &str = "events";

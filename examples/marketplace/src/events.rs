//! Events that are brought to this program: which ones it wants, and who takes them.
//!
//! What cannot be taken is put aside at once, so that others go on: it becomes a dead letter, and dead letters are brought
//! here as well, again and again, with growing waits. What makes no sense is dropped.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::extract::Body;
use crate::problem::Problem;
use crate::store::durable::PUBSUB;

/// Who takes the events of a topic.
pub struct Consumer {
    topic: &'static str,
    take: Box<Take>,
}

type Take = dyn Fn(&Value) -> Pin<Box<dyn Future<Output = Result<(), Problem>> + Send>> + Send + Sync;

impl Consumer {
    /// Has `take` called with the data of each event. An event may come twice.
    pub fn new<T, F>(topic: &'static str, take: impl Fn(T) -> F + Send + Sync + 'static) -> Self
    where
        T: DeserializeOwned,
        F: Future<Output = Result<(), Problem>> + Send + 'static,
    {
        let take = move |data: &Value| -> Pin<Box<dyn Future<Output = Result<(), Problem>> + Send>> {
            match T::deserialize(data) {
                Ok(data) => Box::pin(take(data)),
                Err(e) => {
                    let problem = Problem::invalid(format!("An event of {topic}: {e}."));
                    Box::pin(async { Err(problem) })
                }
            }
        };
        Consumer { topic, take: Box::new(take) }
    }
}

#[derive(Clone)]
struct Desk {
    service: &'static str,
    consumers: Arc<BTreeMap<&'static str, Vec<Box<Take>>>>,
}

/// `GET /dapr/subscribe` and `POST /events/{topic}`.
pub fn routes(service: &'static str, consumers: Vec<Consumer>) -> Router {
    let mut by_topic: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for Consumer { topic, take } in consumers {
        by_topic.entry(topic).or_default().push(take);
    }
    Router::new()
        .route("/dapr/subscribe", get(wanted))
        .route("/events/{topic}", post(take))
        .with_state(Desk { service, consumers: Arc::new(by_topic) })
}

async fn wanted(State(desk): State<Desk>) -> Json<Value> {
    let wanted = desk.consumers.keys().flat_map(|topic| {
        let (route, trouble) = (format!("/events/{topic}"), format!("{topic}-trouble-of-{}", desk.service));
        [
            json!({ "pubsubname": PUBSUB, "topic": topic, "route": route, "deadLetterTopic": trouble }),
            json!({ "pubsubname": PUBSUB, "topic": trouble, "route": route }),
        ]
    });
    Json(wanted.collect())
}

#[derive(Deserialize)]
struct Event {
    data: Value,
}

async fn take(
    State(desk): State<Desk>,
    Path(topic): Path<String>,
    Body(event): Body<Event>,
) -> Result<Json<Value>, Problem> {
    let unknown = || Problem::not_found(format!("Nobody here wants {topic}."));
    for take in desk.consumers.get(topic.as_str()).ok_or_else(unknown)? {
        match take(&event.data).await {
            Ok(()) => {}
            Err(problem) if problem.status < 500 => {
                eprintln!("marketplace: {topic}: {}", problem.detail);
                return Ok(Json(json!({ "status": "DROP" })));
            }
            Err(problem) => return Err(problem),
        }
    }
    Ok(Json(json!({ "status": "SUCCESS" })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk() -> Desk {
        let sums = Consumer::new("sums", |number: u64| async move {
            if number > 9 { Err(Problem::unavailable("sums", "That is too much.")) } else { Ok(()) }
        });
        Desk { service: "s", consumers: Arc::new(BTreeMap::from([(sums.topic, vec![sums.take])])) }
    }

    async fn brought(data: Value) -> Result<Value, u16> {
        let answer = take(State(desk()), Path("sums".to_owned()), Body(Event { data })).await;
        answer.map(|Json(answer)| answer["status"].clone()).map_err(|problem| problem.status)
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_dropped_and_what_fails_comes_again() {
        assert_eq!(brought(json!(3)).await, Ok(json!("SUCCESS")));
        assert_eq!(brought(json!("three")).await, Ok(json!("DROP")));
        assert_eq!(brought(json!(10)).await, Err(503));
    }

    #[tokio::test]
    async fn dead_letters_are_wanted_by_the_same_route() {
        let Json(wanted) = wanted(State(desk())).await;
        assert_eq!(wanted[0]["deadLetterTopic"], wanted[1]["topic"]);
        assert_eq!(wanted[0]["route"], wanted[1]["route"]);
    }
}

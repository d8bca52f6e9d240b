//! `/api/status`: the node as a whole; `/api/apply` and `/api/stop`: what is done to it.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};

use serde_json::{Value, json};

use super::{Answer, Served};
use crate::sources::Operation;

pub(super) fn routes() -> Router<Served> {
    Router::new()
        .route("/api/status", get(status))
        .route("/api/apply", post(apply))
        .route("/api/stop", post(stop))
}

async fn status(State(served): State<Served>) -> Answer {
    let mut status = served.sources().status();
    status["durable"] = durable(&served).await;
    served.told(status)
}

/// What of all that is durable cannot be read; null while it is not open here.
async fn durable(served: &Served) -> Value {
    match served.sources().durable().await {
        Ok(durable) => {
            let counted = durable.host.disk().metrics();
            json!({ "payloads_lost": counted.lost, "payloads_unreadable": counted.unreadable })
        }
        Err(_) => Value::Null,
    }
}

async fn apply(State(served): State<Served>) -> Answer {
    served.done(Operation::Apply).await
}

async fn stop(State(served): State<Served>) -> Answer {
    served.done(Operation::End).await
}

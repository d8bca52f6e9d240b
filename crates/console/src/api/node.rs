//! `/api/status`: the node as a whole; `/api/apply` and `/api/stop`: what is done to it.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};

use super::{Answer, Served};
use crate::sources::Operation;

pub(super) fn routes() -> Router<Served> {
    Router::new()
        .route("/api/status", get(status))
        .route("/api/apply", post(apply))
        .route("/api/stop", post(stop))
}

async fn status(State(served): State<Served>) -> Answer {
    served.told(served.sources().status())
}

async fn apply(State(served): State<Served>) -> Answer {
    served.done(Operation::Apply).await
}

async fn stop(State(served): State<Served>) -> Answer {
    served.done(Operation::End).await
}

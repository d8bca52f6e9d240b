//! `/api/faults`: what is injected on purpose, for a time; ended one by one, or all.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Answer, Served, said};
use crate::problem::Problem;
use crate::sources::Operation;

pub(super) fn routes() -> Router<Served> {
    Router::new()
        .route("/api/faults", get(all).post(add).delete(clear_all))
        .route("/api/faults/{id}", delete(clear))
}

async fn all(State(served): State<Served>) -> Answer {
    served.told(json!({ "faults": served.sources().plane().faults }))
}

async fn add(State(served): State<Served>, body: Result<Json<Value>, JsonRejection>) -> Answer {
    served.done(Operation::AddFault(said(body)?)).await
}

async fn clear_all(State(served): State<Served>) -> Answer {
    served.done(Operation::ClearFaults(None)).await
}

async fn clear(State(served): State<Served>, Path(id): Path<String>) -> Answer {
    let id = id.parse().map_err(|_| Problem::invalid(format!("{id:?} is no number of a fault")))?;
    served.done(Operation::ClearFaults(Some(id))).await
}

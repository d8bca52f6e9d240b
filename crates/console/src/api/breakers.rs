//! `/api/breakers`: the breaker of each call, and forcing one.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Served, said};
use crate::sources::{Force, Operation};

pub(super) fn routes() -> Router<Served> {
    Router::new().route("/api/breakers", get(all).post(force))
}

async fn all(State(served): State<Served>) -> Answer {
    let calls = served.sources().plane().calls;
    let breakers: Vec<Value> = calls
        .iter()
        .map(|call| json!({ "call": call.call, "state": call.breaker, "opened": call.breaker_opened }))
        .collect();
    served.told(json!({ "breakers": breakers }))
}

#[derive(Deserialize)]
struct Wanted {
    call: String,
    state: Force,
}

async fn force(State(served): State<Served>, body: Result<Json<Wanted>, JsonRejection>) -> Answer {
    let wanted = said(body)?;
    served.done(Operation::Breaker(wanted.call, wanted.state)).await
}

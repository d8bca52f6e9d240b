//! Payments over HTTP, both ends.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;

use super::{Charge, Counts, Dial, Entry, Payments, PaymentsService, Receipt};
use crate::context::Context;
use crate::extract::{Body, Params, idempotency_key};
use crate::problem::Problem;
use crate::remote::{Remote, Reply};

/// `GET` and `POST /charges`, `GET` and `POST /dial`, `GET /ledger`.
pub fn routes(payments: Arc<PaymentsService>) -> Router {
    Router::new()
        .route("/charges", get(charges).post(charge))
        .route("/dial", get(dial).post(set_dial))
        .route("/ledger", get(ledger))
        .with_state(payments)
}

async fn charge(
    State(payments): State<Arc<PaymentsService>>,
    cx: Context,
    headers: HeaderMap,
    Body(charge): Body<Charge>,
) -> Result<(StatusCode, Json<Receipt>), Problem> {
    let key = idempotency_key(&headers)?.ok_or_else(|| {
        Problem::invalid("A charge needs an Idempotency-Key header, so that a repeat can't charge twice.")
    })?;
    payments.charge(&cx, &key, &charge).await.map(|receipt| (StatusCode::CREATED, Json(receipt)))
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
}

async fn charges(
    State(payments): State<Arc<PaymentsService>>,
    Params(part): Params<Part>,
) -> Json<Vec<Entry>> {
    Json(payments.entries(part.offset, part.limit.unwrap_or(LIMIT_MAX).min(LIMIT_MAX)))
}

async fn dial(State(payments): State<Arc<PaymentsService>>) -> Json<Dial> {
    Json(payments.dial())
}

async fn set_dial(
    State(payments): State<Arc<PaymentsService>>,
    Body(dial): Body<Dial>,
) -> Result<Json<Dial>, Problem> {
    payments.set_dial(dial.check()?);
    Ok(Json(payments.dial()))
}

async fn ledger(State(payments): State<Arc<PaymentsService>>) -> Json<Counts> {
    Json(payments.counts())
}

impl Payments for Remote {
    fn charge<'a>(&'a self, cx: &'a Context, key: &'a str, charge: &'a Charge) -> Reply<'a, Receipt> {
        Box::pin(self.post(cx, "/charges", key, charge))
    }
}

/// Most entries of one answer.
const LIMIT_MAX: usize = 1_000;

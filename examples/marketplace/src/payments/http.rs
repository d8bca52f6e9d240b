//! Payments over HTTP, both ends.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::{Charge, Counts, Dial, Payments, PaymentsService, Receipt};
use crate::context::Context;
use crate::extract::{Body, idempotency_key};
use crate::problem::Problem;
use crate::remote::{Remote, Reply};

/// `POST /charges`, `GET` and `POST /dial`, `GET /ledger`.
pub fn routes(payments: Arc<PaymentsService>) -> Router {
    Router::new()
        .route("/charges", post(charge))
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

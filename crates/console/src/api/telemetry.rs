//! `/metrics`, as Prometheus reads it; `/api/metrics`, how one went; `/api/changes`, `/api/slos`, `/api/top`; and what is kept of traces and logs, whose addresses and answers are those of the crate that
//! keeps them.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;

use super::{Answer, Served};
use crate::problem::Problem;
use crate::sources::Measured;

pub(super) fn routes() -> Router<Served> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/api/metrics", get(metric))
        .route("/api/changes", get(changes))
        .route("/api/slos", get(slos))
        .route("/api/top", get(top))
}

async fn metric(State(served): State<Served>, uri: Uri) -> Answer {
    measured(&served, Measured::Metric(uri.query().unwrap_or("").to_owned())).await
}

async fn changes(State(served): State<Served>, uri: Uri) -> Answer {
    measured(&served, Measured::Changes(uri.query().unwrap_or("").to_owned())).await
}

async fn slos(State(served): State<Served>) -> Answer {
    measured(&served, Measured::Objectives).await
}

async fn top(State(served): State<Served>) -> Answer {
    measured(&served, Measured::Digest).await
}

async fn measured(served: &Served, asked: Measured) -> Answer {
    let told = served.sources().measured(asked).await;
    served.told(told.map_err(|problem| served.hushed(problem))?)
}

async fn metrics(State(served): State<Served>, headers: HeaderMap) -> Result<Response, Problem> {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("");
    let (content_type, text) = served.sources().metrics(accept).await?;
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
}

/// What is kept. It is read from the disk, so another thread does it.
pub(super) async fn kept(served: &Served, uri: &Uri) -> Result<Response, Problem> {
    let (telemetry, path) = (served.sources().telemetry(), uri.path().to_owned());
    let query = uri.query().unwrap_or("").to_owned();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let asked = tokio::task::spawn_blocking(move || ::telemetry::api::answer(&telemetry, &path, &query, now));
    let told = asked.await.map_err(Problem::internal)?;
    let status = StatusCode::from_u16(told.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
    let Value::String(body) = served.sources().redacted(Value::String(told.body)) else {
        return Err(Problem::internal("what is kept could not be told"));
    };
    Ok((status, [(CONTENT_TYPE, kind)], body).into_response())
}

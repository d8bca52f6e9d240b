//! `/api/manifest`: as applied, as written, and the difference.

use axum::Router;
use axum::extract::State;
use axum::routing::get;

use super::{Answer, Served};

pub(super) fn routes() -> Router<Served> {
    Router::new().route("/api/manifest", get(manifest))
}

async fn manifest(State(served): State<Served>) -> Answer {
    served.told(served.sources().written().map_err(|problem| served.hushed(problem))?)
}

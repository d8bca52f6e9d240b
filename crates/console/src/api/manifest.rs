//! `/api/manifest`: as applied, as written, and the difference.

use axum::Router;
use axum::extract::State;
use axum::routing::get;

use super::{Answer, Served};
use crate::urls;

pub(super) fn routes() -> Router<Served> {
    Router::new().route("/api/manifest", get(manifest))
}

async fn manifest(State(served): State<Served>) -> Answer {
    let mut written = served.sources().written().map_err(|problem| served.hushed(problem))?;
    urls::hushed_in(&mut written);
    served.told(written)
}

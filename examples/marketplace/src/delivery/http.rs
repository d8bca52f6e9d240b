//! Delivery over HTTP, both ends.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::{Arranged, Delivery, DeliveryService, Wanted};
use crate::context::Context;
use crate::extract::Body;
use crate::problem::Problem;
use crate::remote::{Remote, Reply};

/// `POST /deliveries` and `GET /deliveries/{order}`.
pub fn routes(delivery: Arc<DeliveryService>) -> Router {
    Router::new()
        .route("/deliveries", post(arrange))
        .route("/deliveries/{order}", get(find))
        .with_state(delivery)
}

async fn arrange(
    State(delivery): State<Arc<DeliveryService>>,
    cx: Context,
    Body(wanted): Body<Wanted>,
) -> Result<(StatusCode, Json<Arranged>), Problem> {
    delivery.arrange(&cx, &wanted).await.map(|arranged| (StatusCode::CREATED, Json(arranged)))
}

async fn find(
    State(delivery): State<Arc<DeliveryService>>,
    Path(order): Path<String>,
) -> Result<Json<Arranged>, Problem> {
    delivery.find(&order).await.map(Json)
}

impl Delivery for Remote {
    fn arrange<'a>(&'a self, cx: &'a Context, wanted: &'a Wanted) -> Reply<'a, Arranged> {
        Box::pin(self.post(cx, "/deliveries", &wanted.order, wanted))
    }
}

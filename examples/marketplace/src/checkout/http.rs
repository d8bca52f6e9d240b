//! Checkout over HTTP, both ends.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::{Checkout, Order};
use crate::chance;
use crate::context::Context;
use crate::extract::{Body, idempotency_key};
use crate::problem::Problem;
use crate::remote::{Remote, Reply, encoded};

/// `POST /`.
pub fn routes(checkout: Arc<dyn Checkout>) -> Router {
    Router::new().route("/", post(buy)).with_state(checkout)
}

/// `GET /{id}`, to be put under `/orders`.
pub fn order_routes(checkout: Arc<dyn Checkout>) -> Router {
    Router::new().route("/{id}", get(order)).with_state(checkout)
}

#[derive(Serialize, Deserialize)]
struct Buy {
    customer: String,
}

async fn buy(
    State(checkout): State<Arc<dyn Checkout>>,
    cx: Context,
    headers: HeaderMap,
    Body(buy): Body<Buy>,
) -> Result<(StatusCode, Json<Order>), Problem> {
    let key = idempotency_key(&headers)?;
    checkout.buy(&cx, &buy.customer, key.as_deref()).await.map(|order| (StatusCode::CREATED, Json(order)))
}

async fn order(
    State(checkout): State<Arc<dyn Checkout>>,
    cx: Context,
    Path(id): Path<String>,
) -> Result<Json<Order>, Problem> {
    checkout.order(&cx, &id).await.map(Json)
}

impl Checkout for Remote {
    fn buy<'a>(&'a self, cx: &'a Context, customer: &'a str, key: Option<&'a str>) -> Reply<'a, Order> {
        Box::pin(async move {
            let key = key.map_or_else(|| chance::id("buy"), str::to_owned);
            self.post(cx, "/", &key, &Buy { customer: customer.to_owned() }).await
        })
    }

    fn order<'a>(&'a self, cx: &'a Context, id: &'a str) -> Reply<'a, Order> {
        Box::pin(async move { self.get(cx, &format!("/orders/{}", encoded(id))).await })
    }
}

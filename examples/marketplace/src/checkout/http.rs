//! Checkout over HTTP, both ends.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::{Checkout, CheckoutService, Order};
use crate::chance;
use crate::context::Context;
use crate::extract::{Body, Params, idempotency_key};
use crate::problem::Problem;
use crate::remote::{Remote, Reply, encoded};

/// `POST /`.
pub fn routes(checkout: Arc<dyn Checkout>) -> Router {
    Router::new().route("/", post(buy)).with_state(checkout)
}

/// `GET /?customer=` and `GET /{id}`, to be put under `/orders`.
pub fn order_routes(checkout: Arc<dyn Checkout>) -> Router {
    Router::new().route("/", get(orders)).route("/{id}", get(order)).with_state(checkout)
}

/// `POST /due/payments`: orders whose payments are looked after, one by one, as the queue brings them.
pub fn work(checkout: CheckoutService) -> Router {
    Router::new().route(WORK, post(settle)).with_state(checkout)
}

#[derive(Deserialize)]
struct Due {
    order: String,
}

async fn settle(
    State(checkout): State<CheckoutService>,
    cx: Context,
    Body(due): Body<Due>,
) -> Result<StatusCode, Problem> {
    checkout.settle(&cx, &due.order).await.map(|()| StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Whose {
    customer: String,
}

async fn orders(
    State(checkout): State<Arc<dyn Checkout>>,
    cx: Context,
    Params(whose): Params<Whose>,
) -> Result<Json<Vec<Order>>, Problem> {
    checkout.orders(&cx, &whose.customer).await.map(Json)
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

    fn orders<'a>(&'a self, cx: &'a Context, customer: &'a str) -> Reply<'a, Vec<Order>> {
        Box::pin(async move { self.get(cx, &format!("/orders?customer={}", encoded(customer))).await })
    }
}

/// Where the queue brings orders to.
pub const WORK: &str = "/due/payments";

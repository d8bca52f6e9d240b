//! The cart over HTTP, both ends.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;

use super::{Cart, Contents, Item};
use crate::chance;
use crate::context::Context;
use crate::extract::{Body, Params};
use crate::problem::Problem;
use crate::remote::{Remote, Reply, encoded};

/// `GET` and `DELETE /{customer}`, `POST /{customer}/items`.
pub fn routes(cart: Arc<dyn Cart>) -> Router {
    Router::new()
        .route("/{customer}", get(contents).delete(clear))
        .route("/{customer}/items", post(put))
        .with_state(cart)
}

#[derive(Deserialize)]
struct Since {
    version: Option<u64>,
}

async fn contents(
    State(cart): State<Arc<dyn Cart>>,
    cx: Context,
    Path(customer): Path<String>,
) -> Result<Json<Contents>, Problem> {
    cart.contents(&cx, &customer).await.map(Json)
}

async fn put(
    State(cart): State<Arc<dyn Cart>>,
    cx: Context,
    Path(customer): Path<String>,
    Body(item): Body<Item>,
) -> Result<Json<Contents>, Problem> {
    cart.put(&cx, &customer, &item).await.map(Json)
}

async fn clear(
    State(cart): State<Arc<dyn Cart>>,
    cx: Context,
    Path(customer): Path<String>,
    Params(since): Params<Since>,
) -> Result<StatusCode, Problem> {
    cart.clear(&cx, &customer, since.version).await.map(|()| StatusCode::NO_CONTENT)
}

impl Cart for Remote {
    fn contents<'a>(&'a self, cx: &'a Context, customer: &'a str) -> Reply<'a, Contents> {
        Box::pin(async move { self.get(cx, &format!("/{}", encoded(customer))).await })
    }

    fn put<'a>(&'a self, cx: &'a Context, customer: &'a str, item: &'a Item) -> Reply<'a, Contents> {
        Box::pin(async move {
            let path = format!("/{}/items", encoded(customer));
            self.post(cx, &path, &chance::id("put"), item).await
        })
    }

    fn clear<'a>(&'a self, cx: &'a Context, customer: &'a str, version: Option<u64>) -> Reply<'a, ()> {
        Box::pin(async move {
            let since = version.map(|v| format!("?version={v}")).unwrap_or_default();
            self.delete(cx, &format!("/{}{since}", encoded(customer))).await
        })
    }
}

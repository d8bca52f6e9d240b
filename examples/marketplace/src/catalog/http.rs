//! The catalog over HTTP, both ends.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::{Catalog, CatalogService, Category, Page, Product, Query, Repriced};
use crate::context::Context;
use crate::extract::{Body, Params};
use crate::problem::Problem;
use crate::remote::{Remote, Reply, encoded};

/// `GET /products`, `GET /products/{id}`, `POST /products/{id}/price` and `GET /categories`.
pub fn routes(catalog: Arc<CatalogService>) -> Router {
    let changes = Router::new().route("/products/{id}/price", post(reprice)).with_state(Arc::clone(&catalog));
    let catalog: Arc<dyn Catalog> = catalog;
    Router::new()
        .route("/products", get(search))
        .route("/products/{id}", get(product))
        .route("/categories", get(categories))
        .with_state(catalog)
        .merge(changes)
}

async fn reprice(
    State(catalog): State<Arc<CatalogService>>,
    Path(id): Path<String>,
    Body(change): Body<Repriced>,
) -> Result<StatusCode, Problem> {
    catalog.reprice(&id, &change).await.map(|()| StatusCode::NO_CONTENT)
}

async fn search(
    State(catalog): State<Arc<dyn Catalog>>,
    cx: Context,
    Params(query): Params<Query>,
) -> Result<Json<Page>, Problem> {
    catalog.search(&cx, &query).await.map(Json)
}

async fn product(
    State(catalog): State<Arc<dyn Catalog>>,
    cx: Context,
    Path(id): Path<String>,
) -> Result<Json<Product>, Problem> {
    catalog.product(&cx, &id).await.map(Json)
}

async fn categories(
    State(catalog): State<Arc<dyn Catalog>>,
    cx: Context,
) -> Result<Json<Vec<Category>>, Problem> {
    catalog.categories(&cx).await.map(Json)
}

impl Catalog for Remote {
    fn search<'a>(&'a self, cx: &'a Context, query: &'a Query) -> Reply<'a, Page> {
        Box::pin(async move {
            let (q, category, ids) = (encoded(&query.q), encoded(&query.category), encoded(&query.ids));
            let limit = query.limit.map(|n| format!("&limit={n}")).unwrap_or_default();
            let offset = query.offset;
            self.get(cx, &format!("/products?q={q}&category={category}&ids={ids}&offset={offset}{limit}"))
                .await
        })
    }

    fn product<'a>(&'a self, cx: &'a Context, id: &'a str) -> Reply<'a, Product> {
        Box::pin(async move { self.get(cx, &format!("/products/{}", encoded(id))).await })
    }

    fn categories<'a>(&'a self, cx: &'a Context) -> Reply<'a, Vec<Category>> {
        Box::pin(async move { self.get(cx, "/categories").await })
    }
}

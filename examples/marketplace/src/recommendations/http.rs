//! Recommendations over HTTP, both ends.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Dial, Purchase, Recommendations, RecommendationsService};
use crate::catalog::Product;
use crate::context::Context;
use crate::extract::{Body, Params};
use crate::problem::Problem;
use crate::remote::{Remote, Reply, encoded};

/// `GET /{customer}?product=`, `POST /purchases`, `GET` and `POST /dial`.
pub fn routes(recommendations: Arc<RecommendationsService>) -> Router {
    Router::new()
        .route("/{customer}", get(suggest))
        .route("/purchases", post(learn))
        .route("/dial", get(dial).post(set_dial))
        .with_state(recommendations)
}

#[derive(Deserialize)]
struct View {
    product: Option<String>,
}

async fn suggest(
    State(recommendations): State<Arc<RecommendationsService>>,
    cx: Context,
    Path(customer): Path<String>,
    Params(view): Params<View>,
) -> Result<Json<Vec<Product>>, Problem> {
    recommendations.suggest(&cx, &customer, view.product.as_deref()).await.map(Json)
}

async fn learn(
    State(recommendations): State<Arc<RecommendationsService>>,
    cx: Context,
    Body(purchase): Body<Purchase>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    recommendations.learn(&cx, &purchase).await?;
    Ok((StatusCode::CREATED, Json(json!({ "order": purchase.order }))))
}

async fn dial(State(recommendations): State<Arc<RecommendationsService>>) -> Json<Dial> {
    Json(recommendations.dial())
}

async fn set_dial(
    State(recommendations): State<Arc<RecommendationsService>>,
    Body(dial): Body<Dial>,
) -> Result<Json<Dial>, Problem> {
    recommendations.set_dial(dial)?;
    Ok(Json(recommendations.dial()))
}

impl Recommendations for Remote {
    fn suggest<'a>(
        &'a self,
        cx: &'a Context,
        customer: &'a str,
        product: Option<&'a str>,
    ) -> Reply<'a, Vec<Product>> {
        Box::pin(async move {
            let view = product.map(|id| format!("?product={}", encoded(id))).unwrap_or_default();
            self.get(cx, &format!("/{}{view}", encoded(customer))).await
        })
    }

    fn learn<'a>(&'a self, cx: &'a Context, purchase: &'a Purchase) -> Reply<'a, ()> {
        Box::pin(async move {
            let _: Value = self.post(cx, "/purchases", &purchase.order, purchase).await?;
            Ok(())
        })
    }
}

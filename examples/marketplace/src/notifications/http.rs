//! Notifications over HTTP, both ends.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::{Message, Notifications, NotificationsService};
use crate::context::Context;
use crate::extract::Body;
use crate::problem::Problem;
use crate::remote::{Remote, Reply};

/// `POST /notifications` and `GET /notifications/{customer}`.
pub fn routes(notifications: Arc<NotificationsService>) -> Router {
    Router::new()
        .route("/notifications", post(notify))
        .route("/notifications/{customer}", get(latest))
        .with_state(notifications)
}

async fn notify(
    State(notifications): State<Arc<NotificationsService>>,
    cx: Context,
    Body(message): Body<Message>,
) -> Result<(StatusCode, Json<Message>), Problem> {
    notifications.notify(&cx, &message).await.map(|message| (StatusCode::CREATED, Json(message)))
}

async fn latest(
    State(notifications): State<Arc<NotificationsService>>,
    Path(customer): Path<String>,
) -> Result<Json<Vec<Message>>, Problem> {
    notifications.latest(&customer).await.map(Json)
}

impl Notifications for Remote {
    fn notify<'a>(&'a self, cx: &'a Context, message: &'a Message) -> Reply<'a, Message> {
        Box::pin(self.post(cx, "/notifications", &message.order, message))
    }
}

//! What a service answers when it can't do what was asked: RFC 9457 problem details.
//!
//! Every error of the marketplace is one of these, whether it happened in this process or in a peer
//! behind HTTP, so callers decide by [`Problem::status`] alone and never see a transport's error.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// An error as a client sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// A stable name of the kind of problem, a URN.
    #[serde(rename = "type", default = "blank")]
    pub kind: String,
    /// The kind of problem in a few words.
    #[serde(default)]
    pub title: String,
    /// HTTP status code.
    pub status: u16,
    /// What happened this time, in a sentence.
    #[serde(default)]
    pub detail: String,
    /// The order this is about, if one exists already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
}

impl Problem {
    /// A problem of the kind `slug`.
    pub fn new(status: StatusCode, slug: &str, title: &str, detail: impl Into<String>) -> Self {
        Problem {
            kind: format!("urn:problem:marketplace:{slug}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            order_id: None,
        }
    }

    /// The request itself is at fault (400).
    pub fn invalid(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, "invalid-request", "The request is not valid", detail)
    }

    /// There is no such thing (404).
    pub fn not_found(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// The request is well formed but can't be followed (422).
    pub fn unprocessable(slug: &str, title: &str, detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, slug, title, detail)
    }

    /// Something this service needs doesn't answer (503). Worth trying again.
    pub fn unavailable(who: &str, detail: impl Into<String>) -> Self {
        let title = format!("{who} is unavailable");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &title, detail)
    }

    /// The outside provider failed this once (503). Unlike [`Problem::unavailable`] it asks for no
    /// pause: the next try may do.
    pub fn provider_failed(detail: impl Into<String>) -> Self {
        let title = "The payment provider failed";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, PROVIDER_FAILED, title, detail)
    }

    /// The same problem, about this order.
    pub fn about(mut self, order_id: &str) -> Self {
        self.order_id = Some(order_id.to_owned());
        self
    }

    /// Whether this is the answer with this status.
    pub fn is(&self, status: StatusCode) -> bool {
        self.status == status.as_u16()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE && !self.kind.ends_with(PROVIDER_FAILED) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

const PROVIDER_FAILED: &str = "provider-failed";

fn blank() -> String {
    "about:blank".to_owned()
}

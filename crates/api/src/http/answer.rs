//! Answers: JSON unless said otherwise, nothing at all as 204, errors in Dapr's form.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use crate::error::Error;

/// What an endpoint answers.
pub(super) type Answer = Result<Response<Full<Bytes>>, Error>;

/// Done, and nothing to say.
pub(super) fn empty() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A value as it is kept; if there is nothing in it, so it is said.
pub(super) fn json_bytes(body: Bytes) -> Response<Full<Bytes>> {
    if body.is_empty() {
        return empty();
    }
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// An object or a list, with an end of line as Dapr has it.
pub(super) fn json_line(body: &Value) -> Response<Full<Bytes>> {
    json_bytes(format!("{body}\n").into())
}

/// Text for people.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// What went wrong.
pub(super) fn error(error: &Error) -> Response<Full<Bytes>> {
    let mut response = json_bytes(error.to_json().to_string().into());
    *response.status_mut() = error.status;
    response
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

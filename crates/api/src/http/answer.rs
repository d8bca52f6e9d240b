//! Answers: JSON unless said otherwise, nothing at all as 204, errors in Dapr's form.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Full, StreamBody};
use serde::Serialize;
use serde_json::Value;
use tonic::{Code, Status};

use crate::error::Error;

/// What an endpoint answers.
pub(super) type Answer = Result<Response<Said>, Error>;

/// The body of an answer.
pub(crate) enum Said {
    /// All of it is there.
    Whole(Full<Bytes>),
    /// It comes from elsewhere as it comes.
    Streamed(tonic::body::Body),
}

impl From<Bytes> for Said {
    fn from(body: Bytes) -> Said {
        Said::Whole(Full::new(body))
    }
}

impl Body for Said {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.get_mut() {
            Said::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Said::Streamed(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Said::Whole(body) => body.is_end_stream(),
            Said::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Said::Whole(body) => body.size_hint(),
            Said::Streamed(body) => body.size_hint(),
        }
    }
}

/// Done, and nothing to say.
pub(super) fn empty() -> Response<Said> {
    let mut response = Response::new(Bytes::new().into());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A value as it is kept; if there is nothing in it, so it is said.
pub(super) fn json_bytes(body: Bytes) -> Response<Said> {
    if body.is_empty() {
        return empty();
    }
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// An object or a list, with an end of line as Dapr has it.
pub(super) fn json_line(body: &Value) -> Response<Said> {
    json_bytes(format!("{body}\n").into())
}

/// What is told in words of our own.
pub(super) fn json_text(body: &impl Serialize) -> Answer {
    let text = serde_json::to_vec(body).map_err(|error| {
        let message = format!("the answer cannot be written as JSON: {error}");
        Error::new("ERR_INTERNAL", StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, message)
    })?;
    Ok(json_bytes(text.into()))
}

/// Bytes that nobody knows more of.
pub(super) fn bytes(body: Bytes) -> Response<Said> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}

/// Server-sent events, each with the line that ends it, for as long as there are some.
pub(super) fn server_sent(events: impl Stream<Item = String> + Send + 'static) -> Response<Said> {
    let frames = events.map(|text| Ok::<_, Status>(Frame::data(Bytes::from(text))));
    let mut response = Response::new(Said::Streamed(tonic::body::Body::new(StreamBody::new(frames))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Text for people.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Said> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()).into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// What went wrong.
pub(super) fn error(error: &Error) -> Response<Said> {
    let mut response = json_bytes(error.to_json().to_string().into());
    *response.status_mut() = error.status;
    response
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

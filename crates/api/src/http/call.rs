//! One request on its way to its endpoint.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use engine::blocks::Idempotency;
use http::StatusCode;
use http::request::Parts;
use hyper::body::Incoming;
use tonic::Code;

use super::body::{self, Unread};
use super::query::Query;
use crate::api::Api;
use crate::error::Error;
use crate::idempotency;
use crate::pubsub::Trace;

/// A request, its body not read yet.
pub(super) struct Call<'a> {
    pub(super) api: &'a Arc<Api>,
    pub(super) head: &'a Parts,
    /// Taken by who reads it.
    pub(super) body: &'a mut Option<Incoming>,
}

/// What a write asks for.
pub(super) struct Asked {
    /// The body.
    pub(super) body: Bytes,
    /// What it is done once under, if the request says so.
    pub(super) once: Option<Idempotency>,
}

impl<'a> Call<'a> {
    /// The query.
    pub(super) fn query(&self) -> Query<'a> {
        Query::of(self.head.uri.query())
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The trace that it belongs to.
    pub(super) fn trace(&self) -> Trace<'a> {
        let text = |name| self.header(name).unwrap_or_default();
        Trace::new(text("traceparent"), text("tracestate"), text("baggage"))
    }

    /// All of the body.
    ///
    /// # Errors
    ///
    /// If it is longer than may be, does not come, or breaks off.
    pub(super) async fn body(self) -> Result<Bytes, Unread> {
        match self.body.take() {
            Some(body) => body::read(body, self.api.config.body_bytes_max).await,
            None => Ok(Bytes::new()),
        }
    }

    /// What is asked for by a write, and under which idempotency key.
    ///
    /// # Errors
    ///
    /// If the body cannot be had, or the key is none.
    pub(super) async fn asked(self) -> Result<Asked, Error> {
        self.asked_or(Error::malformed_body).await
    }

    /// The same; `unread` is what is said of a body that cannot be had.
    ///
    /// # Errors
    ///
    /// If the body cannot be had, or the key is none.
    pub(super) async fn asked_or(self, unread: impl FnOnce(Unread) -> Error) -> Result<Asked, Error> {
        let (api, head) = (self.api, self.head);
        let key = idempotency::key(&head.headers)?;
        let body = self.body().await.map_err(unread)?;
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let once = key.map(|key| {
            let parts = [head.method.as_str().as_bytes(), target.as_bytes(), &body];
            idempotency::once(&api.config.app_id, key, &parts)
        });
        Ok(Asked { body, once })
    }

    /// For what cannot be done once: nobody shall believe that it is.
    ///
    /// # Errors
    ///
    /// If there is a key.
    pub(super) fn no_idempotency(&self, why: &str) -> Result<(), Error> {
        idempotency::none(&self.head.headers, why)
    }

    /// There is no such endpoint: it may have been meant for another application.
    pub(super) fn no_route(&self) -> Error {
        no_route()
    }
}

/// What is answered where no endpoint is, and no application is named.
pub(super) fn no_route() -> Error {
    Error::new("ERR_DIRECT_INVOKE", StatusCode::NOT_FOUND, Code::NotFound, NO_APP)
}

/// Whether an endpoint has answered that it is none.
pub(super) fn is_no_route(error: &Error) -> bool {
    error.code == "ERR_DIRECT_INVOKE" && error.status == StatusCode::NOT_FOUND
}

/// A segment of the path, decoded.
///
/// # Errors
///
/// If it is no text.
pub(super) fn decoded(segment: &str) -> Result<Cow<'_, str>, Error> {
    let decoded = percent_encoding::percent_decode_str(segment).decode_utf8();
    decoded.map_err(|_| Error::bad_request(format!("{segment:?} in the path is not UTF-8 text")))
}

const NO_APP: &str = "there is no such endpoint, and no header dapr-app-id names an application to call";

//! The API over HTTP.
//!
//! All rules that hold for every request are here, in their order: token, route, answer, `Traceparent`. What a group of
//! endpoints does is in the file of its name, which gets a [`Call`] and knows the segments behind its group's name; a
//! new group is a file and a line in [`route`]. An endpoint decodes, asks the building block and renders; it decides
//! nothing.

mod answer;
mod body;
mod call;
mod health;
mod json;
mod metadata;
mod path;
mod query;
mod queues;
mod secrets;
mod state;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::api::Api;
use crate::error::Error;
use crate::token;
use answer::{Answer, Said};
use call::Call;

/// Answers a request.
pub(crate) async fn answer(api: &Arc<Api>, request: Request<Incoming>) -> Response<Said> {
    let (head, body) = request.into_parts();
    let path = path::clean(head.uri.path());
    let group = path::group(&path);
    let is_health = matches!(group, Some((_, "healthz", _)));
    if !is_health && !token::matches(api.config.token.as_deref(), head.headers.get(token::HEADER)) {
        return answer::plain(StatusCode::UNAUTHORIZED, "invalid api token\n");
    }
    let call = Call { api, head: &head, body };
    let answered = match group {
        Some((version, group, rest)) => route(version, group, rest, call).await,
        None => Err(call.no_route()),
    };
    let mut response = answered.unwrap_or_else(|error| answer::error(&error));
    if !is_health {
        trace(&head.headers, response.headers_mut());
    }
    response
}

async fn route(version: &str, group: &str, rest: path::Segments<'_>, call: Call<'_>) -> Answer {
    match (version, group) {
        ("v1.0", "healthz") => health::answer(&rest, call),
        ("v1.0", "metadata") => metadata::answer(&rest, call).await,
        ("v1.0", "queues") => queues::answer(&rest, call).await,
        ("v1.0", "secrets") => secrets::answer(&rest, call).await,
        ("v1.0", "shutdown") => health::shutdown(&rest, call),
        ("v1.0", "state") => state::answer(&rest, call).await,
        _ => Err(call.no_route()),
    }
}

/// Says which trace the request belongs to: the one it came with, or none.
fn trace(request: &HeaderMap, response: &mut HeaderMap) {
    let none = HeaderValue::from_static(NO_TRACE);
    response.insert("traceparent", request.get("traceparent").cloned().unwrap_or(none));
    for name in ["tracestate", "baggage"] {
        if let Some(value) = request.get(name) {
            response.insert(name, value.clone());
        }
    }
}

const NO_TRACE: &str = "00-00000000000000000000000000000000-0000000000000000-00";

impl From<Error> for Response<Said> {
    fn from(error: Error) -> Self {
        answer::error(&error)
    }
}

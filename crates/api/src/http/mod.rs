//! The API over HTTP.
//!
//! All rules that hold for every request are here, in their order: origin, token, deadline, route, answer, `Traceparent`. What is no
//! endpoint, or a closed one,
//! may be a call to another application (`invoke.rs`). What a group of
//! endpoints does is in the file of its name, which gets a [`Call`] and knows the segments behind its group's name; a
//! new group is a file and a line in [`route`]. An endpoint decodes, asks the building block and renders; it decides
//! nothing.

mod answer;
mod bindings;
mod body;
mod call;
mod configuration;
mod cors;
mod health;
mod invoke;
mod jobs;
mod json;
mod lock;
mod metadata;
mod openapi;
mod path;
mod publish;
mod query;
mod queues;
mod secrets;
mod state;
mod streams;
mod topics;

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::api::Api;
use crate::deadline;
use crate::error::Error;
use crate::idempotency;
use crate::spans::TRACE;
use crate::spans::noting;
use crate::token;
use answer::{Answer, Said};
use call::{Call, is_no_route};

/// Answers a request.
pub(crate) async fn answer(api: &Arc<Api>, request: Request<Incoming>) -> Response<Said> {
    let (mut head, body) = request.into_parts();
    let uri = head.uri.clone();
    let path = path::clean(uri.path());
    let is_health = matches!(path::group(&path), Some((_, "healthz", _)));
    let origins = &api.config.origins;
    if let Some(response) = cors::preflight(origins, &head) {
        return response;
    }
    let cors = cors::Told::of(origins, &head);
    if !is_health && !token::matches(api.config.token.as_deref(), head.headers.get(token::HEADER)) {
        let mut refused = answer::plain(StatusCode::UNAUTHORIZED, "invalid api token\n");
        if let Some(cors) = cors {
            cors.tell(refused.headers_mut());
        }
        return refused;
    }
    let begun = api.tracer.as_ref().and_then(|tracer| {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let begun = tracer.asked(&mut head.headers, &head.method, &segments);
        Some((tracer, begun?))
    });
    let trace = Trace::of(&head.headers);
    let notes = begun.as_ref().and_then(|(_, begun)| begun.notes());
    let answered = match deadline::arrived(&mut head.headers) {
        None => noting(notes, answered(api, &mut head, &path, body)).await,
        Some(deadline) => {
            let answered = deadline::within(deadline, answered(api, &mut head, &path, body));
            Box::pin(noting(notes, answered)).await
        }
    };
    let mut response = answered.unwrap_or_else(|error| answer::error(&error));
    if let Some((tracer, begun)) = begun {
        tracer.answered(begun, response.status());
    }
    if !is_health {
        trace.tell(response.headers_mut());
    }
    if let Some(cors) = cors {
        cors.tell(response.headers_mut());
    }
    response
}

/// By an endpoint, or by the application that is called.
async fn answered(api: &Arc<Api>, head: &mut Parts, path: &str, body: Incoming) -> Answer {
    let mut body = Some(body);
    let is_here = |version: &str, group: &str| match group {
        "invoke" => false,
        "healthz" => true,
        group => api.config.apis.http.is_to(version, group),
    };
    if let Some((version, group, rest)) =
        path::group(path).filter(|(version, group, _)| is_here(version, group))
    {
        let call = Call { api, head, body: &mut body };
        match route(version, group, rest, call).await {
            Err(error) if is_no_route(&error) => {}
            answered => return answered,
        }
    }
    invoke::answer(api, head, path, body).await
}

async fn route(version: &str, group: &str, rest: path::Segments<'_>, call: Call<'_>) -> Answer {
    let elsewhere = call.header("dapr-app-id").is_some();
    let keyless = KEYLESS.iter().find(|(keyless, _)| *keyless == group);
    if let Some((_, why)) = keyless.filter(|_| call.head.method != Method::GET && !elsewhere) {
        call.no_idempotency(why)?;
    }
    match (version, group) {
        ("v1.0", "bindings") => bindings::answer(&rest, call).await,
        ("v1.0", "healthz") => health::answer(&rest, call),
        ("v1.0" | "v1.0-alpha1", "configuration") => configuration::answer(&rest, call).await,
        ("v1.0" | "v1.0-alpha1", "jobs") => jobs::answer(&rest, call).await,
        ("v1.0", "metadata") => metadata::answer(&rest, call).await,
        ("v1.0", "openapi.json") => openapi::answer(&rest, call),
        ("v1.0" | "v1.0-alpha1", "publish") => publish::answer(version, &rest, call).await,
        ("v1.0", "queues") => queues::answer(&rest, call).await,
        ("v1.0", "secrets") => secrets::answer(&rest, call).await,
        ("v1.0", "shutdown") => health::shutdown(&rest, call),
        ("v1.0", "state") => state::answer(&rest, call).await,
        ("v1.0", "streams") => streams::answer(&rest, call).await,
        ("v1.0", "topics") => topics::answer(&rest, call).await,
        ("v1.0-alpha1", "lock") => lock::lock(&rest, call).await,
        ("v1.0-alpha1", "unlock") => lock::unlock(&rest, call).await,
        _ => Err(call.no_route()),
    }
}

/// Which trace a request belongs to, if it says so.
struct Trace([Option<HeaderValue>; 3]);

impl Trace {
    fn of(request: &HeaderMap) -> Trace {
        Trace(TRACE.map(|name| request.get(name).cloned()))
    }

    /// Says it in the answer.
    fn tell(self, response: &mut HeaderMap) {
        for (name, value) in TRACE.into_iter().zip(self.0) {
            if let Some(value) = value {
                response.insert(name, value);
            }
        }
    }
}

/// The groups whose writes are not done once under an idempotency key, and why.
const KEYLESS: [(&str, &str); 2] =
    [("bindings", idempotency::BEHIND_A_BINDING), ("shutdown", idempotency::AFTER_THE_END)];

impl From<Error> for Response<Said> {
    fn from(error: Error) -> Self {
        answer::error(&error)
    }
}

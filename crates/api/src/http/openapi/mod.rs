//! The API over HTTP described as OpenAPI 3.1 has it: `GET /v1.0/openapi.json`.
//!
//! A file here for each group of endpoints, written beside the one that answers: a new endpoint gets its line in both. That there is
//! no path without an endpoint and no endpoint without a path is a test (`tests.rs`), and that what is answered is what is
//! described is another, through the built binary. Bounds are the constants that the endpoints check against.

mod blocks;
mod dapr;
mod errors;
mod queues;
mod schemas;
mod sidecar;
mod streams;
#[cfg(test)]
mod tests;
mod topics;
mod write;

use std::sync::LazyLock;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::answer::{Answer, json_bytes};
use super::call::Call;
use crate::metadata::VERSION;
use write::Paths;

/// `GET openapi.json`.
pub(super) fn answer(rest: &[&str], call: Call<'_>) -> Answer {
    match (&call.head.method, rest) {
        (&Method::GET, []) => Ok(json_bytes(TEXT.clone())),
        _ => Err(call.no_route()),
    }
}

/// Written when it is first asked for.
static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

fn document() -> Value {
    let mut paths = Paths::default();
    sidecar::add(&mut paths);
    dapr::add(&mut paths);
    blocks::add(&mut paths);
    queues::add(&mut paths);
    streams::add(&mut paths);
    topics::add(&mut paths);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Colony's application API",
            "version": VERSION,
            "description": INFO,
            "license": { "name": "Apache 2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "the sidecar that this comes from" }],
        "security": [{ "token": [] }],
        "paths": paths.into_value(),
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "token": {
                    "type": "apiKey", "in": "header", "name": crate::token::HEADER,
                    "description": "what DAPR_API_TOKEN was when the sidecar was started; where it was not set nothing is asked for",
                },
            },
        },
    })
}

const INFO: &str = "What Dapr names is Dapr's; queues, streams and what else it has no name for is Colony's own, in the same style. \
     Names in paths are percent-encoded, `/` too. A body is JSON where JSON is described, whatever its Content-Type says. Any path that is \
     none of these is a call to the application that the header `dapr-app-id` names, and 404 if there is none, also where only the method is \
     not one of these. A head over 8 KiB (`--dapr-http-read-buffer-size`) is 431 without a body.";

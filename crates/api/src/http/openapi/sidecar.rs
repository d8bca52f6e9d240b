//! What a sidecar says of itself, and its end; calls to other applications.

use serde_json::json;

use super::errors::BODY_READ;
use super::schemas::{any, named, one_of};
use super::write::{Operation, Paths};

pub(super) fn add(paths: &mut Paths) {
    let op = |id, summary| Operation::new("sidecar", id, summary);
    paths.add(
        "/v1.0/healthz",
        &["get"],
        op("health", "Whether the application can be called")
            .open()
            .query("appid", json!({ "type": "string" }), "whose sidecar it must be")
            .done("it can")
            .fails(500, &["ERR_HEALTH_NOT_READY", "ERR_HEALTH_APPID_NOT_MATCH"]),
    );
    paths.add(
        "/v1.0/healthz/outbound",
        &["get"],
        op("outboundHealth", "Whether the application may call the API")
            .open()
            .done("it may")
            .fails(500, &["ERR_OUTBOUND_HEALTH_NOT_READY"]),
    );
    paths.add(
        "/v1.0/metadata",
        &["get"],
        op("metadata", "What the sidecar says of itself").answers("it", named("Metadata")),
    );
    paths.add(
        "/v1.0/metadata/{note}",
        &["put"],
        op("note", "Notes a text under a key, to be told with the metadata")
            .body(false, json!({ "text/plain": { "schema": { "type": "string", "maxLength": 65536 } } }))
            .done("noted")
            .fails(400, &["ERR_BAD_REQUEST", "ERR_BODY_READ"]),
    );
    paths.add(
        "/v1.0/openapi.json",
        &["get"],
        op("openapi", "This document")
            .answers("it", json!({ "type": "object", "required": ["openapi", "paths"] })),
    );
    paths.add(
        "/v1.0/shutdown",
        &["post"],
        op("shutdown", "Ends the sidecar, as a signal does").keyless().done("it ends"),
    );
    let call = Operation::new("invoke", "invoke", "Calls another application")
        .note(
            "The method may have several segments, and the request any body; query, headers and body reach the application, and its answer \
             comes back as it is. An application that speaks gRPC is called by OnInvoke.",
        )
        .content("default", "what the application answers", json!({ "*/*": { "schema": any() } }))
        .fails(500, &["ERR_DIRECT_INVOKE"]);
    let methods = ["get", "post", "put", "delete", "patch", "options", "head", "trace"];
    paths.add("/v1.0/invoke/{appId}/method/{method}", &methods, call);
    let lock = |id, summary| {
        Operation::new("lock", id, summary)
            .once()
            .fails(400, BODY_READ)
            .fails(400, &["ERR_LOCK_STORE_NOT_FOUND"])
    };
    paths.add(
        "/v1.0-alpha1/lock/{store}",
        &["post"],
        lock("tryLock", "Takes a lock, if it is free")
            .json_body(true, named("Lock"))
            .answers("whether it was", json!({ "type": "object", "required": ["success"], "properties": { "success": { "type": "boolean" } } }))
            .fails(400, &["ERR_TRY_LOCK"])
            .fails(409, &["ERR_TRY_LOCK"])
            .fails(500, &["ERR_TRY_LOCK"]),
    );
    paths.add(
        "/v1.0-alpha1/unlock/{store}",
        &["post"],
        lock("unlock", "Gives a lock back")
            .json_body(true, named("Unlock"))
            .answers(
                "0: done; 1: nobody held it; 2: it is another's",
                json!({ "type": "object", "required": ["status"], "properties": { "status": one_of(&[0, 1, 2]) } }),
            )
            .fails(400, &["ERR_UNLOCK"])
            .fails(409, &["ERR_UNLOCK"])
            .fails(500, &["ERR_UNLOCK"]),
    );
}

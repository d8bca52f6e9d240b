//! State and publishing.

use serde_json::{Value, json};

use super::errors::MALFORMED;
use super::schemas::{any, list, named, nullable, one_of};
use super::write::{Operation, Paths};

pub(super) fn add(paths: &mut Paths) {
    state(paths);
    publish(paths);
}

fn op(id: &'static str, summary: &str) -> Operation {
    Operation::new("state", id, summary).fails(400, MALFORMED).fails(400, &["ERR_STATE_STORE_NOT_FOUND"])
}

fn state(paths: &mut Paths) {
    let concurrency = || one_of(&["", "first-write", "last-write"]);
    let consistency = || one_of(&["", "eventual", "strong"]);
    let tells = json!({
        "ETag": { "schema": { "type": "string" }, "description": "by which a write can rely on what was read; none if somebody else has put it there" },
        "metadata.ttlexpiretime": { "schema": { "type": "string", "format": "date-time" }, "description": "when it expires, if it does" },
    });
    paths.add(
        "/v1.0/state/{store}/{key}",
        &["get"],
        op("getState", "An item")
            .query("consistency", consistency(), "a hint: it is always strong")
            .answers("its value", any())
            .tells(tells)
            .done("there is none, or nothing in it")
            .fails(400, &["ERR_STATE_GET"])
            .fails(500, &["ERR_STATE_GET"]),
    );
    paths.add(
        "/v1.0/state/{store}/{key}",
        &["delete"],
        op("deleteState", "Takes an item away; that there is none is as good")
            .header("If-Match", json!({ "type": "string" }), "the ETag that it must have")
            .query("concurrency", concurrency(), "with `last-write` the ETag is not looked at")
            .query("consistency", consistency(), "a hint")
            .once()
            .done("it is gone")
            .fails(400, &["ERR_STATE_DELETE"])
            .fails(409, &["ERR_STATE_DELETE"])
            .fails(500, &["ERR_STATE_DELETE"]),
    );
    paths.add(
        "/v1.0/state/{store}",
        &["post", "put"],
        op("saveState", "Saves items, each by itself")
            .query(
                "metadata.ttlInSeconds",
                json!({ "type": "integer" }),
                "for how long they live, before what an item says itself",
            )
            .once()
            .json_body(true, nullable(list(named("SaveItem"))))
            .done("all are saved")
            .fails(400, &["ERR_STATE_SAVE"])
            .fails(409, &["ERR_STATE_SAVE"])
            .fails(500, &["ERR_STATE_SAVE"]),
    );
    let wanted = json!({ "type": "object", "properties": { "keys": nullable(list(named("Key"))) } });
    paths.add(
        "/v1.0/state/{store}/bulk",
        &["post", "put"],
        op("getBulkState", "Several items")
            .json_body(true, wanted)
            .answers(
                "them in the order of the keys, those that are not there by their keys alone",
                list(named("BulkItem")),
            )
            .fails(400, &["ERR_STATE_BULK_GET"])
            .fails(500, &["ERR_STATE_BULK_GET"]),
    );
    paths.add(
        "/v1.0/state/{store}/transaction",
        &["post", "put"],
        op("transactState", "Saves and takes away items, all or none")
            .once()
            .json_body(true, named("Transaction"))
            .done("all is done")
            .fails(
                400,
                &[
                    "ERR_STATE_STORE_TOO_MANY_TRANSACTIONS",
                    "ERR_NOT_SUPPORTED_STATE_OPERATION",
                    "ERR_STATE_TRANSACTION",
                ],
            )
            .fails(404, &["ERR_STREAM_NOT_FOUND"])
            .fails(409, &["ERR_STATE_TRANSACTION"])
            .fails(500, &["ERR_STATE_TRANSACTION", "ERR_PUBLISH_OUTBOX"]),
    );
}

fn publish(paths: &mut Paths) {
    let op = |id, summary| {
        Operation::new("publish", id, summary)
            .query("metadata.rawPayload", raw(), "whether it is published as it is, and not in a CloudEvent")
            .query(
                "metadata.ttlInSeconds",
                json!({ "type": "string" }),
                "after how many seconds it is of no use",
            )
            .query(
                "metadata.partitionKey",
                json!({ "type": "string" }),
                "what it is about: such messages stay in order",
            )
            .query(
                "metadata.delay",
                json!({ "type": "string" }),
                "after how long it is delivered: `30s`, `1h30m`",
            )
            .query(
                "metadata.deliverAt",
                json!({ "type": "string" }),
                "instead of that, from when on: a time of RFC 3339",
            )
            .fails(403, &["ERR_PUBSUB_FORBIDDEN"])
            .fails(404, &["ERR_PUBSUB_NOT_FOUND", "ERR_PUBSUB_EMPTY", "ERR_TOPIC_NAME_EMPTY"])
            .fails(500, &["ERR_PUBSUB_PUBLISH_MESSAGE", "ERR_PUBSUB_CLOUD_EVENTS_SER"])
    };
    let payload = json!({
        "application/json": { "schema": any() },
        "application/cloudevents+json": { "schema": { "type": "object" } },
        "text/plain": { "schema": { "type": "string" } },
        "application/octet-stream": { "schema": {} },
    });
    paths.add(
        "/v1.0/publish/{pubsub}/{topic}",
        &["post", "put"],
        op("publish", "Publishes a message")
            .note("The body is its data, of any media type. The topic may have several segments.")
            .once()
            .body(false, payload)
            .done("it is kept")
            .fails(400, &["ERR_BODY_READ", "ERR_PUBSUB_REQUEST_METADATA"])
            .fails(409, &["ERR_PUBSUB_PUBLISH_MESSAGE"]),
    );
    paths.add_in_both(
        "/publish/bulk/{pubsub}/{topic}",
        &["post", "put"],
        op("publishBulk", "Publishes several messages, each by itself")
            .once()
            .json_body(true, list(named("BulkMessage")))
            .done("all are kept")
            .content(
                "500",
                "some or all are not kept",
                json!({ "application/json": { "schema": named("BulkFailed") } }),
            )
            .fails(400, &["ERR_BODY_READ", "ERR_PUBSUB_EVENTS_SER", "ERR_PUBSUB_REQUEST_METADATA"])
            .fails(409, &["ERR_PUBSUB_PUBLISH_MESSAGE"]),
    );
}

fn raw() -> Value {
    one_of(&["", "0", "1", "f", "t", "F", "T", "false", "true", "False", "True", "FALSE", "TRUE"])
}

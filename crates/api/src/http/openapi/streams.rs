//! The endpoints of event streams, as the document has them.

use serde_json::json;

use super::errors::{MALFORMED, STREAM};
use super::schemas::{bytes, named, one_of, version, whole};
use super::write::{Operation, Paths};

fn op(id: &'static str, summary: &str) -> Operation {
    Operation::new("streams", id, summary).fails_as(STREAM.any).fails(404, STREAM.missing)
}

/// One that writes, under a key once.
fn write(id: &'static str, summary: &str) -> Operation {
    op(id, summary).once().fails(400, MALFORMED).fails_as(STREAM.write).fails(410, STREAM.gone)
}

/// What is read as JSON, or followed as server-sent events.
fn read_or_followed(operation: Operation, description: &str, schema: &str) -> Operation {
    operation
        .content(
            "200",
            &format!("{description}; who accepts text/event-stream follows what happens, each event with its place as its id"),
            json!({
                "application/json": { "schema": named(schema) },
                "text/event-stream": { "schema": { "type": "string" } },
            }),
        )
        .header("Last-Event-ID", json!({ "type": "string" }), "for who follows: the id of the event that was had last")
        .query("type", json!({ "type": "array", "items": { "type": "string" } }), "which types of events; all if none is named")
        .fails(410, STREAM.gone)
}

pub(super) fn add(paths: &mut Paths) {
    let expected = || json!({ "type": "string", "pattern": "^(any|noStream|streamExists|\\+?[0-9]+)$" });
    paths.add(
        "/v1.0/streams/{store}",
        &["get"],
        read_or_followed(
            op("getStore", "A store's settings, or what happens in all of its streams"),
            "its settings",
            "StoreSettings",
        )
        .query("streams", json!({ "type": "string" }), "for who follows: how the names of streams begin")
        .query(
            "from",
            json!({ "type": "string" }),
            "for who follows: start, now, or the id of an event",
        ),
    );
    paths.add(
        "/v1.0/streams/{store}",
        &["put"],
        write("defineStore", "Makes a store, or sets all of its settings")
            .json_body(false, named("StoreSettings"))
            .done("it is there")
            .fails(409, STREAM.conflict),
    );
    paths.add(
        "/v1.0/streams/{store}/{stream}",
        &["post"],
        write("append", "Appends events, all or none")
            .query("expected", expected(), "what must be so: a version, any, noStream or streamExists")
            .json_body(
                true,
                json!({ "type": "array", "items": named("NewEvent"), "minItems": 1, "maxItems": 1000 }),
            )
            .answers("where they are", named("Appended")),
    );
    paths.add(
        "/v1.0/streams/{store}/{stream}",
        &["get"],
        read_or_followed(op("readStream", "Events of a stream"), "events from a version on", "Page")
            .query(
                "from",
                json!({ "type": "string" }),
                "the version to read from; for who follows also start, now, or the id of an event",
            )
            .query("direction", one_of(&["forwards", "backwards"]), "forwards if it is not said")
            .query("max", whole(1, 1000), "how many; 100 if it is not said"),
    );
    paths.add(
        "/v1.0/streams/{store}/{stream}",
        &["delete"],
        write("deleteStream", "Removes a stream")
            .query("expected", expected(), "what must be so")
            .query("tombstone", one_of(&["", "true", "false"]), "whether it is for ever")
            .done("it is gone"),
    );
    let before = json!({
        "type": "object", "required": ["before"], "additionalProperties": false,
        "properties": { "before": version() },
    });
    paths.add(
        "/v1.0/streams/{store}/{stream}/truncate",
        &["post"],
        write("truncateStream", "Removes events before a version")
            .json_body(true, before)
            .done("they are gone"),
    );
    let place = || {
        json!({
            "type": "object", "required": ["position"], "additionalProperties": false,
            "properties": { "position": { "type": "string" } },
        })
    };
    let projection = |id, summary| {
        let failed = &["ERR_STATE_STORE_NOT_FOUND", "ERR_STATE_TRANSACTION", "ERR_MALFORMED_REQUEST"];
        op(id, summary)
            .query(
                "state",
                json!({ "type": "string" }),
                "the store of state that it saves to; it must be said",
            )
            .fails(400, failed)
            .fails(500, &["ERR_STATE_TRANSACTION"])
    };
    let path = "/v1.0/streams/{store}/projections/{projection}";
    let summary = "Where a projection is; a transaction of state moves it on";
    paths.add(
        path,
        &["get"],
        projection("getProjection", summary).answers("up to where it has read", place()),
    );
    let summary = "Sets a projection back, or on";
    paths.add(
        path,
        &["put"],
        projection("setProjection", summary).json_body(true, place()).done("it is there"),
    );
    let summary = "Has a projection begin anew";
    paths.add(path, &["delete"], projection("resetProjection", summary).done("it has read nothing"));
    paths.add(
        "/v1.0/streams/{store}/{stream}/snapshot",
        &["put"],
        write("saveSnapshot", "Saves what came of the events up to a version")
            .must_query("version", version(), "up to which")
            .body(false, json!({ "application/octet-stream": { "schema": bytes() } }))
            .done("it is saved"),
    );
    paths.add(
        "/v1.0/streams/{store}/{stream}/snapshot",
        &["get"],
        op("getSnapshot", "The latest snapshot, or the latest up to a version")
            .query("version", version(), "up to which")
            .content("200", "it, as it was saved", json!({ "application/octet-stream": { "schema": bytes() } }))
            .tells(json!({
                "colony-version": { "schema": version(), "description": "up to which version it is" },
                "colony-time": { "schema": { "type": "string", "format": "date-time" }, "description": "when it was saved" },
            })),
    );
}

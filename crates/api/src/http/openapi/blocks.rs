//! Bindings, configuration, jobs and secrets.

use serde_json::json;

use super::errors::{BODY_READ, CONFIGURATION, MALFORMED};
use super::schemas::{any, each, list, named};
use super::write::{Operation, Paths};

pub(super) fn add(paths: &mut Paths) {
    paths.add(
        "/v1.0/bindings/{binding}",
        &["post", "put"],
        Operation::new("bindings", "invokeBinding", "Has a binding do something")
            .keyless()
            .json_body(true, named("BindingRequest"))
            .answers(
                "what came of it, as it came; what the other side says besides is in headers `metadata.NAME`",
                any(),
            )
            .done("it is done, and nothing came back")
            .fails(400, MALFORMED)
            .fails(500, &["ERR_INVOKE_OUTPUT_BINDING"]),
    );
    secrets(paths);
    configuration(paths);
    jobs(paths);
}

fn secrets(paths: &mut Paths) {
    let op = |id, summary| {
        Operation::new("secrets", id, summary)
            .fails(401, &["ERR_SECRET_STORE_NOT_FOUND"])
            .fails(500, &["ERR_SECRET_STORES_NOT_CONFIGURED", "ERR_SECRET_GET"])
    };
    let secret = || each(json!({ "type": "string" }));
    paths.add(
        "/v1.0/secrets/{store}/{secret}",
        &["get"],
        op("getSecret", "A secret")
            .answers("its parts by name", secret())
            .fails(403, &["ERR_PERMISSION_DENIED"]),
    );
    paths.add(
        "/v1.0/secrets/{store}/bulk",
        &["get"],
        op("getBulkSecret", "All secrets of a store that the application may know")
            .answers("them by name", each(secret())),
    );
}

fn configuration(paths: &mut Paths) {
    let op = |id, summary| {
        Operation::new("configuration", id, summary).fails(400, &["ERR_CONFIGURATION_STORE_NOT_FOUND"])
    };
    let keys = || json!({ "type": "array", "items": { "type": "string" }, "maxItems": 1000 });
    paths.add_in_both(
        "/configuration/{store}",
        &["get"],
        op("getConfiguration", "Items")
            .query("key", keys(), "which; all if none is named")
            .answers("those that are there, by key", each(named("ConfigurationItem")))
            .done("none is there")
            .fails(500, &["ERR_CONFIGURATION_GET"]),
    );
    paths.add_in_both(
        "/configuration/{store}/subscribe",
        &["get"],
        op("subscribeConfiguration", "Has the application be told what happens to items from now on")
            .query("key", keys(), "which; all if none is named")
            .answers(
                "the subscription's id",
                json!({ "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } }),
            )
            .fails(500, &["ERR_CONFIGURATION_SUBSCRIBE", "ERR_APP_CHANNEL_NIL"]),
    );
    let unknown = json!({ "type": "object", "required": ["message"], "properties": { "message": { "type": "string" } } });
    paths.add_in_both(
        "/configuration/{store}/{subscription}/unsubscribe",
        &["get"],
        op("unsubscribeConfiguration", "Ends a subscription")
            .answers(
                "it has ended",
                json!({ "type": "object", "required": ["ok"], "properties": { "ok": { "const": true } } }),
            )
            .content("500", "there is none of this id", json!({ "application/json": { "schema": unknown } })),
    );
    paths.add_in_both(
        "/configuration/{store}",
        &["post"],
        op("writeConfiguration", "Sets items and takes some away, all or none. Colony's own")
            .once()
            .json_body(true, named("ConfigurationEdits"))
            .answers("the revision in which it was done", json!({ "type": "object", "required": ["revision"], "properties": { "revision": named("Digits") } }))
            .fails(400, MALFORMED)
            .fails(400, &["ERR_CONFIGURATION_READ_ONLY"])
            .fails_as(CONFIGURATION.any)
            .fails_as(CONFIGURATION.write),
    );
}

fn jobs(paths: &mut Paths) {
    let op = |id, summary| Operation::new("jobs", id, summary).fails(400, &["DAPR_SCHEDULER_JOB_NAME_EMPTY"]);
    let listed =
        json!({ "type": "object", "required": ["jobs"], "properties": { "jobs": list(named("Job")) } });
    paths.add_in_both(
        "/jobs",
        &["get"],
        Operation::new("jobs", "listJobs", "All jobs of the application. Colony's own")
            .answers("them", listed)
            .fails(500, &["DAPR_SCHEDULER_LIST_JOBS"]),
    );
    paths.add_in_both(
        "/jobs/{job}",
        &["post"],
        op("scheduleJob", "Has the application called when the time comes")
            .once()
            .json_body(true, named("ScheduleJob"))
            .done("it is scheduled")
            .fails(400, BODY_READ)
            .fails(400, &["DAPR_SCHEDULER_SCHEDULE_EMPTY", "DAPR_SCHEDULER_JOB_NAME"])
            .fails(409, &["DAPR_SCHEDULER_SCHEDULE_JOB"])
            .fails(500, &["DAPR_SCHEDULER_SCHEDULE_JOB"]),
    );
    paths.add_in_both(
        "/jobs/{job}",
        &["get"],
        op("getJob", "A job as it was scheduled")
            .answers("it", named("Job"))
            .fails(500, &["DAPR_SCHEDULER_GET_JOB"]),
    );
    paths.add_in_both(
        "/jobs/{job}",
        &["delete"],
        op("deleteJob", "Takes a job away; that there is none is as good")
            .once()
            .done("it is gone")
            .fails(409, &["DAPR_SCHEDULER_DELETE_JOB"])
            .fails(500, &["DAPR_SCHEDULER_DELETE_JOB"]),
    );
}

//! The endpoints of queues, as the document has them.

use serde_json::json;

use super::errors::{MALFORMED, QUEUE};
use super::schemas::{any, bytes, list, named, one_of, text, whole};
use super::write::{Operation, Paths};

pub(super) fn add(paths: &mut Paths) {
    work(paths);
    settle(paths);
    manage(paths);
    items(paths);
    push(paths);
}

fn op(id: &'static str, summary: &str) -> Operation {
    Operation::new("queues", id, summary).fails_as(QUEUE.any)
}

/// One that writes, under a key once.
fn write(id: &'static str, summary: &str) -> Operation {
    op(id, summary).once().fails(400, MALFORMED).fails_as(QUEUE.write)
}

fn work(paths: &mut Paths) {
    let sent = || named("Sent");
    paths.add(
        "/v1.0/queues/{queue}/send",
        &["post"],
        write("send", "Sends an item")
            .note("The body is its payload, any bytes; `metadata.NAME` in the query is a header of it.")
            .query("priority", whole(0, 9), "the highest is handed out first; 4 if it is not said")
            .query("delay", named("Duration"), "nobody gets it before")
            .query("at", named("Time"), "nobody gets it before")
            .query("ttl", named("Duration"), "after that it is not handed out any more")
            .query("key", text(1024), "what limits of a key go by")
            .query("dedupId", text(255), "one that was sent with the same within the queue's window is not sent again")
            .body(false, json!({ "application/json": { "schema": any() }, "application/octet-stream": { "schema": bytes() } }))
            .answers("its id", sent()),
    );
    let outcome = json!({ "type": "object", "required": ["items"], "properties": { "items": list(json!({ "anyOf": [sent(), named("Error")] })) } });
    paths.add(
        "/v1.0/queues/{queue}/send/bulk",
        &["post"],
        write("sendBulk", "Sends items, all or none; in a queue that is spread those of each shard")
            .json_body(
                true,
                json!({ "type": "array", "items": named("NewItem"), "minItems": 1, "maxItems": 1000 }),
            )
            .answers("what became of each", outcome),
    );
    paths.add(
        "/v1.0/queues/{queue}/receive",
        &["post"],
        op("receive", "Items, as soon as there are some")
            .keyless()
            .json_body(false, named("Receive"))
            .answers("them; none if it took too long", json!({ "type": "object", "required": ["items"], "properties": { "items": list(named("Work")) } }))
            .fails(400, MALFORMED)
            .fails_as(QUEUE.write),
    );
}

fn settle(paths: &mut Paths) {
    for (verb, id, summary, body) in [
        ("ack", "acknowledge", "Work that is done", "Receipts"),
        ("nack", "fail", "Work that has failed", "Failed"),
        ("release", "release", "Work that was not begun", "Receipts"),
        ("extend", "extend", "Work that takes longer", "Extended"),
    ] {
        let answer = json!({ "type": "object", "required": ["fenced"], "properties": { "fenced": list(json!({ "type": "string" })) } });
        paths.add(
            &format!("/v1.0/queues/{{queue}}/{verb}"),
            &["post"],
            write(id, summary)
                .json_body(true, named(body))
                .answers("the receipts that were good no longer; the others are settled", answer)
                .fails(409, QUEUE.fenced)
                .fails(404, QUEUE.missing),
        );
    }
}

fn manage(paths: &mut Paths) {
    let queues = json!({ "type": "object", "required": ["queues"], "properties": { "queues": list(named("QueueCounts")) } });
    paths.add(
        "/v1.0/queues",
        &["get"],
        op("listQueues", "Queues by name")
            .query("after", json!({ "type": "string" }), "those behind this name")
            .query("max", whole(1, 1000), "how many; 100 if it is not said")
            .answers("them, with how many items stand where", queues),
    );
    paths.add(
        "/v1.0/queues/{queue}",
        &["get"],
        op("getQueue", "A queue's settings and counts").answers("them", named("Queue")),
    );
    paths.add(
        "/v1.0/queues/{queue}",
        &["put"],
        write("defineQueue", "Sets all settings; those that are not named are as by default")
            .json_body(false, named("QueueSettings"))
            .done("set"),
    );
    for (verb, id, summary) in [
        ("pause", "pauseQueue", "Has nothing handed out"),
        ("resume", "resumeQueue", "Has items handed out again"),
    ] {
        paths.add(&format!("/v1.0/queues/{{queue}}/{verb}"), &["post"], write(id, summary).done("done"));
    }
    paths.add(
        "/v1.0/queues/{queue}/purge",
        &["post"],
        write("purgeQueue", "Takes away what waits, dead letters, or both")
            .json_body(true, named("Purge"))
            .done("it goes on in the background"),
    );
    paths.add(
        "/v1.0/queues/{queue}/redrive",
        &["post"],
        write("redriveQueue", "Puts dead letters back")
            .json_body(false, named("Redrive"))
            .answers("how many there are, and the first of them", named("Redriven"))
            .fails(404, QUEUE.missing)
            .fails(409, QUEUE.conflict),
    );
}

fn items(paths: &mut Paths) {
    let states = ["ready", "delayed", "blocked", "leased", "dead"];
    paths.add(
        "/v1.0/queues/{queue}/items",
        &["get"],
        op("peekItems", "Items, without handing them out")
            .query("state", one_of(&states), "which; ready if it is not said")
            .query("max", whole(1, 100), "how many of each shard; 10 if it is not said")
            .answers("them", json!({ "type": "object", "required": ["items"], "properties": { "items": list(named("Item")) } })),
    );
    paths.add(
        "/v1.0/queues/{queue}/items/{item}",
        &["get"],
        op("getItem", "An item, wherever it stands").answers("it", named("Item")).fails(404, QUEUE.missing),
    );
    paths.add(
        "/v1.0/queues/{queue}/items/{item}",
        &["delete"],
        write("cancelItem", "Takes out an item that nobody has").done("it is gone").fails(404, QUEUE.missing),
    );
}

fn push(paths: &mut Paths) {
    let op = |id, summary| op(id, summary).fails_as(QUEUE.write);
    paths.add(
        "/v1.0/queues/{queue}/push",
        &["get"],
        op("getPush", "How the queue is pushed to the application")
            .answers("it", named("Push"))
            .fails(404, QUEUE.missing),
    );
    paths.add(
        "/v1.0/queues/{queue}/push",
        &["put"],
        write("setPush", "Has the queue pushed to the application from now on")
            .json_body(true, named("Push"))
            .done("it is")
            .fails(400, &["ERR_QUEUE_NO_APP"]),
    );
    paths.add(
        "/v1.0/queues/{queue}/push",
        &["delete"],
        op("removePush", "Ends the pushing").done("it is pushed no more").fails(404, QUEUE.missing),
    );
}

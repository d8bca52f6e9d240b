//! The endpoints of topics and their groups, as the document has them.

use serde_json::{Value, json};

use super::errors::{MALFORMED, TOPIC};
use super::schemas::{list, named, nullable, one_of, text, whole};
use super::write::{Operation, Paths};

fn op(id: &'static str, summary: &str) -> Operation {
    let operation = Operation::new("topics", id, summary).fails_as(TOPIC.any);
    operation.fails(400, &["ERR_TOPIC_OUTSIDE"]).fails(404, &["ERR_PUBSUB_NOT_FOUND"])
}

/// One of a topic that must be there, and may be subscribed to.
fn of_topic(id: &'static str, summary: &str) -> Operation {
    op(id, summary).fails(403, &["ERR_TOPIC_FORBIDDEN"]).fails(404, TOPIC.missing)
}

fn write(id: &'static str, summary: &str) -> Operation {
    of_topic(id, summary).fails(400, MALFORMED).fails_as(TOPIC.write).fails(409, TOPIC.conflict)
}

fn whole_number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn told(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn sent(properties: Value) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn number_text() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]{1,9}$" })
}

fn topic() -> Value {
    told(
        &["name", "messages", "bytes", "delayed", "partitions", "groups"],
        json!({
            "name": { "type": "string" },
            "messages": whole_number(),
            "bytes": whole_number(),
            "delayed": whole_number(),
            "partitions": list(told(&["partition", "first", "next", "messages", "bytes", "delayed"], json!({
                "partition": whole_number(), "first": whole_number(), "next": whole_number(),
                "messages": whole_number(), "bytes": whole_number(), "delayed": whole_number(),
            }))),
            "groups": list(group()),
        }),
    )
}

fn group() -> Value {
    told(
        &["name", "lag", "aside", "missed", "skipped", "dead", "partitions"],
        json!({
            "name": { "type": "string" },
            "lag": whole_number(), "aside": whole_number(), "missed": whole_number(),
            "skipped": whole_number(), "dead": whole_number(),
            "partitions": list(told(&["partition", "offset", "lag"], json!({
                "partition": whole_number(), "offset": whole_number(), "lag": whole_number(),
            }))),
            "onFailure": { "type": "object" },
        }),
    )
}

fn on_failure() -> Value {
    let set = sent(json!({
        "attemptsMax": nullable(whole(0, u64::from(u32::MAX))),
        "backoff": nullable(named("Duration")),
        "backoffMax": nullable(named("Duration")),
        "givenUp": nullable(one_of(&["park", "block", "skip", "deadLetter"])),
        "deadLetter": nullable(text(255)),
    }));
    sent(json!({ "onFailure": { "anyOf": [set, { "type": "null" }] } }))
}

fn to() -> Value {
    let mut schema = sent(json!({
        "to": nullable(one_of(&["start", "end"])),
        "time": nullable(named("Time")),
        "partition": nullable(whole(0, u64::from(u32::MAX))),
        "offset": nullable(whole_number()),
    }));
    schema["description"] = "`to`, `time`, or `partition` and `offset`".into();
    schema
}

pub(super) fn add(paths: &mut Paths) {
    let messages = |of: Value| told(&["messages"], json!({ "messages": list(of) }));
    paths.add(
        "/v1.0/topics/{pubsub}",
        &["get"],
        op("listTopics", "Topics by name")
            .query("after", json!({ "type": "string" }), "those after this name")
            .query("max", whole(1, 1_000), "how many; 100 if it is not said")
            .answers("them", told(&["topics"], json!({ "topics": list(topic()) }))),
    );
    let of = "/v1.0/topics/{pubsub}/{topic}";
    paths.add(of, &["get"], of_topic("getTopic", "A topic, with its groups").answers("it", topic()));
    paths.add(
        &format!("{of}/messages"),
        &["get"],
        of_topic("readTopic", "Messages, which are not consumed by that")
            .query("partition", number_text(), "of which partition; 0 if it is not said")
            .query("from", number_text(), "the offset to read from; 0 if it is not said")
            .query("max", whole(1, 100), "how many; 10 if it is not said")
            .answers(
                "them",
                messages(told(
                    &["partition", "offset", "time"],
                    json!({
                        "partition": whole_number(), "offset": whole_number(), "time": { "type": "string" },
                    }),
                )),
            ),
    );
    let of_group = format!("{of}/groups/{{group}}");
    paths.add(&of_group, &["get"], of_topic("getGroup", "A group").answers("it", group()));
    paths.add(
        &of_group,
        &["put"],
        write("defineGroup", "Sets what becomes of messages that keep failing")
            .json_body(true, on_failure())
            .done("it is set"),
    );
    paths.add(&of_group, &["delete"], write("deleteGroup", "Takes a group away").once().done("it is gone"));
    paths.add(
        &format!("{of_group}/failed"),
        &["get"],
        of_topic("listFailed", "Messages that a group has set aside")
            .query("max", whole(1, 100), "how many; 10 if it is not said")
            .answers("them", messages(told(&["partition", "offset", "state", "attempts", "failures"], json!({
                "partition": whole_number(), "offset": whole_number(), "attempts": whole_number(),
                "state": { "type": "string" }, "key": { "type": "string" }, "next": { "type": "string" },
                "failures": list(told(&["at", "cause"], json!({ "at": { "type": "string" }, "cause": { "type": "string" } }))),
            })))),
    );
    paths.add(
        &format!("{of_group}/seek"),
        &["post"],
        write("seekGroup", "Moves a group").once().json_body(true, to()).done("it is there"),
    );
    let resolved = sent(json!({
        "action": one_of(&["retry", "skip", "deadLetter"]), "key": nullable(json!({ "type": "string" })),
        "partition": nullable(whole(0, u64::from(u32::MAX))), "offset": nullable(whole_number()),
    }));
    paths.add(
        &format!("{of_group}/resolve"),
        &["post"],
        write("resolveFailed", "Decides what becomes of messages that are set aside")
            .once()
            .json_body(true, resolved)
            .answers("how many they were", told(&["resolved"], json!({ "resolved": whole_number() }))),
    );
}

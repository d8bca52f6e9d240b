//! What is sent and told, as JSON Schema has it.
//!
//! Objects that are told are described as far as they are there to be relied on; of those that are sent, Colony's own take no key that
//! is not described, and Dapr's pass over it.

use engine::blocks::kv::KEY_BYTES_MAX;
use serde_json::{Value, json};

/// A schema by its name.
pub(super) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Any JSON.
pub(super) fn any() -> Value {
    json!({ "description": "any JSON" })
}

/// Any bytes.
pub(super) fn bytes() -> Value {
    json!({ "description": "any bytes" })
}

pub(super) fn list(of: Value) -> Value {
    json!({ "type": "array", "items": of })
}

/// An object whose names are free.
pub(super) fn each(of: Value) -> Value {
    json!({ "type": "object", "additionalProperties": of })
}

pub(super) fn nullable(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

pub(super) fn one_of<T: serde::Serialize>(values: &[T]) -> Value {
    json!({ "enum": values })
}

pub(super) fn whole(from: u64, to: u64) -> Value {
    json!({ "type": "integer", "minimum": from, "maximum": to })
}

/// A version of a stream.
pub(super) fn version() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })
}

/// Text of so many bytes, which may be fewer characters.
pub(super) fn text(bytes_max: usize) -> Value {
    json!({ "type": "string", "maxLength": bytes_max })
}

/// A name in a path: its schema, and what it is.
pub(super) fn parameter(name: &str) -> (Value, &'static str) {
    let (bytes_max, description) = match name {
        "appId" => (255, "the application's id, or the name of an endpoint outside, or a URL"),
        "binding" => (255, "the binding's name"),
        "item" => {
            return (json!({ "type": "string", "pattern": "^\\+?[0-9]+-\\+?[0-9]+$" }), "the item's id");
        }
        "group" => (255, "the group's name"),
        "job" => {
            return (
                json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^|]+$" }),
                "the job's name",
            );
        }
        "key" => (KEY_BYTES_MAX, "the item's key, in which `||` is not"),
        "method" => (1024, "the path of the application that is called"),
        "note" => (KEY_BYTES_MAX, "the key"),
        "pubsub" => (127, "the broker's name"),
        "queue" => (255, "the queue's name"),
        "secret" => (255, "the secret's name"),
        "stream" => (255, "the stream's name"),
        "subscription" => (255, "the subscription's id"),
        "topic" => (255, "the topic's name"),
        _ => (255, "the store's name"),
    };
    (json!({ "type": "string", "minLength": 1, "maxLength": bytes_max }), description)
}

/// The common spellings; `duration.rs` says which others are read.
const DURATION: &str = "^(([0-9]{1,4}h)?([0-9]{1,4}m)?([0-9]{1,4}s)?([0-9]{1,4}ms)?|PT([0-9]{1,4}H)?([0-9]{1,4}M)?([0-9]{1,4}S)?)$";

/// An object that may have these and no others.
fn closed(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}

/// An object that has these at least, or may.
fn open(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

pub(super) fn all() -> Value {
    let mut all = errors();
    for part in [values(), state(), publish(), blocks(), sidecar(), queues(), items(), streams()] {
        if let (Value::Object(all), Value::Object(part)) = (&mut all, part) {
            all.extend(part);
        }
    }
    all
}

fn errors() -> Value {
    json!({
        "Error": open(&["errorCode", "message"], json!({
            "errorCode": { "type": "string", "description": "what programs act on" },
            "message": { "type": "string", "description": "a sentence" },
            "details": list(open(&["@type"], json!({ "@type": { "type": "string" } }))),
        })),
    })
}

fn values() -> Value {
    let word = json!({ "type": ["string", "number", "boolean"] });
    json!({
        "Duration": { "type": "string", "minLength": 2, "pattern": DURATION, "description": "with a unit: 30s, 1h30m, 250ms, or PT30S", "examples": ["30s", "PT1M"] },
        "Time": { "type": "string", "format": "date-time", "description": "as RFC 3339 has it", "examples": ["2030-01-31T10:00:00Z"] },
        "Digits": { "type": "string", "pattern": "^[0-9]+$" },
        "Headers": { "type": ["object", "null"], "additionalProperties": { "type": "string" } },
        "Words": { "type": ["object", "null"], "additionalProperties": word },
        "Number": { "anyOf": [
            whole(0, u64::from(u32::MAX)),
            { "type": "string", "pattern": "^[+-]?[0-9]+$" },
            { "type": "null" },
        ] },
    })
}

fn state() -> Value {
    let options = json!({
        "concurrency": nullable(one_of(&["", "first-write", "last-write"])),
        "consistency": nullable(one_of(&["", "eventual", "strong"])),
    });
    let item = json!({
        "key": named("Key"),
        "value": any(),
        "etag": { "type": ["string", "null"] },
        "contentType": { "type": ["string", "null"] },
        "metadata": named("Words"),
        "options": nullable(open(&[], options)),
    });
    let step = open(
        &["operation", "request"],
        json!({ "operation": one_of(&["upsert", "delete"]), "request": named("SaveItem") }),
    );
    json!({
        "Key": { "type": "string", "minLength": 1, "maxLength": KEY_BYTES_MAX, "description": "without `||`" },
        "SaveItem": open(&["key"], item),
        "Transaction": open(&[], json!({
            "operations": nullable(json!({ "type": "array", "items": step, "maxItems": 1000 })),
            "metadata": nullable(json!({ "type": "object", "additionalProperties": true })),
        })),
        "BulkItem": open(&["key"], json!({
            "key": { "type": "string" },
            "data": any(),
            "etag": named("Digits"),
            "metadata": open(&[], json!({ "ttlExpireTime": { "type": "string", "format": "date-time" } })),
            "error": { "type": "string" },
        })),
    })
}

fn publish() -> Value {
    let failed = open(
        &["entryId", "error"],
        json!({ "entryId": { "type": "string" }, "error": { "type": "string" } }),
    );
    json!({
        "BulkMessage": open(&["entryId", "contentType"], json!({
            "entryId": { "type": "string", "minLength": 1, "description": "by which it is known in the answer" },
            "event": { "description": "JSON, text, or base64, as the content type says" },
            "contentType": { "type": "string", "minLength": 1 },
            "metadata": named("Headers"),
        })),
        "BulkFailed": open(&["failedEntries", "errorCode"], json!({
            "failedEntries": list(failed),
            "errorCode": { "const": "ERR_PUBSUB_PUBLISH_MESSAGE" },
        })),
    })
}

fn blocks() -> Value {
    let lock = || {
        json!({
            "resourceId": { "type": "string", "minLength": 1, "description": "without `||`" },
            "lockOwner": { "type": "string", "minLength": 1 },
        })
    };
    let mut try_lock = lock();
    try_lock["expiryInSeconds"] = json!({ "anyOf": [
        whole(1, i32::MAX as u64),
        { "type": "string", "pattern": "^[+-]?[0-9]+$" },
    ] });
    let edit = closed(
        &["key"],
        json!({
            "key": { "type": "string", "minLength": 1, "maxLength": KEY_BYTES_MAX },
            "value": { "type": ["string", "null"], "description": "none: the item is taken away" },
            "version": { "type": ["string", "null"] },
            "metadata": named("Words"),
            "ifRevision": { "anyOf": [version(), { "type": "string", "pattern": "^[+-]?[0-9]+$" }, { "type": "null" }] },
        }),
    );
    let failure = open(
        &[],
        json!({
            "drop": { "type": ["object", "null"] },
            "constant": nullable(open(&[], json!({
                "interval": { "type": ["string", "null"], "description": "a duration" },
                "maxRetries": named("Number"),
            }))),
        }),
    );
    let mut job = json!({
        "schedule": { "type": ["string", "null"], "description": "@every 1h, @daily, or the fields of cron", "examples": ["@daily"] },
        "dueTime": { "type": ["string", "null"], "description": "a time or a duration" },
        "repeats": named("Number"),
        "ttl": { "type": ["string", "null"], "description": "a time or a duration" },
        "data": any(),
        "overwrite": { "type": ["boolean", "null"] },
        "failurePolicy": nullable(failure),
    });
    let mut schedule = open(&[], job.clone());
    schedule["anyOf"] = json!([{ "required": ["schedule"] }, { "required": ["dueTime"] }]);
    job["name"] = json!({ "type": "string" });
    json!({
        "Lock": open(&["resourceId", "lockOwner", "expiryInSeconds"], try_lock),
        "Unlock": open(&["resourceId", "lockOwner"], lock()),
        "BindingRequest": open(&["operation"], json!({
            "operation": { "type": "string", "minLength": 1 }, "data": any(), "metadata": named("Words"),
        })),
        "ConfigurationItem": open(&[], json!({
            "value": { "type": "string" }, "version": { "type": "string" }, "metadata": each(json!({ "type": "string" })),
        })),
        "ConfigurationEdits": closed(&["items"], json!({
            "items": { "type": "array", "items": edit, "minItems": 1, "maxItems": 1000 },
        })),
        "ScheduleJob": schedule,
        "Job": open(&["name"], job),
    })
}

fn sidecar() -> Value {
    let component = open(
        &["name", "type", "version", "capabilities"],
        json!({
            "name": { "type": "string" }, "type": { "type": "string" }, "version": { "type": "string" },
            "capabilities": list(json!({ "type": "string" })),
        }),
    );
    let subscription = open(
        &["pubsubname", "topic", "rules", "deadLetterTopic", "type"],
        json!({
            "pubsubname": { "type": "string" }, "topic": { "type": "string" }, "deadLetterTopic": { "type": "string" },
            "type": { "type": "string" }, "metadata": each(json!({ "type": "string" })),
            "rules": list(open(&["path"], json!({ "match": { "type": "string" }, "path": { "type": "string" } }))),
        }),
    );
    json!({
        "Metadata": open(&["id", "runtimeVersion", "extended", "appConnectionProperties", "actorRuntime"], json!({
            "id": { "type": "string" },
            "runtimeVersion": { "type": "string" },
            "extended": each(json!({ "type": "string" })),
            "components": list(component),
            "subscriptions": list(subscription),
            "appConnectionProperties": { "type": "object" },
            "actorRuntime": { "type": "object" },
        })),
    })
}

fn queues() -> Value {
    let count = || json!({ "type": "integer", "minimum": 0 });
    let small = || nullable(whole(0, u64::from(u32::MAX)));
    let rate = nullable(closed(
        &["count", "per"],
        json!({
            "count": whole(1, u64::from(u32::MAX)), "per": named("Duration"), "burst": nullable(whole(0, 100_000)),
        }),
    ));
    let span = || nullable(named("Duration"));
    let truth = || json!({ "type": ["boolean", "null"] });
    let counts = || {
        open(
            &["ready", "delayed", "blocked", "leased", "dead"],
            json!({
                "ready": count(), "delayed": count(), "blocked": count(), "leased": count(), "dead": count(),
            }),
        )
    };
    let text_or_none = |bytes_max: usize| json!({ "type": ["string", "null"], "maxLength": bytes_max });
    json!({
        "QueueCounts": open(&["name", "paused", "counts"], json!({ "name": { "type": "string" }, "paused": { "type": "boolean" }, "counts": counts() })),
        "Queue": open(&["name", "defined", "paused", "counts", "settings"], json!({
            "name": { "type": "string" }, "defined": { "type": "boolean" }, "paused": { "type": "boolean" },
            "counts": counts(), "settings": named("QueueSettings"),
        })),
        "QueueSettings": closed(&[], json!({
            "attemptsMax": small(), "lease": span(), "backoff": span(), "backoffMax": span(), "deadLetters": truth(),
            "deadLettersExpired": truth(), "dedupWindow": span(), "concurrency": small(), "keyConcurrency": small(), "rate": rate,
            "keyRate": rate, "lengthMax": nullable(whole(0, 1_000_000_000)), "spread": truth(),
        })),
        "Purge": closed(&[], json!({ "waiting": { "type": "boolean" }, "dead": { "type": "boolean" } })),
        "Redrive": closed(&[], json!({
            "dryRun": { "type": "boolean" }, "perSecond": whole(0, u64::from(u32::MAX)), "max": version(),
            "ids": nullable(list(json!({ "type": "string" }))), "key": { "type": "string" },
            "reason": nullable(one_of(&["nacked", "leaseExpired", "expired"])), "cause": { "type": "string" },
            "from": nullable(named("Time")), "to": nullable(named("Time")),
        })),
        "Redriven": open(&["matching", "first", "more"], json!({ "matching": count(), "first": list(json!({ "type": "string" })), "more": { "type": "boolean" } })),
        "Push": closed(&["route"], json!({
            "route": { "type": "string", "pattern": "^/", "maxLength": 1024 }, "concurrency": nullable(whole(1, 1000)), "lease": span(), "timeout": span(),
        })),
        "Receive": closed(&[], json!({
            "consumer": text_or_none(255), "max": nullable(whole(1, 1000)), "lease": span(), "wait": span(),
        })),
        "Receipts": closed(&["receipts"], json!({ "receipts": receipts() })),
        "Failed": closed(&["receipts"], json!({ "receipts": receipts(), "cause": { "type": ["string", "null"] }, "delay": span(), "dead": truth() })),
        "Extended": closed(&["receipts", "lease"], json!({ "receipts": receipts(), "lease": named("Duration") })),
        "Sent": open(&["id", "duplicate"], json!({ "id": { "type": "string" }, "duplicate": { "type": "boolean" } })),
    })
}

fn receipts() -> Value {
    json!({ "type": "array", "items": { "type": "string", "pattern": "^\\+?[0-9]+-\\+?[0-9]+-\\+?[0-9]+$" }, "minItems": 1, "maxItems": 1000 })
}

/// A payload and what is said of it, in what is sent or told.
fn with_payload(mut properties: Value, is_sent: bool) -> Value {
    let text = if is_sent { json!({ "type": ["string", "null"] }) } else { json!({ "type": "string" }) };
    properties["data"] = json!({ "description": "JSON, or text where the content type is not that of JSON" });
    properties["dataBase64"] = text.clone();
    properties["contentType"] = text;
    properties
}

fn items() -> Value {
    let texts = || each(json!({ "type": "string" }));
    let new = with_payload(
        json!({
            "headers": named("Headers"), "key": { "type": ["string", "null"], "maxLength": KEY_BYTES_MAX }, "priority": nullable(whole(0, 9)),
            "delay": nullable(named("Duration")), "at": nullable(named("Time")), "ttl": nullable(named("Duration")),
            "dedupId": { "type": ["string", "null"], "maxLength": 255 },
        }),
        true,
    );
    let work = with_payload(
        json!({
            "id": { "type": "string" }, "receipt": { "type": "string" }, "until": named("Time"), "attempt": whole(1, u64::from(u32::MAX)),
            "sent": named("Time"), "priority": whole(0, 9), "key": { "type": "string" }, "headers": texts(),
        }),
        false,
    );
    let lease = open(
        &["consumer", "until", "attempt"],
        json!({ "consumer": { "type": "string" }, "until": named("Time"), "attempt": { "type": "integer" } }),
    );
    let dead = open(
        &["since", "attempts", "reason", "cause"],
        json!({ "since": named("Time"), "attempts": { "type": "integer" }, "reason": { "type": "string" }, "cause": { "type": "string" } }),
    );
    let failure = open(
        &["at", "attempt", "consumer", "reason", "cause"],
        json!({
            "at": named("Time"), "attempt": { "type": "integer" }, "consumer": { "type": "string" }, "reason": { "type": "string" }, "cause": { "type": "string" },
        }),
    );
    let item = with_payload(
        json!({
            "id": { "type": "string" }, "state": one_of(&["ready", "delayed", "blocked", "leased", "dead"]), "sent": named("Time"),
            "ready": named("Time"), "expires": named("Time"), "priority": whole(0, 9), "key": { "type": "string" }, "headers": texts(),
            "lease": lease, "dead": dead, "failures": list(failure),
        }),
        false,
    );
    json!({
        "NewItem": closed(&[], new),
        "Work": open(&["id", "receipt", "until", "attempt", "sent", "priority"], work),
        "Item": open(&["id", "state", "sent", "priority"], item),
    })
}

fn streams() -> Value {
    let new = with_payload(
        json!({
            "id": { "type": ["string", "null"], "maxLength": 64 }, "type": { "type": "string", "minLength": 1, "maxLength": 255 }, "metadata": named("Headers"),
        }),
        true,
    );
    let event = with_payload(
        json!({
            "stream": { "type": "string" }, "version": version(), "position": version(), "id": { "type": "string" }, "type": { "type": "string" },
            "time": named("Time"), "metadata": each(json!({ "type": "string" })),
        }),
        false,
    );
    json!({
        "StoreSettings": closed(&[], json!({
            "spread": nullable(one_of(&["byStream", "together"])), "countMax": nullable(version()), "ageMax": nullable(named("Duration")),
            "snapshots": nullable(whole(0, 16)),
        })),
        "NewEvent": closed(&["type"], new),
        "Appended": open(&["version", "position"], json!({ "version": version(), "position": version() })),
        "Page": open(&["version", "first", "state", "events"], json!({
            "version": version(), "first": version(), "state": one_of(&["live", "deleted", "tombstone"]), "events": list(named("Event")), "next": version(),
        })),
        "Event": open(&["stream", "version", "position", "type", "time"], event),
    })
}

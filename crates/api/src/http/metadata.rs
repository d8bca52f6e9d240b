//! What a sidecar says of itself, and notes.

use http::Method;
use serde_json::{Map, Value, json};

use super::answer::{Answer, empty, json_line};
use super::call::{Call, decoded};
use crate::api::Api;
use crate::error::Error;
use crate::metadata::VERSION;
use crate::subscription::Subscription;
use crate::time::go as time;

/// `GET metadata` and `PUT metadata/KEY`.
pub(super) async fn answer(rest: &[&str], call: Call<'_>) -> Answer {
    match (&call.head.method, rest) {
        (&Method::GET, []) => Ok(json_line(&told(call.api))),
        (&Method::PUT, [key]) => {
            let (api, key) = (call.api, decoded(key)?);
            let body = call.body().await.map_err(Error::unread)?;
            let value = std::str::from_utf8(&body).map_err(|_| Error::unread("it is not UTF-8 text"))?;
            api.note(&key, value)?;
            Ok(empty())
        }
        _ => Err(call.no_route()),
    }
}

/// Parts with nothing in them are left out.
fn told(api: &Api) -> Value {
    let components: Vec<Value> = api
        .components()
        .into_iter()
        .map(|one| {
            json!({ "name": one.name, "type": one.kind, "version": one.version, "capabilities": one.capabilities })
        })
        .collect();
    let app = &api.config.app;
    let mut connection = Map::new();
    if let Some(port) = app.port {
        connection.insert("port".to_owned(), port.into());
    }
    connection.insert("protocol".to_owned(), app.protocol.as_str().into());
    connection.insert("channelAddress".to_owned(), app.host.as_str().into());
    connection.insert("maxConcurrency".to_owned(), app.max_concurrency.into());
    if let Some(check) = &app.health {
        let told = json!({
            "healthCheckPath": check.path,
            "healthProbeInterval": time(check.interval),
            "healthProbeTimeout": time(check.timeout),
            "healthThreshold": check.threshold,
        });
        connection.insert("health".to_owned(), told);
    }
    let mut told = json!({
        "id": api.config.app_id,
        "runtimeVersion": VERSION,
        "extended": api.notes(),
        "appConnectionProperties": connection,
        "actorRuntime": { "runtimeStatus": "DISABLED", "hostReady": false, "placement": "" },
    });
    if !components.is_empty() {
        told["components"] = components.into();
    }
    let subscriptions: Vec<Value> = api.subscriptions().iter().map(|one| subscription(one)).collect();
    if !subscriptions.is_empty() {
        told["subscriptions"] = subscriptions.into();
    }
    told
}

/// A rule that always holds has no `match`.
fn subscription(one: &Subscription) -> Value {
    let rule = |(condition, path): (&str, &str)| match condition {
        "" => json!({ "path": path }),
        condition => json!({ "match": condition, "path": path }),
    };
    let mut told = json!({
        "pubsubname": one.pubsub,
        "topic": one.topic,
        "rules": one.routes.told().map(rule).collect::<Vec<_>>(),
        "deadLetterTopic": one.dead_letter.as_deref().unwrap_or_default(),
        "type": one.origin.word(),
    });
    if !one.metadata.is_empty() {
        told["metadata"] = json!(one.metadata);
    }
    told
}

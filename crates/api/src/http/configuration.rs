//! Configuration over HTTP.

use std::borrow::Cow;
use std::collections::BTreeMap;

use engine::blocks::config::{Edit, Set};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, empty, json_line};
use super::call::{Asked, Call, decoded};
use super::json::{Number, Object, Word};
use crate::configuration::{told, unknown_subscription};
use crate::error::Error;

/// `configuration/STORE` and what is below it.
pub(super) async fn answer(rest: &[&str], call: Call<'_>) -> Answer {
    match (&call.head.method, rest) {
        (&Method::GET, [store]) => {
            let items = call.api.configuration(&decoded(store)?, &keys(&call)).await?;
            match items.is_empty() {
                true => Ok(empty()),
                false => Ok(json_line(&items.iter().map(|(key, item)| (key.clone(), told(item))).collect())),
            }
        }
        (&Method::POST, [store]) => write(&decoded(store)?, call).await,
        (&Method::GET, [store, "subscribe"]) => {
            let id =
                call.api.push_configuration(&decoded(store)?, &keys(&call), &call.query().metadata()).await?;
            Ok(json_line(&json!({ "id": id })))
        }
        (&Method::GET, [store, id, "unsubscribe"]) => {
            let id = decoded(id)?;
            if call.api.unsubscribe_configuration(&decoded(store)?, &id)? {
                return Ok(json_line(&json!({ "ok": true })));
            }
            let mut response = json_line(&json!({ "message": unknown_subscription(&id) }));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            Ok(response)
        }
        _ => Err(call.no_route()),
    }
}

/// Which items are meant.
fn keys(call: &Call<'_>) -> Vec<String> {
    call.query().all("key").map(Cow::into_owned).collect()
}

/// Sets items and takes some away, all or none. Colony's own: Dapr's stores are written by who keeps them.
async fn write(store: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    let Asked { body, once } = call.asked().await?;
    let Object(written): Object<Written> = serde_json::from_slice(&body).map_err(Error::not_json)?;
    let edits = written.items.into_iter().map(|Object(item)| item.edit()).collect();
    let revision = api.write_configuration(store, edits, once.as_ref()).await?;
    Ok(json_line(&json!({ "revision": revision.to_string() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    items: Vec<Object<WrittenItem>>,
}

/// An item as it shall be: without a value, gone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenItem {
    key: String,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, Word>>,
    #[serde(default)]
    if_revision: Option<Number<u64>>,
}

impl WrittenItem {
    fn edit(self) -> Edit {
        let set = self.value.map(|value| Set {
            value: value.into(),
            version: self.version.unwrap_or_default(),
            metadata: self
                .metadata
                .unwrap_or_default()
                .into_iter()
                .map(|(key, word)| (key, word.into_text()))
                .collect(),
        });
        Edit { key: self.key, only_if: self.if_revision.map(|Number(revision)| revision), set }
    }
}

//! Locks over HTTP.

use std::borrow::Cow;

use components::lock::Unlocked;
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, json_bytes};
use super::call::{self, Call, decoded};
use super::json::{Number, Object};
use crate::error::Error;
use crate::lock::Wanted;

/// `POST lock/STORE`.
pub(super) async fn lock(rest: &[&str], call: Call<'_>) -> Answer {
    let (&Method::POST, [store]) = (&call.head.method, rest) else { return Err(call.no_route()) };
    let (store, api) = (decoded(store)?, call.api);
    let call::Asked { body, once } = call.asked_or(Error::unread).await?;
    let Object(asked): Object<Asked<'_>> = serde_json::from_slice(&body).map_err(Error::not_json)?;
    let seconds = asked.seconds.map_or(0, |Number(seconds)| seconds);
    let success = api.try_lock(asked.wanted(&store), seconds, once.as_ref()).await?;
    Ok(json_bytes(json!({ "success": success }).to_string().into()))
}

/// `POST unlock/STORE`.
pub(super) async fn unlock(rest: &[&str], call: Call<'_>) -> Answer {
    let (&Method::POST, [store]) = (&call.head.method, rest) else { return Err(call.no_route()) };
    let (store, api) = (decoded(store)?, call.api);
    let call::Asked { body, once } = call.asked_or(Error::unread).await?;
    let Object(asked): Object<Asked<'_>> = serde_json::from_slice(&body).map_err(Error::not_json)?;
    let status = match api.unlock(asked.wanted(&store), once.as_ref()).await? {
        Unlocked::Done => 0,
        Unlocked::NotHeld => 1,
        Unlocked::Others => 2,
    };
    Ok(json_bytes(json!({ "status": status }).to_string().into()))
}

/// Which lock is meant: the names are those of the messages of gRPC, written in either way.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow, default, rename = "resourceId", alias = "resource_id")]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "lockOwner", alias = "lock_owner")]
    owner: Option<Cow<'a, str>>,
    #[serde(default, rename = "expiryInSeconds", alias = "expiry_in_seconds")]
    seconds: Option<Number<i32>>,
}

impl Asked<'_> {
    fn wanted<'b>(&'b self, store: &'b str) -> Wanted<'b> {
        let text = |text: &'b Option<Cow<'_, str>>| text.as_deref().unwrap_or_default();
        Wanted { store, name: text(&self.name), owner: text(&self.owner) }
    }
}

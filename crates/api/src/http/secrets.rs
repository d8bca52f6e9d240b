//! Secrets over HTTP.

use http::Method;
use serde_json::json;

use super::answer::{Answer, json_line};
use super::call::{Call, decoded};

/// `secrets/STORE` and what is below it.
pub(super) async fn answer(rest: &[&str], call: Call<'_>) -> Answer {
    match (&call.head.method, rest) {
        (&Method::GET, [store, "bulk"]) => Ok(json_line(&json!(call.api.secrets(&decoded(store)?).await?))),
        (&Method::GET, [store, name]) => {
            let secret = call.api.secret(&decoded(store)?, &decoded(name)?).await?;
            Ok(json_line(&json!(secret)))
        }
        _ => Err(call.no_route()),
    }
}

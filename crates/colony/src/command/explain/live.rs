//! How a call is just now, as the running node says.

use std::path::Path;

use hyper::Method;
use serde_json::{Value, json};

use super::Way;
use crate::client::Client;
use crate::command::runtime;
use crate::failure::Failure;
use crate::source::Source;

/// The call's entry of `colony status --json`, that of its upstream, and the faults that are on either.
pub(super) fn look(source: &Source, data: Option<&Path>, way: &Way) -> Result<Value, Failure> {
    let status = runtime()?.block_on(async {
        let client = Client::find(Some(data.unwrap_or(&source.data_dir()))).await?;
        client.call(Method::GET, "/v1/status", None).await
    })?;
    let entry = |list: &str, key: &str, name: &str| {
        let all = status[list].as_array().map_or(&[][..], Vec::as_slice);
        all.iter().find(|one| one[key] == name).cloned().unwrap_or(Value::Null)
    };
    let call = entry("calls", "call", &way.id);
    if call.is_null() {
        return Err(Failure::new(format!("the running system has no call `{}`", way.id))
            .hint("`colony apply` takes the manifest on as it is now"));
    }
    let faults = status["faults"].as_array().map_or(&[][..], Vec::as_slice);
    let faults: Vec<&Value> =
        faults.iter().filter(|fault| fault["on"] == *way.id || fault["on"] == *way.to).collect();
    Ok(json!({ "call": call, "upstream": entry("upstreams", "name", &way.to), "faults": faults }))
}

//! How a call is just now, as the running node says, and whether it runs with what was explained: a node may
//! have another manifest or other overlays, or one of before it was changed, or another environment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hyper::Method;
use manifest::terms::Places;
use manifest::valid;
use serde_json::{Value, json};

use super::{OfCall, Read, Told, Way, json as shown, of_call, request};
use crate::client::{Client, part};
use crate::command::runtime;
use crate::failure::Failure;
use crate::source::Source;

/// The call's entry of `colony status --json`, that of its upstream, the faults that are on either, and what
/// the node has that was not explained.
pub(super) fn look(source: &Source, data: Option<&Path>, way: &Way) -> Result<Value, Failure> {
    let runtime = runtime()?;
    let (client, status) = runtime.block_on(async {
        let client = Client::find(Some(data.unwrap_or(&source.data_dir()))).await?;
        let status = client.call(Method::GET, "/api/status", None).await?;
        Ok::<_, Failure>((client, status))
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
    let path = format!("/api/policies/values?call={}", part(&way.id));
    let running = runtime.block_on(client.call(Method::GET, &path, None))?;
    Ok(json!({
        "call": call,
        "upstream": entry("upstreams", "name", &way.to),
        "faults": faults,
        "manifest": running["manifest"],
        "overlays": running["overlays"],
        "same_files": running["manifest"] == json!(source.file) && running["overlays"] == json!(overlays(source)),
        "differs": differs(&values(way), &running["values"]),
    }))
}

/// What a node answers who is asked for the values that a call has there. None: it has no such call.
pub(crate) fn terms(source: &Source, manifest: valid::Manifest, call: &str) -> Option<Value> {
    let read = Read { manifest, places: Places::default() };
    let way = match call.split_once(" -> ") {
        Some((caller, callee)) => of_call(&read, caller, callee).way,
        None => request::route(&read, call),
    };
    let values = values(&way.ok()?);
    Some(json!({ "manifest": source.file, "overlays": overlays(source), "values": values }))
}

/// What a node tells of a call or route, by the manifest that it runs with: as `colony explain --json` does. The places are those of
/// what is written now. None: it has no such call.
pub(crate) fn whole(source: &Source, manifest: valid::Manifest, call: &str) -> Option<Value> {
    let places = source.read().map(|input| Places::of(&input)).unwrap_or_default();
    let read = Read { manifest, places };
    let told = match call.split_once(" -> ") {
        Some((caller, callee)) => of_call(&read, caller, callee),
        None => OfCall { name: call.to_owned(), way: request::route(&read, call) },
    };
    told.way.is_ok().then(|| shown::told(&Told::Call(told), source))
}

/// Where the overlays lie, whatever folder they were named from.
fn overlays(source: &Source) -> Vec<PathBuf> {
    source.overlays.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())).collect()
}

/// Every policy with its options, and who answers.
fn values(way: &Way) -> BTreeMap<String, String> {
    let mut values = BTreeMap::from([("to".to_owned(), way.to.clone())]);
    values.extend(way.terms.split.iter().map(|split| ("to".to_owned(), split.clone())));
    for policy in &way.terms.policies {
        values.insert(policy.key.clone(), policy.value.clone());
        let options = policy.options.iter();
        values.extend(options.map(|one| (format!("{}.{}", policy.key, one.key), one.value.clone())));
    }
    values
}

/// The keys whose values differ, with both.
fn differs(explained: &BTreeMap<String, String>, running: &Value) -> Value {
    let there = running.as_object().into_iter().flat_map(|values| values.keys());
    let keys: BTreeSet<&String> = explained.keys().chain(there).collect();
    let differing = keys.into_iter().filter(|key| json!(explained.get(*key)) != running[key.as_str()]);
    differing
        .map(|key| json!({ "key": key, "explained": explained.get(key), "running": running[key.as_str()] }))
        .collect()
}

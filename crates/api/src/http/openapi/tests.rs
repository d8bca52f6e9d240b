//! That what is described is there, and what is there is described.
//!
//! Every path that can be made of the words in the sources is asked for, by every method; the answers say whether there is an endpoint.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use http::Request;
use serde_json::Value;

use super::document;
use crate::api::Api;
use crate::config::Config;
use crate::host::Host;
use crate::http::call::{Call, is_no_route};
use crate::http::{path, route};

const METHODS: [&str; 7] = ["get", "post", "put", "delete", "patch", "options", "head"];
const VERSIONS: [&str; 2] = ["v1.0", "v1.0-alpha1"];
/// Stands for a name.
const NAME: &str = "1-1";
/// How many segments can follow a group's name.
const DEPTH_MAX: usize = 3;

/// The paths that are described, by method; calls to others are no endpoints, but what is left.
fn described() -> BTreeSet<(String, String)> {
    let document = document();
    let paths = document["paths"].as_object().expect("paths").iter();
    let all = paths.flat_map(|(path, item)| {
        let methods = item.as_object().expect("an object").keys();
        methods.filter(|key| *key != "parameters").map(|method| (method.clone(), path.clone()))
    });
    all.filter(|(_, path)| !path.starts_with("/v1.0/invoke/")).collect()
}

fn api() -> (tempfile::TempDir, Arc<Api>) {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = engine::Embedded::open_in(dir.path(), engine::Config::default()).expect("opened");
    let host = Host::new(disk, engine::Config::default());
    let instance = host.join(Config::new("shop"), Box::new(|_| {})).expect("joined");
    (dir, instance.api())
}

async fn is_served(api: &Arc<Api>, method: &str, target: &str) -> bool {
    let method = method.to_uppercase();
    let request = Request::builder().method(method.as_str()).uri(target).body(()).expect("a request");
    let (head, ()) = request.into_parts();
    let (version, group, rest) = path::group(target).expect("a group");
    let call = Call { api, head: &head, body: &mut None };
    !matches!(Box::pin(route(version, group, rest, call)).await, Err(error) if is_no_route(&error))
}

fn source(group: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    read(&root.join(format!("{group}.rs"))) + &read(&root.join(group).join("mod.rs"))
}

/// The groups, each with the module that answers it, as they stand in the table of `http/mod.rs`.
fn groups() -> Vec<(String, String)> {
    let table = source("../http");
    let arms = table.lines().filter(|line| line.trim_start().starts_with("(\"v1.0"));
    let all = arms.map(|line| {
        let (pattern, answer) = line.split_once("=>").expect("an arm");
        let group = pattern.rsplit('"').nth(1).expect("a name");
        let module = answer.trim().split("::").next().expect("a module");
        (group.to_owned(), module.to_owned())
    });
    all.collect()
}

/// What stands in quotes in the patterns that have a method.
fn words(source: &str) -> BTreeSet<String> {
    let patterns = source.lines().filter(|line| line.contains("Method::") && line.contains('['));
    patterns
        .flat_map(|line| line.split("=>").next().unwrap_or_default().split('"').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    // The last name of a topic may have several segments.
    let is_tail = template.last() == Some(&"{topic}") && path.len() > template.len();
    (template.len() == path.len() || is_tail)
        && template.iter().zip(&path).all(|(one, other)| one == other || one.starts_with('{'))
}

#[tokio::test]
async fn every_path_that_is_described_is_served() {
    let (_dir, api) = api();
    for (method, path) in described() {
        let target: Vec<&str> =
            path.split('/').map(|segment| if segment.starts_with('{') { NAME } else { segment }).collect();
        assert!(
            is_served(&api, &method, &target.join("/")).await,
            "{method} {path} is described, and no endpoint"
        );
    }
}

#[tokio::test]
async fn every_endpoint_is_described() {
    let (_dir, api) = api();
    let described = described();
    let groups = groups();
    assert!(groups.len() >= 14, "{groups:?}");
    for (group, module) in &groups {
        let words = words(&source(module));
        let of_module = |path: &str| {
            let mut all = groups.iter().filter(|(_, other)| other == module);
            all.any(|(group, _)| path.contains(&format!("/{group}/")))
        };
        for word in &words {
            let has = |path: &str| of_module(path) && path.split('/').any(|one| one == word);
            assert!(
                described.iter().any(|(_, path)| has(path)),
                "describe the endpoint with {word:?} of {module} in crates/api/src/http/openapi"
            );
        }
        let mut paths = vec![String::new()];
        let mut last = paths.clone();
        for _ in 0..DEPTH_MAX {
            let names = || words.iter().map(String::as_str).chain([NAME]);
            last = last.iter().flat_map(|path| names().map(move |name| format!("{path}/{name}"))).collect();
            paths.extend(last.iter().cloned());
        }
        for (version, path, method) in VERSIONS.iter().flat_map(|version| {
            paths.iter().flat_map(move |path| METHODS.iter().map(move |method| (version, path, method)))
        }) {
            let target = format!("/{version}/{group}{path}");
            let told = described.iter().any(|(by, template)| by == method && matches(template, &target));
            if !told {
                assert!(
                    !is_served(&api, method, &target).await,
                    "describe {method} {target} in crates/api/src/http/openapi"
                );
            }
        }
    }
}

#[test]
fn what_is_referred_to_is_there_and_ids_are_told_apart() {
    fn walk<'a>(value: &'a Value, seen: &mut impl FnMut(&'a str, &'a Value)) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                seen(name, value);
                walk(value, seen);
            }),
            Value::Array(all) => all.iter().for_each(|value| walk(value, seen)),
            _ => {}
        }
    }
    let document = document();
    let mut ids = BTreeSet::new();
    walk(&document, &mut |name, value| match (name, value.as_str()) {
        ("$ref", Some(target)) => {
            assert!(document.pointer(&target[1..]).is_some(), "{target}");
        }
        ("operationId", Some(id)) => assert!(ids.insert(id), "{id} twice"),
        _ => {}
    });
}

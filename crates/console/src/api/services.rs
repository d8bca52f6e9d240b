//! `/api/services`: services with their instances and what they are started with; started, stopped, scaled.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use manifest::valid::{Manifest, Service, Source};
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::ServiceStatus;

use super::{Answer, Served, said};
use crate::problem::Problem;
use crate::sources::Operation;
use crate::urls;

pub(super) fn routes() -> Router<Served> {
    Router::new()
        .route("/api/services", get(all))
        .route("/api/services/{service}", get(one))
        .route("/api/services/{service}/restart", post(restart))
        .route("/api/services/{service}/stop", post(stop))
        .route("/api/services/{service}/scale", post(scale))
        .route("/api/instances/{instance}/kill", post(kill))
}

async fn all(State(served): State<Served>) -> Answer {
    let manifest = served.sources().manifest();
    let services: Vec<Value> =
        served.sources().services().iter().map(|service| told(&manifest, service)).collect();
    served.told(json!({ "services": services }))
}

async fn one(State(served): State<Served>, Path(name): Path<String>) -> Answer {
    let services = served.sources().services();
    let service = services.iter().find(|service| service.name == name);
    let service = service.ok_or_else(|| Problem::not_found(format!("there is no service `{name}`")))?;
    served.told(told(&served.sources().manifest(), service))
}

async fn restart(State(served): State<Served>, Path(service): Path<String>) -> Answer {
    served.done(Operation::Restart(service)).await
}

async fn stop(State(served): State<Served>, Path(service): Path<String>) -> Answer {
    served.done(Operation::Stop(service)).await
}

#[derive(Deserialize)]
struct Scale {
    instances: u32,
}

async fn scale(
    State(served): State<Served>,
    Path(service): Path<String>,
    body: Result<Json<Scale>, JsonRejection>,
) -> Answer {
    served.done(Operation::Scale(service, said(body)?.instances)).await
}

async fn kill(State(served): State<Served>, Path(instance): Path<String>) -> Answer {
    served.done(Operation::Kill(instance)).await
}

/// A service as it is, with what is declared of it.
fn told(manifest: &Manifest, service: &ServiceStatus) -> Value {
    let mut told = serde_json::to_value(service).unwrap_or_default();
    if let Some(declared) = manifest.services.get(&service.name) {
        told["declared"] = declared_told(manifest, declared);
        told["given"] = given_told(manifest, declared, service);
    }
    told
}

fn declared_told(manifest: &Manifest, service: &Service) -> Value {
    let mut told = json!({
        "calls": service.calls.keys().collect::<Vec<_>>(),
        "after": service.after,
        "protocol": format!("{:?}", service.protocol).to_lowercase(),
    });
    match &service.source {
        Source::Run(run) => {
            told["run"] = run.command.as_str().into();
            told["build"] = run.build.clone().into();
            told["dir"] = manifest.root.join(&run.dir).display().to_string().into();
            told["scale"] = json!({ "min": run.min, "max": run.max });
            told["api"] = run.api.into();
            told["environment"] = json!(environment(&run.env, &manifest.secrets));
        }
        Source::Url { authorities, .. } => told["url"] = json!(authorities),
    }
    told
}

/// What the node has set for the first instance that runs, beside what is declared; null if none runs, or it cannot be looked into.
fn given_told(manifest: &Manifest, declared: &Service, service: &ServiceStatus) -> Value {
    let Source::Run(run) = &declared.source else { return Value::Null };
    let running = service.instances.iter().find_map(|one| Some((&one.id, one.pid?)));
    let Some((instance, pid)) = running else { return Value::Null };
    // As it was started: a process sees its variables change, and nobody else does.
    let Ok(bytes) = std::fs::read(format!("/proc/{pid}/environ")) else { return Value::Null };
    let all = variables(&bytes);
    let given = all.into_iter().filter(|(name, _)| !run.env.contains_key(name) && is_given(name, declared));
    json!({ "instance": instance, "environment": environment(&given.collect(), &manifest.secrets) })
}

/// `NAME=VALUE` with a zero behind each.
fn variables(bytes: &[u8]) -> BTreeMap<String, String> {
    let lines = bytes.split(|byte| *byte == 0).filter_map(|line| std::str::from_utf8(line).ok());
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Whether a variable is one that the node sets: what else is there it has itself been started with.
fn is_given(name: &str, service: &Service) -> bool {
    let of_call = |callee: &String| format!("{}_URL", callee.to_ascii_uppercase().replace('-', "_")) == name;
    name == "PORT"
        || ["COLONY_", "OTEL_", "DAPR_", "APP_"].iter().any(|known| name.starts_with(known))
        || service.calls.keys().any(of_call)
}

/// Variables as they are shown, without passwords in URLs. Null: it is secret, by its value or by its name.
fn environment<'a>(
    env: &'a BTreeMap<String, String>,
    secrets: &[String],
) -> BTreeMap<&'a str, Option<Cow<'a, str>>> {
    let is_secret = |name: &str, value: &str| {
        manifest::is_secret_name(name)
            || secrets.iter().any(|secret| !secret.is_empty() && value.contains(secret))
    };
    env.iter()
        .map(|(name, value)| (name.as_str(), (!is_secret(name, value)).then(|| urls::hushed(value))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_by_name_and_by_value() {
        let env = [
            ("PORT", "1"),
            ("DB_PASSWORD", "x"),
            ("URL", "http://u:hunter2@db"),
            ("EMPTY", ""),
            ("DATABASE", "postgres://me:pw@db"),
        ];
        let env: BTreeMap<String, String> =
            env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let told = environment(&env, &["hunter2".to_owned(), String::new()]);
        let told = |name: &str| told[name].as_deref();
        assert_eq!(told("PORT"), Some("1"));
        assert_eq!(told("EMPTY"), Some(""));
        assert_eq!(told("DATABASE"), Some("postgres://me:[secret]@db"));
        assert_eq!((told("DB_PASSWORD"), told("URL")), (None, None));
    }

    #[test]
    fn of_a_process_only_what_the_node_sets_is_told() {
        let all = variables(b"PORT=1\0PATH=/bin\0EMPTY=\0odd\0\xff=1\0A=b=c\0");
        let all: Vec<(&str, &str)> =
            all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(all, [("A", "b=c"), ("EMPTY", ""), ("PATH", "/bin"), ("PORT", "1")]);
        let text = "name: shop\nservices:\n  front: { run: ./front, calls: { the-packer: {} } }\n  the-packer: { run: ./packer }\n";
        let base = manifest::Source { name: "colony.yaml".into(), text: text.into() };
        let input = manifest::Input {
            root: "/".into(),
            base,
            overlays: Vec::new(),
            env: BTreeMap::new(),
            zone: None,
        };
        let manifest = manifest::check(&input).manifest.expect("valid");
        let of = |name: &str| is_given(name, &manifest.services["front"]);
        assert!(["PORT", "DAPR_HTTP_PORT", "OTEL_SERVICE_NAME", "THE_PACKER_URL"].into_iter().all(of));
        assert!(!["PATH", "HOME", "OTHER_URL"].into_iter().any(of));
    }
}

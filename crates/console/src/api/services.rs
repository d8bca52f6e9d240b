//! `/api/services`: services with their instances and what they are started with; started, stopped, scaled.

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

/// What the manifest gives a process. Null: it is secret, by its value or by its name.
fn environment<'a>(
    env: &'a BTreeMap<String, String>,
    secrets: &[String],
) -> BTreeMap<&'a str, Option<&'a str>> {
    let is_secret = |name: &str, value: &str| {
        manifest::is_secret_name(name)
            || secrets.iter().any(|secret| !secret.is_empty() && value.contains(secret))
    };
    env.iter()
        .map(|(name, value)| (name.as_str(), (!is_secret(name, value)).then_some(value.as_str())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_by_name_and_by_value() {
        let env = [("PORT", "1"), ("DB_PASSWORD", "x"), ("URL", "http://u:hunter2@db"), ("EMPTY", "")];
        let env: BTreeMap<String, String> =
            env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let told = environment(&env, &["hunter2".to_owned(), String::new()]);
        assert_eq!(told["PORT"], Some("1"));
        assert_eq!(told["EMPTY"], Some(""));
        assert_eq!((told["DB_PASSWORD"], told["URL"]), (None, None));
    }
}

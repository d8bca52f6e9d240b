//! `/api/jobs`, `/api/locks` and `/api/configuration`: what else is kept that has a name.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use engine::blocks::jobs::Listed;
use serde_json::{Value, json};

use super::payload;
use super::state::{ask, engines};
use super::{Answer, Served};
use api::state::Engine;

/// Most jobs that are told of.
const JOBS_MAX: usize = 500;
/// Most applications whose jobs are looked at.
const SCOPES_MAX: usize = 200;
/// Most locks that are told of.
const LOCKS_MAX: usize = 500;
/// Most stores of configuration that are told of.
const STORES_MAX: usize = 100;
/// Most items of configuration that are told of, of all stores.
const ITEMS_MAX: usize = 500;
/// How stores begin in which Colony keeps what it is told itself, such as where queues are pushed.
const OWN: &str = "colony:";

pub(super) fn routes() -> Router<Served> {
    Router::new()
        .route("/api/jobs", get(jobs))
        .route("/api/locks", get(locks))
        .route("/api/configuration", get(configuration))
}

async fn jobs(State(served): State<Served>) -> Answer {
    let durable = served.sources().durable().await?;
    let engine = durable.host.disk();
    let (mut told, mut more) = (Vec::new(), false);
    for scope in engine.job_scopes(None, SCOPES_MAX).await? {
        if told.len() == JOBS_MAX {
            more = true;
            break;
        }
        let page = engine.jobs(&scope).list("", None, JOBS_MAX - told.len()).await?;
        told.extend(page.jobs.iter().map(|one| job(&scope, one)));
        more |= page.next.is_some();
    }
    served.told(json!({ "jobs": told, "more": more }))
}

fn job(scope: &str, one: &Listed) -> Value {
    let some = |millis: u64| (millis > 0).then_some(millis);
    json!({
        "app": scope,
        "name": one.name,
        "schedule": one.job.schedule.as_ref().map(|schedule| &schedule.text),
        "next_unix_ms": some(one.progress.next_ms),
        "last_unix_ms": some(one.progress.last_ms),
        "until_unix_ms": some(one.job.until_ms),
        "runs": one.progress.runs,
        "runs_max": some(one.job.runs_max),
        "paused": one.progress.paused,
    })
}

async fn locks(State(served): State<Served>) -> Answer {
    let durable = served.sources().durable().await?;
    let (mut told, mut more) = (Vec::new(), false);
    for (place, engine) in engines(&durable.host) {
        let room = LOCKS_MAX - told.len();
        let mut found = ask!(engine, engine => engine.locks(room + 1).await)?;
        more |= found.len() > room;
        found.truncate(room);
        told.extend(found.iter().map(|(at, owner, held)| {
            json!({
                "place": place,
                "store": at.store,
                "scope": at.scope,
                "name": at.name,
                "owner": owner,
                "token": held.token.to_string(),
                "until_unix_ms": held.until.as_millis(),
            })
        }));
    }
    served.told(json!({ "locks": told, "more": more }))
}

async fn configuration(State(served): State<Served>) -> Answer {
    let durable = served.sources().durable().await?;
    let (mut told, mut more) = (Vec::new(), false);
    for (place, engine) in engines(&durable.host) {
        let stores = ask!(engine, engine => engine.configurations(None, STORES_MAX).await)?;
        for store in stores.iter().filter(|store| !store.starts_with(OWN)) {
            let room = ITEMS_MAX - told.len();
            let mut found = ask!(engine, engine => engine.configuration(store).list("", room + 1).await)?;
            more |= found.len() > room;
            found.truncate(room);
            told.extend(found.iter().map(|item| {
                json!({
                    "place": place,
                    "store": store,
                    "key": item.key,
                    "value": payload::told(&item.value),
                    "revision": item.revision.to_string(),
                    "version": item.version,
                    "metadata": item.metadata,
                })
            }));
        }
    }
    served.told(json!({ "items": told, "more": more }))
}

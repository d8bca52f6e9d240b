//! What can be asked, a file a resource. Each has a `routes`, which is named below, and its section in `docs/console/api.md`.

mod breakers;
mod entities;
mod events;
mod faults;
mod fills;
mod manifest;
mod map;
mod node;
mod paging;
mod payload;
mod policies;
mod queues;
mod services;
mod state;
mod streams;
mod telemetry;
mod topics;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use tokio::sync::Semaphore;

use self::fills::Fills;
use crate::assets;
use crate::live::{Live, Sample};
use crate::map::{Durable, Found, Laid, view};
use crate::problem::Problem;
use crate::promises::promises;
use crate::sources::{Measured, Operation, Sources};
use crate::used;

/// Largest body of a request.
const BODY_BYTES_MAX: usize = 256 << 10;
/// Most clients that are told what changes, at a time.
const FOLLOWERS_MAX: usize = 64;

/// What every resource is answered from. Clones are handles on the same.
#[derive(Clone)]
pub(crate) struct Served(Arc<Inner>);

struct Inner {
    sources: Arc<dyn Sources>,
    live: Live,
    laid: Mutex<Laid>,
    fills: Fills,
    followers: Arc<Semaphore>,
}

/// An answer: a document, or why there is none.
type Answer = Result<Json<Value>, Problem>;

impl Served {
    pub(crate) fn new(sources: Arc<dyn Sources>, live: Live) -> Served {
        let followers = Arc::new(Semaphore::new(FOLLOWERS_MAX));
        Served(Arc::new(Inner { sources, live, laid: Mutex::default(), fills: Fills::default(), followers }))
    }

    fn sources(&self) -> &dyn Sources {
        &*self.0.sources
    }

    fn live(&self) -> &Live {
        &self.0.live
    }

    /// A document for who asks, without secrets.
    fn told(&self, document: Value) -> Answer {
        Ok(Json(self.sources().redacted(document)))
    }

    async fn done(&self, operation: Operation) -> Answer {
        let done = self.sources().operate(operation).await;
        self.told(done.map_err(|problem| self.hushed(problem))?)
    }

    /// A problem without secrets.
    fn hushed(&self, problem: Problem) -> Problem {
        let hush = |text: String| match self.sources().redacted(Value::String(text)) {
            Value::String(text) => text,
            _ => String::new(),
        };
        Problem { detail: hush(problem.detail), remedy: problem.remedy.map(hush), ..problem }
    }

    /// Looks at the node, if nobody has just now.
    pub(crate) async fn look(&self) {
        let Some(_turn) = self.live().turn().await else { return };
        let sources = self.sources();
        let (plane, services) = (sources.plane(), sources.services());
        let durable = self.durable().await.unwrap_or_default();
        let cpu = services.iter().flat_map(|service| &service.instances);
        let sample = Sample {
            at: Instant::now(),
            calls: plane.calls.iter().map(|call| (call.call.clone(), call.clone())).collect(),
            cpu: cpu.filter_map(|one| Some((one.pid?, one.cpu_ms?))).collect(),
            uses: used::counts(&durable.uses),
        };
        let standings = sources.measured(Measured::Standings).await.unwrap_or_default();
        let promises = promises(&standings);
        let found = Found { manifest: sources.manifest(), plane, services, durable, promises };
        self.live().take(sample, |now, before| {
            let mut laid = self.0.laid.lock().unwrap_or_else(PoisonError::into_inner);
            let mut view = view(&found, now, before, &mut laid);
            view.extend(self.0.fills.told().into_iter().map(|(id, told)| (format!("fill/{id}"), told)));
            let view = view.into_iter();
            view.map(|(key, value)| (key, sources.redacted(value))).collect::<BTreeMap<_, _>>()
        });
    }
}

impl Served {
    /// What is durable, as it stands on the map; an error if it is not open here.
    async fn durable(&self) -> Result<Durable, Problem> {
        let durable = self.sources().durable().await?;
        let engine = durable.host.disk();
        let queues = queues::looks(engine).await?;
        let topics = topics::looks(engine).await?;
        Ok(Durable { topics, queues, uses: durable.host.uses() })
    }
}

/// All addresses.
pub(crate) fn routes(served: Served) -> Router {
    Router::new()
        .merge(node::routes())
        .merge(services::routes())
        .merge(telemetry::routes())
        .merge(map::routes())
        .merge(policies::routes())
        .merge(queues::routes())
        .merge(topics::routes())
        .merge(state::routes())
        .merge(streams::routes())
        .merge(entities::routes())
        .merge(breakers::routes())
        .merge(faults::routes())
        .merge(fills::routes())
        .merge(manifest::routes())
        .merge(events::routes())
        .route("/assets/{version}/{name}", get(assets::file))
        .fallback(elsewhere)
        .method_not_allowed_fallback(not_so)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(served)
}

/// What is no address of the API is a state of the page.
async fn elsewhere(
    State(served): State<Served>,
    method: http::Method,
    uri: http::Uri,
) -> Result<axum::response::Response, Problem> {
    let path = uri.path();
    let is_read = matches!(method, http::Method::GET | http::Method::HEAD);
    if is_read && ::telemetry::api::is_path(path) {
        return telemetry::kept(&served, &uri).await;
    }
    // Names on a page may have dots; what a browser asks for by itself, such as `/favicon.ico`, begins with a name of a file.
    let page = path.split('/').nth(1).unwrap_or_default();
    match is_read && page != "api" && !page.contains('.') && page != "assets" {
        true => Ok(assets::shell(path)),
        false => Err(Problem::not_found(format!("there is no {method} {path}"))),
    }
}

/// There is such an address, but nothing is done to it by this method; the answer's `Allow` says by which.
async fn not_so(method: http::Method, uri: http::Uri) -> Problem {
    let detail = format!("{} is not asked by {method}", uri.path());
    Problem::new(http::StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// What a request says, or what is wrong with that.
fn said<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    body.map(|Json(said)| said).map_err(|error| match error.status() {
        http::StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(error.status(), format!("a body has at most {BODY_BYTES_MAX} bytes"))
        }
        _ => Problem::invalid(format!("the body is not valid: {}", error.body_text())),
    })
}

/// What a query says, or what is wrong with that.
fn asked<T>(query: Result<axum::extract::Query<T>, QueryRejection>) -> Result<T, Problem> {
    query
        .map(|query| query.0)
        .map_err(|error| Problem::invalid(format!("the query is not valid: {}", error.body_text())))
}

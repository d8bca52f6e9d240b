//! Queues that are pushed: their items are brought to a route of the application, so many at a time, and what it answers
//! settles them.
//!
//! Which these are is kept in the engine, so it is said once and holds until it is taken back, whichever process of the
//! application is there. Every process watches it and works accordingly.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::blocks::config::{Changed, Edit, Item};
use engine::blocks::queue;
use engine::{Outcome, WorkConfig};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tonic::Code;
use tonic::body::Body;

use super::{CODES, Work, check_name, header, invalid};
use crate::api::Api;
use crate::app::{App, Unanswered};
use crate::error::Error;
use crate::instance::Instance;
use crate::refused::refused;
use crate::spans::{TRACE, Taken, Waited};
use crate::time::rfc3339_millis;
use crate::uses::How;

/// How a queue is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Where to: a path of the application.
    pub route: String,
    /// How many items each process of the application has at a time. Default 16, most 1,000.
    pub concurrency: u32,
    /// How long a lease is, which is extended for as long as the application works; as the queue's settings say if this does
    /// not. After that long others get what was with a node that died.
    pub lease: Option<Duration>,
    /// How long the application may take, after which the item has failed. Default one minute, longest 12 hours.
    pub timeout: Duration,
}

/// A push as it is kept.
#[derive(Deserialize, Serialize)]
struct Kept {
    route: String,
    concurrency: u32,
    lease_ms: Option<u64>,
    timeout_ms: u64,
}

impl Push {
    /// With the defaults.
    pub fn to(route: impl Into<String>) -> Push {
        Push { route: route.into(), concurrency: 16, lease: None, timeout: Duration::from_secs(60) }
    }

    fn check(&self) -> Result<(), Error> {
        let is_path = self.route.starts_with('/') && PathAndQuery::try_from(self.route.as_str()).is_ok();
        if !is_path || self.route.len() > ROUTE_BYTES_MAX {
            return Err(invalid(format!("the route {:?} is no path of an application", self.route)));
        }
        if !(1..=CONCURRENCY_MAX).contains(&self.concurrency) {
            return Err(invalid(format!(
                "a concurrency of {}: from 1 to {CONCURRENCY_MAX}",
                self.concurrency
            )));
        }
        let within = |what: &str, time: Duration| match time.is_zero() || time > TIME_MAX {
            true => Err(invalid(format!("a {what} of {time:?}: more than none, {TIME_MAX:?} at most"))),
            false => Ok(()),
        };
        within("timeout", self.timeout)?;
        self.lease.map_or(Ok(()), |lease| within("lease", lease))
    }

    fn kept(&self) -> Vec<u8> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let kept = Kept {
            route: self.route.clone(),
            concurrency: self.concurrency,
            lease_ms: self.lease.map(millis),
            timeout_ms: millis(self.timeout),
        };
        serde_json::to_vec(&kept).unwrap_or_default()
    }

    /// Nothing of what a later version has written.
    fn of(kept: &[u8]) -> Option<Push> {
        let Kept { route, concurrency, lease_ms, timeout_ms } = serde_json::from_slice(kept).ok()?;
        let lease = lease_ms.map(Duration::from_millis);
        Some(Push { route, concurrency, lease, timeout: Duration::from_millis(timeout_ms) })
    }
}

impl Api {
    /// Has a queue pushed to the application from now on.
    ///
    /// # Errors
    ///
    /// If something is malformed, the application cannot be pushed to, or there are too many.
    pub async fn push(&self, queue: &str, push: &Push) -> Result<(), Error> {
        check_name(queue)?;
        push.check()?;
        if !self.app.is_there() || self.app.is_grpc() {
            let message = match self.app.is_there() {
                true => {
                    "nothing is pushed to an application that speaks gRPC: let it call colony.v1.Queues/Work"
                }
                false => "the application has no port: it was started without --app-port",
            };
            let status = StatusCode::BAD_REQUEST;
            return Err(Error::new("ERR_QUEUE_NO_APP", status, Code::FailedPrecondition, message));
        }
        self.edit_push(Edit::set(queue, push.kept())).await.map_err(|error| failed(queue, "pushing", &error))
    }

    /// How a queue is pushed.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub async fn push_of(&self, queue: &str) -> Result<Push, Error> {
        check_name(queue)?;
        let store = store(&self.config.app_id);
        let item = self.host.disk().configuration(&store).get(queue).await;
        let item = item.map_err(|error| failed(queue, "reading", &error))?;
        item.and_then(|item| Push::of(&item.value)).ok_or_else(|| {
            let message = format!("queue {queue} is not pushed to {}", self.config.app_id);
            Error::new("ERR_QUEUE_NOT_FOUND", StatusCode::NOT_FOUND, Code::NotFound, message)
        })
    }

    /// Has a queue pushed no longer; what is being worked on is given back.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub async fn unpush(&self, queue: &str) -> Result<(), Error> {
        check_name(queue)?;
        let done = self.edit_push(Edit::delete(queue)).await;
        done.map_err(|error| failed(queue, "pushing", &error))
    }

    async fn edit_push(&self, edit: Edit) -> Result<(), engine::Error> {
        let store = store(&self.config.app_id);
        self.host.disk().configuration(&store).write(vec![edit]).await.map(drop)
    }
}

/// Brings the application the items of the queues that are pushed, until it is dropped.
pub(crate) async fn run(instance: &Arc<Instance>) {
    if !instance.app.is_there() || instance.app.is_grpc() {
        return;
    }
    loop {
        let error = watch(instance).await;
        instance.say(&format!("which queues are pushed cannot be followed: {error}"));
        sleep(BETWEEN_TRIES).await;
    }
}

/// Follows what is pushed; ends with an error only.
async fn watch(instance: &Arc<Instance>) -> engine::Error {
    let store = store(&instance.app_id);
    let configuration = instance.host.disk().configuration(&store);
    let (items, mut changes) = match configuration.watch().await {
        Ok(watched) => watched,
        Err(error) => return error,
    };
    let mut pushed = Pushed { instance, tasks: JoinSet::new(), running: BTreeMap::new() };
    for item in items {
        pushed.begin(item);
    }
    loop {
        let changed = match changes.next(CHANGES_MAX).await {
            Ok(changed) => changed,
            Err(error) => return error,
        };
        for Changed { key, item, .. } in changed {
            if let Some(running) = pushed.running.remove(&key) {
                running.abort();
            }
            item.into_iter().for_each(|item| pushed.begin(item));
        }
        while pushed.tasks.try_join_next().is_some() {}
    }
}

/// The queues that are pushed, a task each: dropping it ends them.
struct Pushed<'a> {
    instance: &'a Arc<Instance>,
    tasks: JoinSet<()>,
    running: BTreeMap<String, AbortHandle>,
}

impl Pushed<'_> {
    fn begin(&mut self, item: Item) {
        let Some(push) = Push::of(&item.value) else {
            self.instance.say(&format!(
                "how queue {:?} is pushed was written by a later version, and is not understood",
                item.key
            ));
            return;
        };
        let task = work(Arc::clone(self.instance), item.key.clone(), push);
        self.running.insert(item.key, self.tasks.spawn(task));
    }
}

/// Has the application work on a queue's items until it is dropped.
async fn work(instance: Arc<Instance>, queue: String, push: Push) {
    let config = WorkConfig { concurrency: push.concurrency, lease: push.lease };
    let route: (Arc<str>, Arc<str>) = (queue.as_str().into(), push.route.as_str().into());
    loop {
        let handler = |work| {
            let (instance, (queue, route)) = (Arc::clone(&instance), route.clone());
            async move { deliver(&instance, &queue, &route, push.timeout, Work::of(work)).await }
        };
        let error = match instance.host.disk().queue(&queue) {
            Ok(of) => of.work(&instance.app_id, config.clone(), handler).await,
            Err(error) => error,
        };
        instance.say(&format!("queue {queue:?} cannot be pushed at present: {error}"));
        sleep(BETWEEN_TRIES).await;
    }
}

async fn deliver(instance: &Instance, queue: &str, route: &str, limit: Duration, work: Work) -> Outcome {
    let api = instance.api();
    let begun = api.tracer.as_ref().and_then(|tracer| {
        let begun = tracer.taken(Taken {
            of: Waited::Queue,
            name: queue,
            sent_by: work.sent_by(),
            since_ms: work.rest.sent.as_millis(),
            attempt: work.rest.attempt,
        });
        Some((tracer, begun?))
    });
    let mut request = request(queue, route, work);
    if let Some((_, begun)) = &begun {
        request.headers_mut().insert("traceparent", begun.header());
    }
    let outcome = asked(&instance.app, request, limit).await;
    let in_vain = matches!(outcome, Outcome::Failed { .. });
    api.uses.count(How::Work, queue, 1, u64::from(in_vain));
    if let Some((tracer, begun)) = begun {
        tracer.worked(begun, (!matches!(outcome, Outcome::Done)).then_some("not-done"));
    }
    outcome
}

async fn asked(app: &App, request: Request<Body>, limit: Duration) -> Outcome {
    let answer = async {
        let answered = match app.send(request).await {
            Ok(answered) => answered,
            Err(Unanswered::Broken(why)) => return failure(why, None),
            // It has not begun with it. Nobody is helped by asking again and again.
            Err(Unanswered::NoPort | Unanswered::Unreachable(_)) => {
                sleep(BETWEEN_TRIES).await;
                return Outcome::Released;
            }
        };
        let (head, body) = answered.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        match head.status.is_success() {
            true => outcome(&body),
            false => refusal(head.status, &head.headers, &body),
        }
    };
    match timeout(limit, answer).await {
        Ok(outcome) => outcome,
        Err(_) => failure(format!("the application has not answered within {limit:?}"), None),
    }
}

fn request(queue: &str, route: &str, work: Work) -> Request<Body> {
    let Work { payload, rest } = work;
    let mut request = Request::new(Body::new(Full::new(payload.data)));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = route.parse().unwrap_or_default();
    let headers = request.headers_mut();
    let mut put = |name: HeaderName, value: &[u8]| {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    };
    // As it was sent with, so that the trace goes on.
    for name in TRACE {
        if let Some(value) = header(&rest.headers, name) {
            put(HeaderName::from_static(name), value);
        }
    }
    for queue::Header { name, value } in &rest.headers {
        if let Ok(name) = HeaderName::try_from(format!("metadata.{name}")) {
            put(name, value);
        }
    }
    if !payload.content_type.is_empty() {
        put(CONTENT_TYPE, payload.content_type.as_bytes());
    }
    put(HeaderName::from_static("colony-queue"), encoded(queue).as_bytes());
    put(HeaderName::from_static("colony-item"), rest.receipt.id().to_string().as_bytes());
    put(HeaderName::from_static("colony-attempt"), rest.attempt.to_string().as_bytes());
    put(HeaderName::from_static("colony-sent"), rfc3339_millis(rest.sent.as_millis()).as_bytes());
    if !rest.key.is_empty() {
        put(HeaderName::from_static("colony-key"), encoded(&rest.key).as_bytes());
    }
    request
}

/// As in a path, for a name may have any letters and a header has not. Decoded it is what it was, so `%` is encoded as well.
fn encoded(text: &str) -> String {
    const ODD: &AsciiSet = &CONTROLS.add(b'%');
    utf8_percent_encode(text, ODD).to_string()
}

/// What an answer of success says: as with messages of a topic, it may ask for more.
fn outcome(body: &Bytes) -> Outcome {
    #[derive(Deserialize)]
    struct Said {
        status: Option<String>,
    }
    let said = serde_json::from_slice(body).ok().and_then(|Said { status }| status).unwrap_or_default();
    match said.as_str() {
        "RETRY" => failure("the application asks to try again".to_owned(), None),
        "DROP" => Outcome::Failed {
            cause: "the application will never do it".to_owned(),
            delay: None,
            for_good: true,
        },
        _ => Outcome::Done,
    }
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Outcome {
    let delay = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let delay = delay.map(|seconds: u64| Duration::from_secs(seconds).min(TIME_MAX));
    let said = String::from_utf8_lossy(&body[..body.len().min(CAUSE_BYTES_MAX)]);
    let cause = format!("the application answered {status}: {}", said.trim());
    failure(cause.trim_end_matches([':', ' ']).to_owned(), delay)
}

fn failure(cause: String, delay: Option<Duration>) -> Outcome {
    Outcome::Failed { cause, delay, for_good: false }
}

fn failed(queue: &str, doing: &str, error: &engine::Error) -> Error {
    refused(CODES, ("queue", queue), doing, error)
}

/// Where is kept what is pushed to an application.
fn store(app_id: &str) -> String {
    format!("colony:push/{app_id}")
}

/// Longest route.
const ROUTE_BYTES_MAX: usize = 1_024;
/// Most items that a process has of a queue at a time.
const CONCURRENCY_MAX: u32 = 1_000;
/// Longest lease and timeout: as the engine has it for leases.
const TIME_MAX: Duration = Duration::from_secs(12 * 3_600);
/// How much of an answer is looked at.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How much of an answer of failure is kept as the cause.
const CAUSE_BYTES_MAX: usize = 512;
/// How long until the next try, where something is not there.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// How many changes are looked at at once.
const CHANGES_MAX: usize = 64;

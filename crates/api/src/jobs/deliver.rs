//! Runs of jobs, brought to the application for as long as it is there.
//!
//! A run is done when the application says so, or says that it knows no such job. What fails is tried again as the job's policy
//! says. That nobody listens is no failure: the run waits, for the application may only be starting anew.

use std::sync::{Arc, Weak};
use std::time::Duration;

use engine::blocks::jobs::Listed;
use engine::blocks::queue::{Settings, Work};
use engine::{Outcome, WorkConfig};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message;
use tokio::time::{sleep, timeout};
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Code, Status};

use super::{Kept, Retry, queue_name, text_of};
use crate::app::{App, Unanswered};
use crate::instance::Instance;
use crate::proto::dapr::common::v1::HttpExtension;
use crate::proto::dapr::common::v1::http_extension::Verb;
use crate::proto::dapr::runtime::v1::JobEventRequest;
use crate::proto::dapr::runtime::v1::app_callback_alpha_client::AppCallbackAlphaClient;
use crate::queues::header;
use crate::spans::{TRACE, Taken, Waited, tell};

/// Brings runs until it is dropped: what was not answered by then is brought again.
pub(crate) async fn run(instance: &Arc<Instance>) {
    if !instance.app.is_there() {
        return std::future::pending().await;
    }
    loop {
        let error = work(instance).await;
        instance.say(&format!("jobs cannot be had at present, and are asked for again: {error}"));
        sleep(AGAIN).await;
    }
}

async fn work(instance: &Arc<Instance>) -> engine::Error {
    let name = queue_name(&instance.app_id);
    let queue = match instance.host.disk().queue(&name) {
        Ok(queue) => queue,
        Err(error) => return error,
    };
    if let Err(error) = queue.define(settings()).await {
        return error;
    }
    let config = WorkConfig { concurrency: CONCURRENCY, lease: Some(LEASE) };
    let (app, weak) = (instance.app.clone(), Arc::downgrade(instance));
    queue.work(&instance.app_id, config, move |work| brought(app.clone(), weak.clone(), work)).await
}

/// How often something is tried is its policy's matter. Runs of one job do not overlap.
fn settings() -> Settings {
    Settings {
        attempts_max: u32::MAX,
        key_concurrency: 1,
        dead_letters: Some(false),
        dedup_window_ms: Some(0),
        ..Settings::default()
    }
}

async fn brought(app: App, instance: Weak<Instance>, work: Work) -> Outcome {
    // What is no job is somebody else's, and can never be brought.
    let Ok(kept) = Kept::decode(work.payload.clone()) else { return Outcome::Done };
    if work.attempt == 1 && is_past(&instance, &kept, &work).await {
        return Outcome::Done;
    }
    let api = instance.upgrade().map(|instance| instance.api());
    let begun = api.as_ref().and_then(|api| {
        let tracer = api.tracer.as_ref()?;
        let again = kept.job.schedule.is_some();
        let begun = tracer.taken(Taken {
            of: Waited::Job { again },
            name: &kept.job.name,
            sent_by: header(&work.headers, TRACE[0]),
            since_ms: work.sent.as_millis(),
            attempt: work.attempt,
        });
        Some((tracer, begun?))
    });
    let told = told(&work, begun.as_ref().map(|(_, begun)| begun.header()));
    let came = timeout(LONGEST_RUN, bring(&app, &kept, told)).await;
    let came = came.unwrap_or_else(|_| Came::Failed("it has not answered".to_owned()));
    match (begun, &came) {
        (Some((tracer, begun)), Came::Done) => tracer.worked(begun, None),
        (Some((tracer, begun)), Came::Failed(_)) => tracer.worked(begun, Some("not-done")),
        // It has not run: what waits is brought when there is somebody.
        (_, Came::Nobody) | (None, _) => {}
    }
    match came {
        Came::Done => Outcome::Done,
        Came::Nobody => {
            sleep(AGAIN).await;
            Outcome::Released
        }
        Came::Failed(cause) => match kept.retry(work.attempt) {
            Retry::After(delay) => Outcome::Failed { cause, delay: Some(delay), for_good: false },
            Retry::Never => {
                if let Some(instance) = instance.upgrade() {
                    let tries = work.attempt;
                    instance.say(&format!(
                        "a run of the job {:?} is given up after {}: {cause}",
                        kept.job.name,
                        if tries == 1 { "a try".to_owned() } else { format!("{tries} tries") },
                    ));
                }
                Outcome::Done
            }
        },
    }
}

/// Whether there is no use in it any more: the job was taken away or replaced, or a later run waits too, as they do when the
/// application was not there for several.
async fn is_past(instance: &Weak<Instance>, kept: &Kept, work: &Work) -> bool {
    // A job that runs once is gone when it runs.
    let (Some(instance), Some(_)) = (instance.upgrade(), &kept.job.schedule) else { return false };
    let sent = work.sent.as_millis();
    match instance.host.disk().jobs(&instance.app_id).get(&kept.job.name).await {
        Ok(Some(Listed { job, progress, .. })) => {
            // The shards of job and queue may read the clock in another order than they write.
            job.put_ms > sent || progress.last_ms > sent + CLOCKS_DIFFER_MS
        }
        Ok(None) => !kept.ends(),
        Err(_) => false,
    }
}

/// What came of a run.
enum Came {
    Done,
    /// There is nobody to bring it to.
    Nobody,
    Failed(String),
}

/// What a run is told of its trace, in the order of [`TRACE`]: where it stands in it, and what the job was scheduled with.
fn told(work: &Work, begun: Option<HeaderValue>) -> [Option<HeaderValue>; 3] {
    let mut told = TRACE.map(|name| HeaderValue::from_bytes(header(&work.headers, name)?).ok());
    if begun.is_some() {
        told[0] = begun;
    }
    told
}

async fn bring(app: &App, kept: &Kept, told: [Option<HeaderValue>; 3]) -> Came {
    match app.is_grpc() {
        true => call(app, kept, told).await,
        false => post(app, kept, told).await,
    }
}

async fn post(app: &App, kept: &Kept, told: [Option<HeaderValue>; 3]) -> Came {
    let path = format!("/job/{}", utf8_percent_encode(&kept.job.name, IN_PATHS));
    let body = tonic::body::Body::new(Full::new(text_of(kept)));
    let request = Request::post(path).header(CONTENT_TYPE, "application/json").body(body);
    let mut request = match request {
        Ok(request) => request,
        Err(odd) => return Came::Failed(odd.to_string()),
    };
    for (name, value) in TRACE.into_iter().zip(told) {
        value.and_then(|value| request.headers_mut().insert(name, value));
    }
    let answer = match app.send(request).await {
        Ok(answer) => answer,
        Err(Unanswered::Broken(why)) => return Came::Failed(why),
        Err(Unanswered::NoPort | Unanswered::Unreachable(_)) => return Came::Nobody,
    };
    let status = answer.status();
    // Read, so that the connection can be used again.
    let _ = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    match status.is_success() || status == http::StatusCode::NOT_FOUND {
        true => Came::Done,
        false => Came::Failed(format!("the application answered {status}")),
    }
}

async fn call(app: &App, kept: &Kept, told: [Option<HeaderValue>; 3]) -> Came {
    let job = &kept.job;
    let event = JobEventRequest {
        name: job.name.clone(),
        data: job.data.clone(),
        method: format!("job/{}", job.name),
        content_type: job.data.as_ref().map(|data| data.type_url.clone()).unwrap_or_default(),
        http_extension: Some(HttpExtension { verb: Verb::Post.into(), querystring: String::new() }),
    };
    let [parent, others @ ..] = told;
    let mut metadata = MetadataMap::new();
    tell(&mut metadata, parent);
    for (name, value) in TRACE[1..].iter().zip(others) {
        let value = value.and_then(|value| AsciiMetadataValue::try_from(value.as_bytes()).ok());
        value.and_then(|value| metadata.insert(*name, value));
    }
    let request = || {
        let mut request = tonic::Request::new(event.clone());
        *request.metadata_mut() = metadata.clone();
        request
    };
    let answer = match app.callback().on_job_event(request()).await {
        // Older SDKs serve it under its older name.
        Err(status) if status.code() == Code::Unimplemented => {
            AppCallbackAlphaClient::new(app.clone()).on_job_event_alpha1(request()).await
        }
        answer => answer,
    };
    match answer {
        Ok(_) => Came::Done,
        Err(status) if status.code() == Code::NotFound => Came::Done,
        Err(status) if is_nobody(&status) => Came::Nobody,
        Err(status) => Came::Failed(format!("the application answered {status}")),
    }
}

/// Whether the application could not be connected to.
fn is_nobody(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if let Some(Unanswered::NoPort | Unanswered::Unreachable(_)) = error.downcast_ref() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Most runs that an application is brought at a time; fewer if it says so.
const CONCURRENCY: u32 = 64;
/// For how long a run is with a process that may have died.
const LEASE: Duration = Duration::from_secs(10);
/// How long until it is tried anew where nobody is there.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest that a run may take.
const LONGEST_RUN: Duration = Duration::from_secs(3_600);
/// How much of an answer is read, of which nothing is needed.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// By how much clocks may differ that are one.
const CLOCKS_DIFFER_MS: u64 = 1_000;
/// What is written otherwise in a segment of a path.
const IN_PATHS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

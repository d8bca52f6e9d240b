//! Jobs over both transports, and the calls that they make.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::proto::dapr::common::v1::job_failure_policy::Policy;
use api::proto::dapr::common::v1::{JobFailurePolicy, JobFailurePolicyDrop};
use api::proto::dapr::runtime::v1::{
    DeleteJobRequest, DeleteJobResponse, DeleteJobsByPrefixRequest, DeleteJobsByPrefixRequestAlpha1,
    DeleteJobsByPrefixResponse, GetJobRequest, GetJobResponse, Job, JobEventRequest, ListJobsRequest,
    ListJobsResponse, ScheduleJobRequest, ScheduleJobResponse,
};
use http_body_util::BodyExt;
use prost::Message;
use serde_json::json;

use crate::app::{App, said};
use crate::world::{Answer, PATIENCE, Refused, World};

/// What an application was called with, as text.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits for so many.
    async fn wait(&self, count: usize) -> Vec<String> {
        let begun = Instant::now();
        while self.all().len() < count {
            assert!(begun.elapsed() < PATIENCE, "{:?}", self.all());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.all()
    }
}

/// An application that notes its calls, and answers them with this status.
async fn app(status: &Arc<AtomicU16>) -> (App, Calls) {
    let (calls, status) = (Calls::default(), Arc::clone(status));
    let noted = calls.clone();
    let app = App::new(move |request| {
        let (noted, status) = (noted.clone(), status.load(Ordering::Relaxed));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let kind = head.headers.get("content-type").map_or("", |kind| kind.to_str().unwrap());
            let text =
                format!("{} {} {kind} {}", head.method, head.uri.path(), String::from_utf8_lossy(&body));
            // What it is asked at its start is no call of these.
            if head.method == http::Method::POST {
                noted.0.lock().unwrap().push(text);
            }
            said(status, "")
        }
    })
    .await;
    (app, calls)
}

async fn world(port: u16) -> World {
    World::with(|config| config.app.port = Some(port)).await
}

async fn schedule(world: &World, name: &str, body: serde_json::Value) -> Answer {
    world.post(&format!("/v1.0/jobs/{name}"), &body.to_string()).await
}

fn dapr(method: &str) -> String {
    format!("dapr.proto.runtime.v1.Dapr/{method}")
}

async fn call_schedule(world: &World, job: Job, overwrite: bool) -> Result<(), Refused> {
    let request = ScheduleJobRequest { job: Some(job), overwrite };
    world.call::<ScheduleJobResponse>(&dapr("ScheduleJobAlpha1"), &request).await.map(drop)
}

async fn call_get(world: &World, name: &str) -> Result<Job, Refused> {
    let request = GetJobRequest { name: name.to_owned() };
    let told = world.call::<GetJobResponse>(&dapr("GetJob"), &request).await;
    told.map(|told| told.job.expect("a job"))
}

#[tokio::test]
async fn a_job_calls_its_application_when_it_is_due() {
    let (app, calls) = app(&Arc::new(AtomicU16::new(200))).await;
    let world = world(app.port).await;
    let data = json!({ "dueTime": "20ms", "data": { "b": [1, 2.50], "a": "x" } });
    assert_eq!(schedule(&world, "a%2Fb%20c", data).await.status, 204);
    assert_eq!(
        calls.wait(1).await,
        [r#"POST /job/a%2Fb%20c application/json {"a":"x","b":[1,2.5]}"#],
        "the path is escaped, the data as it was written"
    );
    assert_eq!(schedule(&world, "plain", json!({ "dueTime": "0s" })).await.status, 204);
    assert_eq!(calls.wait(2).await[1], "POST /job/plain application/json ", "no data is no body");
    let raw = prost_types::Any { type_url: "type.googleapis.com/mine".to_owned(), value: b" raw\n".to_vec() };
    let job =
        Job { name: "raw".to_owned(), due_time: Some("1ms".to_owned()), data: Some(raw), ..Job::default() };
    call_schedule(&world, job, false).await.unwrap();
    assert_eq!(calls.wait(3).await[2], "POST /job/raw application/json raw");
    let begun = Instant::now();
    while world.get("/v1.0/jobs/raw").await.status == 200 {
        assert!(begun.elapsed() < PATIENCE, "a job that will not run any more is gone");
    }
}

#[tokio::test]
async fn a_job_runs_as_often_as_it_says() {
    let (app, calls) = app(&Arc::new(AtomicU16::new(204))).await;
    let world = world(app.port).await;
    let job = json!({ "schedule": "@every 20ms", "repeats": 3, "data": null });
    assert_eq!(schedule(&world, "thrice", job).await.status, 204);
    calls.wait(3).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(calls.all().len(), 3);
    let job = json!({ "schedule": "* * * * * *", "ttl": "1h", "data": "tick" });
    assert_eq!(schedule(&world, "cron", job).await.status, 204);
    assert_eq!(calls.wait(5).await[4], r#"POST /job/cron application/json "tick""#);
    assert_eq!(world.ask("DELETE", "/v1.0/jobs/cron", "").await.status, 204);
}

#[tokio::test]
async fn a_run_that_fails_is_tried_again_as_its_policy_says() {
    let status = Arc::new(AtomicU16::new(500));
    let (app, calls) = app(&status).await;
    let world = world(app.port).await;
    let twice = json!({ "constant": { "interval": "0.01s", "maxRetries": 2 } });
    assert_eq!(
        schedule(&world, "twice", json!({ "dueTime": "1ms", "failurePolicy": twice })).await.status,
        204
    );
    calls.wait(3).await;
    let never = json!({ "drop": {} });
    assert_eq!(
        schedule(&world, "never", json!({ "dueTime": "1ms", "failurePolicy": never })).await.status,
        204
    );
    calls.wait(4).await;
    status.store(404, Ordering::Relaxed);
    assert_eq!(schedule(&world, "unknown", json!({ "dueTime": "1ms" })).await.status, 204);
    calls.wait(5).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(calls.all().len(), 5, "given up, dropped, and unknown to the application: {:?}", calls.all());
    status.store(302, Ordering::Relaxed);
    assert_eq!(schedule(&world, "usual", json!({ "dueTime": "1ms" })).await.status, 204);
    calls.wait(6).await;
    status.store(200, Ordering::Relaxed);
    calls.wait(7).await;
    let given_up = |name: &str| {
        let line = format!("a run of the job {name:?} is given up after");
        world.said.lock().unwrap().iter().any(|said| said.starts_with(&line))
    };
    assert!(given_up("twice") && given_up("never") && !given_up("unknown") && !given_up("usual"));
}

#[tokio::test]
async fn runs_wait_for_the_application_and_of_many_the_last_is_brought() {
    // The port is taken by nobody until the application is there.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let world = world(free).await;
    assert_eq!(schedule(&world, "once", json!({ "dueTime": "1ms" })).await.status, 204);
    assert_eq!(schedule(&world, "gone", json!({ "schedule": "@every 50ms" })).await.status, 204);
    assert_eq!(
        schedule(&world, "often", json!({ "schedule": "@every 50ms", "repeats": 60 })).await.status,
        204
    );
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert_eq!(world.ask("DELETE", "/v1.0/jobs/gone", "").await.status, 204);
    let calls = Calls::default();
    let noted = calls.clone();
    let app = App::at(free, move |request| {
        let (noted, path) = (noted.clone(), request.uri().path().to_owned());
        async move {
            noted.0.lock().unwrap().push(path);
            said(200, "")
        }
    })
    .await;
    calls.wait(2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let all = calls.all();
    assert_eq!(all.iter().filter(|path| *path == "/job/once").count(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|path| *path == "/job/gone").count(), 0, "{all:?}");
    drop(app);
}

#[tokio::test]
async fn a_job_is_told_of_listed_and_taken_away() {
    let world = World::new().await;
    let job = json!({
        "schedule": "@every 1h", "repeats": 5, "due_time": "10m", "ttl": "48h", "data": { "b": 1, "a": 12345678901234567890_u64 },
        "unknown": true,
    });
    assert_eq!(world.post("/v1.0-alpha1/jobs/tick", &job.to_string()).await.status, 204);
    let told = world.get("/v1.0/jobs/tick").await;
    assert_eq!(
        told.json(),
        json!({
            "name": "tick", "schedule": "@every 1h", "repeats": 5, "dueTime": "10m", "ttl": "48h",
            "data": { "@type": "type.googleapis.com/google.protobuf.Value", "value": { "b": 1, "a": 12345678901234567890_u64 } },
            "failurePolicy": { "constant": { "interval": "1s", "maxRetries": 3 } },
        })
    );
    let over_grpc = call_get(&world, "tick").await.unwrap();
    assert_eq!(
        (over_grpc.schedule.as_deref(), over_grpc.repeats, over_grpc.ttl.as_deref()),
        (Some("@every 1h"), Some(5), Some("48h"))
    );
    let value = prost_types::Value::decode(&over_grpc.data.expect("data").value[..]).unwrap();
    assert!(matches!(value.kind, Some(prost_types::value::Kind::StructValue(_))));

    let policy = JobFailurePolicy { policy: Some(Policy::Drop(JobFailurePolicyDrop {})) };
    let job = |name: &str| Job {
        name: name.to_owned(),
        due_time: Some("1h".to_owned()),
        failure_policy: Some(policy),
        ..Job::default()
    };
    for name in ["tock", "a", "tick-2"] {
        call_schedule(&world, job(name), false).await.unwrap();
    }
    let exists = call_schedule(&world, job("tock"), false).await.unwrap_err();
    assert_eq!(exists.code, 6, "{exists:?}");
    call_schedule(&world, job("tock"), true).await.unwrap();
    let refused = schedule(&world, "tock", json!({ "dueTime": "1h" })).await;
    assert_eq!(refused.refused(), (409, "DAPR_SCHEDULER_SCHEDULE_JOB".to_owned()));
    assert_eq!(world.get("/v1.0/jobs/tock").await.json()["failurePolicy"], json!({ "drop": {} }));
    assert_eq!(schedule(&world, "tock", json!({ "dueTime": "1h", "overwrite": true })).await.status, 204);

    let listed = world.get("/v1.0/jobs").await.json();
    let names: Vec<&str> =
        listed["jobs"].as_array().unwrap().iter().filter_map(|job| job["name"].as_str()).collect();
    assert_eq!(names, ["a", "tick", "tick-2", "tock"]);
    assert_eq!(listed["jobs"][1], told.json(), "as each by itself");
    let names = || async {
        let told: ListJobsResponse = world.call(&dapr("ListJobs"), &ListJobsRequest {}).await.unwrap();
        assert!(told.jobs.iter().all(|job| job.failure_policy.is_some()));
        told.jobs.into_iter().map(|job| job.name).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["a", "tick", "tick-2", "tock"]);
    let request = DeleteJobsByPrefixRequest { name_prefix: Some("tick".to_owned()) };
    world.call::<DeleteJobsByPrefixResponse>(&dapr("DeleteJobsByPrefix"), &request).await.unwrap();
    assert_eq!(names().await, ["a", "tock"]);
    for _ in 0..2 {
        let request = DeleteJobRequest { name: "tock".to_owned() };
        world.call::<DeleteJobResponse>(&dapr("DeleteJob"), &request).await.unwrap();
        assert_eq!(world.ask("DELETE", "/v1.0/jobs/tock", "").await.status, 204, "it may be gone already");
    }
    let all = DeleteJobsByPrefixRequestAlpha1 { name_prefix: None };
    world.call::<()>(&dapr("DeleteJobsByPrefixAlpha1"), &all).await.unwrap();
    assert!(names().await.is_empty());
}

#[tokio::test]
async fn what_is_no_job_is_refused() {
    let world = World::with(|config| config.body_bytes_max = 1_000).await;
    for (body, refused, message) in [
        (json!({}), (400, "DAPR_SCHEDULER_SCHEDULE_EMPTY"), "Schedule is empty"),
        (
            json!({ "name": "n", "dueTime": "1s" }),
            (400, "DAPR_SCHEDULER_JOB_NAME"),
            "Set the job name in the url only",
        ),
        (
            json!({ "schedule": "@odd" }),
            (500, "DAPR_SCHEDULER_SCHEDULE_JOB"),
            "failed to schedule job due to: ",
        ),
        (
            json!({ "dueTime": "odd" }),
            (500, "DAPR_SCHEDULER_SCHEDULE_JOB"),
            "failed to schedule job due to: ",
        ),
        (
            json!({ "dueTime": "1h", "ttl": "1s" }),
            (500, "DAPR_SCHEDULER_SCHEDULE_JOB"),
            "failed to schedule job due to: ",
        ),
        (json!([]), (400, "ERR_MALFORMED_REQUEST"), "failed deserializing HTTP body: "),
        (json!({ "repeats": -1 }), (400, "ERR_MALFORMED_REQUEST"), "failed deserializing HTTP body: "),
        (
            json!({ "failurePolicy": { "constant": { "interval": "odd" } } }),
            (400, "ERR_MALFORMED_REQUEST"),
            "failed deserializing HTTP body: ",
        ),
    ] {
        let answer = schedule(&world, "job", body.clone()).await;
        assert_eq!(answer.refused(), (refused.0, refused.1.to_owned()), "{body}");
        assert!(answer.json()["message"].as_str().unwrap().starts_with(message), "{answer:?}");
    }
    let answer = schedule(&world, "a%7Cb", json!({ "dueTime": "1h" })).await;
    assert_eq!(answer.refused(), (400, "DAPR_SCHEDULER_JOB_NAME_EMPTY".to_owned()));
    let info = &answer.json()["details"][0];
    assert_eq!(
        (info["reason"].as_str(), info["metadata"]["appID"].as_str()),
        (Some("DAPR_SCHEDULER_JOB_NAME_EMPTY"), Some("shop"))
    );
    assert_eq!(world.get("/v1.0/jobs/none").await.refused(), (500, "DAPR_SCHEDULER_GET_JOB".to_owned()));
    let large = world.post("/v1.0/jobs/job", &" ".repeat(2_000)).await;
    assert_eq!(large.refused(), (400, "ERR_BODY_READ".to_owned()));
    assert_eq!(world.get("/v1.0/jobs/job/more").await.status, 404);
    let none = world.call::<ScheduleJobResponse>(&dapr("ScheduleJob"), &ScheduleJobRequest::default()).await;
    assert_eq!(none.unwrap_err().code, 3);
    let job = |name: &str, schedule: Option<&str>| Job {
        name: name.to_owned(),
        schedule: schedule.map(str::to_owned),
        ..Job::default()
    };
    assert_eq!(call_schedule(&world, job("", Some("@daily")), false).await.unwrap_err().code, 3);
    assert_eq!(call_schedule(&world, job("n", None), false).await.unwrap_err().code, 3);
    assert_eq!(call_schedule(&world, job("n", Some("odd")), false).await.unwrap_err().code, 13);
    let missing = call_get(&world, "none").await.unwrap_err();
    assert_eq!(
        (missing.code, missing.message.as_str()),
        (13, "failed to get job due to: job not found: none")
    );
}

#[tokio::test]
async fn an_application_that_speaks_grpc_is_called_by_either_name() {
    for name in ["OnJobEvent", "OnJobEventAlpha1"] {
        let events: Arc<Mutex<Vec<JobEventRequest>>> = Arc::default();
        let noted = Arc::clone(&events);
        let app = App::new(move |request| {
            let noted = Arc::clone(&noted);
            async move {
                let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let is_served = method == name;
                if is_served {
                    noted.lock().unwrap().push(JobEventRequest::decode(&body[5..]).unwrap());
                }
                let mut response = said(200, if is_served { vec![0; 5] } else { Vec::new() });
                let headers = response.headers_mut();
                headers.insert("content-type", "application/grpc".parse().unwrap());
                let status = if is_served { "0" } else { "12" };
                headers.insert("grpc-status", status.parse().unwrap());
                response
            }
        })
        .await;
        let world = World::with(|config| {
            config.app.port = Some(app.port);
            config.app.protocol = "grpc".to_owned();
        })
        .await;
        let data = prost_types::Any { type_url: "type.googleapis.com/mine".to_owned(), value: b"x".to_vec() };
        let job = Job {
            name: "j".to_owned(),
            due_time: Some("1ms".to_owned()),
            data: Some(data.clone()),
            ..Job::default()
        };
        call_schedule(&world, job, false).await.unwrap();
        let begun = Instant::now();
        while events.lock().unwrap().is_empty() {
            assert!(begun.elapsed() < PATIENCE, "{name}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let event = events.lock().unwrap()[0].clone();
        assert_eq!((event.name.as_str(), event.method.as_str()), ("j", "job/j"));
        assert_eq!((event.data, event.content_type.as_str()), (Some(data), "type.googleapis.com/mine"));
        assert_eq!(event.http_extension.map(|http| http.verb), Some(3), "POST");
    }
}

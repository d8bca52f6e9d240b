//! What can go wrong with jobs, in the words that SDKs match. All of it has details.

use engine::Kind;
use http::StatusCode;
use tonic::Code;

use crate::api::Api;
use crate::error::{Details, Error};

/// What is missing.
#[derive(Clone, Copy)]
pub(super) enum Empty {
    Job,
    Name,
    Schedule,
}

pub(super) fn empty(api: &Api, what: Empty) -> Error {
    let (reason, message) = match what {
        Empty::Job => ("DAPR_SCHEDULER_EMPTY", "Job is empty"),
        Empty::Name => ("DAPR_SCHEDULER_JOB_NAME_EMPTY", "Name is empty"),
        Empty::Schedule => ("DAPR_SCHEDULER_SCHEDULE_EMPTY", "Schedule is empty"),
    };
    error(api, reason, StatusCode::BAD_REQUEST, Code::InvalidArgument, message.to_owned())
}

/// A job's name stands in the path, and in the body as well.
pub fn named_twice(app_id: &str) -> Error {
    let metadata = vec![("appID", app_id.to_owned())];
    let details = Details { reason: "DAPR_SCHEDULER_JOB_NAME", metadata, ..Details::default() };
    let message = "Set the job name in the url only";
    Error::new(details.reason, StatusCode::BAD_REQUEST, Code::InvalidArgument, message).with(details)
}

pub(super) fn schedule(api: &Api, kind: Kind, name: &str, why: &str) -> Error {
    let (status, grpc, why) = match kind {
        Kind::Exists => (StatusCode::CONFLICT, Code::AlreadyExists, format!("job already exists: '{name}'")),
        Kind::Reused => (StatusCode::CONFLICT, Code::Aborted, why.to_owned()),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, why.to_owned()),
    };
    let message = format!("failed to schedule job due to: {why}");
    error(api, "DAPR_SCHEDULER_SCHEDULE_JOB", status, grpc, message)
}

pub(super) fn get(api: &Api, why: &str) -> Error {
    internal(api, "DAPR_SCHEDULER_GET_JOB", format!("failed to get job due to: {why}"))
}

pub(super) fn list(api: &Api, why: &str) -> Error {
    internal(api, "DAPR_SCHEDULER_LIST_JOBS", format!("failed to list jobs due to: {why}"))
}

pub(super) fn delete(api: &Api, why: &engine::Error) -> Error {
    let (reason, message) = ("DAPR_SCHEDULER_DELETE_JOB", format!("failed to delete job due to: {why}"));
    match why.kind() {
        Kind::Reused => error(api, reason, StatusCode::CONFLICT, Code::Aborted, message),
        _ => internal(api, reason, message),
    }
}

fn internal(api: &Api, reason: &'static str, message: String) -> Error {
    error(api, reason, StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, message)
}

fn error(api: &Api, reason: &'static str, status: StatusCode, grpc: Code, message: String) -> Error {
    let config = &api.config;
    let metadata = vec![("appID", config.app_id.clone()), ("namespace", config.namespace.clone())];
    let details = Details { reason, metadata, ..Details::default() };
    Error::new(reason, status, grpc, message).with(details)
}

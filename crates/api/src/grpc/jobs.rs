//! Jobs over gRPC.

use bytes::Bytes;
use prost::Message;
use tonic::Request;

use super::ours::asked;
use crate::api::Api;
use crate::error::Error;
use crate::jobs::Kept;
use crate::proto::dapr::runtime::v1::{
    DeleteJobRequest, DeleteJobResponse, GetJobRequest, GetJobResponse, Job, ScheduleJobRequest,
    ScheduleJobResponse,
};
use crate::pubsub::Trace;

pub(super) async fn schedule(
    api: &Api,
    request: Request<ScheduleJobRequest>,
) -> Result<ScheduleJobResponse, Error> {
    let head = request.metadata().clone();
    let (request, once) = asked(api, "ScheduleJob", request)?;
    let job = request.job.map(|job| Kept { job, json: Bytes::new() });
    api.schedule_job(job, request.overwrite, once.as_ref(), Trace::of(&head)).await?;
    Ok(ScheduleJobResponse {})
}

pub(super) async fn get(api: &Api, request: GetJobRequest) -> Result<GetJobResponse, Error> {
    let Kept { job, .. } = api.job(&request.name).await?;
    Ok(GetJobResponse { job: Some(job) })
}

pub(super) async fn delete(
    api: &Api,
    request: Request<DeleteJobRequest>,
) -> Result<DeleteJobResponse, Error> {
    let (request, once) = asked(api, "DeleteJob", request)?;
    api.delete_job(&request.name, once.as_ref()).await?;
    Ok(DeleteJobResponse {})
}

/// Both of its messages say the same; `prefix` is what the names begin with.
pub(super) async fn delete_many<T: Message, U: Default>(
    api: &Api,
    request: Request<T>,
    prefix: impl FnOnce(T) -> Option<String>,
) -> Result<U, Error> {
    let (request, once) = asked(api, "DeleteJobsByPrefix", request)?;
    api.delete_jobs(&prefix(request).unwrap_or_default(), once.as_ref()).await?;
    Ok(U::default())
}

pub(super) async fn list(api: &Api) -> Result<Vec<Job>, Error> {
    Ok(api.jobs().await?.into_iter().map(|kept| kept.job).collect())
}

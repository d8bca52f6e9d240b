//! Every method of the service, a line each: what it does is in the file of its group.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming};

use super::{bindings, configuration, invoke, jobs, lock, metadata, publish, secrets, state, subscribe};
use crate::api::Api;
use crate::proto::dapr::common::v1::InvokeResponse;
use crate::proto::dapr::runtime::v1::dapr_server::Dapr;
use crate::proto::dapr::runtime::v1::{
    BulkPublishRequest, BulkPublishResponse, DeleteBulkStateRequest, DeleteJobRequest, DeleteJobResponse,
    DeleteJobsByPrefixRequest, DeleteJobsByPrefixRequestAlpha1, DeleteJobsByPrefixResponse,
    DeleteJobsByPrefixResponseAlpha1, DeleteStateRequest, ExecuteStateTransactionRequest,
    GetBulkSecretRequest, GetBulkSecretResponse, GetBulkStateRequest, GetBulkStateResponse,
    GetConfigurationRequest, GetConfigurationResponse, GetJobRequest, GetJobResponse, GetMetadataRequest,
    GetMetadataResponse, GetSecretRequest, GetSecretResponse, GetStateRequest, GetStateResponse,
    InvokeBindingRequest, InvokeBindingResponse, InvokeServiceRequest, ListJobsRequest,
    ListJobsRequestAlpha1, ListJobsResponse, ListJobsResponseAlpha1, PublishEventRequest, SaveStateRequest,
    ScheduleJobRequest, ScheduleJobResponse, SetMetadataRequest, ShutdownRequest,
    SubscribeConfigurationRequest, SubscribeTopicEventsRequestAlpha1, TryLockRequest, TryLockResponse,
    UnlockRequest, UnlockResponse, UnsubscribeConfigurationRequest, UnsubscribeConfigurationResponse,
};

/// The methods, answered by an API.
pub(super) struct Methods(pub(super) Arc<Api>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Dapr for Methods {
    async fn invoke_service(&self, request: Request<InvokeServiceRequest>) -> Answer<InvokeResponse> {
        invoke::service(&self.0, request).await
    }

    async fn get_state(&self, request: Request<GetStateRequest>) -> Answer<GetStateResponse> {
        answered(state::get(&self.0, request.into_inner()).await)
    }

    async fn get_bulk_state(&self, request: Request<GetBulkStateRequest>) -> Answer<GetBulkStateResponse> {
        answered(state::get_bulk(&self.0, request.into_inner()).await)
    }

    async fn save_state(&self, request: Request<SaveStateRequest>) -> Answer<()> {
        answered(state::save(&self.0, request).await)
    }

    async fn delete_state(&self, request: Request<DeleteStateRequest>) -> Answer<()> {
        answered(state::delete(&self.0, request).await)
    }

    async fn delete_bulk_state(&self, request: Request<DeleteBulkStateRequest>) -> Answer<()> {
        answered(state::delete_bulk(&self.0, request).await)
    }

    async fn execute_state_transaction(
        &self,
        request: Request<ExecuteStateTransactionRequest>,
    ) -> Answer<()> {
        let (head, _, request) = request.into_parts();
        answered(state::transact(&self.0, &head, request).await)
    }

    async fn publish_event(&self, request: Request<PublishEventRequest>) -> Answer<()> {
        answered(publish::one(&self.0, request).await)
    }

    async fn bulk_publish_event(&self, request: Request<BulkPublishRequest>) -> Answer<BulkPublishResponse> {
        answered(publish::many(&self.0, request).await)
    }

    async fn bulk_publish_event_alpha1(
        &self,
        request: Request<BulkPublishRequest>,
    ) -> Answer<BulkPublishResponse> {
        answered(publish::many(&self.0, request).await)
    }

    type SubscribeTopicEventsAlpha1Stream = subscribe::Events;

    async fn subscribe_topic_events_alpha1(
        &self,
        request: Request<Streaming<SubscribeTopicEventsRequestAlpha1>>,
    ) -> Answer<subscribe::Events> {
        Ok(Response::new(subscribe::open(&self.0, request.into_inner()).await?))
    }

    async fn get_secret(&self, request: Request<GetSecretRequest>) -> Answer<GetSecretResponse> {
        answered(secrets::get(&self.0, request.into_inner()).await)
    }

    async fn get_bulk_secret(&self, request: Request<GetBulkSecretRequest>) -> Answer<GetBulkSecretResponse> {
        answered(secrets::get_bulk(&self.0, request.into_inner()).await)
    }

    async fn invoke_binding(&self, request: Request<InvokeBindingRequest>) -> Answer<InvokeBindingResponse> {
        answered(bindings::invoke(&self.0, request).await)
    }

    async fn try_lock_alpha1(&self, request: Request<TryLockRequest>) -> Answer<TryLockResponse> {
        answered(lock::try_lock(&self.0, request).await)
    }

    async fn unlock_alpha1(&self, request: Request<UnlockRequest>) -> Answer<UnlockResponse> {
        answered(lock::unlock(&self.0, request).await)
    }

    async fn get_configuration(
        &self,
        request: Request<GetConfigurationRequest>,
    ) -> Answer<GetConfigurationResponse> {
        answered(configuration::get(&self.0, request.into_inner()).await)
    }

    type SubscribeConfigurationStream = configuration::Told;

    async fn subscribe_configuration(
        &self,
        request: Request<SubscribeConfigurationRequest>,
    ) -> Answer<configuration::Told> {
        answered(configuration::subscribe(&self.0, request.into_inner()).await)
    }

    async fn unsubscribe_configuration(
        &self,
        request: Request<UnsubscribeConfigurationRequest>,
    ) -> Answer<UnsubscribeConfigurationResponse> {
        answered(configuration::unsubscribe(&self.0, request.get_ref()))
    }

    async fn get_configuration_alpha1(
        &self,
        request: Request<GetConfigurationRequest>,
    ) -> Answer<GetConfigurationResponse> {
        answered(configuration::get(&self.0, request.into_inner()).await)
    }

    type SubscribeConfigurationAlpha1Stream = configuration::Told;

    async fn subscribe_configuration_alpha1(
        &self,
        request: Request<SubscribeConfigurationRequest>,
    ) -> Answer<configuration::Told> {
        answered(configuration::subscribe(&self.0, request.into_inner()).await)
    }

    async fn unsubscribe_configuration_alpha1(
        &self,
        request: Request<UnsubscribeConfigurationRequest>,
    ) -> Answer<UnsubscribeConfigurationResponse> {
        answered(configuration::unsubscribe(&self.0, request.get_ref()))
    }

    async fn schedule_job(&self, request: Request<ScheduleJobRequest>) -> Answer<ScheduleJobResponse> {
        answered(jobs::schedule(&self.0, request).await)
    }

    async fn get_job(&self, request: Request<GetJobRequest>) -> Answer<GetJobResponse> {
        answered(jobs::get(&self.0, request.into_inner()).await)
    }

    async fn delete_job(&self, request: Request<DeleteJobRequest>) -> Answer<DeleteJobResponse> {
        answered(jobs::delete(&self.0, request).await)
    }

    async fn delete_jobs_by_prefix(
        &self,
        request: Request<DeleteJobsByPrefixRequest>,
    ) -> Answer<DeleteJobsByPrefixResponse> {
        answered(jobs::delete_many(&self.0, request, |request| request.name_prefix).await)
    }

    async fn list_jobs(&self, _: Request<ListJobsRequest>) -> Answer<ListJobsResponse> {
        answered(jobs::list(&self.0).await.map(|jobs| ListJobsResponse { jobs }))
    }

    async fn schedule_job_alpha1(&self, request: Request<ScheduleJobRequest>) -> Answer<ScheduleJobResponse> {
        answered(jobs::schedule(&self.0, request).await)
    }

    async fn get_job_alpha1(&self, request: Request<GetJobRequest>) -> Answer<GetJobResponse> {
        answered(jobs::get(&self.0, request.into_inner()).await)
    }

    async fn delete_job_alpha1(&self, request: Request<DeleteJobRequest>) -> Answer<DeleteJobResponse> {
        answered(jobs::delete(&self.0, request).await)
    }

    async fn delete_jobs_by_prefix_alpha1(
        &self,
        request: Request<DeleteJobsByPrefixRequestAlpha1>,
    ) -> Answer<DeleteJobsByPrefixResponseAlpha1> {
        answered(jobs::delete_many(&self.0, request, |request| request.name_prefix).await)
    }

    async fn list_jobs_alpha1(&self, _: Request<ListJobsRequestAlpha1>) -> Answer<ListJobsResponseAlpha1> {
        answered(jobs::list(&self.0).await.map(|jobs| ListJobsResponseAlpha1 { jobs }))
    }

    async fn get_metadata(&self, _: Request<GetMetadataRequest>) -> Answer<GetMetadataResponse> {
        Ok(Response::new(metadata::get(&self.0)))
    }

    async fn set_metadata(&self, request: Request<SetMetadataRequest>) -> Answer<()> {
        let SetMetadataRequest { key, value } = request.into_inner();
        answered(self.0.note(&key, &value))
    }

    async fn shutdown(&self, _: Request<ShutdownRequest>) -> Answer<()> {
        self.0.end();
        Ok(Response::new(()))
    }
}

fn answered<T>(result: Result<T, crate::error::Error>) -> Answer<T> {
    result.map(Response::new).map_err(|error| error.to_status())
}

//! gRPC's own health protocol: serving when `healthz` says so.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt};
use tonic::{Request, Response, Status};

use crate::api::Api;
use crate::health::Phase;
use crate::proto::health::health_check_response::ServingStatus;
use crate::proto::health::health_server::Health;
use crate::proto::health::{HealthCheckRequest, HealthCheckResponse};

/// The methods, answered by an API.
pub(super) struct HealthMethods(pub(super) Arc<Api>);

#[tonic::async_trait]
impl Health for HealthMethods {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        if !is_served(&service) {
            return Err(Status::not_found(format!("there is no service {service:?}")));
        }
        Ok(Response::new(told(status(self.0.health.is_ready()))))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    /// The status, and again each time that it changes, until the end.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let served = is_served(&request.into_inner().service);
        let phases = stream::unfold((self.0.health.watch(), None), |(mut phases, last)| async move {
            match last {
                Some(Phase::Stopping) => return None,
                Some(_) => phases.changed().await.ok()?,
                None => {}
            }
            let phase = *phases.borrow_and_update();
            Some((phase, (phases, Some(phase))))
        });
        let told = phases.map(move |phase| {
            Ok(told(if served { status(phase == Phase::Ready) } else { ServingStatus::ServiceUnknown }))
        });
        Ok(Response::new(told.boxed()))
    }
}

/// All of them together, or one.
fn is_served(service: &str) -> bool {
    matches!(service, "" | "dapr.proto.runtime.v1.Dapr" | "colony.v1.Queues" | "colony.v1.Streams")
}

fn status(ready: bool) -> ServingStatus {
    if ready { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn told(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

//! The API over gRPC.
//!
//! The rules for every request: token, deadline, service. `dapr.rs` has a line for each method; what a group of methods
//! does is in the file of its name. A method that is not served is answered `Unimplemented`, by which clients find out
//! what there is.

mod bindings;
mod configuration;
mod dapr;
mod deadline;
mod health;
mod invoke;
mod jobs;
mod lock;
mod metadata;
mod ours;
mod proxy;
mod publish;
mod queues;
mod secrets;
mod state;
mod streams;
mod subscribe;
mod topics;

use std::sync::Arc;

use ::http::{Request, Response};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::{Code, Status};

use crate::api::Api;
use crate::error::{Details, Error};
use crate::proto::colony::v1::queues_server::QueuesServer;
use crate::proto::colony::v1::streams_server::StreamsServer;
use crate::proto::colony::v1::topics_server::TopicsServer;
use crate::proto::dapr::runtime::v1::dapr_server::DaprServer;
use crate::proto::health::health_server::HealthServer;
use crate::spans::{noting, of_binary};
use crate::{access, idempotency, token};
use dapr::Methods;
use health::HealthMethods;
use queues::QueueMethods;
use streams::StreamMethods;
use topics::TopicMethods;

/// The services, for the requests of a connection.
#[derive(Clone)]
pub(crate) struct Services {
    api: Arc<Api>,
    dapr: DaprServer<Methods>,
    health: HealthServer<HealthMethods>,
    queues: QueuesServer<QueueMethods>,
    streams: StreamsServer<StreamMethods>,
    topics: TopicsServer<TopicMethods>,
}

impl Services {
    pub(crate) fn new(api: &Arc<Api>) -> Services {
        let bytes_max = api.config.body_bytes_max;
        Services {
            api: Arc::clone(api),
            dapr: DaprServer::new(Methods(Arc::clone(api)))
                .max_decoding_message_size(bytes_max)
                .max_encoding_message_size(usize::MAX),
            health: HealthServer::new(HealthMethods(Arc::clone(api))),
            queues: QueuesServer::new(QueueMethods(Arc::clone(api)))
                .max_decoding_message_size(bytes_max)
                .max_encoding_message_size(usize::MAX),
            streams: StreamsServer::new(StreamMethods(Arc::clone(api)))
                .max_decoding_message_size(bytes_max)
                .max_encoding_message_size(usize::MAX),
            topics: TopicsServer::new(TopicMethods(Arc::clone(api)))
                .max_decoding_message_size(bytes_max)
                .max_encoding_message_size(usize::MAX),
        }
    }

    /// Answers a request.
    pub(crate) async fn answer(mut self, mut request: Request<Incoming>) -> Response<Body> {
        let limit = match deadline::of(request.headers()) {
            Ok(limit) => limit,
            Err(status) => return status.into_http(),
        };
        if !token::matches(self.api.config.token.as_deref(), request.headers().get(token::HEADER)) {
            return no_token().into_http();
        }
        if !is_open(&self.api, request.uri().path()) {
            return not_available().into_http();
        }
        if let Some(why) = keyless(request.uri().path())
            && let Err(error) = idempotency::none(request.headers(), why)
        {
            return error.to_status().into_http();
        }
        of_binary(request.headers_mut());
        let api = Arc::clone(&self.api);
        let path = request.uri().path().to_owned();
        let begun = api.tracer.as_ref().filter(|_| !path.starts_with(HEALTH)).and_then(|tracer| {
            let begun = tracer.asked_by_grpc(request.headers_mut(), &path);
            Some((tracer, begun?))
        });
        let answer = async {
            let path = request.uri().path();
            let Ok(response) = match () {
                () if path.starts_with(HEALTH) => self.health.call(request).await,
                () if path.starts_with(QUEUES) => self.queues.call(request).await,
                () if path.starts_with(STREAMS) => self.streams.call(request).await,
                () if path.starts_with(TOPICS) => self.topics.call(request).await,
                () if !path.starts_with(DAPR) && proxy::is_meant(&request) => {
                    // By far the largest, and not to be moved about with every other call.
                    Ok(Box::pin(proxy::answer(&self.api, request)).await)
                }
                () => self.dapr.call(request).await,
            };
            response
        };
        let notes = begun.as_ref().and_then(|(_, begun)| begun.notes());
        let response = noting(notes, deadline::within(limit, answer)).await;
        if let Some((tracer, begun)) = begun {
            tracer.answered_by_grpc(begun, response.headers());
        }
        response
    }
}

/// Whether a method is in a group that is open. What is no method of the API is a call of another application's.
fn is_open(api: &Api, path: &str) -> bool {
    let open = &api.config.apis.grpc;
    open.is_to_all() || access::of_grpc(path).is_none_or(|(version, group)| open.is_to(version, group))
}

fn not_available() -> Status {
    invoke::error(::http::StatusCode::NOT_IMPLEMENTED, b"requested endpoint is not available").to_status()
}

/// Answers a request that did not come over a connection.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) async fn answer_one(api: &Arc<Api>, request: Request<Body>) -> Response<Body> {
    let mut services = Services::new(api);
    let path = request.uri().path();
    let Ok(response) = match () {
        () if path.starts_with(QUEUES) => services.queues.call(request).await,
        () if path.starts_with(STREAMS) => services.streams.call(request).await,
        () if path.starts_with(TOPICS) => services.topics.call(request).await,
        () => services.dapr.call(request).await,
    };
    response
}

/// Why a method is not done once under an idempotency key, if it writes and is not.
fn keyless(path: &str) -> Option<&'static str> {
    let method = path.strip_prefix(DAPR)?;
    KEYLESS.iter().find(|(keyless, _)| method == *keyless).map(|(_, why)| *why)
}

fn no_token() -> Status {
    let details = Details { reason: "DAPR_API_TOKEN", ..Details::default() };
    let status = ::http::StatusCode::UNAUTHORIZED;
    Error::new("ERR_API_TOKEN", status, Code::Unauthenticated, "invalid api token").with(details).to_status()
}

/// The methods that are not done once under an idempotency key, and why.
const KEYLESS: [(&str, &str); 2] =
    [("InvokeBinding", idempotency::BEHIND_A_BINDING), ("Shutdown", idempotency::AFTER_THE_END)];
/// How the paths of the methods for queues begin.
const QUEUES: &str = "/colony.v1.Queues/";
/// How the paths of the methods for event streams begin.
const STREAMS: &str = "/colony.v1.Streams/";
/// How the paths of the methods for topics begin.
const TOPICS: &str = "/colony.v1.Topics/";
/// How the paths of the health protocol's methods begin.
const HEALTH: &str = "/grpc.health.v1.Health/";
/// How those of our own service begin.
const DAPR: &str = "/dapr.proto.runtime.v1.Dapr/";

//! Calls of an application that speaks gRPC, by its `OnInvoke`, from callers that do not call its own service.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::headers::{self, prefixed};
use super::{ANSWER_BYTES_MAX, Target};
use crate::api::Api;
use crate::app::Unanswered;
use crate::deadline;
use crate::proto::dapr::common::v1::{InvokeRequest, InvokeResponse};

impl Target {
    /// Calls by `OnInvoke`, with what the caller said besides as metadata.
    ///
    /// # Errors
    ///
    /// The application's own, or that it does not answer.
    pub(crate) async fn on_invoke(
        &self,
        caller: &Api,
        message: InvokeRequest,
        mut said: HeaderMap,
    ) -> Result<Response<InvokeResponse>, Status> {
        headers::pass_on(&mut said, caller.config.token.is_some());
        deadline::pass_on_grpc(&mut said);
        if let Some(callee) = self.other() {
            caller.caller.name(&mut said, callee);
        }
        let request = Request::from_parts(MetadataMap::from_headers(said), tonic::Extensions::new(), message);
        let app = self.app().map_err(|unanswered| Status::from_error(Box::new(unanswered)))?;
        let mut callback = app.callback().max_decoding_message_size(ANSWER_BYTES_MAX);
        let answered = callback.on_invoke(request).await;
        self.count(caller, answered.is_ok());
        answered
    }
}

/// A caller's headers as metadata: those that HTTP gives a meaning to are told apart from what gRPC says itself.
pub(crate) fn metadata(headers: HeaderMap) -> HeaderMap {
    let mut metadata = HeaderMap::with_capacity(headers.len());
    for (name, value) in &headers {
        if *name != CONTENT_LENGTH && !name.as_str().ends_with(BINARY) {
            metadata.append(prefixed(name), value.clone());
        }
    }
    metadata
}

/// What of an answer's metadata is headers.
pub(crate) fn answered(metadata: MetadataMap) -> HeaderMap {
    let mut headers = metadata.into_headers();
    for name in [CONTENT_TYPE, CONTENT_LENGTH] {
        headers.remove(name);
    }
    let own: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with(OF_GRPC)).cloned().collect();
    for name in own {
        headers.remove(name);
    }
    headers
}

/// Whether a status is not the application's, but that it has not answered.
pub(crate) fn is_unanswered(status: &Status) -> bool {
    std::error::Error::source(status).is_some_and(|source| source.is::<Unanswered>())
}

/// How names of values end that are no text.
const BINARY: &str = "-bin";
/// How names begin that are gRPC's own.
pub(crate) const OF_GRPC: &str = "grpc-";

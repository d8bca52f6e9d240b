//! What can go wrong with publishing, in the words that SDKs match.

use components::pubsub;
use http::StatusCode;
use tonic::Code;

use crate::error::{Details, Error};

/// What was being published to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failing<'a> {
    pub(super) pubsub: &'a str,
    pub(super) topic: &'a str,
}

impl Failing<'_> {
    /// The broker did not take it.
    pub(crate) fn publish(self, error: &pubsub::Error) -> Error {
        let status = match error {
            pubsub::Error::Reused(_) => (StatusCode::CONFLICT, Code::Aborted),
            _ => FAILED,
        };
        self.unpublished(status, error)
    }

    /// It is more than is read.
    pub(crate) fn too_large(self, why: impl std::fmt::Display) -> Error {
        self.unpublished(FAILED, why)
    }

    fn unpublished(self, status: (StatusCode, Code), why: impl std::fmt::Display) -> Error {
        let Failing { pubsub, topic } = self;
        let message = format!("error when publishing to topic {topic} in pubsub {pubsub}: {why}");
        let metadata = vec![("error", why.to_string()), ("topic", topic.to_owned())];
        self.error(PUBLISH, status, message, "DAPR_PUBSUB_PUBLISH_MESSAGE").and(metadata)
    }

    /// The application may not.
    pub(super) fn forbidden(self, app_id: &str) -> Error {
        let Failing { pubsub, topic } = self;
        let message = format!("topic {topic} is not allowed for app id {app_id}");
        let why = format!("the settings of pubsub {pubsub} do not grant it");
        let metadata = vec![("appID", app_id.to_owned()), ("error", why), ("topic", topic.to_owned())];
        let status = (StatusCode::FORBIDDEN, Code::PermissionDenied);
        self.error("ERR_PUBSUB_FORBIDDEN", status, message, "DAPR_PUBSUB_FORBIDDEN").and(metadata)
    }

    /// Metadata that cannot be what it says.
    pub(super) fn metadata(self, why: &str) -> Error {
        let message = format!("failed deserializing metadata. Error: {why}");
        let reason = "DAPR_PUBSUB_METADATA_DESERIALIZATION";
        self.error("ERR_PUBSUB_REQUEST_METADATA", BAD, message, reason)
    }

    /// It says that it is a CloudEvent, and is none.
    pub(super) fn no_event(self) -> Error {
        let message =
            "cannot create cloudevent: the body is no JSON object, as its content type says".to_owned();
        let status = (StatusCode::INTERNAL_SERVER_ERROR, Code::InvalidArgument);
        self.error("ERR_PUBSUB_CLOUD_EVENTS_SER", status, message, "DAPR_PUBSUB_CLOUD_EVENT_CREATION")
    }

    /// An entry that does not fit together.
    pub(crate) fn marshal(self, why: &str) -> Error {
        let Failing { pubsub, topic } = self;
        let message =
            format!("error marshaling events to bytes for topic {topic} pubsub {pubsub}. error: {why}");
        self.error("ERR_PUBSUB_EVENTS_SER", BAD, message, "DAPR_PUBSUB_MARSHAL_EVENTS")
            .and(vec![("error", why.to_owned())])
    }

    /// A body that is no list of entries.
    pub(crate) fn unmarshal(self, why: impl std::fmt::Display) -> Error {
        let Failing { pubsub, topic } = self;
        let message = format!("error when unmarshaling the request for topic {topic} pubsub {pubsub}: {why}");
        self.error("ERR_PUBSUB_EVENTS_SER", BAD, message, "DAPR_PUBSUB_UNMARSHAL_EVENTS")
    }

    fn error(
        self,
        code: &'static str,
        (status, grpc): (StatusCode, Code),
        message: String,
        reason: &'static str,
    ) -> Error {
        let resource = Some((KIND, self.pubsub.to_owned()));
        Error::new(code, status, grpc, message).with(Details { resource, reason, ..Details::default() })
    }
}

impl Error {
    fn and(mut self, metadata: Vec<(&'static str, String)>) -> Error {
        if let Some(details) = &mut self.details {
            details.metadata = metadata;
        }
        self
    }
}

/// Nobody said which broker.
pub(super) fn no_name() -> Error {
    let failing = Failing { pubsub: "", topic: "" };
    failing.error("ERR_PUBSUB_EMPTY", GONE, "pubsub name is empty".to_owned(), "DAPR_PUBSUB_NAME_EMPTY")
}

/// Nobody said which topic.
pub(super) fn no_topic(pubsub: &str) -> Error {
    let message = format!("topic is empty in pubsub {pubsub}");
    Failing { pubsub, topic: "" }.error("ERR_TOPIC_NAME_EMPTY", GONE, message, "DAPR_PUBSUB_TOPIC_NAME_EMPTY")
}

/// There is no broker of this name.
pub(super) fn not_found(pubsub: &str, app_id: &str) -> Error {
    let metadata = vec![("appID", app_id.to_owned())];
    let details = Details { reason: "DAPR_PUBSUB_NOT_FOUND", metadata, ..Details::default() };
    let message = format!("pubsub {pubsub} is not found");
    Error::new("ERR_PUBSUB_NOT_FOUND", GONE.0, GONE.1, message).with(details)
}

/// What is said where a broker did not take something.
pub(crate) const PUBLISH: &str = "ERR_PUBSUB_PUBLISH_MESSAGE";
const FAILED: (StatusCode, Code) = (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal);
const BAD: (StatusCode, Code) = (StatusCode::BAD_REQUEST, Code::InvalidArgument);
const GONE: (StatusCode, Code) = (StatusCode::NOT_FOUND, Code::InvalidArgument);
/// What errors are about.
const KIND: &str = "pubsub";

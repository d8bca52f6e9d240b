//! What can go wrong with publishing, in the words that SDKs match.

use http::StatusCode;
use tonic::Code;

use crate::error::{Details, Error};

/// Nobody said which broker.
pub(super) fn no_name() -> Error {
    let details = Details {
        resource: Some((KIND, String::new())),
        reason: "DAPR_PUBSUB_NAME_EMPTY",
        ..Details::default()
    };
    Error::new("ERR_PUBSUB_EMPTY", StatusCode::NOT_FOUND, Code::InvalidArgument, "pubsub name is empty")
        .with(details)
}

/// There is no broker of this name.
pub(super) fn not_found(pubsub: &str, app_id: &str) -> Error {
    let metadata = vec![("appID", app_id.to_owned())];
    let details = Details { reason: "DAPR_PUBSUB_NOT_FOUND", metadata, ..Details::default() };
    let message = format!("pubsub {pubsub} is not found");
    Error::new("ERR_PUBSUB_NOT_FOUND", StatusCode::NOT_FOUND, Code::InvalidArgument, message).with(details)
}

/// What errors are about.
const KIND: &str = "pubsub";

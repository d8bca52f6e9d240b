//! What can go wrong with state, in the words that SDKs match.

use components::state;
use http::StatusCode;
use tonic::Code;

use super::SEPARATOR;
use crate::error::{Details, Error};

/// What was being done when it went wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failing<'a> {
    /// An item of a store was read.
    Get(&'a str, &'a str),
    /// Items of a store were read.
    BulkGet(&'a str),
    /// Something was put into a store.
    Save(&'a str),
    /// An item was deleted.
    Delete(&'a str),
    /// A transaction was made.
    Transaction,
    /// One that moves a projection on, or where that is was asked for.
    Projection,
}

impl Failing<'_> {
    /// It went wrong for this reason, which is nobody's fault in particular.
    pub(crate) fn because(self, why: impl std::fmt::Display) -> Error {
        self.error(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, &why.to_string())
    }

    /// Who keeps the items did not do it.
    pub(crate) fn by(self, error: &state::Error) -> Error {
        match (error, self) {
            (state::Error::Conflict(_), Failing::Save(_) | Failing::Delete(_)) => {
                let why = format!("possible etag mismatch. error from state store: {error}");
                self.error(StatusCode::CONFLICT, Code::Aborted, &why)
            }
            (state::Error::Conflict(why), Failing::Projection) => {
                self.error(StatusCode::CONFLICT, Code::Aborted, why)
            }
            // Not what SDKs take for an ETag that does not match.
            (state::Error::Reused(why), _) => self.error(StatusCode::CONFLICT, Code::FailedPrecondition, why),
            (state::Error::Invalid(_), _) => {
                self.error(StatusCode::BAD_REQUEST, Code::InvalidArgument, &error.to_string())
            }
            _ => self.because(error),
        }
    }

    /// An ETag was given that is no number, as all ETags are.
    pub(super) fn invalid_etag(self, etag: &str) -> Error {
        let why = format!("invalid etag value: {etag:?} is no ETag that was given out here");
        match self {
            Failing::Transaction => self.because(why),
            _ => self.error(StatusCode::BAD_REQUEST, Code::InvalidArgument, &why),
        }
    }

    fn error(self, status: StatusCode, grpc: Code, why: &str) -> Error {
        let (code, message) = match self {
            Failing::Get(store, key) => {
                ("ERR_STATE_GET", format!("fail to get {key} from state store {store}: {why}"))
            }
            Failing::BulkGet(store) => {
                ("ERR_STATE_BULK_GET", format!("failed performing bulk get from state store {store}: {why}"))
            }
            Failing::Save(store) => {
                ("ERR_STATE_SAVE", format!("failed saving state in state store {store}: {why}"))
            }
            Failing::Delete(key) => {
                ("ERR_STATE_DELETE", format!("failed deleting state with key {key}: {why}"))
            }
            Failing::Transaction | Failing::Projection => {
                ("ERR_STATE_TRANSACTION", format!("error while executing state transaction: {why}"))
            }
        };
        Error::new(code, status, grpc, message)
    }
}

/// There is no store of this name.
pub(super) fn not_found(store: &str, app_id: &str) -> Error {
    let metadata = vec![("appID", app_id.to_owned())];
    let details = Details { reason: "DAPR_STATE_NOT_FOUND", metadata, ..Details::default() };
    let message = format!("state store {store} is not found");
    Error::new("ERR_STATE_STORE_NOT_FOUND", StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
        .with(details)
}

/// A key that could be another's, or none.
pub(super) fn check_key(store: &str, key: &str) -> Result<(), Error> {
    if key.is_empty() {
        return Err(Error::malformed("\"key\" is a required field"));
    }
    if !key.contains(SEPARATOR) {
        return Ok(());
    }
    let message = format!("input key/keyPrefix '{key}' can't contain '{SEPARATOR}'");
    let details = Details {
        violation: Some((key.to_owned(), message.clone())),
        resource: Some(("state", store.to_owned())),
        reason: "DAPR_STATE_ILLEGAL_KEY",
        metadata: Vec::new(),
    };
    Err(Error::malformed(message).with(details))
}

/// More operations than a transaction can have.
pub(super) fn too_many(store: &str, count: usize, max: usize) -> Error {
    let details = Details {
        violation: None,
        resource: Some(("state", store.to_owned())),
        reason: "DAPR_STATE_TOO_MANY_TRANSACTIONS",
        metadata: vec![
            ("currentOpsTransaction", count.to_string()),
            ("maxOpsPerTransaction", max.to_string()),
        ],
    };
    let message = format!(
        "the transaction contains {count} operations, which is more than what the state store supports: {max}"
    );
    Error::new(
        "ERR_STATE_STORE_TOO_MANY_TRANSACTIONS",
        StatusCode::BAD_REQUEST,
        Code::InvalidArgument,
        message,
    )
    .with(details)
}

/// What a transaction cannot do.
pub(crate) fn unknown_operation(operation: &str) -> Error {
    let message = format!("operation type {operation} not supported");
    Error::new("ERR_NOT_SUPPORTED_STATE_OPERATION", StatusCode::BAD_REQUEST, Code::Unimplemented, message)
}

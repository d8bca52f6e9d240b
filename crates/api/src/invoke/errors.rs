//! What callers are told if a call does not come to an answer.

use std::fmt::Display;

use http::StatusCode;
use tonic::Code;

use crate::access::Denied;
use crate::error::Error;

/// A call that has failed; what an application answers is none of these.
pub(crate) fn failed(id: &str, why: impl Display) -> Error {
    let message = format!("failed to invoke, id: {id}, err: {why}");
    Error::new("ERR_DIRECT_INVOKE", StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, message)
}

/// A call that the called one's configuration does not allow.
pub(crate) fn denied_call(id: &str, denied: Denied) -> Error {
    let error = failed(id, format_args!("rpc error: code = PermissionDenied desc = {denied}"));
    Error { status: StatusCode::FORBIDDEN, grpc: Code::PermissionDenied, ..error }
}

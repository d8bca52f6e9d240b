//! Bindings over gRPC. What is sent is bytes.

use components::binding;
use tonic::Request;

use crate::api::Api;
use crate::error::Error;
use crate::proto::dapr::runtime::v1::{InvokeBindingRequest, InvokeBindingResponse};

pub(super) async fn invoke(
    api: &Api,
    request: Request<InvokeBindingRequest>,
) -> Result<InvokeBindingResponse, Error> {
    let (headers, _, InvokeBindingRequest { name, data, metadata, operation }) = request.into_parts();
    let request = binding::Request { operation, data, metadata };
    let done = api.invoke_binding(&name, request, headers.as_ref()).await.map_err(|failed| failed.error)?;
    Ok(InvokeBindingResponse { data: done.data, metadata: done.metadata })
}

//! Secrets over gRPC.

use crate::api::Api;
use crate::error::Error;
use crate::proto::dapr::runtime::v1::{
    GetBulkSecretRequest, GetBulkSecretResponse, GetSecretRequest, GetSecretResponse, SecretResponse,
};

pub(super) async fn get(api: &Api, request: GetSecretRequest) -> Result<GetSecretResponse, Error> {
    Ok(GetSecretResponse { data: api.secret(&request.store_name, &request.key).await? })
}

pub(super) async fn get_bulk(
    api: &Api,
    request: GetBulkSecretRequest,
) -> Result<GetBulkSecretResponse, Error> {
    let all = api.secrets(&request.store_name).await?;
    let data = all.into_iter().map(|(name, secrets)| (name, SecretResponse { secrets })).collect();
    Ok(GetBulkSecretResponse { data })
}

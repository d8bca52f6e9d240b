//! State over gRPC. Values are bytes, but where an item says that it is JSON.

use std::collections::BTreeMap;

use tonic::Request;
use tonic::metadata::MetadataMap;

use super::ours::{asked, once};
use crate::api::Api;
use crate::error::Error;
use crate::proto::dapr::common::v1::state_options::{StateConcurrency, StateConsistency};
use crate::proto::dapr::common::v1::{Etag, StateItem, StateOptions};
use crate::proto::dapr::runtime::v1::{
    BulkStateItem, DeleteBulkStateRequest, DeleteStateRequest, ExecuteStateTransactionRequest,
    GetBulkStateRequest, GetBulkStateResponse, GetStateRequest, GetStateResponse, SaveStateRequest,
};
use crate::pubsub::Trace;
use crate::state::{
    Concurrency, Consistency, Delete, Failing, Operation, Options, Save, ttl, unknown_operation,
};
use crate::{time, value};

pub(super) async fn get(api: &Api, request: GetStateRequest) -> Result<GetStateResponse, Error> {
    let item = api.store(&request.store_name)?.get(&request.key).await?;
    let answer = item.map(|item| GetStateResponse {
        data: item.value,
        etag: etag_text(item.etag),
        metadata: expiry(item.expires_ms),
    });
    Ok(answer.unwrap_or_default())
}

pub(super) async fn get_bulk(api: &Api, request: GetBulkStateRequest) -> Result<GetBulkStateResponse, Error> {
    let items = api.store(&request.store_name)?.get_many(&request.keys).await?;
    let items = request.keys.into_iter().zip(items).map(|(key, item)| match item {
        None => BulkStateItem { key, ..BulkStateItem::default() },
        Some(item) => BulkStateItem {
            key,
            data: item.value,
            etag: etag_text(item.etag),
            error: String::new(),
            metadata: expiry(item.expires_ms),
        },
    });
    Ok(GetBulkStateResponse { items: items.collect() })
}

pub(super) async fn save(api: &Api, request: Request<SaveStateRequest>) -> Result<(), Error> {
    let (request, once) = asked(api, "SaveState", request)?;
    let store = api.store(&request.store_name)?.once(once.as_ref())?;
    let items = request.states.into_iter().map(|item| put(item, Failing::Save(store.name())));
    store.save(items.collect::<Result<Vec<_>, _>>()?).await
}

pub(super) async fn delete(api: &Api, request: Request<DeleteStateRequest>) -> Result<(), Error> {
    let (request, once) = asked(api, "DeleteState", request)?;
    let store = api.store(&request.store_name)?.once(once.as_ref())?;
    let (etag, options) = (etag(request.etag), options(request.options));
    store.delete(Delete { key: request.key, etag, options }).await
}

pub(super) async fn delete_bulk(api: &Api, request: Request<DeleteBulkStateRequest>) -> Result<(), Error> {
    let (request, once) = asked(api, "DeleteBulkState", request)?;
    let deletes = request.states.into_iter().map(deletion).collect();
    api.store(&request.store_name)?.once(once.as_ref())?.delete_many(deletes).await
}

pub(super) async fn transact(
    api: &Api,
    head: &MetadataMap,
    request: ExecuteStateTransactionRequest,
) -> Result<(), Error> {
    let trace = Trace::of(head);
    let once = once(api, "ExecuteStateTransaction", head, &request)?;
    api.store(&request.store_name)?;
    let moved = api.moving(&request.metadata).await?;
    let operations = request.operations.into_iter().map(|one| {
        let item = one.request.unwrap_or_default();
        match one.operation_type.as_str() {
            "upsert" => put(item, Failing::Transaction).map(Operation::Upsert),
            "delete" => Ok(Operation::Delete(deletion(item))),
            odd => Err(unknown_operation(odd)),
        }
    });
    let operations = operations.collect::<Result<Vec<_>, _>>()?;
    api.transact(&request.store_name, operations, moved.as_ref(), trace, once.as_ref()).await
}

fn put(item: StateItem, failing: Failing<'_>) -> Result<Save, Error> {
    let says_json = item.metadata.get("contentType").is_some_and(|is| is == "application/json");
    let value = match says_json {
        true => value::compacted(&item.value)
            .map_err(|wrong| Error::malformed(format!("the value of {:?} is no JSON: {wrong}", item.key)))?,
        false => item.value,
    };
    let ttl = ttl(&item.metadata).map_err(|wrong| failing.because(wrong))?;
    Ok(Save {
        key: item.key,
        value,
        etag: etag(item.etag),
        options: options(item.options),
        ttl,
        content_type: None,
        is_json: says_json,
        metadata: item.metadata,
    })
}

fn deletion(item: StateItem) -> Delete {
    Delete { key: item.key, etag: etag(item.etag), options: options(item.options) }
}

/// Nothing if there is none.
fn etag_text(etag: Option<u64>) -> String {
    etag.map_or_else(String::new, |etag| etag.to_string())
}

fn etag(etag: Option<Etag>) -> Option<String> {
    etag.map(|etag| etag.value)
}

fn options(options: Option<StateOptions>) -> Options {
    let Some(options) = options else { return Options::default() };
    let concurrency = match options.concurrency() {
        StateConcurrency::ConcurrencyUnspecified => Concurrency::Unspecified,
        StateConcurrency::ConcurrencyFirstWrite => Concurrency::FirstWrite,
        StateConcurrency::ConcurrencyLastWrite => Concurrency::LastWrite,
    };
    let consistency = match options.consistency() {
        StateConsistency::ConsistencyUnspecified => Consistency::Unspecified,
        StateConsistency::ConsistencyEventual => Consistency::Eventual,
        StateConsistency::ConsistencyStrong => Consistency::Strong,
    };
    Options { concurrency, consistency }
}

fn expiry(expires_ms: Option<u64>) -> BTreeMap<String, String> {
    expires_ms.map(|at| ("ttlExpireTime".to_owned(), time::rfc3339(at))).into_iter().collect()
}

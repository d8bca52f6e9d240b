//! Publishing over gRPC. What of several was not published is told in the answer, since a status would not say which.

use std::collections::BTreeMap;

use tonic::Request;

use super::ours::once;
use crate::api::Api;
use crate::error::Error;
use crate::proto::dapr::runtime::v1::{
    BulkPublishRequest, BulkPublishRequestEntry, BulkPublishResponse, BulkPublishResponseFailedEntry,
    PublishEventRequest,
};
use crate::pubsub::{Entry, Publish, Trace};

pub(super) async fn one(api: &Api, request: Request<PublishEventRequest>) -> Result<(), Error> {
    let (head, _, request) = request.into_parts();
    let once = once(api, "PublishEvent", &head, &request)?;
    let pubsub = api.pubsub(&request.pubsub_name)?.once(once.as_ref())?;
    let publish =
        Publish { data: request.data, content_type: request.data_content_type, metadata: request.metadata };
    pubsub.publish(&request.topic, publish, Trace::of(&head)).await
}

pub(super) async fn many(
    api: &Api,
    request: Request<BulkPublishRequest>,
) -> Result<BulkPublishResponse, Error> {
    let (head, _, request) = request.into_parts();
    let once = once(api, "BulkPublishEvent", &head, &request)?;
    let BulkPublishRequest { pubsub_name, topic, entries, metadata } = request;
    let pubsub = api.pubsub(&pubsub_name)?.once(once.as_ref())?;
    let entries = entries.into_iter().map(|entry| lowered(entry, &metadata)).collect();
    let failed = pubsub.publish_many(&topic, entries, &metadata, Trace::of(&head)).await?;
    let failed = failed
        .into_iter()
        .map(|one| BulkPublishResponseFailedEntry { entry_id: one.entry_id, error: one.error });
    Ok(BulkPublishResponse { failed_entries: failed.collect() })
}

fn lowered(entry: BulkPublishRequestEntry, all: &BTreeMap<String, String>) -> Entry {
    let BulkPublishRequestEntry { entry_id, event, content_type, metadata } = entry;
    let own = (!metadata.is_empty()).then_some(metadata);
    let metadata = Publish::metadata_of(own, all);
    Entry { id: entry_id, publish: Publish { data: event, content_type, metadata } }
}

//! Configuration over gRPC.

use std::collections::BTreeMap;

use components::configuration::{Change, Item};
use futures_util::stream::{self, BoxStream, StreamExt};
use tonic::Status;

use crate::api::Api;
use crate::configuration::unknown_subscription;
use crate::error::Error;
use crate::health::Phase;
use crate::proto::dapr::common::v1::ConfigurationItem;
use crate::proto::dapr::runtime::v1::{
    GetConfigurationRequest, GetConfigurationResponse, SubscribeConfigurationRequest,
    SubscribeConfigurationResponse, UnsubscribeConfigurationRequest, UnsubscribeConfigurationResponse,
};

/// What is told of configuration, as it happens.
pub(super) type Told = BoxStream<'static, Result<SubscribeConfigurationResponse, Status>>;

pub(super) async fn get(
    api: &Api,
    request: GetConfigurationRequest,
) -> Result<GetConfigurationResponse, Error> {
    let items = api.configuration(&request.store_name, &request.keys).await?;
    Ok(GetConfigurationResponse {
        items: items.into_iter().map(|(key, item)| (key, lowered(item))).collect(),
    })
}

/// First the subscription's id, then each change, until it is ended. The next is looked for when the client has taken the last.
pub(super) async fn subscribe(api: &Api, request: SubscribeConfigurationRequest) -> Result<Told, Error> {
    let follow = api.watch_configuration(&request.store_name, &request.keys, &request.metadata).await?;
    let id = follow.id().to_owned();
    let (following, subscription) = follow.parts();
    let first = SubscribeConfigurationResponse { id: id.clone(), items: BTreeMap::new() };
    let state = (following, subscription, api.health.watch());
    let changes = stream::unfold(state, move |(mut following, mut subscription, mut phases)| {
        let id = id.clone();
        async move {
            let told = tokio::select! {
                change = following.next() => change.map_err(|error| error.to_status()),
                () = subscription.ended() => return None,
                _ = phases.wait_for(|phase| *phase == Phase::Stopping) => return None,
            };
            let told = told.map(|Change { key, item }| {
                let items = BTreeMap::from([(key, item.map(lowered).unwrap_or_default())]);
                SubscribeConfigurationResponse { id, items }
            });
            Some((told, (following, subscription, phases)))
        }
    });
    Ok(stream::once(async { Ok(first) }).chain(changes).boxed())
}

pub(super) fn unsubscribe(
    api: &Api,
    request: &UnsubscribeConfigurationRequest,
) -> Result<UnsubscribeConfigurationResponse, Error> {
    let ok = api.unsubscribe_configuration(&request.store_name, &request.id)?;
    let message = if ok { String::new() } else { unknown_subscription(&request.id) };
    Ok(UnsubscribeConfigurationResponse { ok, message })
}

fn lowered(item: Item) -> ConfigurationItem {
    ConfigurationItem { value: item.value, version: item.version, metadata: item.metadata }
}

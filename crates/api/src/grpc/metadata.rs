//! What a sidecar says of itself.

use crate::api::Api;
use crate::config::HealthCheck;
use crate::metadata::VERSION;
use crate::proto::dapr::runtime::v1::actor_runtime::ActorRuntimeStatus;
use crate::proto::dapr::runtime::v1::{
    ActorRuntime, AppConnectionHealthProperties, AppConnectionProperties, GetMetadataResponse,
    PubsubSubscription, PubsubSubscriptionRule, PubsubSubscriptionRules, PubsubSubscriptionType,
    RegisteredComponents,
};
use crate::subscription::{Origin, Subscription};
use crate::time::go as time;

pub(super) fn get(api: &Api) -> GetMetadataResponse {
    let components = api.components().into_iter().map(|one| RegisteredComponents {
        name: one.name,
        r#type: one.kind,
        version: one.version,
        capabilities: one.capabilities.iter().map(|&capability| capability.to_owned()).collect(),
    });
    let app = &api.config.app;
    GetMetadataResponse {
        id: api.config.app_id.clone(),
        registered_components: components.collect(),
        extended_metadata: api.notes(),
        subscriptions: api.subscriptions().iter().map(|one| subscription(one)).collect(),
        app_connection_properties: Some(AppConnectionProperties {
            port: app.port.map_or(0, i32::from),
            protocol: app.protocol.clone(),
            channel_address: app.host.clone(),
            max_concurrency: app.max_concurrency,
            health: app.health.as_ref().map(health),
        }),
        runtime_version: VERSION.to_owned(),
        actor_runtime: Some(ActorRuntime {
            runtime_status: ActorRuntimeStatus::Disabled.into(),
            ..ActorRuntime::default()
        }),
        ..GetMetadataResponse::default()
    }
}

fn subscription(one: &Subscription) -> PubsubSubscription {
    let rules = one.routes.told().map(|(condition, path)| PubsubSubscriptionRule {
        r#match: condition.to_owned(),
        path: path.to_owned(),
    });
    let kind = match one.origin {
        Origin::Declarative => PubsubSubscriptionType::Declarative,
        Origin::Programmatic => PubsubSubscriptionType::Programmatic,
        Origin::Streaming => PubsubSubscriptionType::Streaming,
    };
    PubsubSubscription {
        pubsub_name: one.pubsub.clone(),
        topic: one.topic.clone(),
        metadata: one.metadata.clone(),
        rules: Some(PubsubSubscriptionRules { rules: rules.collect() }),
        dead_letter_topic: one.dead_letter.clone().unwrap_or_default(),
        r#type: kind.into(),
    }
}

fn health(check: &HealthCheck) -> AppConnectionHealthProperties {
    AppConnectionHealthProperties {
        health_check_path: check.path.clone(),
        health_probe_interval: time(check.interval),
        health_probe_timeout: time(check.timeout),
        health_threshold: i32::try_from(check.threshold).unwrap_or(i32::MAX),
    }
}

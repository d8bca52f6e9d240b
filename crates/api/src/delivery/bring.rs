//! Bringing events to where they go, and what came of it.

use std::time::Duration;

use components::pubsub::Delivery;
use jiff::Timestamp;
use tokio::time::timeout;

use super::{grpc, http};
use crate::api::Api;
use crate::app::Unanswered;
use crate::subscription::answer::Verdict;
use crate::subscription::{Route, Subscription, aim};

/// Brings an event to where it goes.
pub(super) async fn one(api: &Api, subscription: &Subscription, delivery: &Delivery) -> Verdict {
    let route = match aim(subscription, delivery, Timestamp::now) {
        Ok(route) => route,
        Err(verdict) => return verdict,
    };
    let turn = api.app.turn().await;
    let limit = subscription.knobs.timeout;
    let answered = match api.app.is_grpc() {
        true => timeout(limit, grpc::one(&api.app, turn, subscription, route, delivery)).await,
        false => timeout(limit, http::one(&api.app, turn, subscription, route, delivery)).await,
    };
    answered.map_or_else(|_| late(limit), |answered| answered.unwrap_or_else(unanswered))
}

/// Brings events to where each goes, those together that go to the same place.
pub(super) async fn several(
    api: &Api,
    subscription: &Subscription,
    deliveries: Vec<Delivery>,
) -> Vec<(Delivery, Verdict)> {
    let mut outcomes = Vec::with_capacity(deliveries.len());
    let mut groups: Vec<(&Route, Vec<Delivery>)> = Vec::new();
    for delivery in deliveries {
        match aim(subscription, &delivery, Timestamp::now) {
            Err(verdict) => outcomes.push((delivery, verdict)),
            Ok(route) => match groups.iter_mut().find(|(to, _)| *to == route) {
                Some((_, group)) => group.push(delivery),
                None => groups.push((route, vec![delivery])),
            },
        }
    }
    let brought = groups.into_iter().map(|(route, group)| together(api, subscription, route, group));
    outcomes.extend(futures_util::future::join_all(brought).await.into_iter().flatten());
    outcomes
}

async fn together(
    api: &Api,
    subscription: &Subscription,
    route: &Route,
    group: Vec<Delivery>,
) -> Vec<(Delivery, Verdict)> {
    let turn = api.app.turn().await;
    let limit = subscription.knobs.timeout;
    let answered = match api.app.is_grpc() {
        true => timeout(limit, grpc::several(&api.app, turn, subscription, route, &group)).await,
        false => timeout(limit, http::several(&api.app, turn, subscription, route, &group)).await,
    };
    let verdicts = match answered {
        Ok(Ok(verdicts)) => verdicts,
        Ok(Err(error)) => vec![unanswered(error); group.len()],
        Err(_) => vec![late(limit); group.len()],
    };
    group.into_iter().zip(verdicts).collect()
}

fn unanswered(error: Unanswered) -> Verdict {
    match error {
        Unanswered::NoPort | Unanswered::Unreachable(_) => Verdict::Away(error.to_string()),
        Unanswered::Broken(_) => Verdict::Silent(error.to_string()),
    }
}

fn late(limit: Duration) -> Verdict {
    Verdict::Silent(format!("it has not answered within {limit:?}"))
}

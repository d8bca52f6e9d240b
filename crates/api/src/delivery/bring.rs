//! Bringing events to where they go, and what came of it.

use std::slice;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use components::pubsub::Delivery;
use jiff::Timestamp;
use tokio::time::timeout;

use super::{grpc, http};
use crate::api::Api;
use crate::app::Unanswered;
use crate::resiliency::{Family, Guard, Judged, Stopped};
use crate::spans::{Begun, Tracer};
use crate::subscription::answer::Verdict;
use crate::subscription::{Route, Subscription, aim};
use crate::uses::How;

/// Brings an event to where it goes.
pub(super) async fn one(api: &Api, subscription: &Subscription, delivery: &Delivery) -> Verdict {
    let route = match aim(subscription, delivery, Timestamp::now) {
        Ok(route) => route,
        Err(verdict) => return verdict,
    };
    match api.guards.of_inbound(Family::PubSub, &subscription.pubsub) {
        None => attempt(api, subscription, route, delivery).await,
        Some(guard) => Box::pin(guarded(api, subscription, route, delivery, guard)).await,
    }
}

async fn attempt(api: &Api, subscription: &Subscription, route: &Route, delivery: &Delivery) -> Verdict {
    let turn = api.app.turn().await;
    let limit = subscription.knobs.timeout;
    let begun = begin(api, subscription, slice::from_ref(delivery));
    let trace = begun.as_ref().map(|(_, begun)| begun.header());
    let answered = match api.app.is_grpc() {
        true => timeout(limit, grpc::one(&api.app, turn, subscription, route, delivery, trace)).await,
        false => timeout(limit, http::one(&api.app, turn, subscription, route, delivery, trace)).await,
    };
    let verdict = answered.map_or_else(|_| late(limit), |answered| answered.unwrap_or_else(unanswered));
    count(api, subscription, slice::from_ref(&verdict));
    if let Some((tracer, begun)) = begun {
        tracer.dealt_with(begun, [&verdict]);
    }
    verdict
}

/// Brings an event as often as the policies of its broker say. It is held meanwhile.
async fn guarded(
    api: &Api,
    subscription: &Subscription,
    route: &Route,
    delivery: &Delivery,
    guard: &Guard,
) -> Verdict {
    let away = AtomicBool::new(false);
    let attempt = async || {
        let verdict = attempt(api, subscription, route, delivery).await;
        away.store(matches!(verdict, Verdict::Away(_)), Relaxed);
        verdict
    };
    // Who is not there is waited for, and not called again and again.
    let may_repeat = || !away.load(Relaxed);
    let brought = guard.run(&subscription.pubsub, may_repeat, attempt, judge).await;
    spent(brought.unwrap_or_else(stopped), guard)
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
    let verdicts = match api.guards.of_inbound(Family::PubSub, &subscription.pubsub) {
        None => attempt_together(api, subscription, route, &group).await,
        Some(guard) => Box::pin(guarded_together(api, subscription, route, &group, guard)).await,
    };
    group.into_iter().zip(verdicts).collect()
}

async fn attempt_together(
    api: &Api,
    subscription: &Subscription,
    route: &Route,
    group: &[Delivery],
) -> Vec<Verdict> {
    let turn = api.app.turn().await;
    let limit = subscription.knobs.timeout;
    let begun = begin(api, subscription, group);
    let trace = begun.as_ref().map(|(_, begun)| begun.header());
    let answered = match api.app.is_grpc() {
        true => timeout(limit, grpc::several(&api.app, turn, subscription, route, group, trace)).await,
        false => timeout(limit, http::several(&api.app, turn, subscription, route, group, trace)).await,
    };
    let verdicts = match answered {
        Ok(Ok(verdicts)) => verdicts,
        Ok(Err(error)) => vec![unanswered(error); group.len()],
        Err(_) => vec![late(limit); group.len()],
    };
    count(api, subscription, &verdicts);
    if let Some((tracer, begun)) = begun {
        tracer.dealt_with(begun, &verdicts);
    }
    verdicts
}

/// Notes that messages were brought.
fn count(api: &Api, subscription: &Subscription, verdicts: &[Verdict]) {
    let failed = verdicts.iter().filter(|verdict| is_failure(verdict)).count();
    let Subscription { pubsub, topic, .. } = subscription;
    let counts = (verdicts.len() as u64, failed as u64);
    api.uses.count_of(How::Consume, pubsub, topic, counts, api.pubsubs.declared(pubsub).is_some());
}

fn begin<'a>(
    api: &'a Api,
    subscription: &Subscription,
    deliveries: &[Delivery],
) -> Option<(&'a Tracer, Begun)> {
    let tracer = api.tracer.as_ref()?;
    Some((tracer, tracer.brought(subscription, deliveries)?))
}

/// The same as often as the policies say, those left out that have been dealt with.
async fn guarded_together(
    api: &Api,
    subscription: &Subscription,
    route: &Route,
    group: &[Delivery],
    guard: &Guard,
) -> Vec<Verdict> {
    let verdicts = Mutex::new(vec![None::<Verdict>; group.len()]);
    let known = || verdicts.lock().unwrap_or_else(PoisonError::into_inner);
    let attempt = async || {
        let is_open = |verdict: &Option<Verdict>| verdict.as_ref().is_none_or(is_failure);
        let left: Vec<usize> =
            known().iter().enumerate().filter(|(_, one)| is_open(one)).map(|(at, _)| at).collect();
        let again: Vec<Delivery> = left.iter().map(|at| group[*at].clone()).collect();
        let came = attempt_together(api, subscription, route, &again).await;
        let mut worst = Verdict::Done;
        for (at, verdict) in left.into_iter().zip(came) {
            if is_failure(&verdict) {
                worst = verdict.clone();
            }
            known()[at] = Some(verdict);
        }
        worst
    };
    let may_repeat = || !known().iter().flatten().any(|one| matches!(one, Verdict::Away(_)));
    let ended = guard.run(&subscription.pubsub, may_repeat, attempt, judge).await;
    let ended = ended.err().map(stopped);
    let all = std::mem::take(&mut *known());
    let of_one = |verdict: Option<Verdict>| match (verdict, &ended) {
        (Some(verdict), _) if !is_failure(&verdict) => verdict,
        (_, Some(ended)) => ended.clone(),
        (verdict, None) => verdict.unwrap_or_else(|| Verdict::Silent("it was not answered".to_owned())),
    };
    all.into_iter().map(|verdict| spent(of_one(verdict), guard)).collect()
}

fn is_failure(verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::Done | Verdict::Drop(_))
}

fn judge(verdict: &Verdict) -> Judged {
    if is_failure(verdict) { Judged::Unanswered } else { Judged::Fine }
}

/// What is not attempted is given back; what takes too long was.
fn stopped(stopped: Stopped) -> Verdict {
    match stopped {
        Stopped::Late => Verdict::Silent(stopped.to_string()),
        Stopped::Open | Stopped::TooMany => Verdict::Away(stopped.to_string()),
    }
}

/// Where the tries of a policy are used up, silence is an answer.
fn spent(verdict: Verdict, guard: &Guard) -> Verdict {
    match verdict {
        Verdict::Silent(why) if guard.retries() => Verdict::Retry(why),
        verdict => verdict,
    }
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

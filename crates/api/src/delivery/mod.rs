//! Bringing events to the application.
//!
//! Each subscription is a task (`session`): it takes events from its broker, brings as many at a time as it may (`bring`,
//! over `http` or `grpc`), and tells the broker what came of each (`settle`). A stream that the application holds open
//! is driven by its connection (`streaming`). What is decided is decided in `crate::subscription`.
//!
//! Where the application cannot be reached a subscription is given up until it can be, so that what it held is given back and
//! nothing is attempted; where an application is being ended by the kernel at this moment, what was with it is brought
//! again. Nothing is ever tried without a wait before it.

mod ask;
mod bring;
mod grpc;
mod http;
mod hush;
mod session;
mod settle;
mod streaming;

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};

use components::pubsub::{Delivery, Options};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::Api;
use crate::error::Error;
use crate::health::Phase;
use crate::pubsub::Subscribed;
use crate::subscription::{Origin, Subscription, merged};
pub(crate) use streaming::{Closed, Open};

/// The subscriptions that there are at present. Looked at by who asks for metadata.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<Vec<Arc<Subscription>>>);

/// That there is a subscription, until it is dropped.
struct Registered {
    api: Arc<Api>,
    subscription: Arc<Subscription>,
}

/// Finds out what the application subscribes to, and brings it that from then on. Comes true when it is known, or nothing has
/// been said after a few tries; then it is asked again meanwhile, by a task.
pub(crate) async fn begin(api: &Arc<Api>, tasks: &mut JoinSet<()>) {
    let declared = &api.config.subscriptions;
    if !api.app.is_there() {
        if !declared.is_empty() {
            api.say(&format!(
                "{} subscriptions are declared, and the application has no port (--app-port) to bring events to: they wait",
                declared.len()
            ));
        }
        return;
    }
    let told = ask::told(api, ask::TRIES).await;
    match told {
        Some(told) => all(api, told, tasks),
        None => {
            let api = Arc::clone(api);
            tasks.spawn(async move { later(&api).await });
        }
    }
}

/// Brings what is declared while the application is asked again and again what it subscribes to; then what holds.
async fn later(api: &Arc<Api>) {
    let mut tasks = JoinSet::new();
    all(api, Vec::new(), &mut tasks);
    let mut stop = Stop::of(api);
    let told = tokio::select! {
        told = ask::told(api, u32::MAX) => told,
        () = stop.asked() => None,
    };
    if let Some(told) = told {
        tasks.shutdown().await;
        all(api, told, &mut tasks);
    }
    while tasks.join_next().await.is_some() {}
}

fn all(api: &Arc<Api>, told: Vec<Arc<Subscription>>, tasks: &mut JoinSet<()>) {
    let (hold, lines) = merged(told, &api.config.subscriptions);
    lines.iter().for_each(|line| api.say(line));
    for subscription in hold {
        match allowed(api, &subscription) {
            Ok(()) => drop(tasks.spawn(session::run(Arc::clone(api), subscription))),
            Err(error) => api.say(&format!(
                "the subscription to topic {:?} of {:?} is left out: {}",
                subscription.topic, subscription.pubsub, error.message
            )),
        }
    }
}

/// Whether there can be such a subscription.
fn allowed(api: &Api, subscription: &Subscription) -> Result<(), Error> {
    let broker = api.pubsub(&subscription.pubsub)?;
    match broker.may_subscribe(&subscription.topic) {
        true => Ok(()),
        false => Err(settle::forbidden(&subscription.topic, &subscription.pubsub)),
    }
}

/// Consumes for a subscription.
async fn subscribed(
    api: &Api,
    subscription: &Subscription,
) -> Result<Arc<Subscribed>, components::pubsub::Error> {
    let invalid = |error: Error| components::pubsub::Error::Invalid(error.message);
    let broker = api.pubsub(&subscription.pubsub).map_err(invalid)?;
    let gathered = subscription.bulk.map_or(0, |bulk| bulk.messages_max);
    let held_max = subscription.knobs.concurrency.max(gathered);
    let options = Options { held_max, ..Options::default() };
    broker.subscribe(&subscription.topic, options).await.map(Arc::new)
}

/// What a subscription gets, as it gets it. Whenever it is not asked, nothing is taken.
fn incoming(held: &Arc<Subscribed>) -> BoxStream<'static, Result<Vec<Delivery>, components::pubsub::Error>> {
    let next = |held: Arc<Subscribed>| async move { Some((held.next(TAKEN_MAX).await, held)) };
    stream::unfold(Arc::clone(held), next).boxed()
}

/// Comes true when the sidecar ends.
async fn stopping(phases: &mut watch::Receiver<Phase>) {
    // Whoever sends phases lives as long as the API.
    let _ = phases.wait_for(|phase| *phase == Phase::Stopping).await;
}

/// By what a subscription knows that nothing more is to be begun.
struct Stop {
    phases: watch::Receiver<Phase>,
    gate: Option<watch::Receiver<bool>>,
}

impl Stop {
    fn of(api: &Api) -> Stop {
        let gate = api.config.app.gate.as_ref();
        Stop { phases: api.health.watch(), gate: gate.map(|gate| gate.0.clone()) }
    }

    /// Comes true when the sidecar ends, or the application gets no more calls.
    async fn asked(&mut self) {
        let closed = async {
            let is_closed = match &mut self.gate {
                Some(gate) => gate.wait_for(|is_open| !*is_open).await.is_ok(),
                None => false,
            };
            if !is_closed {
                pending::<()>().await;
            }
        };
        tokio::select! {
            () = stopping(&mut self.phases) => {}
            () = closed => {}
        }
    }
}

impl Api {
    /// What the application subscribes to at present.
    pub fn subscriptions(&self) -> Vec<Arc<Subscription>> {
        self.running.list()
    }
}

impl Running {
    /// All of them.
    fn list(&self) -> Vec<Arc<Subscription>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn streams(&self) -> usize {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.iter().filter(|one| one.origin == Origin::Streaming).count()
    }
}

impl Registered {
    fn new(api: &Arc<Api>, subscription: &Arc<Subscription>) -> Registered {
        let mut list = api.running.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(Arc::clone(subscription));
        Registered { api: Arc::clone(api), subscription: Arc::clone(subscription) }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut list = self.api.running.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|one| !Arc::ptr_eq(one, &self.subscription));
    }
}

/// Most events that are taken from a broker at once.
const TAKEN_MAX: usize = 256;
/// How often a broker is told that what is held is still being dealt with: well within the time that it waits.
const EXTENDED_EVERY: std::time::Duration = std::time::Duration::from_secs(20);
/// How long it may take until what came of the last events is durable and the others are given back; then they are brought
/// again, sooner or later.
const CLOSED: std::time::Duration = std::time::Duration::from_secs(1);
/// As many bytes of events as a subscription takes before it begins with those that it has.
const HELD_BYTES: usize = 16 << 20;

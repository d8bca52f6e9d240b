//! Bringing events to the application.
//!
//! Each subscription is a task (`session`): it takes events from its broker, brings as many at a time as it may (`bring`,
//! over `http` or `grpc`), and tells the broker what came of each (`settle`). Which there are follows what is declared (`renew`). A stream that the application holds open
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
mod renew;
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
use crate::instance::Instance;
use crate::pubsub::Subscribed;
use crate::subscription::{Origin, Subscription};
pub(crate) use streaming::{Closed, Open};

/// The subscriptions that there are at present. Looked at by who asks for metadata.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<Vec<Arc<Subscription>>>);

/// That there is a subscription, until it is dropped.
struct Registered {
    running: Arc<Running>,
    subscription: Arc<Subscription>,
}

/// Finds out what the application subscribes to, and brings it that from then on. Comes true when it is known, or nothing has
/// been said after a few tries; then it is asked again meanwhile, by a task.
pub(crate) async fn begin(instance: &Arc<Instance>, tasks: &mut JoinSet<()>) {
    if !instance.app.is_there() {
        let declared = instance.api().config.subscriptions.len();
        if declared > 0 {
            instance.say(&format!(
                "{declared} subscriptions are declared, and the application has no port (--app-port) to bring events to: they wait"
            ));
        }
        return;
    }
    let told = ask::told(instance, ask::TRIES).await;
    let instance = Arc::clone(instance);
    tasks.spawn(async move { renew::keep(&instance, told).await });
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
    /// Its sender is dropped when another subscription takes the place of this one.
    kept: Option<watch::Receiver<()>>,
}

impl Stop {
    fn of(instance: &Instance, kept: Option<watch::Receiver<()>>) -> Stop {
        let gate = instance.api().config.app.gate.as_ref().map(|gate| gate.0.clone());
        Stop { phases: instance.health.watch(), gate, kept }
    }

    /// Comes true when the sidecar ends, the application gets no more calls, or this is declared no longer.
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
            () = dropped(&mut self.kept) => {}
        }
    }
}

/// Comes true when the other end is dropped, if there is one.
async fn dropped(kept: &mut Option<watch::Receiver<()>>) {
    match kept {
        Some(kept) => while kept.changed().await.is_ok() {},
        None => pending().await,
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
    fn new(running: &Arc<Running>, subscription: &Arc<Subscription>) -> Registered {
        let mut list = running.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(Arc::clone(subscription));
        Registered { running: Arc::clone(running), subscription: Arc::clone(subscription) }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut list = self.running.0.lock().unwrap_or_else(PoisonError::into_inner);
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

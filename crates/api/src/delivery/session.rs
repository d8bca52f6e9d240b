//! A subscription as long as it is there: sessions with its broker, one after the other.
//!
//! A session ends when the application turns out not to be there, or the broker fails. The next begins when the application
//! can be reached, and in any case after a wait, which grows while sessions get nothing done.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use components::pubsub::{self, Delivery, Receipt};
use futures_util::future::Either;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{MissedTickBehavior, interval_at, sleep, timeout};

use super::hush::Hush;
use super::settle::{self, Settled};
use super::{CLOSED, EXTENDED_EVERY, HELD_BYTES, Registered, Stop, bring, incoming, subscribed};
use crate::api::Api;
use crate::inbound;
use crate::instance::Instance;
use crate::pubsub::Subscribed;
use crate::subscription::Subscription;
use crate::subscription::batch::{Due, Gathering};

/// Brings a subscription's events until the end. Whatever is declared meanwhile holds for the events that come after it.
pub(super) async fn run(instance: &Instance, subscription: &Arc<Subscription>, mut stop: Stop) {
    let _registered = Registered::new(&instance.running, subscription);
    let app = instance.api().config.app.clone();
    let (hush, mut wait) = (Hush::default(), WAIT_MIN);
    loop {
        let mut got_done = false;
        let ended = session(instance, subscription, &hush, &mut stop, &mut got_done).await;
        if got_done {
            wait = WAIT_MIN;
        }
        let Subscription { topic, pubsub, .. } = &**subscription;
        match ended {
            Ended::Stopping => return,
            Ended::Away(why) => {
                hush.say(&instance.api(), &format!("events of topic {topic:?} of {pubsub:?} wait: {why}"))
            }
            Ended::Broken(error) => {
                hush.say(&instance.api(), &format!("topic {topic:?} of {pubsub:?} is not delivered: {error}"))
            }
        }
        let later = async {
            sleep(wait).await;
            inbound::is_reached(&app).await;
        };
        tokio::select! {
            () = later => {}
            () = stop.asked() => return,
        }
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// Why a session has ended.
enum Ended {
    /// The sidecar ends, or the application gets no more calls.
    Stopping,
    /// The application is not there.
    Away(String),
    /// The broker has failed.
    Broken(pubsub::Error),
}

async fn session(
    instance: &Instance,
    subscription: &Subscription,
    hush: &Hush,
    stop: &mut Stop,
    got_done: &mut bool,
) -> Ended {
    let held = match subscribed(&instance.api(), subscription).await {
        Ok(held) => held,
        Err(error) => return Ended::Broken(error),
    };
    let mut incoming = incoming(&held);
    let mut waiting = Waiting::default();
    let mut under_way = FuturesUnordered::new();
    let mut ticks = interval_at(tokio::time::Instant::now() + EXTENDED_EVERY, EXTENDED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Set once nothing more is begun.
    let mut ends: Option<Ended> = None;
    loop {
        let mut due = None;
        while ends.is_none() && under_way.len() < subscription.knobs.concurrency {
            match waiting.next(subscription) {
                Next::Bring(deliveries) => {
                    under_way.push(brought(instance.api(), subscription, deliveries, hush))
                }
                Next::In(time) => {
                    due = Some(time);
                    break;
                }
                Next::None => break,
            }
        }
        if under_way.is_empty() && ends.is_some() {
            let _ = timeout(CLOSED, held.close()).await;
            return ends.unwrap_or(Ended::Stopping);
        }
        let has_room = ends.is_none() && waiting.bytes < HELD_BYTES;
        tokio::select! {
            Some(first) = under_way.next(), if !under_way.is_empty() => {
                let mut settled = first;
                while let Some(Some(more)) = under_way.next().now_or_never() {
                    settled.extend(more);
                }
                *got_done |= settled.iter().any(|one| matches!(one, Settled::Done(_)));
                waiting.forget(settled.iter().map(Settled::receipt));
                match settle::told(&held, &settled).await {
                    Ok(None) => {}
                    Ok(Some(why)) => ends = ends.or(Some(Ended::Away(why))),
                    Err(error) => return Ended::Broken(error),
                }
            }
            Some(taken) = incoming.next(), if has_room => match taken {
                Ok(deliveries) => waiting.add(deliveries),
                Err(error) => return Ended::Broken(error),
            },
            () = due.map_or(Either::Right(std::future::pending()), |time| Either::Left(sleep(time))) => {}
            _ = ticks.tick() => {
                let receipts: Vec<Receipt> = waiting.held.iter().copied().collect();
                if let Err(error) = held.extend(&receipts).await {
                    return Ended::Broken(error);
                }
            }
            () = stop.asked(), if !matches!(ends, Some(Ended::Stopping)) => ends = Some(Ended::Stopping),
        }
        if ends.is_some()
            && let Err(error) = waiting.give_back(&held).await
        {
            return Ended::Broken(error);
        }
    }
}

async fn brought(
    api: Arc<Api>,
    subscription: &Subscription,
    mut deliveries: Vec<Delivery>,
    hush: &Hush,
) -> Vec<Settled> {
    let outcomes = match (subscription.bulk, deliveries.pop()) {
        (None, Some(delivery)) => {
            let verdict = bring::one(&api, subscription, &delivery).await;
            vec![(delivery, verdict)]
        }
        (_, last) => {
            deliveries.extend(last);
            bring::several(&api, subscription, deliveries).await
        }
    };
    let mut settled = Vec::with_capacity(outcomes.len());
    for (delivery, verdict) in outcomes {
        settled.push(settle::settled(&api, subscription, &delivery, verdict, hush).await);
    }
    settled
}

/// Events that have come and are not under way.
#[derive(Default)]
struct Waiting {
    queue: VecDeque<Delivery>,
    bytes: usize,
    gathering: Gathering,
    /// These, and those that are under way.
    held: HashSet<Receipt>,
}

/// What goes next.
enum Next {
    Bring(Vec<Delivery>),
    /// Nothing yet.
    In(Duration),
    None,
}

impl Waiting {
    fn add(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            self.bytes += delivery.message.data.len();
            self.held.insert(delivery.receipt);
            self.queue.push_back(delivery);
        }
    }

    fn next(&mut self, subscription: &Subscription) -> Next {
        let count = match &subscription.bulk {
            None if self.queue.is_empty() => return Next::None,
            None => 1,
            // There is no room for more of them to wait for.
            Some(bulk) if self.bytes >= HELD_BYTES => self.queue.len().min(bulk.messages_max),
            Some(bulk) => match self.gathering.due(Instant::now(), self.queue.len(), bulk) {
                Due::Never => return Next::None,
                Due::In(time) => return Next::In(time),
                Due::Now(count) => count,
            },
        };
        let mut taken = Vec::with_capacity(count);
        let mut bytes = 0;
        while taken.len() < count
            && let Some(delivery) = self.queue.pop_front_if(|next| {
                bytes += next.message.data.len();
                taken.is_empty() || bytes <= TOGETHER_BYTES
            })
        {
            self.bytes -= delivery.message.data.len();
            taken.push(delivery);
        }
        Next::Bring(taken)
    }

    fn forget(&mut self, receipts: impl Iterator<Item = Receipt>) {
        for receipt in receipts {
            self.held.remove(&receipt);
        }
    }

    async fn give_back(&mut self, held: &Subscribed) -> Result<(), pubsub::Error> {
        let receipts: Vec<Receipt> = self.queue.drain(..).map(|delivery| delivery.receipt).collect();
        self.bytes = 0;
        self.forget(receipts.iter().copied());
        match receipts.is_empty() {
            true => Ok(()),
            false => held.release(&receipts).await,
        }
    }
}

/// The first wait between sessions.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// And the longest.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Most bytes of events that are brought together, unless one has more.
const TOGETHER_BYTES: usize = 4 << 20;

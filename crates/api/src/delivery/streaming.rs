//! A subscription that the application holds open as a stream: it is sent events as they come, and says of each by its id what
//! came of it.
//!
//! The connection drives it, so that a client that takes nothing is sent nothing and a client that has gone holds nothing:
//! what was with it is given back. Several streams for one topic share what comes, also with what is subscribed otherwise.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use components::pubsub::{self, Delivery, Receipt};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Duration, Interval, MissedTickBehavior, interval_at, timeout};

use super::hush::Hush;
use super::settle::{self, Settled};
use super::{CLOSED, EXTENDED_EVERY, HELD_BYTES, Registered, allowed, incoming, stopping, subscribed};
use crate::api::Api;
use crate::config::PubSub;
use crate::error::Error;
use crate::health::Phase;
use crate::instance::Instance;
use crate::proto::dapr::runtime::v1::TopicEventRequest;
use crate::pubsub::Subscribed;
use crate::subscription::answer::{self, Verdict};
use crate::subscription::outstanding::Outstanding;
use crate::subscription::{Subscription, aim, event};

/// An open stream.
pub(crate) struct Open<A> {
    instance: Arc<Instance>,
    turns: watch::Receiver<u64>,
    /// As it was declared when it began.
    broker: Option<PubSub>,
    subscription: Arc<Subscription>,
    held: Arc<Subscribed>,
    incoming: BoxStream<'static, Result<Vec<Delivery>, pubsub::Error>>,
    answers: A,
    queue: VecDeque<Delivery>,
    bytes: usize,
    outstanding: Outstanding,
    ticks: Interval,
    extended: Instant,
    phases: watch::Receiver<Phase>,
    hush: Hush,
    _registered: Registered,
}

/// What a client says of an event: its id and a status.
pub(crate) type Processed = (String, i32);

/// Why a stream ends.
#[derive(Debug)]
pub(crate) enum Closed {
    /// The client has closed it, or is gone.
    ByClient,
    /// The client has said what makes no sense.
    Refused(tonic::Status),
    /// The sidecar ends.
    Stopping,
    /// The broker is declared otherwise, or no longer.
    Renewed,
    /// The broker has failed.
    Broken(pubsub::Error),
}

impl<A: Stream<Item = Result<Processed, tonic::Status>> + Unpin> Open<A> {
    /// Begins to consume for a stream.
    ///
    /// # Errors
    ///
    /// If there cannot be such a subscription.
    pub(crate) async fn new(
        api: &Arc<Api>,
        subscription: Subscription,
        answers: A,
    ) -> Result<Open<A>, tonic::Status> {
        if api.running.streams() >= STREAMS_MAX {
            let most = format!("{STREAMS_MAX} streams are open, which are the most");
            return Err(tonic::Status::resource_exhausted(most));
        }
        let ends = || tonic::Status::unavailable("the sidecar ends");
        let instance = api.instance().ok_or_else(ends)?;
        let turns = instance.turns();
        // It may have been declared otherwise before there was something to hear it by.
        let api = &instance.api();
        let subscription = Arc::new(subscription);
        allowed(api, &subscription).map_err(|error: Error| error.to_status())?;
        let held = subscribed(api, &subscription).await;
        let held = held.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        let mut ticks = interval_at(tokio::time::Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Open {
            incoming: incoming(&held),
            held,
            answers,
            queue: VecDeque::new(),
            bytes: 0,
            outstanding: Outstanding::default(),
            ticks,
            extended: Instant::now(),
            phases: api.health.watch(),
            hush: Hush::default(),
            _registered: Registered::new(&api.running, &subscription),
            broker: api.pubsubs.declared(&subscription.pubsub).cloned(),
            turns,
            instance,
            subscription,
        })
    }

    /// The next event for the client.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) async fn next(&mut self) -> Result<TopicEventRequest, Closed> {
        loop {
            if self.outstanding.len() < self.subscription.knobs.concurrency
                && let Some(delivery) = self.queue.pop_front()
            {
                self.bytes -= delivery.message.data.len();
                match self.aimed(&delivery) {
                    Ok(event) => {
                        self.outstanding.sent(Instant::now(), event.id.clone(), delivery);
                        return Ok(event);
                    }
                    Err(verdict) => self.settle(&[(delivery, verdict)]).await?,
                }
                continue;
            }
            tokio::select! {
                answer = self.answers.next() => match answer {
                    Some(Ok((id, status))) => {
                        if let Some(delivery) = self.outstanding.answered(Instant::now(), &id) {
                            self.settle(&[(delivery, answer::of_status(status))]).await?;
                        }
                    }
                    Some(Err(status)) => return Err(Closed::Refused(status)),
                    None => return Err(Closed::ByClient),
                },
                Some(taken) = self.incoming.next(), if self.queue.is_empty() && self.bytes < HELD_BYTES => {
                    for delivery in taken.map_err(Closed::Broken)? {
                        self.bytes += delivery.message.data.len();
                        self.queue.push_back(delivery);
                    }
                }
                _ = self.ticks.tick() => self.tick().await?,
                () = stopping(&mut self.phases) => return Err(closed(&self.held, Closed::Stopping).await),
                Ok(()) = self.turns.changed() => if !self.is_as_declared() {
                    return Err(closed(&self.held, Closed::Renewed).await);
                }
            }
        }
    }

    fn is_as_declared(&self) -> bool {
        let api = self.instance.api();
        let declared = api.pubsubs.declared(&self.subscription.pubsub);
        declared == self.broker.as_ref() && allowed(&api, &self.subscription).is_ok()
    }

    fn aimed(&self, delivery: &Delivery) -> Result<TopicEventRequest, Verdict> {
        let route = aim(&self.subscription, delivery, Timestamp::now)?;
        event::taken_apart(delivery, &self.subscription, route).map_err(Verdict::Retry)
    }

    /// What is late is tried again, and a broker is told that the rest is still being dealt with.
    async fn tick(&mut self) -> Result<(), Closed> {
        let limit = self.subscription.knobs.timeout;
        let late = self.outstanding.overdue(Instant::now(), limit);
        let late = late.into_iter().map(|delivery| {
            let why = format!("the stream has answered nothing within {limit:?}");
            (delivery, Verdict::Silent(why))
        });
        let late: Vec<_> = late.collect();
        self.settle(&late).await?;
        if self.extended.elapsed() < EXTENDED_EVERY {
            return Ok(());
        }
        self.extended = Instant::now();
        let waiting = self.queue.iter().map(|delivery| delivery.receipt);
        let receipts: Vec<Receipt> = self.outstanding.receipts().chain(waiting).collect();
        self.held.extend(&receipts).await.map_err(Closed::Broken)
    }

    async fn settle(&mut self, outcomes: &[(Delivery, Verdict)]) -> Result<(), Closed> {
        let api = self.instance.api();
        let mut settled: Vec<Settled> = Vec::with_capacity(outcomes.len());
        for (delivery, verdict) in outcomes {
            let one = settle::settled(&api, &self.subscription, delivery, verdict.clone(), &self.hush);
            settled.push(one.await);
        }
        settle::told(&self.held, &settled).await.map(drop).map_err(Closed::Broken)
    }
}

/// What came of the last events is told, and the rest given back.
async fn closed(held: &Subscribed, why: Closed) -> Closed {
    let _ = timeout(CLOSED, held.close()).await;
    why
}

/// How often is looked for what is late.
const TICK: Duration = Duration::from_secs(1);
/// Most streams of an application at a time.
const STREAMS_MAX: usize = 1_000;

//! Consuming topics: what `topic::Delivery` decides, carried out between consumers and shards.
//!
//! A partition has one *lane* for each group, which all of the group's consumers on this node share. Nobody drives it but
//! who has something for it: a consumer that asks for messages, one that is done with some, and the worker that has written
//! down what came of others. So acknowledgements that come while one command is on its way go into the next, and
//! no thread waits.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use log::Log;
use machine::effect::Channel;
use machine::topic::delivery::{self, ConsumerId, Delivery};
use machine::topic::{self, Attributes, Message};
use machine::{Code, Entry, Refusal, Shard, Time};
use tokio::sync::Notify;

use crate::engine::Inner;
use crate::error::Error;
use crate::store::Store;
use crate::wait::{Waiters, Waiting};

/// How a consumer consumes.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// How many messages of a partition it may hold that it has not answered. Default 256. More keep it busy over a longer
    /// way, and make others of the group wait longer for what it holds.
    pub credits: u64,
    /// How partitions are delivered to the group, as far as this consumer is the first of it on this node.
    pub delivery: delivery::Config,
}

impl Default for ConsumerConfig {
    fn default() -> ConsumerConfig {
        ConsumerConfig { credits: 256, delivery: delivery::Config::default() }
    }
}

/// A message that a consumer holds until it answers.
#[derive(Clone, Debug)]
pub struct Received {
    /// The partition.
    pub partition: u32,
    /// Its place there.
    pub offset: u64,
    /// The how manieth attempt this is, from one.
    pub attempt: u32,
    /// When it was published.
    pub time: Time,
    /// Its key, content type and headers.
    pub attributes: Attributes,
    /// The payload.
    pub payload: Bytes,
}

/// One of a group's consumers. Dropping it gives back what it holds, which counts as no attempt.
pub struct Consumer<L: Log, S: Store> {
    inner: Arc<Inner<L, S>>,
    id: ConsumerId,
    lanes: Vec<Arc<Lane<L, S>>>,
    first: u32,
    mailbox: Arc<Mailbox>,
    waiting: Waiting,
}

/// What is delivered on a node: a lane for each partition and group that somebody consumes.
pub(crate) struct Lanes<L, S> {
    last_consumer: AtomicU64,
    lanes: Mutex<HashMap<LaneKey, Weak<Lane<L, S>>>>,
}

/// A topic, a partition, a group.
type LaneKey = (String, u32, String);

/// A partition on its way to a group.
pub(crate) struct Lane<L, S> {
    inner: Weak<Inner<L, S>>,
    shard: Shard,
    partition: u32,
    at: Mutex<At>,
}

struct At {
    delivery: Delivery,
    mailboxes: HashMap<ConsumerId, Arc<Mailbox>>,
}

/// What has been handed to a consumer that it has not taken.
struct Mailbox {
    messages: Mutex<VecDeque<(u32, delivery::Handout)>>,
    waker: Arc<Notify>,
}

impl<L: Log, S: Store> Consumer<L, S> {
    pub(crate) async fn open(
        inner: &Arc<Inner<L, S>>,
        topic: &str,
        partitions: Range<u32>,
        group: &str,
        from: topic::Place,
        config: ConsumerConfig,
    ) -> Result<Consumer<L, S>, Error> {
        for partition in partitions.clone() {
            let (topic, group) = (topic.to_owned(), group.to_owned());
            let shard = topic::shard(inner.shards(), &topic, partition);
            let subscribe = topic::Subscribe { topic, partition, group, from: from.clone() };
            inner.propose(shard, Entry::new(subscribe)).await?;
        }
        let channels = partitions.clone().map(|partition| Channel::topic(topic, partition)).collect();
        let waiting = Waiters::at(inner.waiters(), channels);
        let id = inner.lanes().last_consumer.fetch_add(1, Ordering::Relaxed);
        let mailbox = Arc::new(Mailbox { messages: Mutex::default(), waker: waiting.waker() });
        let lane = |partition| inner.lanes().get(inner, topic, partition, group, &config.delivery);
        let lanes: Vec<_> = partitions.clone().map(lane).collect();
        for lane in &lanes {
            let mut at = lane.lock();
            at.mailboxes.insert(id, Arc::clone(&mailbox));
            at.delivery.grant(id, config.credits);
        }
        Ok(Consumer { inner: Arc::clone(inner), id, lanes, first: partitions.start, mailbox, waiting })
    }

    /// Up to `max` messages, at least one: waits until there is one. A message whose payload is lost is left out, and its group
    /// has missed it.
    ///
    /// # Errors
    ///
    /// If the engine has ended, or log or store cannot be read. With [`Error::Unreadable`] the message is not passed over, and
    /// who asks again may get it.
    pub async fn next(&self, max: usize) -> Result<Vec<Received>, Error> {
        loop {
            let woken = self.waiting.woken();
            for lane in &self.lanes {
                lane.drive(&self.inner)?;
            }
            let messages = self.take(max)?;
            if !messages.is_empty() {
                return Ok(messages);
            }
            let due = self.lanes.iter().filter_map(|lane| lane.lock().delivery.next_due()).min();
            match due {
                Some(due) => {
                    let wait = due.since(self.inner.now()).max(DUE_WAIT_MIN);
                    // Whether woken or late, the next look shows it.
                    let _ = tokio::time::timeout(wait, woken).await;
                }
                None => woken.await,
            }
            self.inner.may_go_on()?;
        }
    }

    /// It is done with messages, which are not delivered to its group again. Written down soon after:
    /// [`Consumer::settled`] waits for that. Until then a crash has them delivered once more.
    ///
    /// # Errors
    ///
    /// If the engine has ended.
    pub fn acknowledge<'a>(&self, messages: impl IntoIterator<Item = &'a Received>) -> Result<(), Error> {
        self.answer(messages, |delivery, now, id, offset| {
            if delivery.acknowledge(now, id, offset) {
                delivery.grant(id, 1);
            }
        })
    }

    /// It could not deal with a message, because of `cause`: it is tried again later, or given up, at once if `give_up`
    /// says so.
    ///
    /// # Errors
    ///
    /// If the engine has ended.
    pub fn fail(&self, message: &Received, cause: &str, give_up: bool) -> Result<(), Error> {
        self.answer([message], |delivery, now, id, offset| {
            if delivery.fail(now, id, offset, cause, give_up) {
                delivery.grant(id, 1);
            }
        })
    }

    /// It gives messages back, which counts as no attempt.
    ///
    /// # Errors
    ///
    /// If the engine has ended.
    pub fn release<'a>(&self, messages: impl IntoIterator<Item = &'a Received>) -> Result<(), Error> {
        self.answer(messages, |delivery, now, id, offset| {
            if delivery.release(now, id, offset) {
                delivery.grant(id, 1);
            }
        })
    }

    /// It needs longer for messages: the whole time to answer from now on.
    ///
    /// # Errors
    ///
    /// If the engine has ended.
    pub fn extend<'a>(&self, messages: impl IntoIterator<Item = &'a Received>) -> Result<(), Error> {
        self.answer(messages, |delivery, now, id, offset| {
            delivery.extend(now, id, offset);
        })
    }

    /// Comes true when everything that consumers of the group have answered up to now is durable.
    ///
    /// # Errors
    ///
    /// If the engine has ended.
    pub async fn settled(&self) -> Result<(), Error> {
        loop {
            let woken = self.waiting.woken();
            if self.lanes.iter().all(|lane| lane.lock().delivery.is_settled()) {
                return Ok(());
            }
            for lane in &self.lanes {
                lane.drive(&self.inner)?;
            }
            let _ = tokio::time::timeout(SETTLE_LOOK, woken).await;
            self.inner.may_go_on()?;
        }
    }

    fn take(&self, max: usize) -> Result<Vec<Received>, Error> {
        let mut received = Vec::new();
        let mut last = None;
        while received.len() < max {
            let handed = lock(&self.mailbox.messages).pop_front();
            let Some((partition, handout)) = handed else { break };
            let lane = &self.lanes[(partition - self.first) as usize];
            let Message { attributes, body, time, .. } = handout.message;
            let payload = match self.inner.payload_beside(lane.shard, &body, &mut last) {
                // Nobody can ever deal with it, and what is behind it must go on.
                Err(Error::Lost(_)) => {
                    let mut at = lane.lock();
                    if at.delivery.lost(self.inner.now(), self.id, handout.offset) {
                        at.delivery.grant(self.id, 1);
                    }
                    drop(at);
                    lane.drive(&self.inner)?;
                    continue;
                }
                // It goes back, and what was read before it is delivered.
                Err(error) => {
                    lane.give_back(self.inner.now(), self.id, handout.offset);
                    return if received.is_empty() { Err(error) } else { Ok(received) };
                }
                Ok(payload) => payload,
            };
            // Retention may have taken it since it was handed out: then it goes back, and is found to be gone.
            let Some(payload) = payload else {
                lane.give_back(self.inner.now(), self.id, handout.offset);
                continue;
            };
            let (offset, attempt, time) = (handout.offset, handout.attempt, Time::from_millis(time));
            received.push(Received { partition, offset, attempt, time, attributes, payload });
        }
        Ok(received)
    }

    fn answer<'a>(
        &self,
        messages: impl IntoIterator<Item = &'a Received>,
        say: impl Fn(&mut Delivery, Time, ConsumerId, u64),
    ) -> Result<(), Error> {
        let now = self.inner.now();
        let mut answered = vec![false; self.lanes.len()];
        let mut held: Option<(u32, MutexGuard<'_, At>)> = None;
        for message in messages {
            let place = (message.partition - self.first) as usize;
            // Messages of a partition come together, mostly.
            if held.as_ref().is_none_or(|(partition, _)| *partition != message.partition) {
                drop(held.take());
                held = Some((message.partition, self.lanes[place].lock()));
            }
            if let Some((_, at)) = &mut held {
                say(&mut at.delivery, now, self.id, message.offset);
            }
            answered[place] = true;
        }
        drop(held);
        for (lane, _) in self.lanes.iter().zip(answered).filter(|(_, answered)| *answered) {
            lane.drive(&self.inner)?;
        }
        Ok(())
    }
}

impl<L: Log, S: Store> Drop for Consumer<L, S> {
    fn drop(&mut self) {
        let now = self.inner.now();
        for lane in &self.lanes {
            let mut at = lane.lock();
            at.mailboxes.remove(&self.id);
            at.delivery.leave(now, self.id);
            drop(at);
            // If the engine has ended there is nobody left to deliver to.
            let _ = lane.drive(&self.inner);
        }
    }
}

impl<L: Log, S: Store> Lane<L, S> {
    fn lock(&self) -> MutexGuard<'_, At> {
        lock(&self.at)
    }

    /// Takes a message back from a consumer, who may have another for it.
    fn give_back(&self, now: Time, consumer: ConsumerId, offset: u64) {
        let mut at = self.lock();
        if at.delivery.release(now, consumer, offset) {
            at.delivery.grant(consumer, 1);
        }
    }

    /// Hands out what can be, and writes down what is to be.
    fn drive(self: &Arc<Self>, inner: &Inner<L, S>) -> Result<(), Error> {
        let mut at = self.lock();
        let mut handouts = Vec::new();
        inner.read(self.shard, |state, now| at.delivery.poll(now, state, &mut handouts))?;
        for handout in handouts {
            if let Some(mailbox) = at.mailboxes.get(&handout.consumer) {
                lock(&mailbox.messages).push_back((self.partition, handout));
                mailbox.waker.notify_waiters();
            }
        }
        let Some(command) = at.delivery.propose() else { return Ok(()) };
        drop(at);
        let lane = Arc::clone(self);
        let proposed = inner.propose_then(self.shard, Entry::new(command), move |outcome| {
            let Some(inner) = lane.inner.upgrade() else { return };
            lane.settle(inner.now(), outcome);
            // If the engine has ended, its consumers find out themselves.
            let _ = lane.drive(&inner);
        });
        if let Err(error) = proposed {
            let now = inner.now();
            self.settle(now, Err(error));
        }
        Ok(())
    }

    fn settle(&self, now: Time, outcome: Result<machine::Reply, Error>) {
        let mut at = self.lock();
        match outcome {
            Ok(reply) => at.delivery.settle(now, Ok(&reply)),
            Err(Error::Refused(refusal)) => at.delivery.settle(now, Err(&refusal)),
            // It comes again with the next who drives.
            Err(error) => at.delivery.settle(now, Err(&Refusal::new(Code::Unavailable, error.to_string()))),
        }
        at.mailboxes.values().for_each(|mailbox| mailbox.waker.notify_waiters());
    }
}

impl<L: Log, S: Store> Lanes<L, S> {
    fn get(
        &self,
        inner: &Arc<Inner<L, S>>,
        topic: &str,
        partition: u32,
        group: &str,
        config: &delivery::Config,
    ) -> Arc<Lane<L, S>> {
        let mut lanes = lock(&self.lanes);
        lanes.retain(|_, lane| lane.strong_count() > 0);
        let key = (topic.to_owned(), partition, group.to_owned());
        if let Some(lane) = lanes.get(&key).and_then(Weak::upgrade) {
            return lane;
        }
        let at = At {
            delivery: Delivery::new(topic, partition, group, config.clone()),
            mailboxes: HashMap::new(),
        };
        let shard = topic::shard(inner.shards(), topic, partition);
        let lane = Arc::new(Lane { inner: Arc::downgrade(inner), shard, partition, at: Mutex::new(at) });
        lanes.insert(key, Arc::downgrade(&lane));
        lane
    }
}

impl<L, S> Default for Lanes<L, S> {
    fn default() -> Lanes<L, S> {
        Lanes { last_consumer: AtomicU64::new(1), lanes: Mutex::default() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is due is due at a millisecond.
const DUE_WAIT_MIN: std::time::Duration = std::time::Duration::from_millis(1);
/// How often is looked whether all is written down, in case a command found no room and nobody drives.
const SETTLE_LOOK: std::time::Duration = std::time::Duration::from_millis(10);

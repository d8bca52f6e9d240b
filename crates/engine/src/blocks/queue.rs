//! Queues: work items, each for one consumer at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use log::Log;
use machine::command::Answer;
use machine::effect::Channel;
use machine::queue;
pub use machine::queue::{
    Dead, Failure, Filter, Header, History, Ledger, Peeked, RECEIPTS_MAX, Rate, Reason, Redrive,
    SEND_ITEMS_MAX, Settings, Standing, Which,
};
use machine::{Code, Command, Entry, Read, Refusal, Shard, Time};

use super::{Ask, Outgoing, Part, dressing, millis, named, unexpected};
use crate::define;
use crate::engine::Engine;
use crate::error::Error;
use crate::receive::{Asked, Handed, give_back};
use crate::store::Store;
use crate::work::{Outcome, WorkConfig};

/// A queue.
pub struct Queue<'a, L, S> {
    pub(crate) ask: Ask<'a, L, S>,
    pub(crate) queue: &'a str,
    spread: bool,
}

/// An item to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// The payload.
    pub payload: Bytes,
    /// What describes it.
    pub headers: Vec<Header>,
    /// What limits of keys go by; empty for none. In a queue that is spread, items of a key are in one shard.
    pub key: String,
    /// 0 to 9, the highest. Default: 4.
    pub priority: Option<u32>,
    /// For how long nobody gets it.
    pub delay: Duration,
    /// When it may first be had, instead.
    pub at: Option<Time>,
    /// After how long it is too old to be handed out.
    pub ttl: Option<Duration>,
    /// What it is known by if it is sent again within the queue's window; empty if it is not.
    pub dedup_id: String,
}

/// The number of an item in a queue. As text it can be given to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    shard: Shard,
    item: u64,
}

/// What settles an item that was handed out. As text it can be given to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt {
    shard: Shard,
    lease: u64,
    item: u64,
}

/// What became of an item that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its number; of a duplicate, that of the one that came first.
    pub id: Id,
    /// Whether it was one.
    pub duplicate: bool,
}

/// An item that was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// What settles it.
    pub receipt: Receipt,
    /// Until when whoever asked has it.
    pub until: Time,
    /// Which attempt this is, from one.
    pub attempt: u32,
    /// The payload.
    pub payload: Bytes,
    /// What describes it.
    pub headers: Vec<Header>,
    /// Its key.
    pub key: String,
    /// Its priority.
    pub priority: u32,
    /// When it was sent.
    pub sent: Time,
}

/// What to do with an item that nothing came of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nack {
    /// What went wrong, for whoever looks at it later.
    pub cause: String,
    /// How long until it is tried again; without one, as long as the queue's backoff says.
    pub delay: Option<Duration>,
    /// Whether trying again would be of no use: it is a dead letter at once, if the queue keeps them.
    pub for_good: bool,
}

/// What a redrive begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redriven {
    /// How many of those that were looked at it is for.
    pub matching: u64,
    /// The first of them, some of each shard.
    pub first: Vec<Id>,
    /// Whether there are more dead letters than were looked at.
    pub more: bool,
}

impl Item {
    /// One that may be had at once.
    pub fn new(payload: impl Into<Bytes>) -> Item {
        Item { payload: payload.into(), ..Item::default() }
    }

    /// With a key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Item {
        self.key = key.into();
        self
    }

    /// To be had after a delay.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Item {
        self.delay = delay;
        self
    }

    fn lower(self, body: u32) -> (queue::SendItem, Bytes) {
        let Item { payload, headers, key, priority, delay, at, ttl, dedup_id } = self;
        let item = queue::SendItem {
            body,
            headers,
            key,
            priority,
            delay_ms: millis(delay),
            at_ms: at.map_or(0, Time::as_millis),
            ttl_ms: ttl.map_or(0, super::some_millis),
            dedup_id,
        };
        (item, payload)
    }
}

impl<L: Log, S: Store> Engine<L, S> {
    /// Up to `max` queues by name, those after `after`, with how many items stand where in each.
    ///
    /// # Errors
    ///
    /// If there can be no queue called `after`, or they cannot be read.
    pub async fn queues(&self, after: Option<&str>, max: usize) -> Result<Vec<(String, Ledger)>, Error> {
        after.map_or(Ok(()), |after| named("queue", after))?;
        let mut all: BTreeMap<String, Ledger> = BTreeMap::new();
        for shard in self.inner.shards().all() {
            for (name, counts) in self.inner.read(shard, |state, _| queue::queues(state, after, max))? {
                add(all.entry(name).or_default(), &counts);
            }
        }
        Ok(all.into_iter().take(max).collect())
    }
}

fn add(sum: &mut Ledger, counts: &Ledger) {
    sum.ready += counts.ready;
    sum.delayed += counts.delayed;
    sum.leased += counts.leased;
    sum.blocked += counts.blocked;
    sum.dead += counts.dead;
    sum.paused |= counts.paused;
    sum.defined |= counts.defined;
}

impl Id {
    /// Its number in its shard: in a queue that is not spread, no other has it.
    pub fn number(self) -> u64 {
        self.item
    }
}

impl Receipt {
    /// The item that it is of.
    pub fn id(self) -> Id {
        Id { shard: self.shard, item: self.item }
    }

    pub(crate) fn parts(self) -> (Shard, queue::Receipt) {
        (self.shard, self.lower())
    }

    fn lower(self) -> queue::Receipt {
        queue::Receipt { lease: self.lease, item: self.item }
    }

    fn of(shard: Shard, receipt: queue::Receipt) -> Receipt {
        Receipt { shard, lease: receipt.lease, item: receipt.item }
    }
}

dressing!(Queue);

impl<'a, L: Log, S: Store> Queue<'a, L, S> {
    pub(super) fn new(ask: Ask<'a, L, S>, queue: &'a str) -> Result<Queue<'a, L, S>, Error> {
        let look = || {
            named("queue", queue)?;
            let home = queue::home(ask.inner.shards(), queue);
            ask.read(home, |state, _| Some(queue::settings(state, queue).spread))
        };
        let spread = ask.inner.shapes().queues.get(queue, look)?.unwrap_or_default();
        Ok(Queue { ask, queue, spread })
    }

    /// Sets what holds for the queue; in all shards, if it is [spread](Settings::spread). Nothing happens if it holds
    /// already; what was begun and not finished is.
    ///
    /// # Errors
    ///
    /// If something is malformed, or it was spread and should not be any more.
    pub async fn define(&self, settings: Settings) -> Result<(), Error> {
        let define: Command =
            queue::Define { queue: self.queue.to_owned(), settings: settings.clone() }.into();
        let home = queue::home(self.ask.inner.shards(), self.queue);
        let look = |state: &dyn Read| match queue::settings(state, self.queue) {
            is if is == settings && queue::counts(state, self.queue).defined => define::Standing::Same,
            is if is.spread && !settings.spread => {
                define::Standing::Contrary("it is spread, and has items in all shards".to_owned())
            }
            _ => define::Standing::Other,
        };
        let forget = self.ask.forget(self.queue, |shapes, queue| shapes.queues.forget(queue));
        if settings.spread {
            let (what, channel) = (format!("the queue {:?}", self.queue), Channel::queue(self.queue));
            return define::everywhere(self.ask.inner, &what, home, channel, define, look, forget).await;
        }
        // What is not spread is not known of either, so nothing is to be forgotten.
        match self.ask.read(home, |state, _| look(state))? {
            define::Standing::Same => Ok(()),
            _ => self.ask.propose(home, Entry::new(define)).await.map(|_| ()),
        }
    }

    /// What holds for the queue: the defaults if it was never defined.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn settings(&self) -> Result<Settings, Error> {
        let home = queue::home(self.ask.inner.shards(), self.queue);
        self.ask.read(home, |state, _| queue::settings(state, self.queue))
    }

    /// How many items stand where, and whether it is paused.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn counts(&self) -> Result<Ledger, Error> {
        let mut sum = Ledger::default();
        for shard in self.shards() {
            add(&mut sum, &self.ask.read(shard, |state, _| queue::counts(state, self.queue))?);
        }
        Ok(sum)
    }

    /// Sends items: those for one shard all or none. Returns for each what became of it, or why it was not taken.
    ///
    /// # Errors
    ///
    /// If none was taken.
    pub async fn send(
        &self,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Vec<Result<Sent, Error>>, Error> {
        let mut outcomes = Vec::new();
        let any = self.any();
        let mut parts: BTreeMap<Shard, Part<queue::SendItem>> = BTreeMap::new();
        for (place, item) in items.into_iter().enumerate() {
            let shard = self.shard_of(&item, any);
            let part = parts.entry(shard).or_default();
            let (item, payload) = item.lower(part.bodies.len() as u32);
            part.places.push(place);
            part.commands.push(item);
            part.bodies.push(payload);
            outcomes.push(Ok(Sent { id: Id { shard, item: 0 }, duplicate: false }));
        }
        let count = parts.len();
        for (part, (shard, Part { places, commands, bodies })) in parts.into_iter().enumerate() {
            let mut entry = Entry::new(queue::Send { queue: self.queue.to_owned(), items: commands });
            entry.bodies = bodies;
            match self.ask.propose_part(part, count, shard, entry).await {
                Ok(answer) => {
                    let queue::Answer::Sent(sent) = reply(answer) else { unexpected(None) };
                    for (place, item) in places.iter().zip(sent.items) {
                        outcomes[*place] = Ok(Sent { id: Id { shard, item }, duplicate: false });
                    }
                    for duplicate in sent.duplicates {
                        if let Ok(sent) = &mut outcomes[places[duplicate as usize]] {
                            sent.duplicate = true;
                        }
                    }
                }
                Err(error) if count == 1 => return Err(error),
                Err(error) => places.iter().for_each(|place| outcomes[*place] = Err(error.clone())),
            }
        }
        Ok(outcomes)
    }

    /// Sends an item.
    ///
    /// # Errors
    ///
    /// If it is malformed, or the queue is full.
    pub async fn send_one(&self, item: Item) -> Result<Sent, Error> {
        let outcome = self.send([item]).await?.pop();
        outcome.unwrap_or_else(|| unexpected(None))
    }

    /// Items, to be sent along with something else or by a job. They go to one shard: that of the first.
    pub fn sending(&self, items: impl IntoIterator<Item = Item>) -> Outgoing {
        let items: Vec<Item> = items.into_iter().collect();
        let target = items.first().map_or_else(|| self.any(), |item| self.shard_of(item, self.any()));
        let (items, bodies) = items.into_iter().zip(0..).map(|(item, body)| item.lower(body)).unzip();
        Outgoing { target, command: queue::Send { queue: self.queue.to_owned(), items }.into(), bodies }
    }

    /// Up to `max` items for `consumer`, which has them for `lease` or as long as the queue's settings say: at once if there
    /// are some, otherwise as soon as there are within `wait`. None if that is over.
    ///
    /// Whoever asks first gets first. If the future is dropped, what was handed out for it is given back, and counts as no
    /// attempt.
    ///
    /// # Errors
    ///
    /// If something is malformed, or the engine has ended.
    pub async fn receive(
        &self,
        consumer: &str,
        max: u32,
        lease: Option<Duration>,
        wait: Duration,
    ) -> Result<Vec<Work>, Error> {
        let mut shards: Vec<Shard> = self.shards().collect();
        let turn = self.ask.inner.turn(shards.len() as u32);
        shards.rotate_left(turn as usize);
        let asked = Asked {
            queue: self.queue.to_owned(),
            consumer: consumer.to_owned(),
            max,
            visibility_ms: lease.map_or(0, super::some_millis),
            shards,
        };
        match asked.receive(self.ask.inner, wait).await? {
            Some(handed) => self.works(handed),
            None => Ok(Vec::new()),
        }
    }

    /// Has `handler` work on items, as many at a time as `config` says, until the future is dropped; then what is being
    /// worked on is given back. Leases are extended for as long as the handler works.
    ///
    /// # Errors
    ///
    /// Ends with one only: if something is malformed, or the engine has ended.
    pub async fn work<F, W>(&self, consumer: &str, config: WorkConfig, handler: F) -> Error
    where
        F: Fn(Work) -> W,
        W: Future<Output = Outcome> + Send + 'static,
    {
        crate::work::run(self, consumer, &config, handler).await
    }

    /// Work that is done. Returns the receipts that were good no longer.
    ///
    /// # Errors
    ///
    /// [`Fenced`](crate::Kind::Fenced) if none was good, or one was not and something goes [along](Queue::along).
    pub async fn acknowledge(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, Error> {
        let all = !self.ask.outgoing.is_empty();
        self.settle(receipts, |queue, receipts| queue::Acknowledge { queue, receipts, all }.into()).await
    }

    /// Work that has failed. Returns the receipts that were good no longer.
    ///
    /// # Errors
    ///
    /// [`Fenced`](crate::Kind::Fenced) if none was good.
    pub async fn nack(&self, receipts: &[Receipt], nack: &Nack) -> Result<Vec<Receipt>, Error> {
        let (cause, delay_ms, for_good) = (&nack.cause, nack.delay.map(millis), nack.for_good);
        self.settle(receipts, |queue, receipts| {
            queue::Nack { queue, receipts, cause: cause.clone(), delay_ms, not_begun: false, for_good }.into()
        })
        .await
    }

    /// Work that was not begun: another gets it, and no attempt is counted.
    ///
    /// # Errors
    ///
    /// [`Fenced`](crate::Kind::Fenced) if none was good.
    pub async fn release(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, Error> {
        self.settle(receipts, |queue, receipts| {
            queue::Nack { queue, receipts, not_begun: true, ..queue::Nack::default() }.into()
        })
        .await
    }

    /// Work that takes longer: its leases end `lease` from now. Returns the receipts that were good no longer.
    ///
    /// # Errors
    ///
    /// [`Fenced`](crate::Kind::Fenced) if none was good.
    pub async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Result<Vec<Receipt>, Error> {
        let visibility_ms = millis(lease);
        self.settle(receipts, |queue, receipts| queue::Extend { queue, receipts, visibility_ms }.into()).await
    }

    /// Takes items out that nobody has. Returns those that somebody has or that are dead, and those that are not there.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub async fn cancel(&self, ids: &[Id]) -> Result<(Vec<Id>, Vec<Id>), Error> {
        let mut parts: BTreeMap<Shard, Vec<u64>> = BTreeMap::new();
        ids.iter().for_each(|id| parts.entry(id.shard).or_default().push(id.item));
        let (mut not_waiting, mut not_found) = (Vec::new(), Vec::new());
        let count = parts.len();
        for (part, (shard, items)) in parts.into_iter().enumerate() {
            let cancel = queue::Cancel { queue: self.queue.to_owned(), items };
            let answer = self.ask.propose_part(part, count, shard, Entry::new(cancel)).await?;
            let queue::Answer::Cancelled(cancelled) = reply(answer) else { unexpected(None) };
            not_waiting.extend(cancelled.not_waiting.into_iter().map(|item| Id { shard, item }));
            not_found.extend(cancelled.not_found.into_iter().map(|item| Id { shard, item }));
        }
        Ok((not_waiting, not_found))
    }

    /// Has the queue hand nothing out until it is resumed.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub async fn pause(&self) -> Result<(), Error> {
        self.each(|queue| queue::Pause { queue }.into()).await.map(|_| ())
    }

    /// Has the queue hand out again.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub async fn resume(&self) -> Result<(), Error> {
        self.each(|queue| queue::Resume { queue }.into()).await.map(|_| ())
    }

    /// Puts dead letters back, as the machine's command says; only these, if some are named.
    ///
    /// # Errors
    ///
    /// If there is no room.
    pub async fn redrive(&self, redrive: &queue::Redrive, only: &[Id]) -> Result<Redriven, Error> {
        let its = |shard: Shard| -> Vec<u64> {
            only.iter().filter(|id| id.shard == shard).map(|id| id.item).collect()
        };
        let shards: Vec<Shard> =
            self.shards().filter(|shard| only.is_empty() || !its(*shard).is_empty()).collect();
        if shards.is_empty() {
            return Err(Error::invalid(format!("none of the named items is of the queue {:?}", self.queue)));
        }
        let mut all = Redriven::default();
        for (part, shard) in shards.iter().copied().enumerate() {
            let filter = queue::Filter { items: its(shard), ..redrive.filter.clone().unwrap_or_default() };
            let redrive =
                queue::Redrive { queue: self.queue.to_owned(), filter: Some(filter), ..redrive.clone() };
            let answer = self.ask.propose_part(part, shards.len(), shard, Entry::new(redrive)).await?;
            let queue::Answer::Redriven(redriven) = reply(answer) else { unexpected(None) };
            all.matching += redriven.matching;
            all.more |= redriven.more;
            all.first.extend(redriven.first.into_iter().map(|item| Id { shard, item }));
        }
        Ok(all)
    }

    /// Takes away what nobody has: what waits, dead letters, or both.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub async fn purge(&self, waiting: bool, dead: bool) -> Result<(), Error> {
        self.each(|queue| queue::Purge { queue, waiting, dead }.into()).await.map(|_| ())
    }

    /// An item, wherever it stands, with its payload.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn get(&self, id: Id) -> Result<Option<(Peeked, Bytes)>, Error> {
        let (found, payloads) = self.ask.read_with(id.shard, |state, _| {
            let found = queue::get(state, self.queue, id.item);
            let stored = found.iter().map(|found| found.item.body.clone()).collect();
            Ok((found, stored))
        })?;
        Ok(found.zip(payloads.into_iter().next()))
    }

    /// The first items of each shard, `max` of each at most, without handing them out.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn peek(&self, which: Which, max: usize) -> Result<Vec<(Id, Peeked, Bytes)>, Error> {
        let mut all = Vec::new();
        for shard in self.shards() {
            let (items, payloads) = self.ask.read_with(shard, |state, _| {
                let items = queue::peek(state, self.queue, which, None, max).items;
                let stored = items.iter().map(|peeked| peeked.item.body.clone()).collect();
                Ok((items, stored))
            })?;
            let items = items.into_iter().zip(payloads);
            all.extend(items.map(|(peeked, payload)| (Id { shard, item: peeked.id }, peeked, payload)));
        }
        Ok(all)
    }

    /// When the item was sent that is next in its shard and has been ready for longest; none if none is ready.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn oldest(&self) -> Result<Option<Time>, Error> {
        let next = self.peek(Which::Ready, 1).await?;
        Ok(next.iter().map(|(_, peeked, _)| Time::from_millis(peeked.item.sent_ms)).min())
    }

    /// Settles receipts in each shard that they are of.
    async fn settle(
        &self,
        receipts: &[Receipt],
        command: impl Fn(String, Vec<queue::Receipt>) -> Command,
    ) -> Result<Vec<Receipt>, Error> {
        let mut parts: BTreeMap<Shard, Vec<queue::Receipt>> = BTreeMap::new();
        receipts.iter().for_each(|one| parts.entry(one.shard).or_default().push(one.lower()));
        let (mut fenced, mut refused, count) = (Vec::new(), None, parts.len());
        for (part, (shard, receipts)) in parts.into_iter().enumerate() {
            let entry = Entry::new(command(self.queue.to_owned(), receipts.clone()));
            let gone = match self.ask.propose_part(part, count, shard, entry).await {
                Ok(answer) => match reply(answer) {
                    queue::Answer::Settled(settled) => settled.fenced,
                    queue::Answer::Extended(extended) => extended.fenced,
                    _ => unexpected(None),
                },
                Err(Error::Refused(refusal)) if refusal.code() == Code::Fenced => {
                    refused = Some(Error::Refused(refusal));
                    receipts
                }
                Err(error) => return Err(error),
            };
            fenced.extend(gone.into_iter().map(|receipt| Receipt::of(shard, receipt)));
        }
        match refused.filter(|_| fenced.len() == receipts.len() || !self.ask.outgoing.is_empty()) {
            Some(refused) => Err(refused),
            None => Ok(fenced),
        }
    }

    async fn each(&self, command: impl Fn(String) -> Command) -> Result<Vec<Option<Answer>>, Error> {
        let count = if self.spread { self.ask.inner.shards().count() as usize } else { 1 };
        let mut answers = Vec::with_capacity(count);
        for (part, shard) in self.shards().enumerate() {
            let entry = Entry::new(command(self.queue.to_owned()));
            answers.push(self.ask.propose_part(part, count, shard, entry).await?);
        }
        Ok(answers)
    }

    fn works(&self, handed: Handed) -> Result<Vec<Work>, Error> {
        let Handed { shard, items } = handed;
        let stored: Vec<_> = items.iter().map(|item| item.body.clone()).collect();
        let payloads = match self.ask.inner.payloads(shard, &stored) {
            Ok(Some(payloads)) => payloads,
            Err(Error::Lost(_) | Error::Unreadable(_)) => {
                return self.works(self.without_unread(shard, items));
            }
            found => {
                let receipts = items.iter().map(|item| item.receipt).collect();
                let inner = std::sync::Arc::downgrade(self.ask.inner);
                give_back(&inner, shard, self.queue.to_owned(), receipts);
                // A purge may have taken them away in between.
                return found.map(|_| Vec::new());
            }
        };
        let work = |(item, payload): (queue::Work, Bytes)| Work {
            receipt: Receipt::of(shard, item.receipt),
            until: Time::from_millis(item.until_ms),
            attempt: item.attempt,
            payload,
            headers: item.headers,
            key: item.key,
            priority: item.priority,
            sent: Time::from_millis(item.sent_ms),
        };
        Ok(items.into_iter().zip(payloads).map(work).collect())
    }

    /// Nobody can work on an item whose payload is lost: it fails, until it is a dead letter. So does one that the disk cannot
    /// read at present: it is tried again after a wait, and keeps nobody from the others.
    fn without_unread(&self, shard: Shard, mut items: Vec<queue::Work>) -> Handed {
        let (mut lost, mut unreadable) = (Vec::new(), Vec::new());
        items.retain(|item| {
            match self.ask.inner.payload(shard, &item.body) {
                Err(Error::Lost(_)) => lost.push(item.receipt),
                Err(Error::Unreadable(_)) => unreadable.push(item.receipt),
                _ => return true,
            }
            false
        });
        self.fail_all(shard, lost, "its payload is lost: it is damaged on the disk");
        self.fail_all(
            shard,
            unreadable,
            "its payload cannot be read at present: the disk answers with an error",
        );
        Handed { shard, items }
    }

    fn fail_all(&self, shard: Shard, receipts: Vec<queue::Receipt>, cause: &str) {
        if receipts.is_empty() {
            return;
        }
        let (queue, cause) = (self.queue.to_owned(), cause.to_owned());
        let nack = queue::Nack { queue, receipts, cause, ..queue::Nack::default() };
        // If that does not work, the leases end by themselves.
        let _ = self.ask.inner.propose_then(shard, Entry::new(nack), |_| {});
    }

    fn shards(&self) -> impl Iterator<Item = Shard> + use<L, S> {
        let shards = self.ask.inner.shards();
        let home = queue::home(shards, self.queue);
        let spread = self.spread;
        shards.all().filter(move |shard| spread || *shard == home)
    }

    fn any(&self) -> Shard {
        let shards = self.ask.inner.shards();
        match (self.spread, self.ask.idempotency) {
            // The same when it is asked again.
            (true, Some(once)) => queue::shard_of_key(shards, self.queue, &once.key),
            (true, None) => Shard(self.ask.inner.turn(shards.count())),
            (false, _) => queue::home(shards, self.queue),
        }
    }

    /// Duplicates have to meet, as items of a key have.
    fn shard_of(&self, item: &Item, any: Shard) -> Shard {
        let key = if item.key.is_empty() { &item.dedup_id } else { &item.key };
        match self.spread && !key.is_empty() {
            true => queue::shard_of_key(self.ask.inner.shards(), self.queue, key),
            false => any,
        }
    }
}

fn reply(answer: Option<Answer>) -> queue::Answer {
    match answer {
        Some(Answer::Queue(queue::Reply { answer: Some(answer) })) => answer,
        odd => unexpected(odd),
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.shard.0, self.item)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.shard.0, self.lease, self.item)
    }
}

impl FromStr for Id {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Id, Refusal> {
        let [shard, item] = numbers(text, "the id of an item")?;
        Ok(Id { shard: shard_of_number(shard), item })
    }
}

impl FromStr for Receipt {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Receipt, Refusal> {
        let [shard, lease, item] = numbers(text, "a receipt")?;
        Ok(Receipt { shard: shard_of_number(shard), lease, item })
    }
}

/// One that there is not is refused when it is asked.
fn shard_of_number(number: u64) -> Shard {
    Shard(u32::try_from(number).unwrap_or(u32::MAX))
}

fn numbers<const N: usize>(text: &str, what: &str) -> Result<[u64; N], Refusal> {
    let numbers: Option<Vec<u64>> = text.split('-').map(|part| part.parse().ok()).collect();
    numbers
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or_else(|| Refusal::new(Code::Invalid, format!("{text:?} is not {what}")))
}

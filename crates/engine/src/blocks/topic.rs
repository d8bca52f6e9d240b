//! Topics: messages for groups of consumers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use log::Log;
use machine::command::Answer;
use machine::effect::Channel;
pub use machine::topic::DeadLetter;
pub use machine::topic::read::GroupStatus;
use machine::topic::{self, Attributes, NewMessage};
pub use machine::topic::{
    Action, Aside, DELAY_MS_MAX, Failing, GivenUp, Header, PUBLISH_BATCH_MAX, Partition, Place, Settings,
    Waits, Which,
};
use machine::{Command, Entry, Read, Shard, Time};

use super::{Ask, Outgoing, Part, dressing, millis, named, unexpected};
use crate::consume::{Consumer, ConsumerConfig};
use crate::define::{self, Standing};
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::store::Store;

/// A topic.
pub struct Topic<'a, L, S> {
    ask: Ask<'a, L, S>,
    topic: &'a str,
    partitions: u32,
}

/// A message to be published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The payload.
    pub payload: Bytes,
    /// What it is about: messages of one key are delivered in order. Empty: in nobody's way, and to any partition.
    pub key: Bytes,
    /// The payload's media type; empty if nobody said.
    pub content_type: String,
    /// More that is to be known of it.
    pub headers: Vec<Header>,
    /// To which partition it goes, rather than to that of its key.
    pub partition: Option<u32>,
    /// For how long it is of use; without one, for as long as the topic says.
    pub ttl: Option<Duration>,
    /// Until when it is delayed: nobody gets it before, and what it lives counts from then on.
    pub due: Option<Time>,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Published {
    /// The partition.
    pub partition: u32,
    /// Its offset there; none, as long as it is delayed.
    pub offset: Option<u64>,
}

/// A message that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its offset.
    pub offset: u64,
    /// When it was published.
    pub time: Time,
    /// Its key, content type and headers.
    pub attributes: Attributes,
    /// The payload.
    pub payload: Bytes,
}

impl Message {
    /// One with neither key nor headers.
    pub fn new(payload: impl Into<Bytes>) -> Message {
        Message { payload: payload.into(), ..Message::default() }
    }

    /// With a key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Message {
        self.key = key.into();
        self
    }

    /// To this partition, whatever its key says.
    #[must_use]
    pub fn partition(mut self, partition: u32) -> Message {
        self.partition = Some(partition);
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Message {
        self.headers.push(Header::text(name, value));
        self
    }

    fn lower(self, body: u32) -> (NewMessage, Bytes) {
        let Message { payload, key, content_type, headers, ttl, due, .. } = self;
        let attributes = Attributes { key, content_type, headers };
        let due_ms = due.map_or(0, Time::as_millis);
        (NewMessage { attributes, body, ttl_ms: ttl.map(millis), due_ms }, payload)
    }
}

impl<L: Log, S: Store> Engine<L, S> {
    /// Up to `max` topics by name: those whose names begin so, after `after`.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn topics(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<String>, Error> {
        super::union(&self.inner, max, |state| topic::read::topics(state, prefix, after, max))
    }
}

dressing!(Topic);

impl<'a, L: Log, S: Store> Topic<'a, L, S> {
    pub(super) fn new(ask: Ask<'a, L, S>, topic: &'a str) -> Result<Topic<'a, L, S>, Error> {
        let look = || {
            named("topic", topic)?;
            let home = topic::home(ask.inner.shards(), topic);
            let settings = ask.read(home, |state, _| topic::read::settings(state, topic))?;
            Ok::<_, Error>(Some(settings.unwrap_or_default().partitions()))
        };
        let known = ask.inner.shapes().topics.get(topic, look)?;
        Ok(Topic { ask, topic, partitions: known.unwrap_or_default() })
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Sets what holds for the topic, in all shards. Nothing happens if it holds already; what was begun and not finished
    /// is. How many partitions and shards there are for dead letters is found out here.
    ///
    /// # Errors
    ///
    /// If it would have fewer partitions than before, or something is malformed.
    pub async fn define(&self, mut settings: Settings) -> Result<(), Error> {
        settings.failing.as_mut().map_or(Ok(()), |failing| self.aim(failing))?;
        let partitions = settings.partitions();
        let define = topic::Define { topic: self.topic.to_owned(), settings: settings.clone() };
        let look = |state: &dyn Read| match topic::read::settings(state, self.topic) {
            Some(is) if is == settings => Standing::Same,
            Some(is) if is.partitions() > partitions => {
                Standing::Contrary(format!("it has {} partitions, and it cannot have fewer", is.partitions()))
            }
            _ => Standing::Other,
        };
        self.everywhere(define.into(), look).await
    }

    /// What holds for the topic: the defaults if it was never defined.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn settings(&self) -> Result<Settings, Error> {
        let home = topic::home(self.ask.inner.shards(), self.topic);
        let settings = self.ask.read(home, |state, _| topic::read::settings(state, self.topic))?;
        Ok(settings.unwrap_or_default())
    }

    /// Sets what happens to messages that a group fails at, in all shards; without, what the topic says holds again.
    ///
    /// # Errors
    ///
    /// If something is malformed.
    pub async fn define_group(&self, group: &str, mut failing: Option<Failing>) -> Result<(), Error> {
        failing.as_mut().map_or(Ok(()), |failing| self.aim(failing))?;
        let (topic, name) = (self.topic.to_owned(), group.to_owned());
        let define = topic::DefineGroup { topic, group: name, failing: failing.clone() };
        let look = |state: &dyn Read| match topic::read::group_failing(state, self.topic, group) == failing {
            true => Standing::Same,
            false => Standing::Other,
        };
        self.everywhere(define.into(), look).await
    }

    /// Publishes a message.
    ///
    /// # Errors
    ///
    /// If it is too large or malformed.
    pub async fn publish(&self, message: Message) -> Result<Published, Error> {
        let partition = self.partition(&message, None);
        let (message, payload) = message.lower(0);
        let publish = topic::Publish { topic: self.topic.to_owned(), partition, message };
        let entry = Entry::new(publish).with_body(payload);
        let answer = self.ask.propose(self.shard(partition), entry).await?;
        let published = published(answer);
        Ok(Published { partition, offset: published.delayed.is_empty().then_some(published.offset) })
    }

    /// Publishes messages: those for one partition all or none, one after the other with nothing between. Returns for
    /// each where it is, or why it was not taken.
    ///
    /// # Errors
    ///
    /// If what goes along would need one commit, and there would be several.
    pub async fn publish_batch(
        &self,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, Error>>, Error> {
        // Those without a key go together: to spread them would be a commit each.
        let any = self.ask.inner.turn(self.partitions);
        let mut outcomes = Vec::with_capacity(messages.len());
        let mut parts: BTreeMap<u32, Part<NewMessage>> = BTreeMap::new();
        for (place, message) in messages.into_iter().enumerate() {
            let partition = self.partition(&message, Some(any));
            let part = parts.entry(partition).or_default();
            let (message, payload) = message.lower(part.bodies.len() as u32);
            part.places.push(place);
            part.commands.push(message);
            part.bodies.push(payload);
            outcomes.push(Ok(Published { partition, offset: None }));
        }
        let count = parts.len();
        for (part, (partition, Part { places, commands, bodies })) in parts.into_iter().enumerate() {
            let mut entry = Entry::new(topic::PublishBatch {
                topic: self.topic.to_owned(),
                partition,
                messages: commands,
            });
            entry.bodies = bodies;
            match self.ask.propose_part(part, count, self.shard(partition), entry).await {
                Ok(answer) => {
                    let topic::Published { offset: first, delayed, .. } = published(answer);
                    let mut offsets = first..;
                    for (number, place) in (0..).zip(places) {
                        let has_none = delayed.binary_search(&number).is_ok();
                        let offset = if has_none { None } else { offsets.next() };
                        outcomes[place] = Ok(Published { partition, offset });
                    }
                }
                Err(error) if count == 1 => return Err(error),
                Err(error) => places.iter().for_each(|place| outcomes[*place] = Err(error.clone())),
            }
        }
        Ok(outcomes)
    }

    /// Publishes messages, each by itself, those of one partition in their order. Under an idempotency key each is remembered by
    /// itself, as the one of its place among them, so that who asks again has those published that were not. If the first
    /// was another under that key, nothing is published. Returns for each where it is, or why it was not taken.
    pub async fn publish_each(&self, messages: Vec<Message>) -> Vec<Result<Published, Error>> {
        // As with a batch, those without a key go together, and so stay in order.
        let any = self.partition(&Message::default(), Some(self.ask.inner.turn(self.partitions)));
        let mut outcomes = Vec::with_capacity(messages.len());
        let mut under_way = VecDeque::new();
        let mut broken = None;
        for (place, message) in messages.into_iter().enumerate() {
            let first_alone = place == 1 && self.ask.idempotency.is_some();
            if (first_alone || under_way.len() == UNDER_WAY_MAX)
                && let Some((partition, proposed)) = under_way.pop_front()
            {
                let outcome = whereto(partition, proposed).await;
                if let Err(error) = &outcome
                    && first_alone
                    && error.kind() == Kind::Reused
                {
                    broken = Some(error.clone());
                }
                outcomes.push(outcome);
            }
            let partition = self.partition(&message, Some(any));
            let proposed = match &broken {
                Some(error) => Err(Error::clone(error)),
                None => self.propose_each(place, partition, message),
            };
            // What comes behind one that was not taken would be before it when it comes again.
            if let Err(error) = &proposed
                && !matches!(error.kind(), Kind::Invalid | Kind::TooLarge)
            {
                broken.get_or_insert_with(|| error.clone());
            }
            under_way.push_back((partition, proposed));
        }
        for (partition, proposed) in under_way {
            outcomes.push(whereto(partition, proposed).await);
        }
        outcomes
    }

    fn propose_each(
        &self,
        place: usize,
        partition: u32,
        message: Message,
    ) -> Result<impl Future<Output = Result<Option<Answer>, Error>> + use<L, S>, Error> {
        let (message, payload) = message.lower(0);
        let publish = topic::Publish { topic: self.topic.to_owned(), partition, message };
        let entry = Entry::new(publish).with_body(payload);
        self.ask.begin_step(&place, self.shard(partition), entry)
    }

    /// A message, to be published along with something else or by a job. Those that a job publishes without a key all go
    /// to one partition.
    pub fn publishing(&self, message: Message) -> Outgoing {
        let partition = self.partition(&message, None);
        let (message, payload) = message.lower(0);
        let publish = topic::Publish { topic: self.topic.to_owned(), partition, message };
        Outgoing { target: self.shard(partition), command: publish.into(), bodies: vec![payload] }
    }

    /// Consumes all partitions for a group, which is made if it is not there and then begins at `from`.
    ///
    /// # Errors
    ///
    /// If the group cannot be made.
    pub async fn consume(
        &self,
        group: &str,
        from: Place,
        config: ConsumerConfig,
    ) -> Result<Consumer<L, S>, Error> {
        Consumer::open(self.ask.inner, self.topic, 0..self.partitions, group, from, config).await
    }

    /// Up to `max` messages of a partition from an offset on.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn read(&self, partition: u32, from: u64, max: usize) -> Result<Vec<Kept>, Error> {
        let (messages, payloads) = self.ask.read_with(self.shard(partition), |state, now| {
            let page = topic::read::page(state, self.topic, partition, from, max, now);
            let stored = page.iter().map(|(_, message)| message.body.clone()).collect();
            Ok((page, stored))
        })?;
        let kept = |((offset, message), payload): ((u64, topic::Message), Bytes)| Kept {
            offset,
            time: Time::from_millis(message.time),
            attributes: message.attributes,
            payload,
        };
        Ok(messages.into_iter().zip(payloads).map(kept).collect())
    }

    /// The counters of a partition; all zero if nothing was ever published there.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn counts(&self, partition: u32) -> Result<Partition, Error> {
        self.ask.read(self.shard(partition), |state, _| topic::read::partition(state, self.topic, partition))
    }

    /// What happens to messages that a group fails at: as is set for it, or else for the topic.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn failing(&self, group: &str) -> Result<Failing, Error> {
        let home = topic::home(self.ask.inner.shards(), self.topic);
        self.ask.read(home, |state, _| topic::read::failing(state, self.topic, group))
    }

    /// Up to `max` messages of a partition that a group has set aside, from an offset on.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn asides(
        &self,
        partition: u32,
        group: &str,
        from: u64,
        max: usize,
    ) -> Result<Vec<(u64, Aside)>, Error> {
        self.ask.read(self.shard(partition), |state, _| {
            topic::read::asides(state, self.topic, partition, group, from, max)
        })
    }

    /// How a partition's groups stand, by name, with what they lag behind.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn groups(&self, partition: u32) -> Result<Vec<GroupStatus>, Error> {
        self.ask.read(self.shard(partition), |state, _| topic::read::groups(state, self.topic, partition))
    }

    /// Moves a group to another place, in all partitions.
    ///
    /// # Errors
    ///
    /// If there is no such group.
    pub async fn seek(&self, group: &str, to: &Place) -> Result<(), Error> {
        self.each(|topic, partition| {
            topic::Seek { topic, partition, group: group.to_owned(), to: to.clone() }.into()
        })
        .await
    }

    /// The same in one partition.
    ///
    /// # Errors
    ///
    /// If there is no such group.
    pub async fn seek_in(&self, partition: u32, group: &str, to: &Place) -> Result<(), Error> {
        let (topic, group) = (self.topic.to_owned(), group.to_owned());
        let seek = topic::Seek { topic, partition, group, to: to.clone() };
        self.ask.propose(self.shard(partition), Entry::new(seek)).await.map(drop)
    }

    /// Takes a group away, in all partitions.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub async fn unsubscribe(&self, group: &str) -> Result<(), Error> {
        self.each(|topic, partition| topic::Unsubscribe { topic, partition, group: group.to_owned() }.into())
            .await
    }

    /// Decides what becomes of messages of a partition that a group has set aside. Returns how many they were.
    ///
    /// # Errors
    ///
    /// If there is no such group, or no way for dead letters.
    pub async fn resolve(
        &self,
        partition: u32,
        group: &str,
        which: topic::Which,
        action: topic::Action,
    ) -> Result<u64, Error> {
        let mut count = 0;
        for step in 0.. {
            let (topic, group) = (self.topic.to_owned(), group.to_owned());
            let which = Some(which.clone());
            let resolve = topic::Resolve { topic, partition, group, which, action: action.into() };
            // Another partition may be in the same shard.
            let step = format!("{partition} {step}");
            match self.ask.propose_step(step, self.shard(partition), Entry::new(resolve)).await? {
                Some(Answer::Topic(topic::Reply { answer: Some(topic::Answer::Resolved(resolved)) })) => {
                    count += resolved.count;
                    if !resolved.more || resolved.count == 0 {
                        break;
                    }
                }
                odd => unexpected(odd),
            }
        }
        Ok(count)
    }

    async fn each(&self, command: impl Fn(String, u32) -> Command) -> Result<(), Error> {
        for partition in 0..self.partitions {
            let entry = Entry::new(command(self.topic.to_owned(), partition));
            let (part, count) = (partition as usize, self.partitions as usize);
            self.ask.propose_part(part, count, self.shard(partition), entry).await?;
        }
        Ok(())
    }

    async fn everywhere(&self, command: Command, look: impl Fn(&dyn Read) -> Standing) -> Result<(), Error> {
        let home = topic::home(self.ask.inner.shards(), self.topic);
        let (what, channel) = (format!("the topic {:?}", self.topic), Channel::topic(self.topic, 0));
        let forget = self.ask.forget(self.topic, |shapes, topic| shapes.topics.forget(topic));
        define::everywhere(self.ask.inner, &what, home, channel, command, look, forget).await
    }

    /// Has dead letters arrive: how the topic for them is spread is nothing that a caller should have to know.
    fn aim(&self, failing: &mut Failing) -> Result<(), Error> {
        let Some(to) = &mut failing.dead_letter else { return Ok(()) };
        let partitions = Topic::new(self.ask, &to.topic)?.partitions;
        *to = DeadLetter::new(std::mem::take(&mut to.topic), partitions, self.ask.inner.shards());
        Ok(())
    }

    /// One that nothing is said of goes to `any`, or to each in its turn.
    fn partition(&self, message: &Message, any: Option<u32>) -> u32 {
        match (message.partition, message.key.is_empty()) {
            (Some(partition), _) => partition,
            (None, true) => match self.ask.idempotency {
                // The same when it is asked again.
                Some(once) => topic::partition_of(once.key.as_bytes(), self.partitions),
                None => any.unwrap_or_else(|| self.ask.inner.turn(self.partitions)),
            },
            (None, false) => topic::partition_of(&message.key, self.partitions),
        }
    }

    fn shard(&self, partition: u32) -> Shard {
        topic::shard(self.ask.inner.shards(), self.topic, partition)
    }
}

/// Where a message is, when what was proposed is answered.
async fn whereto(
    partition: u32,
    proposed: Result<impl Future<Output = Result<Option<Answer>, Error>>, Error>,
) -> Result<Published, Error> {
    let published = published(proposed?.await?);
    Ok(Published { partition, offset: published.delayed.is_empty().then_some(published.offset) })
}

fn published(answer: Option<Answer>) -> topic::Published {
    match answer {
        Some(Answer::Topic(topic::Reply { answer: Some(topic::Answer::Published(published)) })) => published,
        odd => unexpected(odd),
    }
}

/// How many messages that are published each by itself are under way at most.
const UNDER_WAY_MAX: usize = 256;

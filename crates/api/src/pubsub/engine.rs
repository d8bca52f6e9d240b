//! The engine's topics behind the trait that brokers outside implement too, so that one suite holds for all.
//!
//! A topic of a component is the engine's topic `COMPONENT/TOPIC`, with `%` and `/` in the component's name escaped: so no two
//! components can mean the same one, and it is the same whichever application names it.
//!
//! The methods are there a second time without the trait, and so without a box around each answer: the engine's own
//! topics are what most messages go through.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use components::Reply;
use components::pubsub::{Begin, Broker, Error, Features, Message, Options, Subscription};
use engine::blocks::topic::{self, Failing, Header, PUBLISH_BATCH_MAX, Place, Settings};
use engine::blocks::{Idempotency, Outgoing, Time};
use engine::{ConsumerConfig, Kind};

use super::held::Held;
use crate::state::Engine;
use crate::time;

/// The topics of a component.
#[derive(Clone, Copy)]
pub struct Topics<'a> {
    component: &'a str,
    engine: Engine<'a>,
    prepared: &'a Prepared,
    once: Option<&'a Idempotency>,
}

/// Topics that are known to be as they should, by the engine's name for them.
#[derive(Debug, Default)]
pub struct Prepared(RwLock<HashSet<String>>);

/// Asks whichever engine has the topics.
macro_rules! ask {
    ($topics:expr, $name:expr, $topic:ident => $ask:expr) => {{
        let asked = async {
            match $topics.engine {
                Engine::Disk(engine) => {
                    let $topic = engine.topic($name)?;
                    let $topic = match $topics.once {
                        Some(once) => $topic.once(once),
                        None => $topic,
                    };
                    $ask.await
                }
                Engine::Memory(engine) => {
                    let $topic = engine.topic($name)?;
                    let $topic = match $topics.once {
                        Some(once) => $topic.once(once),
                        None => $topic,
                    };
                    $ask.await
                }
            }
        };
        asked.await.map_err(|error: engine::Error| refused(&error))
    }};
}

impl<'a> Topics<'a> {
    /// Those of this component.
    pub fn new(component: &'a str, engine: Engine<'a>, prepared: &'a Prepared) -> Topics<'a> {
        Topics { component, engine, prepared, once: None }
    }

    /// Who keeps them.
    pub(super) fn engine(self) -> Engine<'a> {
        self.engine
    }

    /// What topics of the engine can do. That what expires is dropped there is known only of messages that say so to it.
    pub(crate) const FEATURES: Features =
        Features { bulk: true, ttl: true, ordering: true, history: true, attempts: true, delay: true };

    /// The same, with what is published published once under this.
    pub(super) fn once(mut self, once: &'a Idempotency) -> Topics<'a> {
        self.once = Some(once);
        self
    }

    pub(super) async fn publish(self, topic: &str, message: Message) -> Result<(), Error> {
        let name = self.ready(topic).await?;
        ask!(self, &name, topic => topic.publish(lower(message))).map(drop)
    }

    /// A message to be published along with something else.
    pub(super) async fn outgoing(self, topic: &str, message: Message) -> Result<Outgoing, Error> {
        let name = self.ready(topic).await?;
        ask!(self, &name, topic => std::future::ready(Ok(topic.publishing(lower(message)))))
    }

    /// In as many requests to the engine as are needed. What is published once is a request for each message: which belong
    /// together in one would depend on what is not the same when it comes again, such as the trace.
    pub(super) async fn publish_many(
        self,
        topic: &str,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let mut outcomes = Vec::with_capacity(messages.len());
        if messages.is_empty() {
            return Ok(outcomes);
        }
        let name = self.ready(topic).await?;
        if self.once.is_some() {
            return self.publish_each(&name, messages).await;
        }
        for part in parts(messages) {
            outcomes.extend(self.publish_part(&name, part).await);
        }
        Ok(outcomes)
    }

    async fn publish_each(self, name: &str, messages: Vec<Message>) -> Result<Vec<Result<(), Error>>, Error> {
        let messages: Vec<_> = messages.into_iter().map(lower).collect();
        let outcomes = ask!(self, name, topic => async { Ok(topic.publish_each(messages).await) })?;
        let told = |outcome: Result<_, engine::Error>| outcome.map(drop).map_err(|error| refused(&error));
        Ok(outcomes.into_iter().map(told).collect())
    }

    /// The engine takes all of a partition's messages or none: where one of them cannot be taken, each goes by itself.
    async fn publish_part(self, name: &str, part: Vec<topic::Message>) -> Vec<Result<(), Error>> {
        let again = part.clone();
        let published = ask!(self, name, topic => topic.publish_batch(part));
        let outcomes: Vec<Result<(), Error>> = match published {
            Ok(outcomes) => outcomes
                .into_iter()
                .map(|outcome| outcome.map(drop).map_err(|error| refused(&error)))
                .collect(),
            Err(error) => vec![Err(error); again.len()],
        };
        let mut told = Vec::with_capacity(outcomes.len());
        let alone = again.len() == 1;
        for (outcome, message) in outcomes.into_iter().zip(again) {
            told.push(match outcome {
                Err(Error::Invalid(_)) if !alone => {
                    ask!(self, name, topic => topic.publish(message)).map(drop)
                }
                outcome => outcome,
            });
        }
        told
    }

    pub(super) async fn subscribe(self, topic: &str, group: &str, options: Options) -> Result<Held, Error> {
        let name = self.ready(topic).await?;
        let from = match options.begin {
            Begin::Start => Place::start(),
            Begin::End => Place::end(),
        };
        let credits = options.held_max.max(1) as u64;
        let mut config = ConsumerConfig { credits, ..ConsumerConfig::default() };
        config.delivery.ack_timeout = options.answer_within;
        match self.engine {
            Engine::Disk(engine) => {
                let consumed = async { engine.topic(&name)?.consume(group, from, config).await };
                consumed.await.map(Held::Disk)
            }
            Engine::Memory(engine) => {
                let consumed = async { engine.topic(&name)?.consume(group, from, config).await };
                consumed.await.map(Held::Memory)
            }
        }
        .map_err(|error| refused(&error))
    }

    /// What the engine calls a topic, which is as it should be from then on: what was never defined otherwise is tried
    /// again without end, and what is kept in memory is bounded and in order.
    async fn ready(self, topic: &str) -> Result<String, Error> {
        let name = name(self.component, topic);
        if self.prepared.has(&name) {
            return Ok(name);
        }
        let settings = ask!(self, &name, topic => topic.settings())?;
        if settings == Settings::default() {
            let failing = Some(Failing { attempts_max: Some(0), ..Failing::default() });
            let settings = match self.engine {
                Engine::Disk(_) => Settings { failing, ..Settings::default() },
                Engine::Memory(_) => Settings {
                    failing,
                    partitions: Some(1),
                    keep_bytes: MEMORY_BYTES_MAX,
                    ..Settings::default()
                },
            };
            ask!(self, &name, topic => topic.define(settings.clone()))?;
        }
        self.prepared.note(&name);
        Ok(name)
    }
}

impl Broker for Topics<'_> {
    fn features(&self) -> Features {
        Topics::FEATURES
    }

    fn publish<'a>(&'a self, topic: &'a str, message: Message) -> Reply<'a, Result<(), Error>> {
        Box::pin(Topics::publish(*self, topic, message))
    }

    fn publish_many<'a>(
        &'a self,
        topic: &'a str,
        messages: Vec<Message>,
    ) -> Reply<'a, Result<Vec<Result<(), Error>>, Error>> {
        Box::pin(Topics::publish_many(*self, topic, messages))
    }

    fn subscribe<'a>(
        &'a self,
        topic: &'a str,
        group: &'a str,
        options: Options,
    ) -> Reply<'a, Result<Box<dyn Subscription>, Error>> {
        Box::pin(async move {
            let held = Topics::subscribe(*self, topic, group, options).await?;
            Ok(Box::new(held) as Box<dyn Subscription>)
        })
    }
}

impl Prepared {
    fn has(&self, name: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    fn note(&self, name: &str) {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= NAMES_MAX {
            names.clear();
        }
        names.insert(name.to_owned());
    }
}

/// What the engine calls a topic of a component.
pub(super) fn name(component: &str, topic: &str) -> String {
    format!("{}/{topic}", escaped(component))
}

fn escaped(component: &str) -> Cow<'_, str> {
    match component.contains(['%', '/']) {
        true => component.replace('%', "%25").replace('/', "%2F").into(),
        false => component.into(),
    }
}

/// A message as the engine has it.
fn lower(message: Message) -> topic::Message {
    let Message { data, content_type, key, ttl, due, metadata } = message;
    let headers = metadata.into_iter().map(|(name, value)| Header::text(name, value)).collect();
    // To the engine zero would be: for as long as it is kept.
    let ttl = ttl.map(|ttl| ttl.max(Duration::from_millis(1)));
    let due = due.map(|due| Time::from_millis(time::millis(due)));
    topic::Message { payload: data, key, content_type, headers, partition: None, ttl, due }
}

/// A message as it was published, from what of it the engine has.
pub(super) fn raised(received: engine::Received) -> components::pubsub::Delivery {
    let engine::Received { partition, offset, attempt, time, attributes, payload } = received;
    let metadata = attributes.headers.into_iter();
    let metadata =
        metadata.map(|header| (header.name, String::from_utf8_lossy(&header.value).into_owned())).collect();
    components::pubsub::Delivery {
        receipt: components::pubsub::Receipt(partition.into(), offset),
        attempt,
        published: SystemTime::UNIX_EPOCH + Duration::from_millis(time.as_millis()),
        message: Message {
            data: payload,
            content_type: attributes.content_type,
            key: attributes.key,
            ttl: None,
            due: None,
            metadata,
        },
    }
}

pub(super) fn refused(error: &engine::Error) -> Error {
    let why = error.to_string();
    match error.kind() {
        Kind::Invalid | Kind::TooLarge => Error::Invalid(why),
        Kind::Reused => Error::Reused(why),
        _ => Error::Unavailable(why),
    }
}

/// In parts of which each is one request to the engine.
fn parts(messages: Vec<Message>) -> Vec<Vec<topic::Message>> {
    let mut parts = Vec::new();
    let mut part = Vec::with_capacity(messages.len().min(PUBLISH_BATCH_MAX));
    let mut part_bytes = 0;
    for message in messages {
        let bytes = weight(&message);
        if part.len() == PUBLISH_BATCH_MAX || (part_bytes + bytes > PART_BYTES && !part.is_empty()) {
            parts.push(std::mem::take(&mut part));
            part_bytes = 0;
        }
        part_bytes += bytes;
        part.push(lower(message));
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

fn weight(message: &Message) -> usize {
    let metadata: usize = message.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    message.data.len() + message.key.len() + message.content_type.len() + metadata
}

/// How many bytes a request to the engine has at most, unless one message has more: well below what it takes.
const PART_BYTES: usize = 4 << 20;
/// How many bytes of a topic that is kept in memory are kept.
const MEMORY_BYTES_MAX: u64 = 64 << 20;
/// Of how many topics is kept in mind that they are as they should.
const NAMES_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_for_one_request_is_several() {
        let counts = |count: usize, bytes: usize| {
            let messages = (0..count).map(|_| Message::new(vec![b'x'; bytes])).collect();
            parts(messages).iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(counts(0, 1), Vec::<usize>::new());
        assert_eq!(counts(PUBLISH_BATCH_MAX + 1, 1), [PUBLISH_BATCH_MAX, 1]);
        assert_eq!(counts(3, PART_BYTES / 2), [2, 1]);
        assert_eq!(counts(2, PART_BYTES * 2), [1, 1]);
    }

    #[test]
    fn no_two_components_mean_the_same_topic() {
        assert_eq!(name("orders", "created/eu"), "orders/created/eu");
        assert_ne!(name("orders/created", "eu"), name("orders", "created/eu"));
        assert_ne!(name("a/b", "c"), name("a%2Fb", "c"));
    }
}

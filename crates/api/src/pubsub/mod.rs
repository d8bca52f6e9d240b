//! Publishing and subscribing: brokers as they are declared, over the engine's topics.
//!
//! `engine` has the engine's topics behind the trait that brokers outside implement too. An application consumes for the group
//! that its component names, or else for its own id, so that processes of one application share what comes.

mod engine;
mod envelope;
mod errors;
mod held;
mod publish;
mod wishes;

use std::collections::HashMap;

use components::pubsub::{self, Broker as _, Delivery, Features, Message, Options, Receipt, Subscription};

use ::engine::blocks::{Idempotency, Outgoing};

use crate::api::Api;
use crate::config::{Block, Broker, Config, PubSub as Declared};
use crate::error::Error;
use crate::idempotency;
use crate::ids::{Id, Ids};
use crate::resiliency::{Asking, Family};
use crate::state::Engine;
use crate::uses::{How, Uses};

pub use self::engine::{Prepared, Topics};
pub(crate) use envelope::{BINARY, CLOUD_EVENT, Event, JSON, media};
pub(crate) use errors::PUBLISH as PUBLISH_FAILED;
pub use held::Held;
pub use publish::{Entry, Failed, Publish, Trace};
pub(crate) use wishes::Wishes;

/// The brokers that are declared, by name.
pub(crate) struct PubSubs {
    declared: HashMap<String, Declared>,
    /// What all others are.
    otherwise: Declared,
    prepared: Prepared,
}

impl PubSubs {
    pub(crate) fn new(config: &Config) -> PubSubs {
        let declared = config.components.iter().filter_map(|component| {
            let Block::PubSub(declared) = &component.block else { return None };
            Some((component.name.clone(), declared.clone()))
        });
        PubSubs {
            declared: declared.collect(),
            otherwise: Declared::default(),
            prepared: Prepared::default(),
        }
    }

    /// How one is declared, if it is.
    pub(crate) fn declared(&self, name: &str) -> Option<&Declared> {
        self.declared.get(name)
    }
}

/// A broker, for one request or subscription.
#[derive(Clone, Copy)]
pub struct PubSub<'a> {
    name: &'a str,
    app_id: &'a str,
    declared: &'a Declared,
    ids: &'a Ids,
    keeper: Keeper<'a>,
    asking: Asking<'a>,
    uses: &'a Uses,
    is_declared: bool,
}

/// Who keeps a broker's messages.
#[derive(Clone, Copy)]
enum Keeper<'a> {
    Engine(Topics<'a>),
    Outside(&'a dyn pubsub::Broker),
}

/// A subscription, to whichever broker.
pub enum Subscribed {
    /// To the engine's.
    Engine(Held),
    /// To one outside.
    Outside(Box<dyn Subscription>),
}

impl Api {
    /// The broker of this name. One that is declared nowhere is in the folder of the data, and a line says so.
    ///
    /// # Errors
    ///
    /// If there cannot be a broker of this name.
    pub fn pubsub<'a>(&'a self, name: &'a str) -> Result<PubSub<'a>, Error> {
        let declared = match self.pubsubs.declared.get(name) {
            Some(declared) => declared,
            None => {
                self.check_undeclared_pubsub(name)?;
                &self.pubsubs.otherwise
            }
        };
        let topics = |engine| Keeper::Engine(Topics::new(name, engine, &self.pubsubs.prepared));
        let keeper = match (&declared.broker, self.host.memory()) {
            (Broker::Outside(broker), _) => Keeper::Outside(&*broker.0),
            (Broker::Memory, Some(memory)) => topics(Engine::Memory(memory)),
            _ => topics(Engine::Disk(self.host.disk())),
        };
        let asking = self.guards.asking(Family::PubSub, name);
        Ok(PubSub {
            name,
            app_id: &self.config.app_id,
            declared,
            ids: &self.ids,
            keeper,
            asking,
            uses: &self.uses,
            is_declared: self.pubsubs.declared.contains_key(name),
        })
    }

    fn check_undeclared_pubsub(&self, name: &str) -> Result<(), Error> {
        if name.is_empty() {
            return Err(errors::no_name());
        }
        match name.len() <= NAME_BYTES_MAX && self.may_be_undeclared("pubsub", "pubsub", name) {
            true => Ok(()),
            false => Err(errors::not_found(name, &self.config.app_id)),
        }
    }
}

impl<'a> PubSub<'a> {
    /// The same, with what is published published once under this: a message, or each of several.
    ///
    /// # Errors
    ///
    /// If the broker is another's, which does not remember what was asked.
    pub fn once(mut self, once: Option<&'a Idempotency>) -> Result<PubSub<'a>, Error> {
        match (once, self.keeper) {
            (None, _) => Ok(self),
            (Some(once), Keeper::Engine(topics)) => {
                self.keeper = Keeper::Engine(topics.once(once));
                Ok(self)
            }
            (Some(_), Keeper::Outside(_)) => Err(idempotency::refused(format!(
                "pubsub {} is kept outside, where nobody remembers what was asked under a key",
                self.name
            ))),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// For which group the application consumes.
    pub fn group(&self) -> &'a str {
        self.declared.group.as_deref().unwrap_or(self.app_id)
    }

    /// What it can do.
    pub fn features(&self) -> Features {
        match self.keeper {
            Keeper::Engine(topics) => topics.features(),
            Keeper::Outside(broker) => broker.features(),
        }
    }

    /// The engine that keeps its topics, unless that is another's matter.
    pub(crate) fn engine(&self) -> Option<Engine<'a>> {
        match self.keeper {
            Keeper::Engine(topics) => Some(topics.engine()),
            Keeper::Outside(_) => None,
        }
    }

    /// What the engine calls a topic.
    pub(crate) fn engine_topic(&self, topic: &str) -> String {
        self::engine::name(self.name, topic)
    }

    /// Whether the application may subscribe to a topic.
    pub fn may_subscribe(&self, topic: &str) -> bool {
        self.declared.scope.may_subscribe(topic)
    }

    /// Publishes a message as it is. Whether the application may is not asked here.
    ///
    /// # Errors
    ///
    /// Why it was not published.
    pub async fn send(&self, topic: &str, message: Message) -> Result<(), pubsub::Error> {
        let send = async |message| match self.keeper {
            Keeper::Engine(topics) => topics.publish(topic, message).await,
            Keeper::Outside(broker) => broker.publish(topic, message).await,
        };
        match self.asking.guard {
            None => send(message).await,
            Some(_) => self.asking.run(|| send(message.clone())).await,
        }
    }

    /// A message to be published along with something that the same engine keeps.
    pub(crate) async fn outgoing(&self, topic: &str, message: Message) -> Result<Outgoing, pubsub::Error> {
        match self.keeper {
            Keeper::Engine(topics) => topics.outgoing(topic, message).await,
            Keeper::Outside(_) => {
                Err(pubsub::Error::Invalid(format!("pubsub {} is kept outside of the engine", self.name)))
            }
        }
    }

    /// Notes that the application publishes to a topic: so many messages, some of them in vain.
    pub(crate) fn has_published(&self, topic: &str, count: usize, failed: usize) {
        let counts = (count as u64, failed as u64);
        self.uses.count_of(How::Publish, self.name, topic, counts, self.is_declared);
    }

    /// Whose requests these are.
    pub(crate) fn app_id(&self) -> &'a str {
        self.app_id
    }

    /// An id for a message.
    pub(crate) fn new_id(&self) -> Id {
        self.ids.next()
    }

    async fn send_many(
        &self,
        topic: &str,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<(), pubsub::Error>>, pubsub::Error> {
        let send = async |messages| match self.keeper {
            Keeper::Engine(topics) => topics.publish_many(topic, messages).await,
            Keeper::Outside(broker) => broker.publish_many(topic, messages).await,
        };
        match self.asking.guard {
            None => send(messages).await,
            Some(_) => self.asking.run(|| send(messages.clone())).await,
        }
    }

    /// Consumes a topic for the application's group. Whether the application may is not asked here.
    ///
    /// # Errors
    ///
    /// Why it is not subscribed.
    pub async fn subscribe(&self, topic: &str, options: Options) -> Result<Subscribed, pubsub::Error> {
        let group = self.group();
        match self.keeper {
            Keeper::Engine(topics) => topics.subscribe(topic, group, options).await.map(Subscribed::Engine),
            Keeper::Outside(broker) => broker.subscribe(topic, group, options).await.map(Subscribed::Outside),
        }
    }
}

impl Subscribed {
    /// As [`Subscription::next`].
    ///
    /// # Errors
    ///
    /// If the broker does not deliver.
    pub async fn next(&self, max: usize) -> Result<Vec<Delivery>, pubsub::Error> {
        match self {
            Subscribed::Engine(held) => held.next(max).await,
            Subscribed::Outside(held) => held.next(max).await,
        }
    }

    /// As [`Subscription::acknowledge`].
    ///
    /// # Errors
    ///
    /// If the broker cannot be told.
    pub async fn acknowledge(&self, messages: &[Receipt]) -> Result<(), pubsub::Error> {
        match self {
            Subscribed::Engine(held) => held.acknowledge(messages),
            Subscribed::Outside(held) => held.acknowledge(messages).await,
        }
    }

    /// As [`Subscription::fail`].
    ///
    /// # Errors
    ///
    /// If the broker cannot be told.
    pub async fn fail(&self, message: Receipt, cause: &str) -> Result<(), pubsub::Error> {
        match self {
            Subscribed::Engine(held) => held.fail(message, cause),
            Subscribed::Outside(held) => held.fail(message, cause).await,
        }
    }

    /// As [`Subscription::release`].
    ///
    /// # Errors
    ///
    /// If the broker cannot be told.
    pub async fn release(&self, messages: &[Receipt]) -> Result<(), pubsub::Error> {
        match self {
            Subscribed::Engine(held) => held.release(messages),
            Subscribed::Outside(held) => held.release(messages).await,
        }
    }

    /// As [`Subscription::extend`].
    ///
    /// # Errors
    ///
    /// If the broker cannot be told.
    pub async fn extend(&self, messages: &[Receipt]) -> Result<(), pubsub::Error> {
        match self {
            Subscribed::Engine(held) => held.extend(messages),
            Subscribed::Outside(held) => held.extend(messages).await,
        }
    }

    /// As [`Subscription::settled`].
    ///
    /// # Errors
    ///
    /// If the broker cannot be told.
    pub async fn settled(&self) -> Result<(), pubsub::Error> {
        match self {
            Subscribed::Engine(held) => held.settled().await,
            Subscribed::Outside(held) => held.settled().await,
        }
    }

    /// As [`Subscription::close`].
    ///
    /// # Errors
    ///
    /// If the broker cannot be told.
    pub async fn close(&self) -> Result<(), pubsub::Error> {
        match self {
            // What it holds is given back when it is dropped: the engine is here.
            Subscribed::Engine(held) => held.settled().await,
            Subscribed::Outside(held) => held.close().await,
        }
    }
}

/// Longest name of a broker: it is a part of the engine's names of topics.
const NAME_BYTES_MAX: usize = 127;

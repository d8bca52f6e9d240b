//! Brokers of messages: the contract, which is that of the engine's own topics.

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "outside")]
mod consumer;
#[cfg(feature = "outside")]
mod in_order;
#[cfg(feature = "outside")]
pub mod jetstream;
#[cfg(feature = "outside")]
mod lent;
#[cfg(feature = "outside")]
pub mod rabbitmq;
#[cfg(feature = "outside")]
pub mod redis;
mod scope;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::Reply;
pub use scope::Scope;

/// Keeps messages in topics, and brings each to every group that subscribes to its topic.
///
/// - What was answered as published MUST be delivered to every group that there is, at least once, until the group is done
///   with it, it has expired or what keeps it has to let it go.
/// - Of a group's subscriptions one at a time MUST have a message.
/// - Data, key, content type and metadata MUST arrive as they were published.
/// - Topics come to be by being used. Those of other names, and those of other brokers, MUST NOT be touched.
/// - An answer MUST come in bounded time, also while what keeps the messages is away; and what keeps them MUST be found
///   again when it is back, without help.
/// - Nothing that was not published MUST be answered as published. After [`Error::Unavailable`] it may have been.
pub trait Broker: Send + Sync {
    /// What it can do beyond that.
    fn features(&self) -> Features;

    /// Publishes a message.
    fn publish<'a>(&'a self, topic: &'a str, message: Message) -> Reply<'a, Result<(), Error>>;

    /// Publishes messages, each by itself and those of one key in their order; why those were not published that were not.
    fn publish_many<'a>(
        &'a self,
        topic: &'a str,
        messages: Vec<Message>,
    ) -> Reply<'a, Result<Vec<Result<(), Error>>, Error>>;

    /// Begins to consume a topic for a group, which comes to be with its first subscription.
    fn subscribe<'a>(
        &'a self,
        topic: &'a str,
        group: &'a str,
        options: Options,
    ) -> Reply<'a, Result<Box<dyn Subscription>, Error>>;
}

/// One of those who consume a topic for a group.
///
/// Whoever has it takes messages with [`Subscription::next`] and answers each once: it is done with it
/// ([`Subscription::acknowledge`], also what is dropped), could not deal with it ([`Subscription::fail`]), or gives it back
/// ([`Subscription::release`]).
///
/// - A message that is not answered in time MUST be delivered again, to this one or another of the group, as if it had
///   failed.
/// - Of a message that comes again the attempt MUST be greater than one, unless it was given back only.
/// - It MUST NOT hold many more than [`Options::held_max`]; what it holds and nobody has taken yet counts. What is answered
///   makes room.
/// - Dropping it MUST give back what it holds, for others of the group at once. That counts as no attempt. Where what keeps
///   the messages has to be told, [`Subscription::close`] waits for that.
/// - Whenever the future of [`Subscription::next`] is dropped, nothing MUST be lost.
/// - An answer to what it does not hold any more MUST do nothing.
/// - Answers MAY be kept and sent together; a connection that breaks and is made again at once SHOULD lose none of them. When
///   what keeps the messages stays away, `next` MUST say so in bounded time rather than wait.
pub trait Subscription: Send + Sync {
    /// Up to `max` messages, at least one: waits until there is one.
    fn next(&self, max: usize) -> Reply<'_, Result<Vec<Delivery>, Error>>;

    /// It is done with messages, whatever it did with them: the group does not get them again. A crash before
    /// [`Subscription::settled`] may have them delivered once more.
    fn acknowledge<'a>(&'a self, messages: &'a [Receipt]) -> Reply<'a, Result<(), Error>>;

    /// It could not deal with a message, because of `cause`: it is delivered again, after a wait that is the broker's
    /// matter, as the next attempt.
    fn fail<'a>(&'a self, message: Receipt, cause: &'a str) -> Reply<'a, Result<(), Error>>;

    /// It gives messages back, which counts as no attempt.
    fn release<'a>(&'a self, messages: &'a [Receipt]) -> Reply<'a, Result<(), Error>>;

    /// It needs longer for messages: the whole time to answer from now on.
    fn extend<'a>(&'a self, messages: &'a [Receipt]) -> Reply<'a, Result<(), Error>>;

    /// Comes true when all that it has answered so far is durable.
    fn settled(&self) -> Reply<'_, Result<(), Error>>;

    /// Ends it as dropping it does, and waits until what it holds is given back: for who ends the process next. It is asked
    /// for nothing afterwards.
    fn close(&self) -> Reply<'_, Result<(), Error>> {
        self.settled()
    }
}

/// What a broker can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Several messages cost it less than each by itself.
    pub bulk: bool,
    /// A message that has expired is not delivered.
    pub ttl: bool,
    /// Messages of one key are delivered in order, one at a time.
    pub ordering: bool,
    /// A group that comes to be can begin with what was published before ([`Begin::Start`]). Without, it has what is published
    /// from then on.
    pub history: bool,
    /// Attempts are counted one by one, whoever of the group made them, and giving back counts as none. Without, all that is
    /// certain is that the first is one and what failed is more.
    pub attempts: bool,
    /// A message can be published now and delivered from a time on ([`Message::due`]).
    pub delay: bool,
}

/// A message to be published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its data.
    pub data: Bytes,
    /// Its data's media type; empty if nobody said.
    pub content_type: String,
    /// What it is about, where [`Features::ordering`]. Empty: in nobody's way.
    pub key: Bytes,
    /// For how long it is of use, where [`Features::ttl`]; without one, for as long as it is kept.
    pub ttl: Option<Duration>,
    /// From when on it is delivered, where [`Features::delay`]: others are not given one. What it lives counts from then on.
    pub due: Option<SystemTime>,
    /// More that is to be known of it.
    pub metadata: BTreeMap<String, String>,
}

/// How a subscription consumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where a group begins that comes to be. Default: [`Begin::Start`].
    pub begin: Begin,
    /// How many messages it may hold that it has not answered, roughly: a broker whose topics have parts may count each by
    /// itself. Default 256. Zero is taken as one.
    pub held_max: usize,
    /// How long it has for a message before that counts as a failure. Default 60 s.
    pub answer_within: Duration,
}

/// Where a group begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Begin {
    /// With the oldest message that is kept.
    #[default]
    Start,
    /// With what is published from then on.
    End,
}

/// A message that a subscription holds until it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// What it is answered by.
    pub receipt: Receipt,
    /// The how manieth attempt this is, from one.
    pub attempt: u32,
    /// When it was published.
    pub published: SystemTime,
    /// The message. That it lives no longer is not told again.
    pub message: Message,
}

/// A message's place, for who delivered it: two numbers, as most brokers have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt(pub u64, pub u64);

impl Message {
    /// One with its data alone.
    pub fn new(data: impl Into<Bytes>) -> Message {
        Message { data: data.into(), ..Message::default() }
    }

    /// With a key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Message {
        self.key = key.into();
        self
    }
}

impl Default for Options {
    fn default() -> Options {
        Options { begin: Begin::Start, held_max: 256, answer_within: Duration::from_secs(60) }
    }
}

/// Why something was not done, by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It cannot be done as it was asked for. Nothing was published.
    Invalid(String),
    /// It was asked for under an idempotency key that another request had. Nothing was published.
    Reused(String),
    /// What keeps the messages could not be asked, or did not answer: it may have been done.
    Unavailable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Error::Invalid(why) | Error::Reused(why) | Error::Unavailable(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for Error {}

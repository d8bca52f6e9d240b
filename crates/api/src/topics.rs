//! Topics as operators have them: what there is, how far groups are, and moving them; what becomes of messages that fail.
//!
//! Only of topics that the engine keeps: a broker outside has its own tools for that.

use std::collections::BTreeMap;

use engine::blocks::topic::{
    Action, Aside, DeadLetter, Failing, GivenUp, Kept, Partition, Place, Waits, Which,
};
use engine::blocks::{Idempotency, Time};
use http::StatusCode;
use tonic::Code;

use crate::api::Api;
use crate::error::Error;
use crate::pubsub::PubSub;
use crate::refused::{Codes, codes, refused};
use crate::state::Engine;

/// The topics of a pubsub.
pub struct Topics<'a> {
    pubsub: PubSub<'a>,
    engine: Engine<'a>,
}

/// A topic.
pub struct Topic<'a> {
    name: &'a str,
    once: Option<&'a Idempotency>,
    /// As the engine calls it.
    whole: String,
    /// What its pubsub's topics have before their names.
    prefix: usize,
    engine: Engine<'a>,
}

/// How a topic stands.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Its name.
    pub name: String,
    /// Those partitions that have had a message, with what is in them.
    pub partitions: Vec<(u32, Partition)>,
    /// Its groups.
    pub groups: BTreeMap<String, Group>,
}

/// How a group stands.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// How many messages it is not done with.
    pub lag: u64,
    /// How many of them are set aside: they failed, or wait behind such.
    pub aside: u64,
    /// How many it never dealt with, since they had expired or retention took them away.
    pub missed: u64,
    /// How many were left out.
    pub skipped: u64,
    /// How many became dead letters.
    pub dead: u64,
    /// Where it is, by partition: the first offset that it is not done with, and how far it is behind.
    pub at: Vec<(u32, u64, u64)>,
}

/// Where a group goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The first messages that are kept.
    Start,
    /// Behind the last.
    End,
    /// The first that were published then or later.
    Time(Time),
    /// An offset of one partition.
    Offset {
        /// The partition.
        partition: u32,
        /// The offset.
        offset: u64,
    },
}

/// What happens to messages that a group fails at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnFailure {
    /// How often a message is delivered; zero for without end. Default: 10.
    pub attempts_max: Option<u32>,
    /// The wait after the first failure, in milliseconds. Default: a second.
    pub backoff_ms: Option<u64>,
    /// The longest, in milliseconds. Default: a minute.
    pub backoff_max_ms: Option<u64>,
    /// What becomes of one that is given up.
    pub given_up: GivenUp,
    /// Where dead letters go: another topic of the pubsub.
    pub dead_letter: Option<String>,
}

/// A message that a group has set aside.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The partition.
    pub partition: u32,
    /// Its offset there.
    pub offset: u64,
    /// Its key, what it waits for, and its failures.
    pub aside: Aside,
}

/// Asks whichever engine has the topics.
macro_rules! ask {
    ($topic:expr, $doing:literal, $of:ident => $ask:expr) => {{
        let asked = async {
            match $topic.engine {
                Engine::Disk(engine) => {
                    let $of = engine.topic(&$topic.whole)?;
                    let $of = match $topic.once {
                        Some(once) => $of.once(once),
                        None => $of,
                    };
                    $ask
                }
                Engine::Memory(engine) => {
                    let $of = engine.topic(&$topic.whole)?;
                    let $of = match $topic.once {
                        Some(once) => $of.once(once),
                        None => $of,
                    };
                    $ask
                }
            }
        };
        asked.await.map_err(|error: engine::Error| failed($topic.name, $doing, &error))
    }};
}

impl Api {
    /// The topics of a pubsub.
    ///
    /// # Errors
    ///
    /// If there cannot be one of this name, or its topics are kept outside.
    pub fn topics<'a>(&'a self, pubsub: &'a str) -> Result<Topics<'a>, Error> {
        let pubsub = self.pubsub(pubsub)?;
        let engine = pubsub.engine().ok_or_else(|| {
            let message =
                format!("the topics of pubsub {} are kept outside: ask who keeps them", pubsub.name());
            Error::new("ERR_TOPIC_OUTSIDE", StatusCode::BAD_REQUEST, Code::FailedPrecondition, message)
        })?;
        Ok(Topics { pubsub, engine })
    }
}

impl<'a> Topics<'a> {
    /// Up to `max` topics by name that the application may subscribe to, those after `after`.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn list(&self, after: Option<&str>, max: usize) -> Result<Vec<Look>, Error> {
        let prefix = self.pubsub.engine_topic("");
        let after = after.filter(|after| !after.is_empty()).map(|after| format!("{prefix}{after}"));
        let found = match self.engine {
            Engine::Disk(engine) => engine.topics(&prefix, after.as_deref(), max).await,
            Engine::Memory(engine) => engine.topics(&prefix, after.as_deref(), max).await,
        };
        let found = found.map_err(|error| failed(self.pubsub.name(), "listing topics of", &error))?;
        let mut looks = Vec::with_capacity(found.len());
        for whole in found {
            let name = &whole[prefix.len()..];
            if self.pubsub.may_subscribe(name) {
                looks.push(self.topic(name)?.look().await?);
            }
        }
        Ok(looks)
    }

    /// A topic.
    ///
    /// # Errors
    ///
    /// If there cannot be one, or the application may not subscribe to it.
    pub fn topic<'t>(&self, name: &'t str) -> Result<Topic<'t>, Error>
    where
        'a: 't,
    {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(invalid(format!("{name:?} is no name of a topic")));
        }
        if !self.pubsub.may_subscribe(name) {
            let message =
                format!("topic {name} of pubsub {} is not open to this application", self.pubsub.name());
            return Err(Error::new(
                "ERR_TOPIC_FORBIDDEN",
                StatusCode::FORBIDDEN,
                Code::PermissionDenied,
                message,
            ));
        }
        let whole = self.pubsub.engine_topic(name);
        Ok(Topic { name, once: None, prefix: whole.len() - name.len(), whole, engine: self.engine })
    }
}

impl<'a> Topic<'a> {
    /// The same, with what is asked done once under this.
    #[must_use]
    pub fn once(self, once: Option<&'a Idempotency>) -> Topic<'a> {
        Topic { once, ..self }
    }

    /// How it stands.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn look(&self) -> Result<Look, Error> {
        ask!(self, "looking at", topic => {
            let mut look = Look { name: self.name.to_owned(), ..Look::default() };
            for partition in 0..topic.partitions() {
                let counts = topic.counts(partition).await?;
                let is_used = counts.next > 0 || counts.delayed > 0;
                for status in topic.groups(partition).await? {
                    let group = look.groups.entry(status.name).or_default();
                    group.lag += status.lag;
                    group.aside += status.group.aside;
                    group.missed += status.group.missed;
                    group.skipped += status.group.skipped;
                    group.dead += status.group.dead;
                    if is_used {
                        group.at.push((partition, status.cursor, status.lag));
                    }
                }
                if is_used {
                    look.partitions.push((partition, counts));
                }
            }
            Ok(look)
        })
    }

    /// How it stands, if it was ever used.
    ///
    /// # Errors
    ///
    /// If it was not, or cannot be read.
    pub async fn found(&self) -> Result<Look, Error> {
        let look = self.look().await?;
        match look.partitions.is_empty() && look.groups.is_empty() {
            true => Err(not_found(format!("there is no topic {}", self.name))),
            false => Ok(look),
        }
    }

    /// How a group stands, and what happens to messages that it fails at.
    ///
    /// # Errors
    ///
    /// If there is none, or it cannot be read.
    pub async fn group(&self, name: &str) -> Result<(Group, OnFailure), Error> {
        let group = self.look().await?.groups.remove(name).ok_or_else(|| self.no_group(name))?;
        let failing = ask!(self, "looking at", topic => topic.failing(name).await)?;
        Ok((group, self.told(failing)))
    }

    /// Sets what happens to messages that a group fails at; without, what holds for the topic holds again.
    ///
    /// # Errors
    ///
    /// If something is malformed.
    pub async fn define_group(&self, group: &str, failing: Option<OnFailure>) -> Result<(), Error> {
        let failing = failing.map(|failing| self.lowered(failing));
        ask!(self, "setting a group of", topic => topic.define_group(group, failing.clone()).await)
    }

    /// Takes a group away.
    ///
    /// # Errors
    ///
    /// If there is none, or that cannot be written.
    pub async fn unsubscribe(&self, group: &str) -> Result<(), Error> {
        self.check_group(group).await?;
        ask!(self, "taking a group from", topic => topic.unsubscribe(group).await)
    }

    /// Moves a group.
    ///
    /// # Errors
    ///
    /// If there is none, or no such place.
    pub async fn seek(&self, group: &str, to: To) -> Result<(), Error> {
        self.check_group(group).await?;
        let place = match to {
            To::Start => Place::start(),
            To::End => Place::end(),
            To::Time(time) => Place::time(time),
            To::Offset { offset, .. } => Place::offset(offset),
        };
        let To::Offset { partition, .. } = to else {
            return ask!(self, "moving a group of", topic => topic.seek(group, &place).await);
        };
        self.check_partition(partition).await?;
        ask!(self, "moving a group of", topic => topic.seek_in(partition, group, &place).await)
    }

    /// Up to `max` messages that a group has set aside.
    ///
    /// # Errors
    ///
    /// If there is no such group, or they cannot be read.
    pub async fn failed(&self, group: &str, max: usize) -> Result<Vec<Failed>, Error> {
        self.check_group(group).await?;
        ask!(self, "looking at", topic => {
            let mut all = Vec::new();
            for partition in 0..topic.partitions() {
                let found = topic.asides(partition, group, 0, max - all.len()).await?;
                all.extend(found.into_iter().map(|(offset, aside)| Failed { partition, offset, aside }));
                if all.len() == max {
                    break;
                }
            }
            Ok(all)
        })
    }

    /// Decides what becomes of messages that a group has set aside, in one partition or in all. Returns how many they were.
    ///
    /// # Errors
    ///
    /// If there is no such group, or no topic for dead letters.
    pub async fn resolve(
        &self,
        group: &str,
        partition: Option<u32>,
        which: &Which,
        action: Action,
    ) -> Result<u64, Error> {
        self.check_group(group).await?;
        if let Some(partition) = partition {
            self.check_partition(partition).await?;
        }
        ask!(self, "resolving messages of", topic => {
            let partitions = partition.map_or(0..topic.partitions(), |partition| partition..partition + 1);
            let mut count = 0;
            for partition in partitions {
                count += topic.resolve(partition, group, which.clone(), action).await?;
            }
            Ok(count)
        })
    }

    /// Up to `max` messages of a partition, from an offset on.
    ///
    /// # Errors
    ///
    /// If there is no such partition, or they cannot be read.
    pub async fn read(&self, partition: u32, from: u64, max: usize) -> Result<Vec<Kept>, Error> {
        self.check_partition(partition).await?;
        ask!(self, "reading", topic => topic.read(partition, from, max).await)
    }

    async fn check_partition(&self, partition: u32) -> Result<(), Error> {
        let partitions = ask!(self, "looking at", topic => Ok(topic.partitions()))?;
        match partition < partitions {
            true => Ok(()),
            false => Err(invalid(format!(
                "topic {} has {partitions} partitions, counted from 0, and none with the number {partition}",
                self.name
            ))),
        }
    }

    /// Refuses a group that is not there. Not of what is done once: it may have been there when that was done.
    async fn check_group(&self, name: &str) -> Result<(), Error> {
        if self.once.is_some() {
            return Ok(());
        }
        let groups = ask!(self, "looking at", topic => topic.groups(0).await)?;
        match groups.iter().any(|group| group.name == name) {
            true => Ok(()),
            false => Err(self.no_group(name)),
        }
    }

    fn no_group(&self, name: &str) -> Error {
        not_found(format!("no group {name} consumes topic {}", self.name))
    }

    fn lowered(&self, on: OnFailure) -> Failing {
        let dead_letter = on.dead_letter.map(|topic| DeadLetter {
            topic: format!("{}{topic}", &self.whole[..self.prefix]),
            ..DeadLetter::default()
        });
        Failing {
            attempts_max: on.attempts_max,
            backoff_ms: on.backoff_ms,
            backoff_max_ms: on.backoff_max_ms,
            given_up: on.given_up.into(),
            dead_letter,
        }
    }

    fn told(&self, failing: Failing) -> OnFailure {
        let prefix = &self.whole[..self.prefix];
        OnFailure {
            attempts_max: Some(failing.attempts_max()),
            backoff_ms: Some(failing.backoff_ms()),
            backoff_max_ms: Some(failing.backoff_max_ms()),
            given_up: failing.given_up(),
            dead_letter: failing
                .dead_letter
                .map(|to| to.topic.strip_prefix(prefix).unwrap_or(&to.topic).to_owned()),
        }
    }
}

/// What a message that is set aside waits for.
pub(crate) fn word(waits: Waits) -> &'static str {
    match waits {
        Waits::Turn => "retry",
        Waits::Blocked => "blocked",
        Waits::Parked => "parked",
    }
}

/// What is malformed.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new("ERR_TOPIC_INVALID", StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
}

fn not_found(message: String) -> Error {
    Error::new("ERR_TOPIC_NOT_FOUND", StatusCode::NOT_FOUND, Code::NotFound, message)
}

fn failed(name: &str, doing: &str, error: &engine::Error) -> Error {
    refused(CODES, ("topic", name), doing, error)
}

const CODES: Codes = codes!("TOPIC");
/// What becomes of messages that are given up.
pub(crate) const GIVEN_UP: [(&str, GivenUp); 4] = [
    ("park", GivenUp::Park),
    ("block", GivenUp::Block),
    ("skip", GivenUp::Skip),
    ("deadLetter", GivenUp::DeadLetter),
];
/// What can become of messages that are set aside.
pub(crate) const ACTIONS: [(&str, Action); 3] =
    [("retry", Action::Retry), ("skip", Action::Skip), ("deadLetter", Action::DeadLetter)];
/// Longest name of a topic, as the engine has it.
const NAME_BYTES_MAX: usize = 255;

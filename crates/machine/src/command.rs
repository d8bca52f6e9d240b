//! All commands and replies, and the one place where a command finds its block.

use crate::config;
use crate::context::{Bodies, Context};
use crate::effect::Effect;
use crate::entry::Entry;
use crate::job;
use crate::kv;
use crate::lock;
use crate::outbox;
use crate::placement::{Shard, Shards};
use crate::queue;
use crate::refusal::{Code, Refusal};
use crate::state::State;
use crate::stream;
use crate::timer;
use crate::topic;

/// Applies `entry` as the `sequence`th of `shard` to `state`.
///
/// Deterministic: the same entries in the same order give the same state, replies and effects,
/// whatever runs them.
///
/// # Errors
///
/// A refusal is a reply like others: the entry has been applied, and changed nothing.
pub fn apply(
    state: &mut dyn State,
    shard: Shard,
    sequence: u64,
    entry: &Entry,
    effects: &mut Vec<Effect>,
) -> Result<Reply, Refusal> {
    let bodies = Bodies::Fresh(&entry.bodies);
    let mut context = Context::new(state, shard, sequence, entry.time, bodies, effects);
    let Some(idempotency) = &entry.idempotency else { return apply_once(&mut context, entry) };
    if let Some(outcome) = idempotency.recall(&context) {
        return outcome;
    }
    context.room_for_timers(1)?;
    let outcome = apply_once(&mut context, entry);
    idempotency.remember(&mut context, &outcome);
    outcome
}

/// The command and, unless it is refused, what is sent with it.
fn apply_once(context: &mut Context<'_>, entry: &Entry) -> Result<Reply, Refusal> {
    outbox::room(context.state(), &entry.sends)?;
    let reply = entry.command.apply(context)?;
    for send in &entry.sends {
        let bodies = send.bodies.iter().map(|body| context.store(*body)).collect::<Result<Vec<_>, _>>()?;
        context.send_besides(Shard(send.target), (*send.command).clone(), bodies);
    }
    Ok(reply)
}

/// A command to a shard.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Command {
    /// What is to be done; nothing if it is of a later version.
    #[prost(oneof = "Kind", tags = "1, 2, 3, 10, 11, 12, 13, 14, 15, 16")]
    pub kind: Option<Kind>,
}

/// What a command can be of.
///
/// The numbers are in files on disk: they are never used for anything else.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    /// Timers that are due.
    #[prost(message, tag = "1")]
    Fire(timer::Fire),
    /// A command of another shard.
    #[prost(message, tag = "2")]
    Deliver(outbox::Deliver),
    /// A command that another shard has.
    #[prost(message, tag = "3")]
    Delivered(outbox::Delivered),
    /// Key-value state.
    #[prost(message, tag = "10")]
    Kv(kv::Command),
    /// Topics.
    #[prost(message, tag = "11")]
    Topic(topic::Command),
    /// Queues.
    #[prost(message, tag = "12")]
    Queue(queue::Command),
    /// Locks.
    #[prost(message, tag = "15")]
    Lock(lock::Command),
    /// Event streams.
    #[prost(message, tag = "13")]
    Stream(stream::Command),
    /// Configuration.
    #[prost(message, tag = "16")]
    Config(config::Command),
    /// Jobs.
    #[prost(message, tag = "14")]
    Job(job::Command),
}

/// What a command was answered.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Reply {
    /// The answer; nothing where there is nothing to say.
    #[prost(oneof = "Answer", tags = "10, 11, 12, 13, 14, 15, 16")]
    pub answer: Option<Answer>,
}

/// What an answer can be of. Numbers as [`Kind`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Answer {
    /// Key-value state.
    #[prost(message, tag = "10")]
    Kv(kv::Reply),
    /// Topics.
    #[prost(message, tag = "11")]
    Topic(topic::Reply),
    /// Queues.
    #[prost(message, tag = "12")]
    Queue(queue::Reply),
    /// Locks.
    #[prost(message, tag = "15")]
    Lock(lock::Reply),
    /// Event streams.
    #[prost(message, tag = "13")]
    Stream(stream::Reply),
    /// Configuration.
    #[prost(message, tag = "16")]
    Config(config::Reply),
    /// Jobs.
    #[prost(message, tag = "14")]
    Job(job::Reply),
}

impl Command {
    /// Refuses what is malformed whatever the state: looked at before it gets into a log.
    ///
    /// # Errors
    ///
    /// A [`Code::Invalid`] with a sentence for the caller.
    pub fn check(&self) -> Result<(), Refusal> {
        match &self.kind {
            Some(Kind::Fire(_) | Kind::Delivered(_)) => Ok(()),
            Some(Kind::Deliver(deliver)) => deliver.command.check_sent(),
            Some(Kind::Kv(command)) => command.check(),
            Some(Kind::Topic(command)) => command.check(),
            Some(Kind::Queue(command)) => command.check(),
            Some(Kind::Lock(command)) => command.check(),
            Some(Kind::Stream(command)) => command.check(),
            Some(Kind::Config(command)) => command.check(),
            Some(Kind::Job(command)) => command.check(),
            None => Err(Refusal::new(Code::Invalid, "the command is empty")),
        }
    }

    /// Refuses a job, or a topic's way for dead letters, that names shards which there are not.
    pub(crate) fn check_targets(&self, shards: Shards) -> Result<(), Refusal> {
        match &self.kind {
            Some(Kind::Job(command)) => command.check_targets(shards),
            Some(Kind::Topic(command)) => command.check_targets(shards),
            _ => Ok(()),
        }
    }

    /// As [`Command::check`], for a command that a shard sends to another: the machine's own are not among
    /// those, or whoever may send could acknowledge for others.
    pub(crate) fn check_sent(&self) -> Result<(), Refusal> {
        match &self.kind {
            Some(Kind::Fire(_) | Kind::Deliver(_) | Kind::Delivered(_)) => {
                Err(Refusal::new(Code::Invalid, "a command of the machine's own is not sent to other shards"))
            }
            _ => self.check(),
        }
    }

    pub(crate) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        match &self.kind {
            Some(Kind::Fire(fire)) => fire.apply(context),
            Some(Kind::Deliver(deliver)) => deliver.apply(context)?,
            Some(Kind::Delivered(delivered)) => delivered.apply(context),
            Some(Kind::Kv(command)) => return command.apply(context).map(Reply::from),
            Some(Kind::Topic(command)) => return command.apply(context).map(Reply::from),
            Some(Kind::Queue(command)) => return command.apply(context).map(Reply::from),
            Some(Kind::Lock(command)) => return command.apply(context).map(Reply::from),
            Some(Kind::Stream(command)) => return command.apply(context).map(Reply::from),
            Some(Kind::Config(command)) => return command.apply(context).map(Reply::from),
            Some(Kind::Job(command)) => return command.apply(context).map(Reply::from),
            // `check` lets none in, so this log was written by a later version: an older one must not go
            // on with a state that differs.
            None => panic!("the log holds a command that this version does not know"),
        }
        Ok(Reply::default())
    }
}

/// A block's command is a command, and its reply a reply.
macro_rules! block {
    ($module:ident, $variant:ident) => {
        impl From<$module::Command> for Command {
            fn from(command: $module::Command) -> Command {
                Command { kind: Some(Kind::$variant(command)) }
            }
        }

        impl From<$module::Reply> for Reply {
            fn from(reply: $module::Reply) -> Reply {
                Reply { answer: Some(Answer::$variant(reply)) }
            }
        }
    };
}

block!(kv, Kv);
block!(topic, Topic);
block!(queue, Queue);
block!(lock, Lock);
block!(stream, Stream);
block!(config, Config);
block!(job, Job);

macro_rules! core {
    ($module:ident, $kind:ident) => {
        impl From<$module::$kind> for Command {
            fn from(command: $module::$kind) -> Command {
                Command { kind: Some(Kind::$kind(command)) }
            }
        }
    };
}

core!(timer, Fire);
core!(outbox, Deliver);
core!(outbox, Delivered);

/// The commands of a block, a row each: its number, and its type. `check` says what is wrong with one whatever the
/// state, `apply` does it, and returns what can become the block's `Reply`.
///
/// Of the rows are made the block's `Command` and `Kind`, and that each command is one of the machine's. The numbers
/// are in files on disk: they are never used for anything else.
macro_rules! commands {
    ($to:literal; $($(#[$doc:meta])+ $number:tt => $name:ident,)+) => {
        #[doc = concat!("A command to ", $to, ".")]
        #[derive(Clone, PartialEq, prost::Message)]
        pub struct Command {
            /// Which.
            #[prost(oneof = "Kind", tags($($number),+))]
            pub kind: Option<Kind>,
        }

        #[doc = concat!("The commands to ", $to, ".")]
        #[derive(Clone, PartialEq, prost::Oneof)]
        pub enum Kind {
            $($(#[$doc])+ #[prost(message, tag = $number)] $name($name),)+
        }

        impl Command {
            pub(crate) fn check(&self) -> Result<(), $crate::Refusal> {
                match &self.kind {
                    $(Some(Kind::$name(command)) => command.check(),)+
                    None => {
                        let empty = concat!("the command to ", $to, " is empty");
                        Err($crate::Refusal::new($crate::Code::Invalid, empty))
                    }
                }
            }

            pub(crate) fn apply(&self, context: &mut $crate::Context<'_>) -> Result<Reply, $crate::Refusal> {
                match &self.kind {
                    $(Some(Kind::$name(command)) => command.apply(context).map(Reply::from),)+
                    None => panic!(concat!("the log holds a command to ", $to, " that this version does not know")),
                }
            }
        }

        $(impl From<$name> for $crate::Command {
            fn from(command: $name) -> $crate::Command {
                Command { kind: Some(Kind::$name(command)) }.into()
            }
        })+
    };
}

/// The answers of a block that has several, a row each as those of [`commands`]: they make its `Reply`.
macro_rules! answers {
    ($to:literal; $($(#[$doc:meta])+ $number:tt => $name:ident,)+) => {
        #[doc = concat!("What a command to ", $to, " was answered.")]
        #[derive(Clone, PartialEq, prost::Message)]
        pub struct Reply {
            /// The answer; nothing where there is nothing to say.
            #[prost(oneof = "Answer", tags($($number),+))]
            pub answer: Option<Answer>,
        }

        #[doc = concat!("The answers to commands to ", $to, ".")]
        #[derive(Clone, PartialEq, prost::Oneof)]
        pub enum Answer {
            $($(#[$doc])+ #[prost(message, tag = $number)] $name($name),)+
        }

        $(impl From<$name> for Reply {
            fn from(answer: $name) -> Reply {
                Reply { answer: Some(Answer::$name(answer)) }
            }
        })+
    };
}

pub(crate) use {answers, commands};

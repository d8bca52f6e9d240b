//! What an application asks for, block by block: which shard it is, at which place of an entry a payload lies and what
//! of an answer is meant are nobody's matter but these files'.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use engine::blocks::kv::Write;
//! use engine::blocks::queue::Item;
//! use engine::blocks::topic::Message;
//! use engine::{Config, Engine, Kind, System};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! // In a program of one's own: `Embedded::open_in(folder, Config::default())`.
//! let (log, store) = (Arc::new(log::Memory::new()), Arc::new(engine::store::Memory::default()));
//! let engine = Engine::open(Config::default(), log, store, System)?;
//!
//! let carts = engine.kv("carts")?.scope("shop");
//! let etag = carts.put("ada", "3 apples", Write::if_absent()).await?;
//! let late = carts.put("ada", "1 pear", Write::if_absent()).await;
//! assert_eq!(late.unwrap_err().kind(), Kind::Conflict);
//! assert_eq!(carts.get(b"ada").await?.unwrap().etag, etag);
//!
//! // The order, the item of work and the message are one commit: all of them are there, or none.
//! let along = [
//!     engine.queue("to-pack")?.sending([Item::new("order 1")]),
//!     engine.topic("orders")?.publishing(Message::new("order 1").key("ada")),
//! ];
//! carts.along(&along).put("order 1", "3 apples", Write::default()).await?;
//!
//! let packing = engine.queue("to-pack")?;
//! let work = packing.receive("packer", 10, None, Duration::from_secs(20)).await?;
//! assert_eq!(&work[0].payload[..], b"order 1");
//! packing.acknowledge(&[work[0].receipt]).await?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

pub mod config;
pub mod jobs;
pub mod kv;
pub mod lock;
pub mod projection;
pub mod queue;
pub mod stream;
pub mod topic;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use log::Log;
pub use machine::Refusal as Refused;
pub use machine::Time;
use machine::command::Answer;
pub use machine::idempotency::Idempotency;
use machine::limits;
use machine::outbox::Send;
use machine::{Command, Entry, Refusal, Reply, Shard, Stored};

use crate::commits::Wait;
use crate::engine::{Engine, Inner};
use crate::error::Error;
use crate::overlay::Overlay;
use crate::shapes::Shapes;
use crate::store::Store;

impl<L: Log, S: Store> Engine<L, S> {
    /// A store of key-value state. It needs no definition.
    ///
    /// # Errors
    ///
    /// If there can be none of this name, or the state cannot be read.
    pub fn kv<'a>(&'a self, store: &'a str) -> Result<kv::Kv<'a, L, S>, Error> {
        kv::Kv::new(Ask::new(&self.inner, ["store", store]), store)
    }

    /// A topic. It needs no definition.
    ///
    /// # Errors
    ///
    /// If there can be none of this name, or the state cannot be read.
    pub fn topic<'a>(&'a self, topic: &'a str) -> Result<topic::Topic<'a, L, S>, Error> {
        topic::Topic::new(Ask::new(&self.inner, ["topic", topic]), topic)
    }

    /// A queue. It needs no definition.
    ///
    /// # Errors
    ///
    /// If there can be none of this name, or the state cannot be read.
    pub fn queue<'a>(&'a self, queue: &'a str) -> Result<queue::Queue<'a, L, S>, Error> {
        queue::Queue::new(Ask::new(&self.inner, ["queue", queue]), queue)
    }

    /// A store of event streams. It has to be [defined](stream::Streams::define) once.
    ///
    /// # Errors
    ///
    /// If there can be none of this name, or the state cannot be read.
    pub fn streams<'a>(&'a self, store: &'a str) -> Result<stream::Streams<'a, L, S>, Error> {
        stream::Streams::new(Ask::new(&self.inner, ["streams", store]), store)
    }

    /// A lock.
    pub fn lock<'a>(&'a self, store: &'a str, scope: &'a str, name: &'a str) -> lock::Lock<'a, L, S> {
        lock::Lock::new(Ask::new(&self.inner, ["locks", store]).within(name), store, scope, name)
    }

    /// The jobs of a scope, as a rule a service.
    pub fn jobs<'a>(&'a self, scope: &'a str) -> jobs::Jobs<'a, L, S> {
        jobs::Jobs::new(Ask::new(&self.inner, ["jobs", scope]), scope)
    }

    /// A store of configuration items.
    pub fn configuration<'a>(&'a self, store: &'a str) -> config::Configuration<'a, L, S> {
        config::Configuration::new(Ask::new(&self.inner, ["configuration", store]), store)
    }
}

/// The first `max` of what the shards have, each once, in order.
fn union<L: Log, S: Store, T: Ord>(
    inner: &Inner<L, S>,
    max: usize,
    look: impl Fn(&Overlay<S>) -> Vec<T>,
) -> Result<Vec<T>, Error> {
    let mut all = BTreeSet::new();
    for shard in inner.shards().all() {
        all.extend(inner.read(shard, |state, _| look(state))?);
    }
    Ok(all.into_iter().take(max).collect())
}

/// Refuses what can be no name. A write with one is refused by its entry; to read by one would find nothing, or something else.
fn named(kind: &str, name: &str) -> Result<(), Error> {
    limits::name(kind, name).map_err(Error::Refused)
}

/// A command for some shard, with its payloads: what is committed along with another, or what a job sends.
#[derive(Clone, Debug)]
pub struct Outgoing {
    target: Shard,
    command: Command,
    bodies: Vec<Bytes>,
}

/// Who asks, and what goes along.
pub(crate) struct Ask<'a, L, S> {
    inner: &'a Arc<Inner<L, S>>,
    /// What is asked about: its kind, its name, and the part of it if parts may lie in different shards.
    about: [&'a str; 3],
    idempotency: Option<&'a Idempotency>,
    outgoing: &'a [Outgoing],
}

impl<L, S> Clone for Ask<'_, L, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L, S> Copy for Ask<'_, L, S> {}

impl<'a, L: Log, S: Store> Ask<'a, L, S> {
    fn new(inner: &'a Arc<Inner<L, S>>, [kind, name]: [&'a str; 2]) -> Ask<'a, L, S> {
        Ask { inner, about: [kind, name, ""], idempotency: None, outgoing: &[] }
    }

    /// The same about a part of it.
    fn within<'b>(&self, part: &'b str) -> Ask<'b, L, S>
    where
        'a: 'b,
    {
        let [kind, name, _] = self.about;
        Ask { about: [kind, name, part], ..*self }
    }

    pub(crate) fn inner(&self) -> &'a Arc<Inner<L, S>> {
        self.inner
    }

    async fn propose(&self, shard: Shard, entry: Entry) -> Result<Option<Answer>, Error> {
        let Reply { answer } = self.inner.propose(shard, self.dress(entry)).await?;
        Ok(answer)
    }

    /// Has it forgotten how something lies, wherever the engine is asked to.
    fn forget<F>(
        &self,
        name: &str,
        forget: F,
    ) -> impl Fn() + Clone + std::marker::Send + 'static + use<L, S, F>
    where
        F: Fn(&Shapes, &str) + Clone + std::marker::Send + 'static,
    {
        let (inner, name) = (Arc::downgrade(self.inner), name.to_owned());
        move || {
            if let Some(inner) = inner.upgrade() {
                forget(inner.shapes(), &name);
            }
        }
    }

    /// One of `count` commands that a request makes.
    async fn propose_part(
        &self,
        part: usize,
        count: usize,
        shard: Shard,
        entry: Entry,
    ) -> Result<Option<Answer>, Error> {
        if count > 1 && !self.outgoing.is_empty() {
            let several = "what is committed along needs one commit, and this request makes several: it is about more \
                           than one shard or partition";
            return Err(Error::invalid(several));
        }
        let mut entry = self.dress(entry);
        if let Some(idempotency) = entry.idempotency.as_mut().filter(|_| count > 1) {
            // Two of them may be in the same shard.
            idempotency.key = format!("{} {part}", idempotency.key);
        }
        let Reply { answer } = self.inner.propose(shard, entry).await?;
        Ok(answer)
    }

    /// One of the commands that a request makes one after the other, as many as it takes. Under an idempotency key each is
    /// remembered by itself, so that who asks again goes on where it has come to.
    async fn propose_step(
        &self,
        step: impl Display + std::marker::Send,
        shard: Shard,
        entry: Entry,
    ) -> Result<Option<Answer>, Error> {
        let begun = self.begin_step(&step, shard, entry)?;
        begun.await
    }

    /// The same, proposed at once: of several that are for one shard, one is done after the other.
    fn begin_step(
        &self,
        step: &dyn Display,
        shard: Shard,
        entry: Entry,
    ) -> Result<impl Future<Output = Result<Option<Answer>, Error>> + use<L, S>, Error> {
        let mut entry = self.dress(entry);
        if let Some(idempotency) = &mut entry.idempotency {
            idempotency.key = derived(&idempotency.key, step);
        }
        let wait = Wait::begin();
        let (inner, answer) = (Arc::clone(self.inner), self.inner.begin(shard, entry)?);
        Ok(async move {
            let _wait = wait;
            Ok(inner.answered(answer).await?.answer)
        })
    }

    fn dress(&self, mut entry: Entry) -> Entry {
        // A shard remembers only its own requests. So that it is not chance whether two are taken for one, those about
        // different things are different ones wherever they lie.
        entry.idempotency = self.idempotency.map(|given| {
            let [kind, name, part] = self.about;
            Idempotency { key: derived(&given.key, &format_args!("{kind}\n{name}\n{part}")), ..given.clone() }
        });
        for outgoing in self.outgoing {
            let first = entry.bodies.len() as u32;
            entry.bodies.extend_from_slice(&outgoing.bodies);
            entry.sends.push(Send {
                target: outgoing.target.0,
                command: Box::new(outgoing.command.clone()),
                bodies: (first..entry.bodies.len() as u32).collect(),
            });
        }
        entry
    }

    fn read<R>(&self, shard: Shard, look: impl FnOnce(&Overlay<S>, Time) -> R) -> Result<R, Error> {
        self.inner.read(shard, look)
    }

    /// What `look` found, with the payloads of which it says where they are.
    fn read_with<R>(
        &self,
        shard: Shard,
        look: impl Fn(&Overlay<S>, Time) -> Result<(R, Vec<Stored>), Refusal>,
    ) -> Result<(R, Vec<Bytes>), Error> {
        loop {
            let (looked, stored) = self.inner.read(shard, &look)??;
            if let Some(payloads) = self.inner.payloads(shard, &stored)? {
                return Ok((looked, payloads));
            }
        }
    }
}

/// The key of a part of a request: no other request has it, for none has a line break in its key.
fn derived(key: &str, part: &dyn Display) -> String {
    format!("{key}\n{part}")
}

/// What can be said of every command that a handle makes.
macro_rules! dressing {
    ($handle:ident) => {
        impl<'a, L: Log, S: Store> $handle<'a, L, S> {
            /// Whatever is asked is done once under this key: who asks again gets the answer of the first time.
            #[must_use]
            pub fn once(mut self, idempotency: &'a machine::idempotency::Idempotency) -> Self {
                self.ask.idempotency = Some(idempotency);
                self
            }

            /// What is asked is committed together with `outgoing`: all of it, or nothing.
            #[must_use]
            pub fn along(mut self, outgoing: &'a [crate::blocks::Outgoing]) -> Self {
                self.ask.outgoing = outgoing;
                self
            }
        }
    };
}
use dressing;

/// What of a request is for one shard or partition: at which places it was named, and its payloads.
struct Part<T> {
    places: Vec<usize>,
    commands: Vec<T>,
    bodies: Vec<Bytes>,
}

impl<T> Default for Part<T> {
    fn default() -> Part<T> {
        Part { places: Vec::new(), commands: Vec::new(), bodies: Vec::new() }
    }
}

/// Answers that are not to what was asked are mistakes of this program.
fn unexpected(answer: Option<Answer>) -> ! {
    panic!("the machine answers something else than was asked: {answer:?}")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// At least one, where zero would mean something else.
fn some_millis(duration: Duration) -> u64 {
    millis(duration).max(1)
}

fn time(millis: u64) -> Option<Time> {
    (millis > 0).then(|| Time::from_millis(millis))
}

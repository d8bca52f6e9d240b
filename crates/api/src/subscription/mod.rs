//! Subscriptions: what an application wants of which topic, and what becomes of an event by what the application
//! answers. No I/O: `crate::delivery` carries out what is decided here.
//!
//! A subscription is declared in a resource, told by the application when it is asked (`told`), or held open as a stream.
//! `routes` says where an event goes, `event` what of it is looked at and how it is brought, `answer` what the application
//! meant and `settle` what follows from that.

mod aim;
pub mod answer;
pub mod batch;
pub mod event;
mod knobs;
mod merge;
pub mod outstanding;
mod routes;
pub mod settle;
pub(crate) mod told;

use std::collections::BTreeMap;
use std::time::Duration;

pub use aim::{DEAD_LETTER_CAUSE, DEAD_LETTER_TOPIC, aim};
pub use knobs::{Knobs, Odd};
pub use merge::merged;
pub use routes::{Route, Routes, Rule};

/// What an application wants of a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// The broker.
    pub pubsub: String,
    /// The topic.
    pub topic: String,
    /// Where its events go.
    pub routes: Routes,
    /// Where events go that the application could not deal with or did not want; without, they are tried again or dropped.
    pub dead_letter: Option<String>,
    /// What else was said of it, as it was said.
    pub metadata: BTreeMap<String, String>,
    /// What that means.
    pub knobs: Knobs,
    /// How events are gathered, if they are to be.
    pub bulk: Option<Bulk>,
    /// Who said so.
    pub origin: Origin,
}

/// How events are gathered to be brought at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// How many at most. Default 100, from 1 to [`Bulk::MESSAGES_MAX`].
    pub messages_max: usize,
    /// How long the first waits for others. Default 1 s. Zero: not at all, and those go together that are there.
    pub wait_max: Duration,
}

/// Who said that there is a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A resource.
    Declarative,
    /// The application, when it was asked.
    Programmatic,
    /// The application, by a stream.
    Streaming,
}

impl Subscription {
    /// Whether it is to the same topic.
    pub fn is_to_that_of(&self, other: &Subscription) -> bool {
        self.pubsub == other.pubsub && self.topic == other.topic
    }
}

impl Bulk {
    /// Most events in one.
    pub const MESSAGES_MAX: usize = 1_000;
    /// Longest wait.
    pub const WAIT_MAX: Duration = Duration::from_secs(60);

    /// What was said, as far as it can be; zero and less is what nobody said.
    pub fn new(messages_max: i64, wait_max_ms: i64) -> Bulk {
        let messages = usize::try_from(messages_max).ok().filter(|count| *count > 0).unwrap_or(100);
        let wait = u64::try_from(wait_max_ms).ok().filter(|ms| *ms > 0).unwrap_or(1_000);
        Bulk {
            messages_max: messages.min(Bulk::MESSAGES_MAX),
            wait_max: Duration::from_millis(wait).min(Bulk::WAIT_MAX),
        }
    }
}

impl Origin {
    /// As it is told of.
    pub fn word(self) -> &'static str {
        match self {
            Origin::Declarative => "DECLARATIVE",
            Origin::Programmatic => "PROGRAMMATIC",
            Origin::Streaming => "STREAMING",
        }
    }
}

//! What clients asked for, and what they know of it.
//!
//! A client asks, and asks again under the same idempotency key when it cannot know what became of it: after a
//! failure or a crash. What it was told is final.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::BytesMut;
use engine::Error;
use machine::{Entry, Refusal, Reply, Shard, Time};

use crate::model::is_for_now;
use crate::workload::is_asked_again;

/// A request's number.
pub type Id = usize;
/// What the machine answered.
pub type Outcome = Result<Reply, Refusal>;

/// A request.
pub struct Request {
    pub shard: Shard,
    pub entry: Entry,
    pub knows: Knows,
    /// Whether an attempt is under way.
    pub asking: bool,
    /// How many attempts may be in the log: all but those that were answered as not done.
    attempts: usize,
    /// Where it is in the log, each time.
    places: Vec<u64>,
    /// What became of it, as the log says.
    outcome: Option<Outcome>,
}

/// What a client knows of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knows {
    /// Nothing.
    Nothing,
    /// What the machine answered.
    Outcome,
    /// That nothing has happened, and nothing will.
    NotDone,
}

/// All requests.
#[derive(Default)]
pub struct Requests {
    all: Vec<Request>,
    by_identity: HashMap<u64, Id>,
}

impl Requests {
    /// A new request, unless there is one like it.
    pub fn add(&mut self, shard: Shard, entry: Entry) -> Option<Id> {
        let identity = identity(&entry);
        if self.by_identity.contains_key(&identity) {
            return None;
        }
        let id = self.all.len();
        self.by_identity.insert(identity, id);
        self.all.push(Request {
            shard,
            entry,
            knows: Knows::Nothing,
            asking: false,
            attempts: 0,
            places: Vec::new(),
            outcome: None,
        });
        Some(id)
    }

    /// The shard that a request is to.
    pub fn shard(&self, id: Id) -> Shard {
        self.all[id].shard
    }

    /// The number of the next request.
    pub fn next(&self) -> Id {
        self.all.len()
    }

    /// An attempt begins: what is to be proposed.
    pub fn ask(&mut self, id: Id) -> (Shard, Entry) {
        let request = &mut self.all[id];
        assert!(!request.asking, "a client asks twice at a time");
        request.asking = true;
        request.attempts += 1;
        (request.shard, request.entry.clone())
    }

    /// Requests of which nothing is known and that can be asked again.
    pub fn in_doubt(&self) -> Vec<Id> {
        let open =
            |request: &Request| request.knows == Knows::Nothing && !request.asking && is_asked_again(request);
        (0..self.all.len()).filter(|id| open(&self.all[*id])).collect()
    }

    /// Those that an answer is owed to.
    pub fn asking(&self) -> usize {
        self.all.iter().filter(|request| request.asking).count()
    }

    /// The node is gone with what it was asked.
    pub fn crash(&mut self) {
        self.all.iter_mut().for_each(|request| request.asking = false);
    }

    /// The log holds `entry` as the `sequence`th of `shard`, which came to `outcome`: whose it is, if it is a client's.
    pub fn is_logged(&mut self, shard: Shard, sequence: u64, entry: &Entry, outcome: &Outcome) -> Option<Id> {
        let id = *self.by_identity.get(&identity(entry))?;
        let request = &mut self.all[id];
        assert_eq!(request.shard, shard, "request {id} is in the log of another shard");
        let places = request.places.len() + 1;
        assert!(
            places <= request.attempts,
            "request {id} may have been done {} times, for the other attempts were answered as not done, and is in the \
             log of {shard:?} at {:?} and {sequence}",
            request.attempts,
            request.places
        );
        if let Some(first) = request.outcome.as_ref().filter(|first| !is_for_now(first)) {
            assert_eq!(first, outcome, "request {id} was answered otherwise when it came again");
        }
        request.places.push(sequence);
        request.outcome = Some(outcome.clone());
        Some(id)
    }

    /// The engine answers; `applied` is up to where the request's shard has been applied by then.
    pub fn is_answered(&mut self, id: Id, answer: Result<Reply, Error>, applied: u64) {
        let request = &mut self.all[id];
        assert!(request.asking, "request {id} is answered twice");
        request.asking = false;
        let outcome = match answer {
            Ok(reply) => Ok(reply),
            Err(Error::Refused(refusal)) => Err(refusal),
            Err(Error::InDoubt(_)) => return,
            Err(error) => {
                request.attempts -= 1;
                assert!(
                    request.places.len() <= request.attempts,
                    "request {id} is answered as not done, {error:?}, and is in the log at {:?}",
                    request.places
                );
                if request.attempts == 0 {
                    request.knows = Knows::NotDone;
                }
                return;
            }
        };
        let place = *request.places.last().unwrap_or_else(|| {
            panic!("request {id} is acknowledged and not durable: {outcome:?}");
        });
        assert!(
            place <= applied,
            "request {id} at {place} is acknowledged, and only {applied} entries are applied"
        );
        assert_eq!(
            request.outcome.as_ref(),
            Some(&outcome),
            "request {id} got another answer than its entry"
        );
        request.knows = Knows::Outcome;
    }

    /// Of which block and kind each request is that was done.
    pub fn done(&self) -> impl Iterator<Item = String> {
        let done = self.all.iter().filter(|request| request.outcome.as_ref().is_some_and(Result::is_ok));
        done.map(|request| {
            let said = format!("{:?}", request.entry.command);
            let words = said.split(|letter: char| !letter.is_alphanumeric());
            let words = words.filter(|word| !["", "Command", "kind", "Some"].contains(word));
            words.take(2).collect::<Vec<_>>().join(" ")
        })
    }

    /// Asserts that every request came to an end.
    pub fn assert_all_known(&self) {
        assert_eq!(self.asking(), 0, "requests that were never answered");
        for (id, request) in self.all.iter().enumerate() {
            let known = request.knows != Knows::Nothing || !is_asked_again(request);
            assert!(known, "nobody knows what became of request {id}, asked again and again");
        }
    }
}

/// What an entry is known by, whenever it was stamped.
fn identity(entry: &Entry) -> u64 {
    let mut buffer = BytesMut::new();
    Entry { time: Time::ZERO, ..entry.clone() }.encode(&mut buffer);
    let mut hasher = DefaultHasher::new();
    buffer.hash(&mut hasher);
    hasher.finish()
}

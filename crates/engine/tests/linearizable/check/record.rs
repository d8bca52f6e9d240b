//! Writing down who asked for what, and what the answer was.

use std::fmt::{self, Debug, Display, Formatter};
use std::sync::Mutex;

/// An operation of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<C, A> {
    /// Whose.
    pub client: u32,
    /// What was asked for.
    pub call: C,
    /// When, by a clock that all calls and answers share and none shows the same.
    pub called: u64,
    /// The answer, and when it came; nothing if none did.
    pub answer: Option<(A, u64)>,
}

impl<C: Debug, A: Debug> Display for Operation<C, A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Operation { client, call, called, answer } = self;
        match answer {
            Some((answer, at)) => write!(f, "client {client} at {called} to {at}: {call:?}: {answer:?}"),
            None => write!(f, "client {client} at {called}: {call:?}: no answer"),
        }
    }
}

/// A history in the making. A call is written down before it is sent and an answer after it has come, so what is
/// written down contains what happened.
pub struct Recorder<C, A> {
    record: Mutex<(u64, Vec<Operation<C, A>>)>,
}

/// An operation that was called.
#[derive(Clone, Copy, Debug)]
pub struct Called(usize);

impl<C, A> Recorder<C, A> {
    pub fn new() -> Recorder<C, A> {
        Recorder { record: Mutex::new((0, Vec::new())) }
    }

    /// A client is about to ask.
    pub fn call(&self, client: u32, call: C) -> Called {
        let mut record = self.record.lock().expect("nobody panics with it");
        let (tick, operations) = &mut *record;
        *tick += 1;
        operations.push(Operation { client, call, called: *tick, answer: None });
        Called(operations.len() - 1)
    }

    /// It has its answer. Where none comes, or one that does not say what became of it, nothing is written down,
    /// and the client asks for nothing more under this name.
    pub fn answer(&self, called: Called, answer: A) {
        let mut record = self.record.lock().expect("nobody panics with it");
        let (tick, operations) = &mut *record;
        *tick += 1;
        operations[called.0].answer = Some((answer, *tick));
    }

    /// What was written down.
    pub fn into_history(self) -> Vec<Operation<C, A>> {
        self.record.into_inner().expect("nobody panics with it").1
    }
}

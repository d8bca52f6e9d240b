//! Whether a history of concurrent operations is linearizable: whether each can be said to have
//! happened at one moment between its call and its answer, so that all together are what a sequential
//! [`Model`] allows (Herlihy and Wing, 1990).
//!
//! The search is that of Wing and Gong (1993) with Lowe's memory (2017): of the operations that were called
//! before the first answer that is still to be explained, one is taken to have happened next; when none
//! fits, the last choice is taken back. A set of operations that have happened and the state that they led
//! to is looked at once. What concerns different keys is checked apart (Horn and Kroening, 2015), which
//! is what keeps the search short.
//!
//! **Operations of unknown outcome**, whose client crashed or got no answer, may have happened at any time
//! after their call, or never. They are tried last, since each doubles what must be searched, unless other answers
//! show that they have happened ([`Model::shows`]).

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod lock;
pub mod queue;
pub mod record;
pub mod register;

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Debug, Display, Formatter};
use std::hash::Hash;

pub use record::{Operation, Recorder};

/// What a thing does when one after another uses it.
pub trait Model {
    /// What is asked of it.
    type Call: Clone + Debug;
    /// What it answers.
    type Answer: Clone + Debug;
    /// What it is in.
    type State: Clone + Debug + Eq + Hash;

    /// The state before the first operation.
    fn begin(&self) -> Self::State;

    /// The states that it can be in after `call`, if that was answered so; none if it cannot have been.
    /// Without an answer: after whatever it can have answered.
    fn step(&self, state: &Self::State, call: &Self::Call, answer: Option<&Self::Answer>)
    -> Vec<Self::State>;

    /// Whether this answer to another shows that `call`, which got none, has happened. Only a hint, which spares
    /// the search from finding out late; it MUST be right.
    fn shows(&self, answer: &Self::Answer, call: &Self::Call) -> bool {
        let _ = (answer, call);
        false
    }
}

/// What was asked of a thing, and what it answered.
pub type History<M> = Vec<Operation<<M as Model>::Call, <M as Model>::Answer>>;
/// The same of several things, each call with the key of the one that it is of.
pub type KeyedHistory<K, M> = Vec<Operation<(K, <M as Model>::Call), <M as Model>::Answer>>;

/// Checks a history of one thing.
///
/// # Errors
///
/// If it is not linearizable, or [`STATES_MAX`] did not suffice to tell.
pub fn check<M: Model>(model: &M, history: &History<M>) -> Result<(), Failure> {
    Search::new(model, history).run()
}

/// Checks a history of several things of the same kind, each of them apart.
///
/// # Errors
///
/// As [`check`], for the first thing whose history is wrong.
pub fn check_each<M: Model, K: Clone + Ord + Debug>(
    model: &M,
    history: &KeyedHistory<K, M>,
) -> Result<(), Failure> {
    let mut apart: BTreeMap<K, History<M>> = BTreeMap::new();
    for Operation { client, call: (key, call), called, answer } in history.clone() {
        apart.entry(key).or_default().push(Operation { client, call, called, answer });
    }
    apart.iter().try_for_each(|(key, history)| {
        check(model, history).map_err(|failure| Failure { of: Some(format!("{key:?}")), ..failure })
    })
}

/// Why a history did not pass.
#[derive(Debug)]
pub struct Failure {
    /// Whether it is not linearizable; otherwise it could not be told.
    pub violation: bool,
    /// Of which of several things.
    of: Option<String>,
    /// What could be explained at most, the last of it.
    explained: Vec<String>,
    /// The state after that.
    state: String,
    /// What cannot have happened next, but one of which must have.
    open: Vec<String>,
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verdict = if self.violation { "is not linearizable" } else { "has too many orders to try" };
        let of = self.of.as_deref().map_or(String::new(), |key| format!(" of {key}"));
        writeln!(f, "the history{of} {verdict}; the furthest that can be explained ends with")?;
        self.explained.iter().try_for_each(|one| writeln!(f, "    {one}"))?;
        writeln!(f, "and leads to {}, after which none of these can have happened:", self.state)?;
        self.open.iter().try_for_each(|one| writeln!(f, "    {one}"))
    }
}

/// One search.
struct Search<'a, M: Model> {
    model: &'a M,
    history: &'a History<M>,
    /// Operations by when they were called.
    by_call: Vec<usize>,
    happened: Vec<bool>,
    /// Those that must have happened: they were answered, or others' answers show it.
    must: Vec<bool>,
    /// How many of those have not happened yet.
    unexplained: usize,
    seen: HashSet<(Vec<u64>, M::State)>,
    frames: Vec<Frame<M::State>>,
    furthest: Vec<usize>,
    furthest_state: M::State,
}

/// A choice: what happened, the state then, and what else may have happened after it.
struct Frame<S> {
    operation: Option<usize>,
    state: S,
    /// What may happen next, the most likely last.
    next: Vec<(usize, S)>,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, history: &'a History<M>) -> Search<'a, M> {
        let mut by_call: Vec<usize> = (0..history.len()).collect();
        by_call.sort_by_key(|operation| history[*operation].called);
        let must: Vec<bool> =
            history.iter().map(|operation| must_have_happened(model, history, operation)).collect();
        Search {
            model,
            history,
            by_call,
            happened: vec![false; history.len()],
            unexplained: must.iter().filter(|must| **must).count(),
            must,
            seen: HashSet::new(),
            frames: Vec::new(),
            furthest: Vec::new(),
            furthest_state: model.begin(),
        }
    }

    fn run(mut self) -> Result<(), Failure> {
        let state = self.model.begin();
        self.enter(None, state);
        while self.unexplained > 0 {
            let Some(frame) = self.frames.last_mut() else { return Err(self.failure(true)) };
            match frame.next.pop() {
                Some((operation, state)) => self.choose(operation, state),
                None => self.take_back(),
            }
            if self.seen.len() > STATES_MAX {
                return Err(self.failure(false));
            }
        }
        Ok(())
    }

    fn choose(&mut self, operation: usize, state: M::State) {
        self.happened[operation] = true;
        if self.seen.insert((bits(&self.happened), state.clone())) {
            self.unexplained -= usize::from(self.must[operation]);
            self.enter(Some(operation), state);
        } else {
            self.happened[operation] = false;
        }
    }

    fn enter(&mut self, operation: Option<usize>, state: M::State) {
        let next = self.next(&state);
        self.frames.push(Frame { operation, state, next });
        if self.frames.len() > self.furthest.len() + 1 {
            self.furthest = self.frames.iter().filter_map(|frame| frame.operation).collect();
            self.furthest_state = self.frames[self.frames.len() - 1].state.clone();
        }
    }

    fn take_back(&mut self) {
        let frame = self.frames.pop().expect("there is a choice to take back");
        if let Some(operation) = frame.operation {
            self.happened[operation] = false;
            self.unexplained += usize::from(self.must[operation]);
        }
    }

    /// What may happen next, and lead where: what was called first comes last, and so is tried first, and what
    /// may never have happened is tried at the very end.
    fn next(&self, state: &M::State) -> Vec<(usize, M::State)> {
        let mut next = Vec::new();
        for operation in self.open(&self.happened) {
            let Operation { call, answer, .. } = &self.history[operation];
            let answer = answer.as_ref().map(|(answer, _)| answer);
            next.extend(self.model.step(state, call, answer).into_iter().map(|state| (operation, state)));
        }
        next.reverse();
        next.sort_by_key(|(operation, _)| self.must[*operation]);
        next
    }

    /// What was called before the first answer to what has not happened.
    fn open(&self, happened: &[bool]) -> Vec<usize> {
        let mut first = u64::MAX;
        let mut open = Vec::new();
        for operation in self.by_call.iter().filter(|operation| !happened[**operation]) {
            let Operation { called, answer, .. } = &self.history[*operation];
            // All that follow were called after an answer.
            if *called > first {
                break;
            }
            first = first.min(answer.as_ref().map_or(u64::MAX, |(_, at)| *at));
            open.push(*operation);
        }
        open
    }

    fn failure(&self, violation: bool) -> Failure {
        let mut happened = vec![false; self.history.len()];
        self.furthest.iter().for_each(|operation| happened[*operation] = true);
        let tell = |operation: &usize| self.history[*operation].to_string();
        let skipped = self.furthest.len().saturating_sub(TOLD_MAX);
        Failure {
            violation,
            of: None,
            explained: self.furthest[skipped..].iter().map(tell).collect(),
            state: format!("{:?}", self.furthest_state),
            open: self.open(&happened).iter().map(tell).collect(),
        }
    }
}

fn must_have_happened<M: Model>(
    model: &M,
    history: &History<M>,
    operation: &Operation<M::Call, M::Answer>,
) -> bool {
    let mut answers = history.iter().filter_map(|other| other.answer.as_ref());
    operation.answer.is_some() || answers.any(|(answer, _)| model.shows(answer, &operation.call))
}

fn bits(happened: &[bool]) -> Vec<u64> {
    let word = |chunk: &[bool]| chunk.iter().rev().fold(0, |word, bit| word << 1 | u64::from(*bit));
    happened.chunks(64).map(word).collect()
}

/// How many states are looked at before it is given up: some seconds and a gigabyte at most, for histories of a
/// few thousand operations.
const STATES_MAX: usize = 1_000_000;
/// How many operations a failure tells of what could be explained.
const TOLD_MAX: usize = 12;

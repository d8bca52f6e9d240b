//! A queue: items that are handed out for a time, and are gone once they are acknowledged.
//!
//! Of a queue without priorities, delays, pauses and limits: an item that nobody had yet is handed out before
//! those that were sent later, and none is kept back while somebody asks. An item whose lease has
//! ended comes again at any time, or never (it waits, or its attempts are used up). Of time is known what is
//! known of it in [`super::lock`].

use std::collections::BTreeMap;

use super::Model;

/// One queue.
pub struct Queue;

/// What is asked of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Puts an item in; each is sent once.
    Send { item: u64 },
    /// Gets one, for so many milliseconds.
    Receive { visibility_ms: u64 },
    /// It is done, says who had it under this lease.
    Acknowledge { item: u64, lease: u64 },
}

/// What a queue answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Sent,
    /// It is the caller's until then, under this lease.
    Handed {
        item: u64,
        lease: u64,
        until_ms: u64,
    },
    Nothing,
    Done,
    /// The lease is not the item's any more.
    Fenced,
}

/// A queue's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Items that nobody had yet, in their order.
    ready: Vec<u64>,
    /// Items that somebody has or had.
    out: BTreeMap<u64, Out>,
    /// The latest lease: the next has a greater number.
    leases: u64,
    /// How late it is at least.
    now_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Out {
    /// Under a lease, if any answer told it, that ends then, or not before.
    Leased { lease: Option<u64>, until_ms: u64 },
    /// Its lease has ended.
    Back,
}

impl Model for Queue {
    type Call = Call;
    type Answer = Answer;
    type State = State;

    fn begin(&self) -> State {
        State { ready: Vec::new(), out: BTreeMap::new(), leases: 0, now_ms: 0 }
    }

    fn step(&self, state: &State, call: &Call, answer: Option<&Answer>) -> Vec<State> {
        match (*call, answer.copied()) {
            (Call::Send { item }, Some(Answer::Sent) | None) => {
                let mut ready = state.ready.clone();
                ready.push(item);
                vec![State { ready, ..state.clone() }]
            }
            (Call::Receive { visibility_ms }, Some(Answer::Handed { item, lease, until_ms })) => {
                let now_ms = until_ms.checked_sub(visibility_ms);
                let handed = now_ms.and_then(|now_ms| state.at(now_ms)).and_then(|state| state.without(item));
                let in_turn =
                    handed.filter(|state| lease > state.leases && state.now_ms + visibility_ms == until_ms);
                in_turn.map(|state| state.lease(item, Some(lease), until_ms)).into_iter().collect()
            }
            (Call::Receive { .. }, Some(Answer::Nothing)) if state.ready.is_empty() => vec![state.clone()],
            // Had it taken one that was out before, it would have changed nothing: nobody has that lease, and
            // the item comes again when it comes.
            (Call::Receive { visibility_ms }, None) => {
                let until_ms = state.now_ms + visibility_ms;
                let taken = |item: &u64| state.without(*item).map(|state| state.lease(*item, None, until_ms));
                state.ready.first().and_then(taken).into_iter().collect()
            }
            (Call::Acknowledge { item, lease }, Some(Answer::Done) | None) if state.holds(item, lease) => {
                let mut out = state.out.clone();
                out.remove(&item);
                vec![State { out, ..state.clone() }]
            }
            (Call::Acknowledge { item, lease }, Some(Answer::Fenced)) => {
                let lost = if state.holds(item, lease) { state.ended(item) } else { state.clone() };
                vec![lost]
            }
            _ => Vec::new(),
        }
    }

    fn shows(&self, answer: &Answer, call: &Call) -> bool {
        matches!((answer, call), (Answer::Handed { item, .. }, Call::Send { item: sent }) if item == sent)
    }
}

impl State {
    /// Once it is so late; nothing if it is later already.
    fn at(&self, now_ms: u64) -> Option<State> {
        (now_ms >= self.now_ms).then(|| State { now_ms, ..self.clone() })
    }

    /// Without an item that is handed out now, or as soon as it can be; nothing if it cannot.
    fn without(&self, item: u64) -> Option<State> {
        let mut state = self.clone();
        if state.ready.first() == Some(&item) {
            state.ready.remove(0);
            return Some(state);
        }
        state = state.ended(item);
        state.out.remove(&item).map(|_| state)
    }

    /// Once the item's lease, if it has one, has ended.
    fn ended(&self, item: u64) -> State {
        let mut state = self.clone();
        if let Some(Out::Leased { until_ms, .. }) = state.out.get(&item).copied() {
            state.now_ms = state.now_ms.max(until_ms);
            state.out.insert(item, Out::Back);
        }
        state
    }

    fn lease(mut self, item: u64, lease: Option<u64>, until_ms: u64) -> State {
        self.leases = self.leases.max(lease.unwrap_or(0));
        self.out.insert(item, Out::Leased { lease, until_ms });
        self
    }

    fn holds(&self, item: u64, lease: u64) -> bool {
        matches!(self.out.get(&item), Some(Out::Leased { lease: Some(is), .. }) if *is == lease)
    }
}

//! An item of key-value state: a value with an ETag, written on condition of it or not.

use super::Model;

/// One item.
pub struct Register;

/// What is asked of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Read,
    /// Puts a value, if the item has this ETag; zero: if there is none.
    Write {
        value: u64,
        etag: Option<u64>,
    },
    /// Deletes it, if it has this ETag.
    Delete {
        etag: Option<u64>,
    },
}

/// What an item answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its value and ETag.
    Is(Option<(u64, u64)>),
    /// It was put and has this ETag now.
    Written(u64),
    Deleted,
    /// Its ETag is another.
    Refused,
}

/// An item's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Its value, and its ETag, which nobody knows if no answer told it.
    item: Option<(u64, Option<u64>)>,
    /// Every ETag that is still to be given is greater.
    given: u64,
}

impl Model for Register {
    type Call = Call;
    type Answer = Answer;
    type State = State;

    fn begin(&self) -> State {
        State { item: None, given: 0 }
    }

    fn step(&self, state: &State, call: &Call, answer: Option<&Answer>) -> Vec<State> {
        let (may, may_not) = match *call {
            Call::Read => (true, false),
            Call::Write { etag, .. } | Call::Delete { etag } => (state.may_have(etag), state.may_lack(etag)),
        };
        match (*call, answer.copied()) {
            (Call::Read, Some(Answer::Is(is))) => state.seen(is).into_iter().collect(),
            (Call::Write { value, .. }, Some(Answer::Written(etag))) if may && etag > state.given => {
                vec![State { item: Some((value, Some(etag))), given: etag }]
            }
            (Call::Delete { .. }, Some(Answer::Deleted)) if may => vec![State { item: None, ..*state }],
            (Call::Write { .. } | Call::Delete { .. }, Some(Answer::Refused)) if may_not => {
                vec![state.clone()]
            }
            // A read that nobody got an answer to says nothing, nor does a refusal.
            (Call::Write { value, .. }, None) if may => vec![State { item: Some((value, None)), ..*state }],
            (Call::Delete { .. }, None) if may => vec![State { item: None, ..*state }],
            _ => Vec::new(),
        }
    }
}

impl State {
    fn may_have(&self, etag: Option<u64>) -> bool {
        match (etag, self.item) {
            (None, _) | (Some(0), None) => true,
            (Some(etag), Some((_, Some(is)))) => etag == is,
            (Some(etag), Some((_, None))) => etag > self.given,
            (Some(_), None) => false,
        }
    }

    fn may_lack(&self, etag: Option<u64>) -> bool {
        match (etag, self.item) {
            (None, _) | (Some(0), None) => false,
            (Some(etag), Some((_, Some(is)))) => etag != is,
            (Some(_), _) => true,
        }
    }

    /// The state once an answer has told it.
    fn seen(&self, seen: Option<(u64, u64)>) -> Option<State> {
        match (seen, self.item) {
            (None, None) => Some(self.clone()),
            (Some((value, etag)), Some((is, Some(known)))) => {
                (value == is && etag == known).then(|| self.clone())
            }
            (Some((value, etag)), Some((is, None))) => (value == is && etag > self.given)
                .then_some(State { item: Some((is, Some(etag))), given: etag }),
            _ => None,
        }
    }
}

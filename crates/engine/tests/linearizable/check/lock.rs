//! A lock: leases that end by themselves, and fencing tokens that grow.
//!
//! A lease ends by the shard's clock, which no client sees. But an answer that says when a lease will end
//! tells when it was given, and that clock does not run back: so what is known of it is how late it is at
//! least, and a history in which it would have to run back is wrong.

use super::Model;

/// One lock.
pub struct Lock;

/// What is asked of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Takes it, for so many milliseconds.
    TryLock {
        owner: u32,
        ttl_ms: u64,
    },
    /// Holds it for so many milliseconds from now on.
    Extend {
        owner: u32,
        token: Option<u64>,
        ttl_ms: u64,
    },
    Unlock {
        owner: u32,
        token: Option<u64>,
    },
}

/// What a lock answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Whoever asked holds it until then, and shows it by this token.
    Held {
        token: u64,
        until_ms: u64,
    },
    /// It is another's until then.
    Taken {
        until_ms: u64,
    },
    Unlocked,
    /// Nobody holds it.
    NotHeld,
    /// Another holds it, or under another token.
    Fenced,
}

/// A lock's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    lease: Option<Lease>,
    /// Every token that is still to be given is greater.
    given: u64,
    /// How late it is at least.
    now_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Lease {
    owner: u32,
    /// Nothing if no answer told it.
    token: Option<u64>,
    /// When it ends; not before, if no answer told it.
    until_ms: u64,
    exactly: bool,
}

impl Model for Lock {
    type Call = Call;
    type Answer = Answer;
    type State = State;

    fn begin(&self) -> State {
        State { lease: None, given: 0, now_ms: 0 }
    }

    fn step(&self, state: &State, call: &Call, answer: Option<&Answer>) -> Vec<State> {
        match (*call, answer.copied()) {
            (Call::TryLock { owner, ttl_ms }, Some(Answer::Held { token, until_ms })) => {
                state.granted(owner, ttl_ms, token, until_ms).into_iter().collect()
            }
            (Call::TryLock { .. }, Some(Answer::Taken { until_ms })) => {
                state.taken(until_ms).into_iter().collect()
            }
            (Call::TryLock { owner, ttl_ms }, None) => {
                let lease = |now_ms| Lease { owner, token: None, until_ms: now_ms + ttl_ms, exactly: false };
                let free = state.ended();
                vec![State { lease: Some(lease(free.now_ms)), ..free }]
            }
            (Call::Extend { owner, token, ttl_ms }, Some(Answer::Held { token: shown, until_ms })) => {
                state.extended(owner, token, ttl_ms, (shown, until_ms)).into_iter().collect()
            }
            (Call::Extend { owner, token, ttl_ms }, None) => {
                let held = state.held_by(owner, token).into_iter();
                held.map(|(state, lease)| {
                    let until_ms = state.now_ms + ttl_ms;
                    State { lease: Some(Lease { until_ms, exactly: false, ..lease }), ..state }
                })
                .collect()
            }
            (Call::Unlock { owner, token }, Some(Answer::Unlocked) | None) => {
                let held = state.held_by(owner, token).into_iter();
                held.map(|(state, _)| State { lease: None, ..state }).collect()
            }
            (Call::Extend { .. } | Call::Unlock { .. }, Some(Answer::NotHeld)) => vec![state.ended()],
            (Call::Extend { owner, token, .. } | Call::Unlock { owner, token }, Some(Answer::Fenced)) => {
                state.fences(owner, token).then(|| state.clone()).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

impl State {
    /// Once the lease, if there is one, has ended.
    fn ended(&self) -> State {
        let until_ms = self.lease.map_or(0, |lease| lease.until_ms);
        State { lease: None, now_ms: self.now_ms.max(until_ms), ..self.clone() }
    }

    fn granted(&self, owner: u32, ttl_ms: u64, token: u64, until_ms: u64) -> Option<State> {
        let now_ms = until_ms.checked_sub(ttl_ms)?;
        let lease = Lease { owner, token: Some(token), until_ms, exactly: true };
        let in_time = now_ms >= self.ended().now_ms && token > self.given;
        in_time.then_some(State { lease: Some(lease), given: token, now_ms })
    }

    fn taken(&self, until_ms: u64) -> Option<State> {
        let lease = self.lease?;
        let same = if lease.exactly { until_ms == lease.until_ms } else { until_ms >= lease.until_ms };
        let lease = Lease { until_ms, exactly: true, ..lease };
        (same && self.now_ms < until_ms).then_some(State { lease: Some(lease), ..*self })
    }

    fn extended(
        &self,
        owner: u32,
        token: Option<u64>,
        ttl_ms: u64,
        (shown, until_ms): (u64, u64),
    ) -> Option<State> {
        let (state, lease) = self.held_by(owner, Some(shown))?;
        let now_ms = until_ms.checked_sub(ttl_ms)?;
        let in_time = now_ms >= state.now_ms && (!lease.exactly || now_ms < lease.until_ms);
        let wanted = token.is_none_or(|token| token == shown);
        let lease = Lease { until_ms, exactly: true, ..lease };
        (in_time && wanted).then_some(State { lease: Some(lease), now_ms, ..state })
    }

    /// The lease, if this owner can still hold it under this token, which is the one then.
    fn held_by(&self, owner: u32, token: Option<u64>) -> Option<(State, Lease)> {
        let lease = self.lease?;
        let same = match (token, lease.token) {
            (Some(token), Some(is)) => token == is,
            (Some(token), None) => token > self.given,
            (None, _) => true,
        };
        let running = !lease.exactly || self.now_ms < lease.until_ms;
        let token = lease.token.or(token);
        let lease = Lease { token, ..lease };
        let state = State { lease: Some(lease), given: self.given.max(token.unwrap_or(0)), ..*self };
        (lease.owner == owner && same && running).then_some((state, lease))
    }

    /// Whether whoever comes with this is refused by who holds it.
    fn fences(&self, owner: u32, token: Option<u64>) -> bool {
        self.lease.is_some_and(|lease| {
            let running = !lease.exactly || self.now_ms < lease.until_ms;
            running && (lease.owner != owner || token.is_some_and(|token| lease.token != Some(token)))
        })
    }
}

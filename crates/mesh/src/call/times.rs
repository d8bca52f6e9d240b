//! The time that a try has: what the call allows for the whole and for one try, and what the caller has
//! left. It is waited for, and told to the upstream.

use std::pin::Pin;
use std::time::Duration;

use policy::deadline::header::Node;
use policy::{Deadline, Time};

use super::{LocalCall, Outgoing};
use crate::clock;
use crate::request::outgoing::Told;
use crate::spans;

/// What bounds a try.
#[derive(Clone, Copy)]
pub(super) struct Times {
    /// When the first try began, and how long all may take.
    whole: (Time, Option<Duration>),
    /// When this one began, and how long it may take.
    this: (Time, Option<Duration>),
    /// The caller's, who may be in a greater hurry than the call is.
    caller: Deadline,
    /// The try says how much time it has.
    tell: bool,
}

/// The time was over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// That which the call allows.
    Ours,
    /// The caller's, before that. It says nothing of the upstream, or a caller in a hurry could speak ill
    /// of any.
    Callers,
}

impl Times {
    pub(super) fn new(call: &LocalCall, outgoing: &Outgoing<'_>, first: Time, this: Time) -> Times {
        let config = &call.state.config;
        let tell = config.deadline_header.unwrap_or_else(|| call.upstream.shared.config.external.is_none());
        Times {
            whole: (first, config.timeout),
            this: (this, config.per_try),
            caller: outgoing.deadline,
            tell,
        }
    }

    /// When this try began.
    pub(super) fn began(&self) -> Time {
        self.this.0
    }

    /// Which of its bounds was reached.
    pub(super) fn reached(&self, over: Over) -> spans::Over {
        let ends = |(from, lasts): (Time, Option<Duration>)| lasts.map(|lasts| from + lasts);
        match (over, ends(self.whole), ends(self.this)) {
            (Over::Callers, _, _) => spans::Over::Caller,
            (Over::Ours, Some(whole), Some(this)) if this < whole => spans::Over::Try,
            (Over::Ours, None, Some(_)) => spans::Over::Try,
            (Over::Ours, _, _) => spans::Over::Call,
        }
    }

    fn bounds(&self) -> impl Iterator<Item = (Time, Duration)> {
        [self.whole, self.this].into_iter().filter_map(|(from, lasts)| Some((from, lasts?)))
    }

    /// What is to be told of it when the head leaves. Of gRPC it is what the caller said and no other: our
    /// bounds end with the answer's head, `grpc-timeout` with the last message of a stream.
    pub(super) fn told(&self, outgoing: &Outgoing<'_>, now: Time, node: Node) -> Option<Told> {
        if outgoing.grpc {
            return self.caller.within(now, None).map(Told::grpc);
        }
        if !self.tell {
            return None;
        }
        let ours = self.bounds().map(|(from, lasts)| (from + lasts).since(now)).min();
        self.caller.within(now, ours).map(|left| Told::http(left, now, node))
    }

    /// Waits for `sending` until the first of the bounds is reached. Ours move with the client's body, so
    /// at its arrival they are looked at again.
    pub(super) async fn keep<T>(
        &self,
        mut sending: Pin<&mut impl Future<Output = T>>,
        outgoing: &Outgoing<'_>,
    ) -> Result<T, Over> {
        let shortest = self.bounds().map(|(_, lasts)| lasts).min();
        if shortest.is_none() && self.caller.at().is_none() {
            return Ok(sending.await);
        }
        let mut now = self.began();
        loop {
            let each = self.bounds().filter_map(|(from, lasts)| outgoing.deadline(from, lasts));
            let ours = each.min().or(shortest.map(|shortest| now + shortest)).unwrap_or(Time::MAX);
            let callers = self.caller.at().unwrap_or(Time::MAX);
            if ours.min(callers) <= now {
                return Err(if ours <= callers { Over::Ours } else { Over::Callers });
            }
            let end = clock::instant(ours.min(callers));
            if let Ok(sent) = tokio::time::timeout_at(end, sending.as_mut()).await {
                return Ok(sent);
            }
            now = clock::now();
        }
    }
}

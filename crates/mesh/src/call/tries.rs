//! A request's way through its tries: the loop around what the policies decide.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use policy::{Hedge, Outcome, Retrier, RetryConfig, Time, Verdict};

use super::attempt::{self, Failure, Reply, Slot, Tried};
use super::deliver::{deliver, throw_away};
use super::hedge::{self, Finish, Race};
use super::late::Late;
use super::times::Times;
use super::{LocalCall, Outgoing, Place, too_late};
use crate::call::guard::Pass;
use crate::clock;
use crate::config;
use crate::core::Core;
use crate::request::answer::Answer;
use crate::request::body::Broken;
use crate::request::problem::{Kind, Problem};

/// Tries until one succeeds or the policies say stop.
pub(super) async fn carry(
    core: &Core,
    call: &Rc<LocalCall>,
    outgoing: &Outgoing<'_>,
    place: Option<Place>,
    started: Time,
) -> Result<Answer, Problem> {
    // Time may have passed before a place in the bulkhead was free.
    let begun = if place.is_some() { clock::now() } else { started };
    outgoing.trace.entered(begun);
    let retrier = Retrier::new();
    let mut tries =
        Tries { core, call, outgoing, place, started, now: begun, retrier, hedges: 0, avoid: None };
    if tries.retry().is_some() || call.hedge.is_some() {
        call.budget.borrow_mut().request(started);
    }
    loop {
        match tries.once().await? {
            Next::Done(result) => return tries.finish(result),
            Next::Again(wait) if wait.is_zero() => {}
            Next::Again(wait) => {
                tokio::time::sleep(wait).await;
                tries.now = clock::now();
            }
        }
    }
}

/// What holds from one try to the next.
struct Tries<'a> {
    core: &'a Core,
    call: &'a Rc<LocalCall>,
    outgoing: &'a Outgoing<'a>,
    /// Its place in the bulkhead.
    place: Option<Place>,
    /// When the first try began.
    started: Time,
    /// When the try begins that is next, or ended that was last: a clock is not read for each use.
    now: Time,
    retrier: Retrier,
    /// Tries that were made beside others.
    hedges: u32,
    /// Key of the instance that failed last.
    avoid: Option<u64>,
}

/// What to do after a try.
enum Next {
    Done(Result<Reply, Failure>),
    Again(Duration),
}

impl<'a> Tries<'a> {
    fn retry(&self) -> Option<&'a RetryConfig> {
        self.call.state.config.retries.as_ref().map(|retries| &retries.retry)
    }

    async fn once(&mut self) -> Result<Next, Problem> {
        if self.outgoing.deadline.has_passed(self.now) {
            return Err(too_late(self.call, self.retrier.retries()));
        }
        let pass = Passed::new(self.call, self.now).map_err(|wait| self.rejected(wait))?;
        let times = Times::new(self.call, self.outgoing, self.started, self.now);
        let (tried, pass) = match hedge::of(self.call, self.outgoing) {
            Some(hedge) if self.retrier.retries() == 0 => Box::pin(self.race(hedge, pass, times)).await,
            _ => {
                let slot = Slot::default();
                let Tries { core, call, outgoing, now, avoid, .. } = *self;
                let noted = outgoing.trace.try_begins(core, outgoing.context, now, false);
                (attempt::attempt(core, call, outgoing, times, avoid, &slot, noted).await, pass)
            }
        };
        let Tried { outcome, ended, took, blameless, mut result } = tried;
        self.now = ended;
        let nowhere = matches!(&result, Err(failure) if failure.kind == Kind::NoInstance);
        if nowhere || blameless {
            // Nothing to learn of the upstream, and nothing to send again, or no time for it.
            return Ok(Next::Done(result));
        }
        if says_what_it_takes(outcome) {
            self.call.learn(ended, took);
        }
        let again = self.decide(outcome, self.outgoing.replayable());
        let mended = is_lost(outcome) && again.is_some();
        match &mut result {
            Ok(reply) if self.outgoing.ends_later(outcome, &reply.fields) => {
                self.tell_later(reply, pass, took)
            }
            _ if !mended => pass.record(ended, outcome.is_failure(), took),
            _ => {}
        }
        match again {
            Some(wait) => {
                self.outgoing.trace.tries_again(wait);
                self.avoid = self.give_up(result);
                Ok(Next::Again(wait))
            }
            None => Ok(Next::Done(result)),
        }
    }

    /// The first try, with others beside it if it takes too long.
    async fn race(&mut self, hedge: &RefCell<Hedge>, pass: Passed<'a>, times: Times) -> (Tried, Passed<'a>) {
        let (core, call, outgoing) = (self.core, self.call, self.outgoing);
        let race = Race { core, call, outgoing, first: self.started };
        let Finish { tried, pass, hedges } = race.run(hedge, pass, times).await;
        self.hedges = hedges;
        (tried, pass)
    }

    /// Has it told at its end how a call ended whose answer has begun.
    fn tell_later(&self, reply: &mut Reply, pass: Passed<'_>, took: Duration) {
        let instance = reply.lease.instance.shared.key;
        let pass = match pass.is_probe() {
            true => {
                pass.record(self.now, false, took);
                None
            }
            false => pass.leave(),
        };
        reply.lease.late = Some(Box::new(Late::new(self.call.clone(), pass, instance, took)));
    }

    /// How long to wait before the next try. None: there is none.
    fn decide(&mut self, outcome: Outcome, replayable: bool) -> Option<Duration> {
        let timeout = self.call.state.config.timeout;
        let ours = timeout.and_then(|timeout| self.outgoing.deadline(self.started, timeout));
        let verdict = self.retrier.decide(
            self.now,
            ours.into_iter().chain(self.outgoing.deadline.at()).min(),
            self.retry(),
            outcome,
            policy::Request { idempotent: self.outgoing.idempotent, replayable },
            &mut self.call.budget.borrow_mut(),
            &mut self.core.rng.borrow_mut(),
        );
        match verdict {
            Verdict::Retry(wait) => {
                self.call.tally().retries.add(1);
                Some(wait)
            }
            Verdict::Stop(policy::Stop::Budget) => {
                self.call.tally().retries_denied.add(1);
                self.outgoing.trace.denied();
                None
            }
            Verdict::Stop(_) => None,
        }
    }

    /// Lets go of a try's result for a retry; returns the instance it came from.
    fn give_up(&self, result: Result<Reply, Failure>) -> Option<u64> {
        match result {
            Ok(reply) => {
                let key = reply.lease.instance.shared.key;
                throw_away(reply, self.outgoing.body_idle);
                Some(key)
            }
            Err(failure) => failure.instance,
        }
    }

    /// What the caller gets from the last try.
    fn finish(self, result: Result<Reply, Failure>) -> Result<Answer, Problem> {
        let mut problem = match (result, self.outgoing.body_broken()) {
            (_, Some(Broken::TooLarge)) => {
                Problem::new(Kind::BodyTooLarge, "the request body is larger than `body-bytes` allows")
            }
            (_, Some(Broken::Idle)) => {
                Problem::new(Kind::BodyIdle, "the request body was silent for longer than `body-idle` allows")
            }
            (Err(_), Some(Broken::Peer)) => Problem::new(Kind::BadRequest, "the request body broke off"),
            (Err(_), Some(Broken::Malformed(why))) => Problem::new(Kind::BadRequest, why),
            (Ok(reply), _) => match self.refuses_switch(&reply) {
                Some(why) => {
                    Problem::new(Kind::BadAnswer, format!("{} {why}", self.call.state.config.upstream))
                }
                None => return Ok(deliver(reply, self.outgoing, self.place)),
            },
            (Err(failure), _) => failure.problem(self.call, self.retrier.retries() + self.hedges + 1),
        };
        problem.call = Some(self.call.state.config.id.clone());
        problem.upstream = Some(self.call.state.config.upstream.clone());
        Err(problem)
    }

    /// Why an answer that switches to another protocol is refused, if it is.
    fn refuses_switch(&self, reply: &Reply) -> Option<&'static str> {
        if !reply.switches_protocols() {
            return None;
        }
        self.outgoing.message.refuses_switch(&reply.fields)
    }

    fn rejected(&self, wait: Option<Duration>) -> Problem {
        self.call.tally().rejected.add(1);
        let config = &self.call.state.config;
        let tries = self.retrier.retries();
        let mut problem = match wait {
            Some(wait) => Problem::new(Kind::CircuitOpen, ill(config)).retry_after(wait),
            None => Problem::new(
                Kind::CircuitOpen,
                format!("the breaker of {} is forced open by hand", config.id),
            )
            .remedy(format!("`colony breaker \"{}\" auto` leaves it to itself again", config.id)),
        };
        problem.call = Some(config.id.clone());
        problem.upstream = Some(config.upstream.clone());
        problem.tries = (tries > 0).then_some(tries);
        problem
    }
}

/// What an open breaker says of its upstream.
fn ill(config: &config::Call) -> String {
    let slow = config.breaker.and_then(|breaker| breaker.slow);
    let slow = if slow.is_some() { " or has been too slow" } else { "" };
    format!("{} has failed too often{slow}; it is given a rest", config.upstream)
}

/// Whether a try took as long as the upstream takes for its work. One that failed may have been quick
/// because nothing was done; one without an answer in time was as slow as it was.
pub(super) fn says_what_it_takes(outcome: Outcome) -> bool {
    !outcome.is_failure() || outcome == Outcome::TimedOut
}

/// Whether a connection was lost. That is one instance's end, which ejection and the supervisor look
/// after; it speaks of the upstream only if no further try gets through. Otherwise the death of one
/// busy instance, which loses many requests at once, would open the breaker of all.
pub(super) fn is_lost(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::NotSent | Outcome::Reset)
}

/// Leave by the breaker, given back untold if the request is dropped.
pub(super) struct Passed<'a> {
    call: &'a LocalCall,
    pass: Option<Pass>,
}

impl<'a> Passed<'a> {
    pub(super) fn new(call: &'a LocalCall, now: Time) -> Result<Passed<'a>, Option<Duration>> {
        let pass = call.state.breaker.as_ref().map(|breaker| breaker.admit(now)).transpose()?;
        Ok(Passed { call, pass })
    }

    pub(super) fn record(mut self, now: Time, failed: bool, took: Duration) {
        let state = &self.call.state;
        if let (Some(breaker), Some(config), Some(pass)) =
            (&state.breaker, &state.config.breaker, self.pass.take())
        {
            breaker.record(now, pass, config.ending(failed, took), self.call.core);
        }
    }
}

impl Passed<'_> {
    fn is_probe(&self) -> bool {
        self.pass.is_some_and(Pass::is_probe)
    }

    /// Leaves it to somebody else to tell.
    fn leave(mut self) -> Option<Pass> {
        self.pass.take()
    }
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        if let (Some(breaker), Some(pass)) = (&self.call.state.breaker, self.pass.take()) {
            breaker.abandon(clock::now(), pass);
        }
    }
}

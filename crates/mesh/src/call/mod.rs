//! A call: the policies between a caller and an upstream, in one order everywhere.
//!
//! 1. the route or call is found, and of a split the side that the request is for; all below is of that side,
//!    but for the rate limits, which are of the whole,
//! 2. rate limits refuse at the door,
//! 3. the deadline of the whole begins, which the caller's own may cut short,
//! 4. the bulkheads let the request in, or have it wait, or refuse it, those of low priority first: the
//!    call's own, then the one of the upstream, which all calls to it share,
//! 5. the circuit breaker admits a try or rejects it,
//! 6. ejection, zone preference and balancing choose an instance; with none at hand the request is held a while,
//! 7. the deadline of the try begins; the request is sent, with what is left of the time, or a fault strikes it
//!    on purpose,
//! 8. if it takes longer than most do, a hedge goes 5 to 7 beside it, and the first good answer counts,
//! 9. the outcome is told to breaker, ejection and balancer, and its latency to adaptive bulkheads,
//! 10. retries decide, within the budget, whether to go back to 5,
//! 11. a fallback stands in for what failed.
//!
//! Places that are kept for what is not there: ACME at the listener, before 1; authentication between 1 and 2,
//! for limits to go by who asks; a response cache between 2 and 3, since a hit shall cost nobody further;
//! comparison of answers, then compression, after 11.
//!
//! The places in the bulkheads are given up with the last byte of the answer.
//!
//! What decides is in the `policy` crate; here is what carries: [`tries`] a request through all of
//! its tries, [`attempt`] one of them for as long as [`times`] says, [`hedge`] several at a time,
//! [`deliver`] the answer, [`shared`] holds a call's state, [`late`] tells what is known only at an answer's end.

mod attempt;
mod balance;
pub(crate) mod bulkhead;
mod choose;
mod deliver;
pub(crate) mod faults;
pub(crate) mod guard;
mod hedge;
pub(crate) mod key;
pub(crate) mod late;
pub(crate) mod limit;
mod queue;
mod shared;
mod times;
mod tries;
mod zone;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use http::StatusCode;
use policy::{Class, Deadline, Outcome, Time};
use telemetry::TraceContext;

use crate::clock;
use crate::config::Fallback;
use crate::core::Core;
use crate::message::fields::{Fields, Id};
use crate::request::answer::{Answer, Body};
use crate::request::body::{Broken, RequestBody, Source};
use crate::request::interim::Interim;
use crate::request::outgoing::Message;
use crate::request::problem::{Kind, Problem};
use crate::request::{grpc, headers};
use crate::spans::Trace;
pub(crate) use bulkhead::Place;
pub use choose::HOLD_MAX;
pub(crate) use shared::{CallState, LocalCall, Tally};

/// A request on its way up.
pub(crate) struct Outgoing<'t> {
    pub(crate) message: Message,
    /// None: there is no body.
    pub(crate) body: Option<Rc<RefCell<Source>>>,
    pub(crate) interim: Interim,
    pub(crate) idempotent: bool,
    /// Hash of what the balancer is to choose by, where that is a part of the request.
    pub(crate) key: Option<u64>,
    /// Who goes first where not all can be served.
    pub(crate) class: Class,
    /// Longest silence in the answer's body.
    pub(crate) body_idle: Duration,
    /// It is a call of gRPC.
    pub(crate) grpc: bool,
    /// By when the caller wants the answer.
    pub(crate) deadline: Deadline,
    /// What is recorded of it.
    pub(crate) trace: &'t Trace,
    /// Where it stands in its trace.
    pub(crate) context: TraceContext,
}

impl Outgoing<'_> {
    /// The body for the next try.
    fn open_body(&self) -> Option<RequestBody> {
        self.body.as_ref().map(RequestBody::open)
    }

    /// Whether there is no body, or all of it is here, to be sent by several tries at a time.
    fn is_at_hand(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.borrow().is_at_hand())
    }

    fn replayable(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.borrow().replayable())
    }

    /// When a time that began at `from` is over. A timeout is the upstream's time: it begins anew with
    /// every part of the client's body, and does not run while we wait for one. None: we do, now.
    fn deadline(&self, from: Time, timeout: Duration) -> Option<Time> {
        match &self.body {
            None => Some(from + timeout),
            Some(body) => body.borrow().handed_over().map(|moved| moved.max(from) + timeout),
        }
    }

    /// How much of the time from `from` to `now` was the upstream's.
    fn waited(&self, from: Time, now: Time) -> Duration {
        self.deadline(from, Duration::ZERO).map_or(Duration::ZERO, |since| now.since(since))
    }

    /// What the head of an answer says of a call of gRPC that failed before it began.
    fn grpc_status(&self, fields: &Fields) -> Option<u16> {
        if self.grpc { grpc::status_in(fields) } else { None }
    }

    /// Whether an answer that begins so leaves open how the call ends: that comes behind the messages.
    fn ends_later(&self, outcome: Outcome, head: &Fields) -> bool {
        self.grpc && !outcome.is_failure() && !head.has(Id::GrpcStatus) && headers::is_grpc(head)
    }

    fn body_broken(&self) -> Option<Broken> {
        self.body.as_ref().and_then(|body| body.borrow().broken())
    }
}

/// Sends a request through a call's policies and counts how it went.
pub(crate) async fn run(
    core: &Core,
    call: &Rc<LocalCall>,
    outgoing: Outgoing<'_>,
    started: Time,
) -> Result<Answer, Problem> {
    let result = match bulkhead::enter(call, &outgoing, started).await {
        Ok(place) => tries::carry(core, call, &outgoing, place, started).await,
        Err(overloaded) => Err(overloaded),
    };
    let tally = call.tally();
    tally.requests.add(1);
    let failed = match &result {
        Ok(answer) => is_failure(answer, &outgoing),
        Err(problem) => !problem.kind.is_clients_fault(),
    };
    let ended = clock::now();
    let took = ended.since(started);
    let ended_at = Duration::from_nanos(ended.as_nanos());
    tally.exemplars.note(ended_at, took.as_micros() as u64, || Some(outgoing.context.trace_id));
    let (result, took) = match (&call.state.config.fallback, failed) {
        (Some(fallback), true) => {
            let result = Box::pin(stand_in(core, call, fallback, outgoing, result)).await;
            (result, clock::now().since(started))
        }
        _ => (result, took),
    };
    tally.end(&result, failed, took);
    result
}

/// There is no time left in which an answer would still be wanted.
fn too_late(call: &LocalCall, tries: u32) -> Problem {
    call.tally().expired.add(1);
    let config = &call.state.config;
    let detail =
        format!("the caller's deadline was over before the request could be sent to {}", config.upstream);
    let mut problem = Problem::new(Kind::Timeout, detail);
    problem.call = Some(config.id.clone());
    problem.upstream = Some(config.upstream.clone());
    problem.tries = Some(tries);
    problem
}

/// Whether no try got as far as sending. What is not idempotent is tried again only if nothing of it
/// was sent, so the last try speaks for all.
fn never_sent(failed: &Result<Answer, Problem>) -> bool {
    matches!(failed, Err(problem)
        if matches!(problem.kind, Kind::NoInstance | Kind::CircuitOpen | Kind::Overloaded | Kind::Shed | Kind::ConnectFailed))
}

fn is_failure(answer: &Answer, outgoing: &Outgoing) -> bool {
    let grpc = outgoing.grpc_status(&answer.fields);
    Outcome::Answered { status: answer.status.as_u16(), retry_after: None, grpc }.is_failure()
}

/// Answers in the failed call's stead, or with its failure if that can't be.
async fn stand_in(
    core: &Core,
    call: &LocalCall,
    fallback: &Fallback,
    outgoing: Outgoing<'_>,
    failed: Result<Answer, Problem>,
) -> Result<Answer, Problem> {
    match (fallback, &call.fallback) {
        (Fallback::Static { status, body, content_type }, _) => {
            call.tally().fallbacks.add(1);
            outgoing.trace.falls_back();
            let mut fields = Fields::default();
            fields.push(b"content-type", content_type.as_bytes());
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::OK);
            Ok(Answer { status, fields, body: Body::Full(body.clone().into()), close: false })
        }
        (Fallback::Call(_), Some(other))
            if outgoing.replayable() && (outgoing.idempotent || never_sent(&failed)) =>
        {
            call.tally().fallbacks.add(1);
            outgoing.trace.falls_back();
            let message = outgoing.message.without_upgrade();
            Box::pin(run(core, other, Outgoing { message, ..outgoing }, clock::now())).await
        }
        _ => failed,
    }
}

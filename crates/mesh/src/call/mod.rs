//! A call: the policies between a caller and an upstream, in one order everywhere.
//!
//! 1. rate limits refuse at the door,
//! 2. the deadline of the whole begins,
//! 3. the circuit breaker admits a try or rejects it,
//! 4. ejection and balancing choose an instance; with none at hand the request is held a while,
//! 5. the deadline of the try begins; the request is sent,
//! 6. the outcome is told to breaker, ejection and balancer,
//! 7. retries decide, within the budget, whether to go back to 3,
//! 8. a fallback stands in for what failed.
//!
//! What decides is in the `policy` crate; here is what carries: [`attempt`] one try, [`shared`]
//! the state of a call.

mod attempt;
mod shared;

use std::cell::RefCell;
use std::rc::Rc;

use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use policy::{Outcome, Retrier, Time, Verdict};

use crate::body::{Body, Broken, RequestBody, Source};
use crate::clock;
use crate::config::Fallback;
use crate::core::{Core, Upgrade};
use crate::forward::Target;
use crate::guard::Pass;
use crate::problem::{Kind, Problem};
use attempt::{Answer, Failure};
pub(crate) use shared::{CallState, LocalCall, Tally};

/// Most bytes of an answer that is thrown away for a retry, read so that its connection lives on.
const DRAIN_BYTES_MAX: usize = 64 << 10;
/// Longest time spent on that.
const DRAIN_TIME_MAX: std::time::Duration = std::time::Duration::from_millis(500);

/// A request on its way up, its headers ready to be sent.
pub(crate) struct Outgoing {
    pub(crate) head: Parts,
    /// What the head's address was made of, for another upstream.
    pub(crate) target: Target,
    /// None: there is no body.
    pub(crate) body: Option<Rc<RefCell<Source>>>,
    pub(crate) idempotent: bool,
    /// The client's side of an upgrade it asked for.
    pub(crate) upgrade: Option<Upgrade>,
    /// Longest silence in the answer's body.
    pub(crate) body_idle: std::time::Duration,
}

impl Outgoing {
    fn copy_head(&self) -> Parts {
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = self.head.method.clone();
        head.uri = self.head.uri.clone();
        head.version = self.head.version;
        head.headers = self.head.headers.clone();
        head
    }

    fn open_body(&self) -> RequestBody {
        self.body.as_ref().map_or(RequestBody::Empty, RequestBody::open)
    }

    fn replayable(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.borrow().replayable())
    }

    /// Whether a try ended as it did for want of the client's body, which says nothing of the upstream.
    fn client_failed(&self, outcome: Outcome) -> bool {
        self.body.as_ref().is_some_and(|body| {
            let body = body.borrow();
            body.broken().is_some() || (outcome == Outcome::TimedOut && body.starving())
        })
    }

    fn body_broken(&self) -> Option<Broken> {
        self.body.as_ref().and_then(|body| body.borrow().broken())
    }
}

/// Sends a request through a call's policies and counts how it went.
pub(crate) async fn run(
    core: &Core,
    call: &LocalCall,
    mut outgoing: Outgoing,
) -> Result<Response<Body>, Problem> {
    let started = clock::now();
    let fallback_head =
        matches!(call.state.config.fallback, Some(Fallback::Call(_))).then(|| outgoing.copy_head());
    let result = tries(core, call, &mut outgoing, started).await;
    let tally = call.tally();
    tally.requests.add(1);
    let failed = match &result {
        Ok(answer) => is_failure(answer.status()),
        Err(problem) => !problem.kind.is_clients_fault(),
    };
    let result = match (&call.state.config.fallback, failed) {
        (Some(fallback), true) => {
            tally.fallbacks.add(1);
            stand_in(core, call, fallback, fallback_head, outgoing, result).await
        }
        _ => result,
    };
    tally.end(&result, failed, clock::now().since(started));
    result
}

fn is_failure(status: StatusCode) -> bool {
    Outcome::Answered { status: status.as_u16(), retry_after: None }.is_failure()
}

/// Answers in the failed call's stead, or with its failure if that can't be.
async fn stand_in(
    core: &Core,
    call: &LocalCall,
    fallback: &Fallback,
    head: Option<Parts>,
    outgoing: Outgoing,
    failed: Result<Response<Body>, Problem>,
) -> Result<Response<Body>, Problem> {
    match (fallback, &call.fallback, head) {
        (Fallback::Static { status, body, content_type }, ..) => {
            let mut answer = Response::new(Body::full(body.clone()));
            *answer.status_mut() = StatusCode::from_u16(*status).unwrap_or(StatusCode::OK);
            if let Ok(value) = HeaderValue::from_str(content_type) {
                answer.headers_mut().insert(header::CONTENT_TYPE, value);
            }
            Ok(answer)
        }
        (Fallback::Call(_), Some(other), Some(mut head)) if outgoing.replayable() => {
            head.headers.remove(header::CONNECTION);
            head.headers.remove(header::UPGRADE);
            outgoing.target.address(&mut head, other)?;
            Box::pin(run(core, other, Outgoing { head, upgrade: None, ..outgoing })).await
        }
        _ => failed,
    }
}

/// Tries until one succeeds or the policies say stop.
async fn tries(
    core: &Core,
    call: &LocalCall,
    outgoing: &mut Outgoing,
    started: Time,
) -> Result<Response<Body>, Problem> {
    let config = &call.state.config;
    let deadline = config.timeout.map(|timeout| started + timeout);
    let retry = config.retries.as_ref().map(|retries| &retries.retry);
    if retry.is_some() {
        call.budget.borrow_mut().request(started);
    }
    let mut retrier = Retrier::new();
    let mut avoid = None;
    loop {
        let now = clock::now();
        let pass = Passed::new(call, now).map_err(|wait| rejected(call, &retrier, wait))?;
        let spare = (retry.is_some() && outgoing.idempotent).then(|| outgoing.copy_head());
        let head = std::mem::replace(&mut outgoing.head, Request::new(()).into_parts().0);
        let mut request = Some(Request::from_parts(head, outgoing.open_body()));
        let try_deadline = config.per_try.map(|per_try| now + per_try).into_iter().chain(deadline).min();
        let (outcome, result) =
            attempt::attempt(core, call, outgoing, &mut request, try_deadline, avoid).await;
        if let Err(Failure { kind: Kind::NoInstance, .. }) = &result {
            drop(pass);
            return finish(call, outgoing, &retrier, result, core);
        }
        let ended = clock::now();
        if outgoing.body_broken().is_some() {
            drop(pass);
            return finish(call, outgoing, &retrier, result, core);
        }
        match outgoing.client_failed(outcome) {
            true => drop(pass),
            false => pass.record(ended, outcome.is_failure()),
        }
        let unsent = request.is_some();
        let what = policy::Request {
            idempotent: outgoing.idempotent,
            replayable: unsent || (spare.is_some() && outgoing.replayable()),
        };
        let verdict = retrier.decide(
            ended,
            deadline,
            retry,
            outcome,
            what,
            &mut call.budget.borrow_mut(),
            &mut core.rng.borrow_mut(),
        );
        let Verdict::Retry(wait) = verdict else {
            if verdict == Verdict::Stop(policy::Stop::Budget) {
                call.tally().retries_denied.add(1);
            }
            return finish(call, outgoing, &retrier, result, core);
        };
        call.tally().retries.add(1);
        avoid = match result {
            Ok(answer) => {
                let key = answer.lease.instance.shared.key;
                throw_away(answer, outgoing.body_idle);
                Some(key)
            }
            Err(failure) => failure.instance,
        };
        outgoing.head = match (request, spare) {
            (Some(request), _) => request.into_parts().0,
            (None, Some(spare)) => spare,
            (None, None) => return Err(rejected(call, &retrier, wait)),
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// What the caller gets from the last try.
fn finish(
    call: &LocalCall,
    outgoing: &mut Outgoing,
    retrier: &Retrier,
    result: Result<Answer, Failure>,
    core: &Core,
) -> Result<Response<Body>, Problem> {
    let mut problem = match (result, outgoing.body_broken()) {
        (_, Some(Broken::TooLarge)) => {
            Problem::new(Kind::BodyTooLarge, "the request body is larger than `body-bytes` allows")
        }
        (_, Some(Broken::Idle)) => {
            Problem::new(Kind::BodyIdle, "the request body was silent for longer than `body-idle` allows")
        }
        (Err(_), Some(Broken::Peer)) => {
            Problem::new(Kind::BadRequest, "the request body broke off or is not valid HTTP")
        }
        (Ok(answer), _) if answer.switches_protocols() && outgoing.upgrade.is_none() => Problem::new(
            Kind::BadAnswer,
            format!("{} switches to a protocol that nobody asked for", call.state.config.upstream),
        ),
        (Ok(answer), _) => return Ok(deliver(answer, outgoing, core)),
        (Err(failure), _) => failure.problem(call, retrier.retries() + 1),
    };
    problem.call = Some(call.state.config.id.clone());
    problem.upstream = Some(call.state.config.upstream.clone());
    Err(problem)
}

fn rejected(call: &LocalCall, retrier: &Retrier, wait: std::time::Duration) -> Problem {
    call.tally().rejected.add(1);
    let config = &call.state.config;
    let tries = retrier.retries();
    let mut problem = Problem::new(
        Kind::CircuitOpen,
        format!("{} has failed too often; it is given a rest", config.upstream),
    )
    .retry_after(wait);
    problem.call = Some(config.id.clone());
    problem.upstream = Some(config.upstream.clone());
    problem.tries = (tries > 0).then_some(tries);
    problem
}

/// Makes the answer the client's: its body streams on, its connection returns to the pool.
fn deliver(answer: Answer, outgoing: &mut Outgoing, core: &Core) -> Response<Body> {
    let switches = answer.switches_protocols();
    let Answer { mut response, mut lease } = answer;
    if switches {
        let upstream = hyper::upgrade::on(&mut response);
        let (head, _) = response.into_parts();
        if let Some(client) = outgoing.upgrade.take() {
            core.tunnel(client, upstream, lease);
        }
        return Response::from_parts(head, Body::empty());
    }
    let idle = (!streams(&response)).then_some(outgoing.body_idle);
    lease.upload = outgoing.body.clone();
    let (head, incoming) = response.into_parts();
    Response::from_parts(head, Body::upstream(incoming, lease, idle))
}

/// Whether an answer may rightly be silent for long: server-sent events and gRPC streams.
fn streams(response: &Response<hyper::body::Incoming>) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().starts_with(b"text/event-stream")
            || value.as_bytes().starts_with(b"application/grpc")
    })
}

/// Reads an answer that nobody wants to its end, so that its connection can be used again.
fn throw_away(answer: Answer, idle: std::time::Duration) {
    let (_, incoming) = answer.response.into_parts();
    let mut body = Body::upstream(incoming, answer.lease, Some(idle));
    tokio::task::spawn_local(async move {
        use http_body_util::BodyExt;
        let reading = async {
            let mut left = DRAIN_BYTES_MAX;
            while let Some(Ok(frame)) = body.frame().await {
                let size = frame.data_ref().map_or(0, |data| data.len());
                match left.checked_sub(size) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        let _ = tokio::time::timeout(DRAIN_TIME_MAX, reading).await;
    });
}

/// Leave by the breaker, given back untold if the request is dropped.
struct Passed<'a> {
    call: &'a LocalCall,
    pass: Option<Pass>,
}

impl<'a> Passed<'a> {
    fn new(call: &'a LocalCall, now: Time) -> Result<Passed<'a>, std::time::Duration> {
        let pass = call.state.breaker.as_ref().map(|breaker| breaker.admit(now)).transpose()?;
        Ok(Passed { call, pass })
    }

    fn record(mut self, now: Time, failed: bool) {
        if let (Some(breaker), Some(pass)) = (&self.call.state.breaker, self.pass.take()) {
            breaker.record(now, pass, failed, &self.call.lot);
        }
    }
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        if let (Some(breaker), Some(pass)) = (&self.call.state.breaker, self.pass.take()) {
            breaker.abandon(clock::now(), pass);
        }
    }
}

//! One try: choose an instance, get a connection, send, wait for the answer's head.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use policy::{Outcome, Time};

use super::{LocalCall, Outgoing};
use crate::clock;
use crate::core::Core;
use crate::request::body::RequestBody;
use crate::request::problem::{Kind, Problem};
use crate::upstream::pool::{self, Sender};
use crate::upstream::{Lease, LocalInstance};

/// So long after its last instance went, requests for an upstream are held, such as during a
/// restart; then they fail at once.
const HOLD_MAX: Duration = Duration::from_secs(3);
/// Latency that a failed try counts as for the balancer where nothing is ejected, so that failing fast attracts nothing.
const FAILURE_LATENCY: Duration = Duration::from_secs(1);

/// An answer's head, and the hold on its connection.
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    pub(crate) lease: Lease,
}

impl Answer {
    pub(super) fn switches_protocols(&self) -> bool {
        self.response.status() == StatusCode::SWITCHING_PROTOCOLS
    }
}

/// How a try went.
pub(crate) struct Tried {
    pub(crate) outcome: Outcome,
    /// How long the instance took to the answer's head or to the failure. Neither the wait for an
    /// instance nor that for the client's body is its time.
    pub(crate) took: Duration,
    pub(crate) result: Result<Answer, Failure>,
}

/// A try without an answer.
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// Key of the instance it was sent to.
    pub(crate) instance: Option<u64>,
    detail: String,
}

impl Failure {
    /// The failure as the caller is told it.
    pub(super) fn problem(self, call: &LocalCall, tries: u32) -> Problem {
        let mut problem = Problem::new(self.kind, self.detail);
        problem.tries = (self.kind != Kind::NoInstance).then_some(tries);
        if self.kind == Kind::NoInstance {
            problem = problem.retry_after(Duration::from_secs(1));
            problem.remedy = Some(format!("`colony status` tells how {} is", call.state.config.upstream));
        }
        problem
    }
}

/// Sends a request once. Afterwards `request` holds it still if nothing of it was sent.
pub(super) async fn attempt(
    core: &Core,
    call: &LocalCall,
    outgoing: &Outgoing,
    request: &mut Option<Request<RequestBody>>,
    first_started: Time,
    avoid: Option<u64>,
) -> Tried {
    let started = clock::now();
    let lease = RefCell::new(None);
    let sending = send(core, call, request, &lease, avoid);
    let (whole, per_try) = (call.state.config.timeout, call.state.config.per_try);
    let sent = in_time(sending, outgoing, [(first_started, whole), (started, per_try)]).await;
    let (lease, chosen): (Option<Lease>, _) = lease.into_inner().unzip();
    let ended = clock::now();
    let took = chosen.map_or(Duration::ZERO, |chosen| outgoing.waited(chosen, ended));
    let (outcome, result) = match sent {
        Err(TimedOut) => (Outcome::TimedOut, Err(timed_out(call, lease.as_ref(), ended.since(started)))),
        Ok(Err((outcome, kind, detail))) => (outcome, Err((kind, detail))),
        Ok(Ok(response)) => (answered(&response), Ok(response)),
    };
    let blameless = outgoing.body_broken().is_some();
    if let (Some(ejection), Some(lease), false) = (&call.state.ejection, &lease, blameless) {
        ejection.record(ended, lease.instance.shared.key, outcome.is_failure());
    }
    let result = match (result, lease) {
        (Ok(response), Some(mut lease)) => {
            lease.latency = sample(call, outcome, ended.since(started));
            Ok(Answer { response, lease })
        }
        (Err((kind, detail)), Some(mut lease)) => {
            let sample = sample(call, outcome, ended.since(started));
            lease.latency = sample.filter(|_| !blameless);
            Err(Failure { kind, detail, instance: Some(lease.instance.shared.key) })
        }
        (Err((kind, detail)), None) => Err(Failure { kind, detail, instance: None }),
        (Ok(_), None) => unreachable!("an answer comes over a leased connection"),
    };
    Tried { outcome, took, result }
}

struct TimedOut;

/// Waits for `sending` until the first of the times that begin and last so long is over. That point
/// moves with the client's body, so at its arrival it is looked at again.
async fn in_time<T>(
    sending: impl Future<Output = T>,
    outgoing: &Outgoing,
    times: [(Time, Option<Duration>); 2],
) -> Result<T, TimedOut> {
    let shortest = times.iter().filter_map(|(_, lasts)| *lasts).min();
    let Some(shortest) = shortest else { return Ok(sending.await) };
    let mut sending = pin!(sending);
    loop {
        let each = times.iter().filter_map(|(from, lasts)| outgoing.deadline(*from, (*lasts)?));
        let now = clock::now();
        let deadline = each.min().unwrap_or(now + shortest);
        if deadline <= now {
            return Err(TimedOut);
        }
        if let Ok(sent) = tokio::time::timeout_at(clock::instant(deadline), sending.as_mut()).await {
            return Ok(sent);
        }
    }
}

/// What the balancer learns from a try. Where an ejection looks after failures, these teach nothing:
/// a penalty would keep the instance from getting the next ones, and for minutes after it is well.
fn sample(call: &LocalCall, outcome: Outcome, took: Duration) -> Option<Duration> {
    match (outcome.is_failure(), &call.state.ejection) {
        (false, _) => Some(took),
        (true, None) => Some(took.max(FAILURE_LATENCY)),
        (true, Some(_)) => (outcome == Outcome::TimedOut).then_some(took),
    }
}

fn answered(response: &Response<Incoming>) -> Outcome {
    let seconds =
        response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Outcome::Answered { status: response.status().as_u16(), retry_after: seconds.map(Duration::from_secs) }
}

fn timed_out(call: &LocalCall, lease: Option<&Lease>, waited: Duration) -> (Kind, String) {
    let upstream = &call.state.config.upstream;
    match lease {
        Some(lease) => (
            Kind::Timeout,
            format!("{upstream} ({}) sent no answer within {} ms", name(&lease.instance), waited.as_millis()),
        ),
        None => (
            Kind::NoInstance,
            format!("no instance of {upstream} became ready within {} ms", waited.as_millis()),
        ),
    }
}

fn name(instance: &LocalInstance) -> String {
    let endpoint = &instance.shared.endpoint;
    let address = endpoint.address.to_string();
    // An external's instance has no other name.
    if endpoint.id == address { address } else { format!("{} at {address}", endpoint.id) }
}

type Lost = (Outcome, Kind, String);

async fn send(
    core: &Core,
    call: &LocalCall,
    request: &mut Option<Request<RequestBody>>,
    slot: &RefCell<Option<(Lease, Time)>>,
    avoid: Option<u64>,
) -> Result<Response<Incoming>, Lost> {
    let instance = pick(core, call, avoid).await?;
    let now = clock::now();
    *slot.borrow_mut() = Some((instance.lease(now), now));
    let mut pooled = instance.pool.get(now).await;
    loop {
        let reused = pooled.is_some();
        let mut sender = match pooled.take() {
            Some(sender) => sender,
            None => connect(call, &instance).await?,
        };
        let Some(message) = request.take() else {
            return Err((Outcome::Reset, Kind::ConnectionLost, "the request is gone".to_owned()));
        };
        match sender.send(message).await {
            Ok(response) => {
                if let Some((lease, _)) = slot.borrow_mut().as_mut() {
                    lease.sender = Some(sender);
                }
                return Ok(response);
            }
            // A kept connection that turns out closed is nobody's failure: take the next.
            Err(lost) if reused && lost.unsent.is_some() => {
                *request = lost.unsent;
                pooled = instance.pool.get(now).await;
            }
            Err(lost) => {
                let unsent = lost.unsent.is_some();
                *request = lost.unsent;
                return Err(explain(call, &instance, unsent, &lost.error));
            }
        }
    }
}

fn explain(call: &LocalCall, instance: &LocalInstance, unsent: bool, error: &hyper::Error) -> Lost {
    let (upstream, instance) = (&call.state.config.upstream, name(instance));
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| cause.to_string());
    match unsent {
        true => (
            Outcome::NotSent,
            Kind::ConnectFailed,
            format!("{upstream} ({instance}) closed the connection: {cause}"),
        ),
        false if error.is_parse() => (
            Outcome::Reset,
            Kind::BadAnswer,
            format!("{upstream} ({instance}) answered what is not HTTP: {error}"),
        ),
        false => (
            Outcome::Reset,
            Kind::ConnectionLost,
            format!("{upstream} ({instance}) closed the connection before it answered: {cause}"),
        ),
    }
}

async fn connect(call: &LocalCall, instance: &Rc<LocalInstance>) -> Result<Sender, Lost> {
    pool::connect(instance, &call.upstream.shared.config).await.map_err(|error| {
        let upstream = &call.state.config.upstream;
        let detail = format!("cannot connect to {upstream} ({}): {error}", name(instance));
        (Outcome::NotSent, Kind::ConnectFailed, detail)
    })
}

/// An instance for this try: not ejected and not the one that just failed, where there is a choice.
async fn pick(core: &Core, call: &LocalCall, avoid: Option<u64>) -> Result<Rc<LocalInstance>, Lost> {
    let mut instances = call.upstream.instances();
    if instances.is_empty() {
        hold(call).await?;
        instances = call.upstream.instances();
    }
    let now = clock::now();
    let load = |at: usize| instances[at].load(now);
    let mut rng = core.rng.borrow_mut();
    let out = ejected(call, &instances, now);
    let chosen = if instances.len() == 1 || (out.is_empty() && avoid.is_none()) {
        policy::choose(&mut rng, instances.len(), load)
    } else {
        let healthy: Vec<usize> =
            (0..instances.len()).filter(|at| !out.contains(&instances[*at].shared.key)).collect();
        let fresh: Vec<usize> =
            healthy.iter().copied().filter(|at| Some(instances[*at].shared.key) != avoid).collect();
        let among = if fresh.is_empty() { healthy } else { fresh };
        match policy::choose(&mut rng, among.len(), |at| load(among[at])) {
            Some(at) => Some(among[at]),
            None => policy::choose(&mut rng, instances.len(), load),
        }
    };
    match chosen {
        Some(at) => Ok(instances[at].clone()),
        None => {
            let detail = format!("{} has no instance that is ready", call.state.config.upstream);
            Err((Outcome::NotSent, Kind::NoInstance, detail))
        }
    }
}

/// Waits for an instance as long as one may be expected soon: an upstream that has had none for
/// longer fails at once.
async fn hold(call: &LocalCall) -> Result<(), Lost> {
    if call.upstream.some_instance(HOLD_MAX).await {
        return Ok(());
    }
    let upstream = &call.state.config.upstream;
    let detail = match call.upstream.shared.trouble() {
        Some(trouble) => format!("{upstream} has no address: {trouble}"),
        None => format!("{upstream} has had no instance that is ready for a while"),
    };
    Err((Outcome::NotSent, Kind::NoInstance, detail))
}

/// Keys of the ejected instances.
fn ejected(call: &LocalCall, instances: &Rc<Vec<Rc<LocalInstance>>>, now: Time) -> Vec<u64> {
    let Some(ejection) = &call.state.ejection else { return Vec::new() };
    let version = call.upstream.version();
    if call.told.get() != version {
        let keys: Vec<u64> = instances.iter().map(|instance| instance.shared.key).collect();
        ejection.set_instances(&keys);
        call.told.set(version);
    }
    ejection.ejected(now).into_iter().map(|(key, _)| key).collect()
}

//! One try: choose an instance, get a connection, send, wait for the answer's head.

use std::cell::RefCell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use policy::{Outcome, Time};

use super::faults::Struck;
use super::times::{Over, Times};
use super::{LocalCall, Outgoing, choose};
use crate::clock;
use crate::config::Protocol;
use crate::core::Core;
use crate::executor::Wanted;
use crate::io::{Io, Stream};
use crate::message::fields::{Fields, Id};
use crate::request::answer::From;
use crate::request::http2::from_map;
use crate::request::problem::{Kind, Problem};
use crate::request::websocket;
use crate::spans::{Ending, Trying};
use crate::upstream::http1::Lost as Lost1;
use crate::upstream::pool;
use crate::upstream::{Lease, LocalInstance};

/// Most further addresses that one try of an external connects to.
const OTHER_ADDRESSES_MAX: usize = 3;
/// Latency that a failed try counts as for the balancer where nothing is ejected, so that failing fast attracts nothing.
const FAILURE_LATENCY: Duration = Duration::from_secs(1);

/// An upstream's answer, of which the head is there, and the hold on its connection.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) from: From,
    pub(crate) lease: Lease,
}

impl Reply {
    pub(super) fn switches_protocols(&self) -> bool {
        self.status == 101
    }
}

/// How a try went.
pub(crate) struct Tried {
    pub(crate) outcome: Outcome,
    pub(crate) ended: Time,
    /// How long the instance took to the answer's head or to the failure. Neither the wait for an
    /// instance nor that for the client's body is its time.
    pub(crate) took: Duration,
    /// It says nothing of the upstream: the client's body broke off, or its deadline cut the try short.
    pub(crate) blameless: bool,
    pub(crate) result: Result<Reply, Failure>,
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
        if self.kind == Kind::NoUpgrade {
            problem.remedy = Some(websocket::remedy(&call.state.config.upstream));
        }
        problem
    }
}

/// The instance that a try is at, and since when. It is out of the try, so that whoever lets go of a try
/// can see it.
pub(super) type Slot = RefCell<Option<(Lease, Time)>>;

/// Sends a request once.
pub(super) async fn attempt(
    core: &Core,
    call: &LocalCall,
    outgoing: &Outgoing<'_>,
    times: Times,
    avoid: Option<u64>,
    slot: &Slot,
    noted: Trying,
) -> Tried {
    let started = times.began();
    let sent = {
        // Pinned here, for an argument that is pinned over there would be there twice.
        let sending = pin!(send(core, call, outgoing, slot, times, avoid, noted));
        times.keep(sending, outgoing).await
    };
    let (lease, chosen) = slot.take().unzip();
    let ended = clock::now();
    let took = chosen.map_or(Duration::ZERO, |chosen| outgoing.waited(chosen, ended));
    let over = sent.as_ref().err().map(|over| times.reached(*over));
    let cut_short = sent.as_ref().is_err_and(|over| *over == Over::Callers);
    let (outcome, result) = match sent {
        Err(over) => (Outcome::TimedOut, Err(timed_out(call, lease.as_ref(), ended.since(started), over))),
        Ok(Err((outcome, kind, detail))) => (outcome, Err((kind, detail))),
        Ok(Ok(answered)) => (outcome_of(outgoing, &answered), Ok(answered)),
    };
    let failed = result.as_ref().err().map(|(kind, _)| *kind);
    outgoing.trace.tried(noted, Ending { at: ended, outcome, failed, over });
    let blameless = cut_short || outgoing.body_broken().is_some();
    let open = result.as_ref().is_ok_and(|answered| outgoing.ends_later(outcome, &answered.fields));
    if let (Some(ejection), Some(lease), false) = (&call.state.ejection, &lease, blameless || open) {
        ejection.record(ended, lease.instance.shared.key, outcome.is_failure());
    }
    let result = match (result, lease) {
        (Ok(Answered { status, fields, from }), Some(mut lease)) => {
            lease.latency = sample(call, outcome, ended.since(started));
            Ok(Reply { status, fields, from, lease })
        }
        (Err((kind, detail)), Some(mut lease)) => {
            lease.latency = match blameless {
                false => sample(call, outcome, ended.since(started)),
                true if cut_short => lease.instance.slower_than(took),
                true => None,
            };
            Err(Failure { kind, detail, instance: Some(lease.instance.shared.key) })
        }
        (Err((kind, detail)), None) => Err(Failure { kind, detail, instance: None }),
        (Ok(_), None) => unreachable!("an answer comes over a leased connection"),
    };
    Tried { outcome, ended, took, blameless, result }
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

fn outcome_of(outgoing: &Outgoing<'_>, answered: &Answered) -> Outcome {
    let seconds =
        answered.fields.get(Id::RetryAfter).and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    Outcome::Answered {
        status: answered.status,
        retry_after: seconds.map(Duration::from_secs),
        grpc: outgoing.grpc_status(&answered.fields),
    }
}

fn timed_out(call: &LocalCall, lease: Option<&Lease>, waited: Duration, over: Over) -> (Kind, String) {
    let upstream = &call.state.config.upstream;
    match lease {
        Some(lease) => (
            Kind::Timeout,
            format!(
                "{upstream} ({}) sent no answer within {} ms{}",
                name(&lease.instance),
                waited.as_millis(),
                if over == Over::Callers { ", which is all that the caller had left" } else { "" },
            ),
        ),
        None => (
            Kind::NoInstance,
            format!("no instance of {upstream} became ready within {} ms", waited.as_millis()),
        ),
    }
}

pub(super) fn name(instance: &LocalInstance) -> String {
    let endpoint = &instance.shared.endpoint;
    let address = endpoint.address.to_string();
    // An external's instance has no other name.
    if endpoint.id == address { address } else { format!("{} at {address}", endpoint.id) }
}

/// How a try ended that got no answer.
pub(super) type Lost = (Outcome, Kind, String);

/// What an instance answered.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) fields: Fields,
    pub(super) from: From,
}

async fn send(
    core: &Core,
    call: &LocalCall,
    outgoing: &Outgoing<'_>,
    slot: &Slot,
    times: Times,
    avoid: Option<u64>,
    noted: Trying,
) -> Result<Answered, Lost> {
    let mut refused = Vec::new();
    loop {
        let avoid = if refused.is_empty() { avoid.as_slice() } else { &refused };
        let (instance, now) = choose::pick(core, call, outgoing, noted, times.began(), avoid).await?;
        outgoing.trace.chosen(noted, &instance.names, now.since(times.began()));
        *slot.borrow_mut() = Some((instance.lease(now), now));
        let sent = match call.state.faults.strike(core, &outgoing.message, now) {
            None => exchange(core, call, outgoing, &instance, times, noted, now).await,
            Some(struck) => {
                Box::pin(send_struck(core, call, outgoing, &instance, times, noted, struck)).await
            }
        };
        match sent {
            Err((Outcome::NotSent, Kind::ConnectFailed, _))
                if instance.unreachable.take() && refused.len() < other_addresses(call) =>
            {
                let key = instance.shared.key;
                if let Some(ejection) = &call.state.ejection {
                    ejection.record(clock::now(), key, true);
                }
                refused.push(key);
            }
            sent => return sent,
        }
    }
}

/// How many more addresses of a name are tried where one takes no connection, as any client does that looks a
/// name up: `localhost` is two, and most servers listen on one of them. Nothing was sent, so it is one try.
fn other_addresses(call: &LocalCall) -> usize {
    match call.upstream.shared.config.external {
        Some(_) => call.upstream.instances().len().saturating_sub(1).min(OTHER_ADDRESSES_MAX),
        None => 0,
    }
}

async fn send_struck(
    core: &Core,
    call: &LocalCall,
    outgoing: &Outgoing<'_>,
    instance: &Rc<LocalInstance>,
    times: Times,
    noted: Trying,
    struck: Struck,
) -> Result<Answered, Lost> {
    outgoing.trace.struck(noted, struck.id());
    if let Some(instead) = struck.before(call, outgoing, instance).await {
        return instead;
    }
    let answered = exchange(core, call, outgoing, instance, times, noted, clock::now()).await?;
    Ok(struck.after(answered, clock::now()))
}

async fn exchange(
    core: &Core,
    call: &LocalCall,
    outgoing: &Outgoing<'_>,
    instance: &Rc<LocalInstance>,
    times: Times,
    noted: Trying,
    now: Time,
) -> Result<Answered, Lost> {
    match call.upstream.shared.config.protocol {
        Protocol::Http1 => send_http1(core, call, outgoing, instance, times, noted, now).await,
        // Boxed, as is what is rare: what one request may need takes up room in each.
        Protocol::Http2 => Box::pin(send_http2(core, call, outgoing, instance, times, noted, now)).await,
    }
}

async fn send_http1(
    core: &Core,
    call: &LocalCall,
    outgoing: &Outgoing<'_>,
    instance: &Rc<LocalInstance>,
    times: Times,
    noted: Trying,
    mut now: Time,
) -> Result<Answered, Lost> {
    let upstream = &call.upstream.shared;
    let message = &outgoing.message;
    let to_head = message.method() == http::Method::HEAD;
    loop {
        let kept = instance.pool.get(now);
        let reused = kept.is_some();
        let connection = match kept {
            Some(connection) => connection,
            None => {
                let fresh = Box::pin(pool::connect(instance, &upstream.config)).await;
                now = clock::now();
                fresh.map_err(|error| cannot_connect(call, instance, &error))?
            }
        };
        let told = times.told(outgoing, now, core.node);
        let head = message.http1(upstream, &instance.shared.endpoint, &noted.context, told);
        let (body, interim) = (outgoing.open_body(), &outgoing.interim);
        match connection.exchange(head, body, message.chunked, to_head, interim).await {
            Ok((head, receiving)) => {
                let from = match head.status {
                    101 => From::Switched(Box::new(receiving.into_io())),
                    _ => From::Http1(Box::new(receiving)),
                };
                return Ok(Answered { status: head.status, fields: head.fields, from });
            }
            // A kept connection that turns out closed is nobody's failure: take the next.
            Err(Lost1::Unsent(_)) if reused => {}
            Err(lost) => return Err(explain(call, instance, &lost)),
        }
    }
}

async fn send_http2(
    core: &Core,
    call: &LocalCall,
    outgoing: &Outgoing<'_>,
    instance: &Rc<LocalInstance>,
    times: Times,
    noted: Trying,
    mut now: Time,
) -> Result<Answered, Lost> {
    let upstream = &call.upstream.shared;
    let write = || {
        let (to, body) = (&instance.shared.endpoint, outgoing.open_body());
        let request = outgoing.message.http2(upstream, to, &noted.context, body);
        let detail = || "the address cannot be sent in HTTP/2".to_owned();
        request.ok_or_else(|| (Outcome::NotSent, Kind::BadRequest, detail()))
    };
    let mut request = write()?;
    let mut crossed = false;
    loop {
        let kept = instance.pool.http2();
        let reused = kept.is_some();
        let mut sender = match kept {
            Some(sender) => sender,
            None => {
                let fresh = pool::connect_http2(instance, &upstream.config).await;
                now = clock::now();
                fresh.map_err(|error| cannot_connect(call, instance, &error))?
            }
        };
        if outgoing.message.asks_upgrade() {
            match sender.takes_connect().await {
                Some(true) => {}
                Some(false) => return Err(takes_no_connect(call, instance)),
                None if reused => continue,
                None => {
                    let error = std::io::ErrorKind::UnexpectedEof.into();
                    return Err(explain(call, instance, &Lost1::Unsent(error)));
                }
            }
        }
        if let Some(told) = times.told(outgoing, now, core.node) {
            told.write(request.headers_mut());
        }
        let wanted = sender.watch(&mut request);
        match sender.requests.try_send_request(request).await {
            Ok(response) => return answered_http2(outgoing, response, wanted).await,
            Err(mut failed) => match (failed.take_message(), failed.into_error()) {
                (Some(unsent), _) if reused => request = unsent,
                // It crossed with the server's word that it takes no more on this connection.
                (None, error) if reused && !crossed && is_past_goaway(&error) && outgoing.replayable() => {
                    crossed = true;
                    request = write()?;
                }
                (unsent, error) => return Err(explain_http2(call, instance, unsent.is_some(), &error)),
            },
        }
    }
}

/// The answer from HTTP/2, as one from HTTP/1.1 if it is to an upgrade.
async fn answered_http2(
    outgoing: &Outgoing<'_>,
    response: Response<Incoming>,
    wanted: Option<Wanted>,
) -> Result<Answered, Lost> {
    let (mut head, incoming) = response.into_parts();
    let mut fields = from_map(&head.headers);
    let opened = match outgoing.message.websocket_key() {
        // The connection gives the stream away with the answer.
        Some(key) if head.status == http::StatusCode::OK => {
            head.extensions.remove::<OnUpgrade>().map(|stream| (stream, key))
        }
        _ => None,
    };
    let Some((stream, key)) = opened else {
        return Ok(Answered { status: head.status.as_u16(), fields, from: From::Http2(incoming, wanted) });
    };
    let stream = stream.await.map_err(|error| {
        (Outcome::Reset, Kind::ConnectionLost, format!("the stream was lost before the upgrade: {error}"))
    })?;
    websocket::add_proof(&mut fields, key);
    let io = Io::new(Stream::Http2(Box::new(TokioIo::new(stream))));
    Ok(Answered { status: 101, fields, from: From::Switched(Box::new(io)) })
}

/// No failure of the server: what it does not offer it cannot be asked for.
fn takes_no_connect(call: &LocalCall, instance: &LocalInstance) -> Lost {
    let whom = format!("{} ({})", call.state.config.upstream, name(instance));
    let detail = format!("{whom} is spoken to in HTTP/2 and does not announce WebSocket over it (RFC 8441)");
    (Outcome::Answered { status: 501, retry_after: None, grpc: None }, Kind::NoUpgrade, detail)
}

fn explain(call: &LocalCall, instance: &LocalInstance, lost: &Lost1) -> Lost {
    let whom = format!("{} ({})", call.state.config.upstream, name(instance));
    match lost {
        Lost1::Unsent(error) => {
            (Outcome::NotSent, Kind::ConnectFailed, format!("{whom} closed the connection: {error}"))
        }
        Lost1::BadAnswer(why) => {
            (Outcome::Reset, Kind::BadAnswer, format!("{whom} answered what is not valid HTTP: {why}"))
        }
        Lost1::Closed(error) => {
            let cause = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            let detail = format!("{whom} closed the connection before it answered{cause}");
            (Outcome::Reset, Kind::ConnectionLost, detail)
        }
    }
}

fn explain_http2(call: &LocalCall, instance: &LocalInstance, unsent: bool, error: &hyper::Error) -> Lost {
    let whom = format!("{} ({})", call.state.config.upstream, name(instance));
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| cause.to_string());
    match unsent {
        true => (Outcome::NotSent, Kind::ConnectFailed, format!("{whom} closed the connection: {cause}")),
        false if self::cause(error).is_some_and(h2::Error::is_library) => {
            (Outcome::Reset, Kind::BadAnswer, format!("{whom} answered what is not valid HTTP/2: {cause}"))
        }
        false if is_past_goaway(error) || is_refused(error) => {
            (Outcome::NotSent, Kind::ConnectFailed, format!("{whom} did not take the request: {cause}"))
        }
        false => (
            Outcome::Reset,
            Kind::ConnectionLost,
            format!("{whom} closed the connection before it answered: {cause}"),
        ),
    }
}

/// Whether the server has said that it did not get to this request before it said goodbye (RFC 9113 section
/// 6.8). Streams that it did get to are ended by the end of the connection.
fn is_past_goaway(error: &hyper::Error) -> bool {
    cause(error).is_some_and(|cause| cause.is_go_away() && cause.is_remote())
}

/// Whether the server has said that it did nothing with this request (RFC 9113 section 8.7).
fn is_refused(error: &hyper::Error) -> bool {
    let refused = |cause: &h2::Error| cause.is_remote() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
    cause(error).is_some_and(refused)
}

fn cause(error: &hyper::Error) -> Option<&h2::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// Whether it was the address, and not what was agreed on with who is there.
fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut};
    matches!(
        error.kind(),
        ConnectionRefused | HostUnreachable | NetworkUnreachable | AddrNotAvailable | TimedOut
    )
}

fn cannot_connect(call: &LocalCall, instance: &LocalInstance, error: &io::Error) -> Lost {
    let upstream = &call.state.config.upstream;
    let detail = format!("cannot connect to {upstream} ({}): {error}", name(instance));
    instance.unreachable.set(is_unreachable(error));
    (Outcome::NotSent, Kind::ConnectFailed, detail)
}

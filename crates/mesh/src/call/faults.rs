//! Faults on purpose: what an instance seems to do to a try.
//!
//! They are injected where a try is sent, as if the instance behaved so: after breaker, ejection and
//! balancing have let it through and while its deadline runs, so that these, and retries and fallback
//! after them, see what they would see of an instance that is ill. A filter before the policies, as
//! Envoy's is, tests the caller alone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use policy::fault::{Decision, Then};
use policy::{Asked, Fault, Outcome, Strike, Time};
use tokio::sync::watch;

use super::attempt::{Answered, Lost, name};
use super::{LocalCall, Outgoing};
use crate::call::guard::lock;
use crate::clock;
use crate::core::Core;
use crate::message::fields::Fields;
use crate::request::answer::{Answer, Body, From};
use crate::request::grpc;
use crate::request::outgoing::Message;
use crate::request::problem::{Kind, Problem};
use crate::request::slow::Slow;
use crate::upstream::LocalInstance;

/// The faults of one call. While there is none, a try pays for one relaxed load.
#[derive(Default)]
pub(crate) struct Faults {
    any: AtomicBool,
    active: Mutex<Arc<[Arc<Active>]>>,
}

/// A fault in force, shared by all calls that it is on.
pub(crate) struct Active {
    pub(crate) id: u64,
    /// The call or the upstream.
    pub(crate) on: String,
    pub(crate) fault: Fault,
    /// Tries in its scope, and those that it struck.
    pub(crate) tries: AtomicU64,
    pub(crate) struck: AtomicU64,
    /// Whether it was ended before its time.
    ended: watch::Sender<bool>,
}

/// What is done to a try, and by which faults.
pub(super) struct Struck(Vec<(Arc<Active>, Strike)>);

impl Active {
    pub(crate) fn new(id: u64, on: String, fault: Fault) -> Active {
        let (tries, struck) = (AtomicU64::new(0), AtomicU64::new(0));
        Active { id, on, fault, tries, struck, ended: watch::Sender::new(false) }
    }

    /// Ends it before its time: whom it holds is let go.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    pub(crate) fn is_over(&self, now: Time) -> bool {
        self.fault.is_over(now) || *self.ended.borrow()
    }

    /// Waits until it is over, by its time or by hand.
    pub(crate) async fn over(&self) {
        let mut ended = self.ended.subscribe();
        let end = clock::instant(self.fault.until());
        let _ = tokio::time::timeout_at(end, ended.wait_for(|ended| *ended)).await;
    }
}

impl Faults {
    pub(crate) fn set(&self, active: Vec<Arc<Active>>) {
        let any = !active.is_empty();
        *lock(&self.active) = active.into();
        self.any.store(any, Ordering::Relaxed);
    }

    /// What is done to a try that begins now.
    #[inline]
    pub(super) fn strike(&self, core: &Core, message: &Message, now: Time) -> Option<Struck> {
        match self.any.load(Ordering::Relaxed) {
            false => None,
            true => self.decide(core, message, now),
        }
    }

    #[cold]
    fn decide(&self, core: &Core, message: &Message, now: Time) -> Option<Struck> {
        let active = lock(&self.active).clone();
        let mut all = Vec::new();
        for one in active.iter() {
            let decision = one.fault.decide(now, &mut core.rng.borrow_mut(), message);
            if decision == Decision::Apart {
                continue;
            }
            one.tries.fetch_add(1, Ordering::Relaxed);
            if let Decision::Struck(strike) = decision {
                one.struck.fetch_add(1, Ordering::Relaxed);
                all.push((one.clone(), strike));
            }
        }
        (!all.is_empty()).then_some(Struck(all))
    }
}

impl Struck {
    /// The first of the faults.
    pub(super) fn id(&self) -> Option<u64> {
        self.0.first().map(|(by, _)| by.id)
    }

    /// Does what comes before the instance would get the request. Some: it does not get it.
    pub(super) async fn before(
        &self,
        call: &LocalCall,
        outgoing: &Outgoing<'_>,
        instance: &LocalInstance,
    ) -> Option<Result<Answered, Lost>> {
        for (by, strike) in self.0.iter().filter(|(_, strike)| !strike.delay.is_zero()) {
            let _ = tokio::time::timeout(strike.delay, by.over()).await;
        }
        let now = clock::now();
        let mut ends = self.0.iter().filter(|(by, strike)| strike.then.ends_the_try() && !by.is_over(now));
        let (by, strike) = ends.next()?;
        match strike.then {
            Then::Pass | Then::SlowBody(_) => None,
            Then::Reset => Some(Err(by.lost(call, instance))),
            Then::Status(status) if outgoing.grpc => Some(Ok(by.grpc(grpc::of_http(status)))),
            Then::Status(status) => Some(Ok(by.status(call, &outgoing.message, instance, status))),
            Then::Grpc(status) => Some(Ok(by.grpc(status))),
        }
    }

    /// Does what comes after the head of its answer.
    pub(super) fn after(self, mut answered: Answered, now: Time) -> Answered {
        if answered.status < 200 {
            return answered;
        }
        for (by, strike) in self.0 {
            if let Then::SlowBody(rate) = strike.then {
                answered.from = Slow::over(answered.from, rate, now, by);
            }
        }
        answered
    }
}

impl Active {
    fn lost(&self, call: &LocalCall, instance: &LocalInstance) -> Lost {
        let whom = format!("{} ({})", call.state.config.upstream, name(instance));
        let detail =
            format!("the connection to {whom} was lost before it answered: fault {} on purpose", self.id);
        (Outcome::Reset, Kind::ConnectionLost, detail)
    }

    /// An error that says whose it is.
    fn status(&self, call: &LocalCall, message: &Message, instance: &LocalInstance, status: u16) -> Answered {
        let config = &call.state.config;
        let whom = format!("{} ({})", config.upstream, name(instance));
        let detail = format!("fault {} answers in the stead of {whom}, on purpose", self.id);
        let mut problem = Problem::new(Kind::FaultInjected, detail)
            .with_status(status)
            .remedy(format!("`colony fault clear {}` ends it", self.id));
        problem.call = Some(config.id.clone());
        problem.upstream = Some(config.upstream.clone());
        let Answer { fields, body, .. } = problem.answer(message.request_id());
        let body = if let Body::Full(bytes) = body { bytes } else { Vec::new() };
        Answered { status, fields, from: From::Made(body) }
    }

    /// An answer of trailers only, as gRPC over HTTP/2 has it: the status is in the head, there is no body.
    fn grpc(&self, status: u16) -> Answered {
        let mut fields = Fields::default();
        fields.push(b"content-type", b"application/grpc");
        fields.push(b"grpc-status", status.to_string().as_bytes());
        fields.push(b"grpc-message", format!("fault {} on purpose", self.id).as_bytes());
        Answered { status: 200, fields, from: From::Over }
    }
}

impl Asked for Message {
    fn method(&self) -> &str {
        Message::method(self).as_str()
    }

    fn path(&self) -> &str {
        let target = self.target();
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    fn has_header(&self, name: &str, value: Option<&str>) -> bool {
        self.has_field(name, value.map(str::as_bytes))
    }
}

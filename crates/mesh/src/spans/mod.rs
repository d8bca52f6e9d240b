//! Spans: each request as OpenTelemetry describes it, with a child for each try and what the policies did.
//!
//! A request under way has a [`Trace`], which its exchange owns, so that it ends with the last byte of the answer. What is
//! known of it is noted in one box ([`noted`]): numbers, and counted references to names that are made once a table
//! ([`names`]). At its end the box is handed over without waiting, and becomes spans with all their texts ([`unfold`])
//! where it is taken, on another thread. With nobody to hand it to, a request pays for one branch where it could have
//! been noted. Clocks are those that are read anyway.
//!
//! Of a trace whose sender says that it is not recorded (`sampled` in its `traceparent` is 0) nothing is recorded, unless
//! [`Recording::unsampled`] says so. Where there are too many, a [`telemetry::Share`] of the traces is; errors, what was tried again and what is
//! slow always are.

pub(crate) mod names;
mod noted;
mod unfold;

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use policy::{Outcome, Time};
use telemetry::{Recorder, Redactor, TraceContext};

use crate::clock;
use crate::core::Core;
use crate::message::fields::{Fields, Id};
use crate::message::head::RequestHead;
use crate::request::grpc;
use crate::request::problem::Kind;
use crate::spans::names::{CallNames, InstanceNames, Place};
use crate::spans::noted::{Ended, Noted, Try};

pub(crate) use noted::{Bound, Over};

/// Tries of one request that are noted; retries and hedges have bounds of their own, far below.
const TRIES_MAX: usize = 32;
/// Spans that a core counts before it tells the share of all.
const LOT: u64 = 64;

/// Where the data plane's spans go.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Where they are handed over.
    pub recorder: Recorder,
    /// Takes secrets out of paths.
    pub redactor: Redactor,
    /// Whether traces are recorded whose sender says that it does not. Default: no.
    pub unsampled: bool,
}

/// The same as one core has it.
pub(crate) struct Local {
    recorder: Recorder,
    redactor: Option<Arc<Redactor>>,
    unsampled: bool,
    /// What makes the data plane's time nanoseconds since 1970; looked up every now and then.
    wall: Cell<u64>,
    /// Spans that the share has not been told of.
    untold: Cell<u64>,
}

impl Local {
    pub(crate) fn new(recording: Recording) -> Local {
        let Recording { recorder, redactor, unsampled } = recording;
        let redactor = (!redactor.is_empty()).then(|| Arc::new(redactor));
        Local { recorder, redactor, unsampled, wall: Cell::new(clock::wall()), untold: Cell::default() }
    }

    /// Looks at the time of day.
    pub(crate) fn tick(&self) {
        self.wall.set(clock::wall());
        self.tell(clock::now());
    }

    fn tell(&self, now: Time) {
        self.recorder.share().offered(self.untold.take(), self.wall.get() + now.as_nanos());
    }

    fn hand_over(&self, noted: Box<Noted>) {
        let spans = noted.count();
        self.untold.set(self.untold.get() + spans);
        if self.untold.get() >= LOT {
            self.tell(noted.ended);
        }
        let share = self.recorder.share();
        match share.has(&noted.context.trace_id) || noted.matters() {
            // What there is no room for is counted there.
            true => drop(self.recorder.compact(noted)),
            false => share.left_out(spans),
        }
    }
}

/// What is noted of a request under way, if anything is.
#[derive(Default)]
pub(crate) struct Trace(RefCell<Option<Open>>);

struct Open {
    to: Rc<Local>,
    noted: Box<Noted>,
}

/// A try's place in the notes, and what it tells the upstream of the trace.
#[derive(Clone, Copy)]
pub(crate) struct Trying {
    at: Option<u8>,
    pub(crate) context: TraceContext,
}

/// How a try ended.
pub(crate) struct Ending {
    pub(crate) at: Time,
    pub(crate) outcome: Outcome,
    /// What went wrong, where no answer came.
    pub(crate) failed: Option<Kind>,
    /// Which bound it reached.
    pub(crate) over: Option<Over>,
}

impl Trace {
    /// A request has come whose place in its trace is `context`, below `parent`.
    #[inline]
    pub(crate) fn begin(
        &self,
        core: &Core,
        (context, parent): (TraceContext, Option<[u8; 8]>),
        head: &RequestHead,
        place: &Arc<Place>,
        client: Option<IpAddr>,
    ) {
        if let Some(to) = core.recording() {
            self.note_down(to, (context, parent), head, place, client);
        }
    }

    fn note_down(
        &self,
        to: Rc<Local>,
        (context, parent): (TraceContext, Option<[u8; 8]>),
        head: &RequestHead,
        place: &Arc<Place>,
        client: Option<IpAddr>,
    ) {
        if context.is_sampled() || to.unsampled {
            let mut noted = Box::new(Noted::new(context, parent, head, place.clone(), client));
            (noted.wall, noted.redactor) = (to.wall.get(), to.redactor.clone());
            self.0.replace(Some(Open { to, noted }));
        }
    }

    /// Whether anything is noted.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.0.borrow().is_some()
    }

    #[inline]
    fn note(&self, what: impl FnOnce(&mut Noted)) {
        if let Some(open) = &mut *self.0.borrow_mut() {
            what(&mut open.noted);
        }
    }

    #[inline]
    fn note_try(&self, trying: Trying, what: impl FnOnce(&mut Try)) {
        if let Some(at) = trying.at {
            self.note(|noted| {
                if let Some(one) = noted.tries.at(at.into()) {
                    what(one);
                }
            });
        }
    }

    /// The request takes this route.
    pub(crate) fn routed(&self, route: &Arc<Place>) {
        self.note(|noted| noted.place = route.clone());
    }

    /// The request goes through this call, from now on.
    pub(crate) fn starts(&self, call: &Arc<CallNames>, grpc: bool, now: Time) {
        self.note(|noted| (noted.call, noted.grpc, noted.started) = (Some(call.clone()), grpc, now));
    }

    /// It waited for a place in a bulkhead.
    pub(crate) fn queued(&self) {
        self.note(|noted| noted.queued = true);
    }

    /// It is let in by the bulkheads.
    pub(crate) fn entered(&self, now: Time) {
        self.note(|noted| noted.entered = now);
    }

    /// A try begins; a hedge does so beside others.
    pub(crate) fn try_begins(
        &self,
        core: &Core,
        context: TraceContext,
        began: Time,
        is_hedge: bool,
    ) -> Trying {
        let mut trying = Trying { at: None, context };
        self.note(|noted| {
            let at = noted.tries.len();
            if at < TRIES_MAX {
                let own = context.child(core.rng.borrow_mut().next_u64());
                trying = Trying { at: Some(at as u8), context: own };
                noted.tries.push(Try::new(own.span_id, began, is_hedge));
            }
        });
        trying
    }

    /// A try goes to this instance, for which it was held so long.
    pub(crate) fn chosen(&self, trying: Trying, instance: &Arc<InstanceNames>, held: Duration) {
        self.note_try(trying, |one| (one.instance, one.held) = (Some(instance.clone()), held));
    }

    /// A try was held so long, and got no instance.
    pub(crate) fn held(&self, trying: Trying, held: Duration) {
        self.note_try(trying, |one| one.held = held);
    }

    /// When a try chose, so many instances were ejected.
    pub(crate) fn ejected(&self, trying: Trying, count: usize) {
        self.note_try(trying, |one| one.ejected = count.try_into().unwrap_or(u16::MAX));
    }

    /// A fault on purpose strikes a try.
    pub(crate) fn struck(&self, trying: Trying, fault: Option<u64>) {
        self.note_try(trying, |one| one.fault = fault);
    }

    /// A try has ended.
    pub(crate) fn tried(&self, trying: Trying, ending: Ending) {
        let Ending { at, outcome, failed, over } = ending;
        self.note_try(trying, |one| {
            let (status, grpc) = match outcome {
                Outcome::Answered { status, grpc, .. } => (status, grpc),
                Outcome::NotSent | Outcome::Reset | Outcome::TimedOut => (0, None),
            };
            (one.ended, one.end, one.over) =
                (at, failed.map_or(Ended::Answered(status), Ended::Failed), over);
            one.grpc_status = grpc;
        });
        if let Some(at) = trying.at {
            self.note(|noted| noted.last = at);
        }
    }

    /// A try was let go of, for another was first.
    pub(crate) fn let_go(&self, trying: Trying, now: Time) {
        self.note_try(trying, |one| (one.ended, one.end) = (now, Ended::LetGo));
    }

    /// The last try is followed by another, after a while.
    pub(crate) fn tries_again(&self, wait: Duration) {
        self.note(|noted| {
            if let Some(one) = noted.tries.at(noted.last.into()) {
                one.again_after = Some(wait);
            }
        });
    }

    /// It would have been tried again, but for the budget.
    pub(crate) fn denied(&self) {
        self.note(|noted| noted.denied = true);
    }

    /// A fallback answers in its stead.
    pub(crate) fn falls_back(&self) {
        self.note(|noted| noted.fallback = true);
    }

    /// The answer of the last try goes on to the caller, and its end is not there yet.
    pub(crate) fn streams(&self) {
        self.note(|noted| {
            if let Some(one) = noted.tries.at(noted.last.into()) {
                one.streams = true;
            }
        });
    }

    /// The caller is answered so; by Colony, if there is a problem.
    pub(crate) fn answered(&self, status: u16, fields: &Fields, problem: Option<Kind>) {
        self.note(|noted| {
            (noted.status, noted.problem) = (status, problem);
            if noted.grpc && fields.has(Id::GrpcStatus) {
                noted.grpc_status = grpc::status_in(fields);
            }
        });
    }

    /// What came after the answer's body.
    pub(crate) fn trailers(&self, trailers: &Fields) {
        self.note(|noted| noted.grpc_status = noted.grpc_status.or(grpc::status_in(trailers)));
    }

    /// The same as HTTP/2 has it.
    pub(crate) fn http2_trailers(&self, trailers: &http::HeaderMap) {
        let status = || trailers.get("grpc-status")?.to_str().ok()?.parse().ok();
        self.note(|noted| noted.grpc_status = noted.grpc_status.or_else(status));
    }

    /// Where the answer got to: to its last byte unless anything else is said.
    pub(crate) fn reached(&self, bound: Bound) {
        self.note(|noted| noted.bound = bound);
    }

    /// The request is over, or nobody wants it any more.
    pub(crate) fn end(&self, now: Time) {
        if let Some(Open { to, mut noted }) = self.0.take() {
            noted.ended = now;
            to.hand_over(noted);
        }
    }
}

//! What is noted of a request while it is under way: no text but its path, nothing that is made for it alone.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use policy::Time;
use telemetry::{Compact, Redactor, Span, TraceContext};

use super::names::{CallNames, InstanceNames, Place};
use crate::message::fields::Id;
use crate::message::head::{RequestHead, Version};
use crate::request::problem::Kind;

/// A request that took so long is recorded whatever the share of the traces is.
const SLOW_MIN: Duration = Duration::from_secs(1);
/// What was waited for less long is an attribute and no span.
const WAIT_MIN: Duration = Duration::from_millis(1);
/// Bytes of a path that need no room of their own.
const INLINE: usize = 46;
/// Bytes of a path that are kept; of a longer one the rest is cut off.
const PATH_BYTES_MAX: usize = 1024;
/// Bytes of a `tracestate` that are kept (W3C Trace Context section 3.3.1.5); of a longer one nothing is.
const STATE_BYTES_MAX: usize = 512;

/// A request, its tries, and what the policies did.
pub(crate) struct Noted {
    pub(super) context: TraceContext,
    pub(super) parent: Option<[u8; 8]>,
    pub(super) state: Option<Box<str>>,
    /// What makes the times below nanoseconds since 1970.
    pub(super) wall: u64,
    pub(super) redactor: Option<Arc<Redactor>>,
    pub(super) place: Arc<Place>,
    pub(super) call: Option<Arc<CallNames>>,
    pub(super) client: Option<IpAddr>,
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) path: Path,
    pub(super) grpc: bool,
    /// Zero: it was refused before it went through a call.
    pub(super) started: Time,
    /// When the bulkheads had let it in, where it had to wait for that.
    pub(super) entered: Time,
    pub(super) queued: bool,
    pub(super) ended: Time,
    /// Zero: there was no answer.
    pub(super) status: u16,
    pub(super) grpc_status: Option<u16>,
    pub(super) problem: Option<Kind>,
    pub(super) bound: Bound,
    pub(super) fallback: bool,
    pub(super) denied: bool,
    pub(super) tries: Tries,
    /// The try that ended last.
    pub(super) last: u8,
}

/// How far an answer got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The caller has all of it.
    Whole,
    /// The upstream's end broke off.
    Broken,
    /// The caller was gone before that.
    #[default]
    Gone,
}

/// Which bound on its time a try reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// That of one try.
    Try,
    /// That of the whole call.
    Call,
    /// That which the caller had left.
    Caller,
}

/// One try.
pub(crate) struct Try {
    pub(super) span_id: [u8; 8],
    pub(super) started: Time,
    /// Zero: it was under way when the request ended.
    pub(super) ended: Time,
    pub(super) instance: Option<Arc<InstanceNames>>,
    pub(super) end: Ended,
    pub(super) over: Option<Over>,
    pub(super) grpc_status: Option<u16>,
    pub(super) is_hedge: bool,
    /// Its answer's end is the request's.
    pub(super) streams: bool,
    /// How long it was held for want of an instance.
    pub(super) held: Duration,
    /// How many instances were ejected when it chose.
    pub(super) ejected: u16,
    pub(super) fault: Option<u64>,
    /// How long the next one waited after it.
    pub(super) again_after: Option<Duration>,
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It did not.
    UnderWay,
    Answered(u16),
    Failed(Kind),
    /// Another was first.
    LetGo,
}

impl Try {
    pub(super) fn new(span_id: [u8; 8], started: Time, is_hedge: bool) -> Try {
        Try {
            span_id,
            started,
            ended: Time::ZERO,
            instance: None,
            end: Ended::UnderWay,
            over: None,
            grpc_status: None,
            is_hedge,
            streams: false,
            held: Duration::ZERO,
            ejected: 0,
            fault: None,
            again_after: None,
        }
    }

    /// How long it was held, if that is worth a span.
    pub(super) fn waited(&self) -> Option<Duration> {
        Some(self.held).filter(|held| *held >= WAIT_MIN)
    }
}

/// The tries; most requests have one, which takes no room of its own.
#[derive(Default)]
pub(crate) struct Tries {
    first: Option<Try>,
    more: Vec<Try>,
}

impl Tries {
    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    pub(super) fn push(&mut self, one: Try) {
        match self.first {
            None => self.first = Some(one),
            Some(_) => self.more.push(one),
        }
    }

    pub(super) fn at(&mut self, at: usize) -> Option<&mut Try> {
        match at.checked_sub(1) {
            None => self.first.as_mut(),
            Some(at) => self.more.get_mut(at),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Try> {
        self.first.iter().chain(&self.more)
    }
}

impl Noted {
    pub(super) fn new(
        context: TraceContext,
        parent: Option<[u8; 8]>,
        head: &RequestHead,
        place: Arc<Place>,
        client: Option<IpAddr>,
    ) -> Noted {
        let state = head.fields.get(Id::TraceState).filter(|state| state.len() <= STATE_BYTES_MAX);
        Noted {
            context,
            parent,
            state: state.and_then(|state| std::str::from_utf8(state).ok()).map(Box::from),
            wall: 0,
            redactor: None,
            place,
            call: None,
            client,
            method: head.method.clone(),
            version: head.version,
            path: Path::new(head.path()),
            grpc: false,
            started: Time::ZERO,
            entered: Time::ZERO,
            queued: false,
            ended: Time::ZERO,
            status: 0,
            grpc_status: None,
            problem: None,
            bound: Bound::Gone,
            fallback: false,
            denied: false,
            tries: Tries::default(),
            last: 0,
        }
    }

    /// How many spans it will be.
    pub(super) fn count(&self) -> u64 {
        let held = self.tries.iter().filter(|tried| tried.waited().is_some()).count();
        1 + self.tries.len() as u64 + held as u64 + u64::from(self.waited().is_some())
    }

    /// How long it waited for a place, if that is worth a span.
    pub(super) fn waited(&self) -> Option<Duration> {
        let until = if self.entered == Time::ZERO { self.ended } else { self.entered };
        self.queued.then(|| until.since(self.started)).filter(|waited| *waited >= WAIT_MIN)
    }

    /// Whether it is worth more than others.
    pub(super) fn matters(&self) -> bool {
        self.status >= 500
            || self.bound == Bound::Broken
            || self.tries.len() > 1
            || self.grpc_status.is_some_and(policy::is_grpc_failure)
            || self.started > Time::ZERO && self.ended.since(self.started) >= SLOW_MIN
    }
}

impl Compact for Noted {
    fn spans(&self) -> u64 {
        self.count()
    }

    fn unfold(self: Box<Self>, spans: &mut Vec<Span>) {
        super::unfold::unfold(&self, spans);
    }
}

/// A path, in place if it is short.
pub(super) enum Path {
    Short(u8, [u8; INLINE]),
    Long(Box<str>),
}

impl Path {
    fn new(path: &str) -> Path {
        if path.len() <= INLINE {
            let mut bytes = [0; INLINE];
            bytes[..path.len()].copy_from_slice(path.as_bytes());
            return Path::Short(path.len() as u8, bytes);
        }
        let mut end = path.len().min(PATH_BYTES_MAX);
        while !path.is_char_boundary(end) {
            end -= 1;
        }
        Path::Long(path[..end].into())
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Path::Short(length, bytes) => std::str::from_utf8(&bytes[..usize::from(*length)]).unwrap_or(""),
            Path::Long(path) => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_kept_whole_or_cut_at_a_character() {
        for path in ["", "/", "/api/orders/7", &"/x".repeat(23), &"/é".repeat(40)] {
            assert_eq!(Path::new(path).as_str(), path);
        }
        let long = format!("/{}", "é".repeat(2_000));
        assert_eq!(Path::new(&long).as_str().len(), PATH_BYTES_MAX - 1);
    }
}

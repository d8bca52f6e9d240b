//! Which traces are kept, decided when they are whole: tail sampling.
//!
//! Spans are gathered by their trace. When a trace has been quiet for two seconds, and has no span whose cause is still to come,
//! it is decided on; after thirty seconds in any case, and earlier when there are too many. Kept are
//!
//! 1. traces in which a span failed, and
//! 2. those in which a span was slow for its service and name: a trace's first span above the running 99th percentile of its
//!    like, one of a server or consumer further in above the 99.9th; both whole, until they alone would fill the window in ten
//!    minutes, from where on they are thinned as the rest is;
//! 3. of the rest a fair share, by the service and name that a trace began with: rare ones whole, frequent ones as far as the
//!    window has room (`fair`, `allowance`).
//!
//! A kept trace has as its weight how many it stands for, so that counts can be told. Spans that come after the decision share
//! its fate, with one exception: a failure, or something slow, of a trace that was dropped is kept from there on.
//!
//! Pure: time is told, and chance is a hash of the trace's id and a seed, so that what is decided twice is decided alike.

mod allowance;
mod decided;
mod fair;
mod slow;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::part::{Kept, Part, Why, entry, is_answer};
use crate::span::Span;
use allowance::Allowance;
use decided::{Decided, Place};
use fair::Fair;
use slow::Slow;

/// A service and what it did, as a number. Zero stands for those that are not told apart.
type Name = u64;

/// How much is gathered, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a trace must be quiet to be decided on. Default 2,000 ms.
    pub quiet_ms: u64,
    /// How long it is waited for at most. Default 30,000 ms.
    pub open_ms_max: u64,
    /// Most traces that are gathered at a time; with more, the oldest are decided on. Default 20,000.
    pub traces_max: usize,
    /// Most bytes that they take in memory. Default 32 MiB.
    pub bytes_max: usize,
    /// Most spans of one trace; those beyond are dropped and counted. Default 10,000.
    pub spans_max: usize,
    /// What the window may take on the disk, for spans. Default 256 MiB, half of the window.
    pub window_bytes: u64,
    /// How far it shall reach back. Default a day.
    pub window_s: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            quiet_ms: 2_000,
            open_ms_max: 30_000,
            traces_max: 20_000,
            bytes_max: 32 << 20,
            spans_max: 10_000,
            window_bytes: 256 << 20,
            window_s: 86_400,
        }
    }
}

/// What became of traces, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Traces kept because a span failed.
    pub kept_error: u64,
    /// Traces kept because a span was slow.
    pub kept_slow: u64,
    /// Traces kept of the rest.
    pub kept_share: u64,
    /// Traces dropped as decided.
    pub dropped: u64,
    /// Traces decided on before their time, for there were too many.
    pub early: u64,
    /// Spans of those that were dropped, when they were decided on or later, or of which a trace had too many.
    pub spans_dropped: u64,
}

/// Gathers and decides. Told spans by [`Sampler::span`] and the time by [`Sampler::tick`], both give what is kept.
#[derive(Debug)]
pub struct Sampler {
    limits: Limits,
    seed: u64,
    open: HashMap<[u8; 16], Open>,
    /// When to look at which, the earliest first, and of those at one time as they came.
    due: BinaryHeap<Reverse<(u64, u64, [u8; 16])>>,
    looks: u64,
    bytes: usize,
    slow: Slow,
    must: Fair,
    rest: Fair,
    allowance: Allowance,
    decided: Decided,
    counts: Counts,
    settled_at_ms: u64,
}

/// A trace that is not decided on.
#[derive(Debug)]
struct Open {
    spans: Vec<Arc<Span>>,
    bytes: usize,
    first_ms: u64,
    last_ms: u64,
    start_ns: u64,
    must: Option<Why>,
    /// How many of the first spans are saved.
    saved: usize,
}

impl Sampler {
    /// Nothing gathered.
    pub fn new(limits: Limits, seed: u64) -> Sampler {
        let allowance = Allowance::new(limits.window_bytes, limits.window_s);
        Sampler {
            limits,
            seed,
            open: HashMap::new(),
            due: BinaryHeap::new(),
            looks: 0,
            bytes: 0,
            slow: Slow::default(),
            must: Fair::new(allowance.must()),
            rest: Fair::new(allowance.rest()),
            allowance,
            decided: Decided::default(),
            counts: Counts::default(),
            settled_at_ms: 0,
        }
    }

    /// A span has come. What is kept because of it goes to `kept`.
    pub fn span(&mut self, now_ms: u64, span: Arc<Span>, kept: &mut Vec<Part>) {
        let must = self.must(&span);
        if let Some(open) = self.open.get_mut(&span.trace_id) {
            if open.spans.len() >= self.limits.spans_max {
                self.counts.spans_dropped += 1;
                return;
            }
            self.bytes += open.add(now_ms, span, must);
        } else if let Some(place) = self.decided.kept(&span.trace_id) {
            if place.spans >= self.limits.spans_max {
                self.counts.spans_dropped += 1;
                return;
            }
            place.spans += 1;
            kept.push(late(*place, span));
        } else if self.decided.is_dropped(&span.trace_id) {
            match must {
                Some(why) => kept.push(self.think_again(span, why)),
                None => self.counts.spans_dropped += 1,
            }
        } else {
            let trace_id = span.trace_id;
            let mut open = Open::new(now_ms, span.start_ns);
            self.bytes += open.add(now_ms, span, must);
            self.open.insert(trace_id, open);
            self.look_at(now_ms + self.limits.quiet_ms, trace_id);
        }
        while self.bytes > self.limits.bytes_max || self.open.len() > self.limits.traces_max {
            let Some(Reverse((_, _, trace_id))) = self.due.pop() else { break };
            self.counts.early += 1;
            self.decide(&trace_id, kept);
        }
    }

    /// So late is it. What is decided on now and kept goes to `kept`.
    pub fn tick(&mut self, now_ms: u64, kept: &mut Vec<Part>) {
        if now_ms.saturating_sub(self.settled_at_ms) >= SECOND_MS {
            self.settled_at_ms = now_ms;
            self.allowance.settle();
            self.slow.settle(now_ms);
            self.must.settle(self.allowance.must());
            self.rest.settle(self.allowance.rest());
        }
        while let Some(Reverse((due_ms, _, trace_id))) = self.due.peek().copied() {
            if due_ms > now_ms {
                break;
            }
            self.due.pop();
            match self.open.get(&trace_id).and_then(|open| open.again(now_ms, &self.limits)) {
                Some(later_ms) => self.look_at(later_ms, trace_id),
                None => self.decide(&trace_id, kept),
            }
        }
    }

    /// Decides on all there is: it is the end.
    pub fn end(&mut self, kept: &mut Vec<Part>) {
        while let Some(Reverse((_, _, trace_id))) = self.due.pop() {
            self.decide(&trace_id, kept);
        }
    }

    /// What was kept took so much in memory and on the disk.
    pub fn written(&mut self, memory: usize, disk: usize) {
        self.allowance.written(memory, disk);
    }

    /// What became of traces.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Traces that are not decided on.
    pub fn open(&self) -> impl Iterator<Item = Part> + '_ {
        self.open.iter().map(|(trace_id, open)| open.part(*trace_id, None))
    }

    /// One of those.
    pub fn open_trace(&self, trace_id: &[u8; 16]) -> Option<Part> {
        self.open.get(trace_id).map(|open| open.part(*trace_id, None))
    }

    /// Whether a trace is not decided on, and something of it is there.
    pub fn is_open(&self, trace_id: &[u8; 16]) -> bool {
        self.open.contains_key(trace_id)
    }

    /// What has come of traces that are not decided on since this was asked last.
    pub fn unsaved(&mut self) -> Vec<Part> {
        self.open.iter_mut().filter_map(|(trace_id, open)| open.unsaved(*trace_id)).collect()
    }

    /// How many there are, and what they take in memory.
    pub fn gathered(&self) -> (usize, usize) {
        (self.open.len(), self.bytes)
    }

    fn look_at(&mut self, due_ms: u64, trace_id: [u8; 16]) {
        self.looks += 1;
        self.due.push(Reverse((due_ms, self.looks, trace_id)));
    }

    /// Why a trace with this span must be kept.
    fn must(&mut self, span: &Span) -> Option<Why> {
        let is_first = span.parent.is_none();
        let is_slow =
            (is_first || is_answer(span)) && self.slow.is_slow(name(span), span.duration_ns, !is_first);
        if span.is_error() { Some(Why::Error) } else { is_slow.then_some(Why::Slow) }
    }

    fn decide(&mut self, trace_id: &[u8; 16], kept: &mut Vec<Part>) {
        let Some(open) = self.open.remove(trace_id) else { return };
        self.bytes -= open.bytes;
        let name = entry(open.spans.iter()).map_or(0, |span| name(span));
        let (class, why) = match open.must {
            Some(why) => (&mut self.must, why),
            None => (&mut self.rest, Why::Share),
        };
        let chance = class.chance(name, open.bytes);
        // 2^-64 times a 64-bit number: a number from 0 to 1.
        let drawn = mixed(trace_id, self.seed) as f64 / u64::MAX as f64;
        if drawn > chance {
            self.counts.dropped += 1;
            self.counts.spans_dropped += open.spans.len() as u64;
            return self.decided.drop(trace_id);
        }
        self.count(why);
        let decision = Kept { why, weight: (1.0 / chance) as f32 };
        self.decided
            .keep(*trace_id, Place { kept: decision, start_ns: open.start_ns, spans: open.spans.len() });
        kept.push(open.part(*trace_id, Some(decision)));
    }

    fn count(&mut self, why: Why) {
        match why {
            Why::Error => self.counts.kept_error += 1,
            Why::Slow => self.counts.kept_slow += 1,
            Why::Share => self.counts.kept_share += 1,
        }
    }

    /// A trace that was dropped has come to something that must be kept.
    fn think_again(&mut self, span: Arc<Span>, why: Why) -> Part {
        self.count(why);
        let place = Place { kept: Kept { why, weight: 1.0 }, start_ns: span.start_ns, spans: 1 };
        self.decided.keep(span.trace_id, place);
        late(place, span)
    }
}

impl Open {
    fn new(now_ms: u64, start_ns: u64) -> Open {
        let spans = Vec::new();
        Open { spans, bytes: 0, first_ms: now_ms, last_ms: now_ms, start_ns, must: None, saved: 0 }
    }

    /// What it takes.
    fn add(&mut self, now_ms: u64, span: Arc<Span>, must: Option<Why>) -> usize {
        let bytes = span.bytes();
        self.bytes += bytes;
        self.last_ms = now_ms;
        self.start_ns = self.start_ns.min(span.start_ns);
        self.must = match (self.must, must) {
            (Some(Why::Error), _) | (_, Some(Why::Error)) => Some(Why::Error),
            (one, other) => one.or(other),
        };
        self.spans.push(span);
        bytes
    }

    /// When to look again, if it is too early to decide.
    fn again(&self, now_ms: u64, limits: &Limits) -> Option<u64> {
        let latest = self.first_ms + limits.open_ms_max;
        let quiet_at = self.last_ms + limits.quiet_ms;
        let again = match now_ms < quiet_at {
            true => quiet_at,
            false if self.is_whole() => return None,
            false => now_ms + limits.quiet_ms,
        };
        (now_ms < latest).then_some(again.min(latest))
    }

    /// Whether no span's cause is still to come. That of a server or consumer may be somebody's who records nothing.
    fn is_whole(&self) -> bool {
        let known: HashSet<[u8; 8]> = self.spans.iter().map(|span| span.span_id).collect();
        self.spans
            .iter()
            .all(|span| span.parent.is_none_or(|parent| is_answer(span) || known.contains(&parent)))
    }

    fn unsaved(&mut self, trace_id: [u8; 16]) -> Option<Part> {
        let spans = self.spans[self.saved..].to_vec();
        self.saved = self.spans.len();
        (!spans.is_empty()).then_some(Part { trace_id, start_ns: self.start_ns, kept: None, spans })
    }

    fn part(&self, trace_id: [u8; 16], kept: Option<Kept>) -> Part {
        Part { trace_id, start_ns: self.start_ns, kept, spans: self.spans.clone() }
    }
}

fn late(place: Place, span: Arc<Span>) -> Part {
    Part { trace_id: span.trace_id, start_ns: place.start_ns, kept: Some(place.kept), spans: vec![span] }
}

fn name(span: &Span) -> Name {
    let mut hasher = DefaultHasher::new();
    (&*span.service, &*span.name).hash(&mut hasher);
    hasher.finish()
}

/// An id and a seed, as a number that looks like chance (the finisher of SplitMix64).
pub(crate) fn mixed(id: &[u8; 16], seed: u64) -> u64 {
    let all = u128::from_be_bytes(*id);
    let mut z = (all as u64) ^ ((all >> 64) as u64).rotate_left(29) ^ seed;
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        z = (z ^ (z >> 30)).wrapping_mul(factor);
    }
    z ^ (z >> 31)
}

const SECOND_MS: u64 = 1_000;

#[cfg(test)]
mod tests;

//! Lists of what changed, in order: key-value stores and configuration keep them for those who watch.
//!
//! A change has a position: 1, 2, 3, ... in its list. Whoever has read up to a position asks for what is
//! after it. The first changes are given up as new ones come ([`Keep`]), and who comes too late for some is
//! refused rather than given the rest, for it would not know what it missed: it lists all anew, and goes on
//! from the [position](Span::last) that it read before listing.
//!
//! A list lies under a prefix: what is known of it at zero, the changes at their positions.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::body::Stored;
use crate::context::{Context, decode, read};
use crate::key::{Key, last_number};
use crate::refusal::{Code, Refusal};
use crate::state::{Order, Read};
use crate::time::Time;
use crate::timer::Owner;

/// Most changes that a list keeps.
pub const CHANGES_MAX: u64 = 1_000_000;
/// Most changes that are given up at once beyond those that made it necessary, so that no entry takes long.
pub const TRIMMED_MAX: usize = 256;

/// Most changes that are looked at for those of one item.
pub const CHANGES_VISITED_MAX: usize = 4_000;

/// For how long changes are kept.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Keep {
    /// How many of a list at most; zero for [`CHANGES_MAX`].
    #[prost(uint64, tag = "1")]
    pub count: u64,
    /// For how many milliseconds at least, if there are not more than `count`; zero for ever.
    #[prost(uint64, tag = "2")]
    pub age_ms: u64,
    /// Whether a change has the value that was put. Each then keeps a payload alive.
    #[prost(bool, tag = "3")]
    pub values: bool,
}

/// One change: a value in a list.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Change {
    /// In which scope.
    #[prost(string, tag = "1")]
    pub scope: String,
    /// Of what.
    #[prost(bytes = "bytes", tag = "2")]
    pub key: Bytes,
    /// Its ETag since, which is the sequence of the entry; zero if it is gone.
    #[prost(uint64, tag = "3")]
    pub etag: u64,
    /// When, in milliseconds since the epoch.
    #[prost(uint64, tag = "4")]
    pub time_ms: u64,
    /// What was put, if the list keeps that.
    #[prost(message, optional, tag = "5")]
    pub value: Option<Stored>,
}

/// Where a list begins and ends.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Span {
    /// The position of the first change that is kept; one more than `last` if none is.
    #[prost(uint64, tag = "1")]
    pub first: u64,
    /// The position of the last change; zero if there never was one.
    #[prost(uint64, tag = "2")]
    pub last: u64,
    /// Who has read only up to a position before this one has missed what happened while no changes were
    /// kept.
    #[prost(uint64, tag = "3")]
    pub gap: u64,
    /// Where the timer that gives up old changes is set; zero if it is not.
    #[prost(uint64, tag = "4")]
    pub timer_ms: u64,
}

/// Changes in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Each with its position.
    pub changes: Vec<(u64, Change)>,
    /// The position of the last change that there is, in this answer or not.
    pub last: u64,
}

impl Keep {
    /// Refuses what cannot be.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.count > CHANGES_MAX {
            let many = format!("{} changes are to be kept; {CHANGES_MAX} are the most", self.count);
            return Err(Refusal::new(Code::Invalid, many));
        }
        Ok(())
    }

    fn count(&self) -> u64 {
        if self.count == 0 { CHANGES_MAX } else { self.count }
    }

    /// Whether a change is too old.
    fn is_over(&self, change: &Change, now: Time) -> bool {
        self.age_ms > 0 && self.end_of(change) <= now
    }

    fn end_of(&self, change: &Change) -> Time {
        Time::from_millis(change.time_ms).after(self.age_ms)
    }
}

/// Writes a command's changes: the span is read once and written once.
pub(crate) struct Recorder {
    list: Key,
    span: Span,
    keep: Keep,
    appended: usize,
}

impl Recorder {
    pub(crate) fn new(context: &Context<'_>, list: Key, keep: Keep) -> Recorder {
        let span = span(context.state(), &list);
        Recorder { list, span, keep, appended: 0 }
    }

    /// Adds a change. Of its value another pointer is kept, or none.
    pub(crate) fn add(&mut self, context: &mut Context<'_>, mut change: Change) {
        change.time_ms = context.time().as_millis();
        change.value = change.value.filter(|_| self.keep.values).map(|value| context.share(&value));
        self.span.last += 1;
        self.appended += 1;
        context.put(self.list.clone().u64(self.span.last), &change);
    }

    /// Gives up what is one too many, and sees to it that what gets old is given up.
    /// Answers whether there was a change.
    pub(crate) fn close(mut self, context: &mut Context<'_>) -> bool {
        if self.appended == 0 {
            return false;
        }
        if self.span.last >= self.span.first + self.keep.count() {
            trim(context, &self.list, &mut self.span, Some(self.keep), self.appended + 1);
        }
        if self.keep.age_ms > 0 && self.span.timer_ms == 0 {
            let due = context.time().after(self.keep.age_ms);
            set_timer(context, &self.list, &mut self.span, due);
        }
        context.put(self.list.u64(0), &self.span);
        true
    }
}

/// Begins to keep changes, anew if there were some before, or gives them up.
pub(crate) fn switch(context: &mut Context<'_>, list: &Key, was_on: bool, on: bool) {
    let mut span = span(context.state(), list);
    if on && !was_on && span.last > 0 {
        span.last += 1;
        span.gap = span.last;
    }
    if span.first <= span.last {
        // What is to be given up under the new settings is found from now on, step by step.
        let now = context.time();
        set_timer(context, list, &mut span, now);
    }
    context.put(list.clone().u64(0), &span);
}

/// What a list's timer does: it gives up what is too old or too much, all if nothing is to be kept.
pub(crate) fn clear(context: &mut Context<'_>, list: &Key, keep: Option<Keep>) {
    let mut span = Span { timer_ms: 0, ..span(context.state(), list) };
    let now = context.time();
    match trim(context, list, &mut span, keep, TRIMMED_MAX) {
        Rest::Unknown => set_timer(context, list, &mut span, now),
        Rest::From(oldest) => {
            if let Some(keep) = keep.filter(|keep| keep.age_ms > 0) {
                // Not for each change by itself where there are many.
                let due = keep.end_of(&oldest).max(now.after(keep.age_ms / 64 + 1));
                set_timer(context, list, &mut span, due);
            }
        }
        Rest::Nothing => {}
    }
    context.put(list.clone().u64(0), &span);
}

/// What is after `after` in a list, `max` of it at most.
pub(crate) fn after(
    state: &(impl Read + ?Sized),
    list: &Key,
    after: u64,
    max: usize,
) -> Result<Changes, Refusal> {
    let span = span(state, list);
    if after > span.last {
        let ahead = format!("the changes end at position {}: there is no {after} yet", span.last);
        return Err(Refusal::new(Code::Invalid, ahead));
    }
    if after + 1 < span.first || after < span.gap {
        let gone = format!(
            "the changes after position {after} are no longer all kept: list everything anew, and go on \
             from position {}",
            span.last
        );
        return Err(Refusal::new(Code::Gone, gone));
    }
    let mut changes = Vec::new();
    visit(state, list, after + 1..span.last + 1, |position, change| {
        if changes.len() == max {
            return ControlFlow::Break(());
        }
        changes.push((position, change));
        ControlFlow::Continue(())
    });
    Ok(Changes { changes, last: span.last })
}

/// The last changes of a list for which `is` holds, the latest first, `max` of them at most; and whether there are no others.
pub(crate) fn last(
    state: &(impl Read + ?Sized),
    list: &Key,
    is: impl Fn(&Change) -> bool,
    max: usize,
) -> (Vec<Change>, bool) {
    let span = span(state, list);
    let [from, to] = [span.first.max(1), span.last + 1].map(|position| list.clone().u64(position));
    let (mut found, mut visited, mut whole) = (Vec::new(), 0, true);
    state.scan(from.as_bytes(), to.as_bytes(), Order::Backwards, &mut |key, value| {
        if found.len() == max || visited == CHANGES_VISITED_MAX {
            whole = false;
            return ControlFlow::Break(());
        }
        visited += 1;
        let change: Change = decode(key, value.clone());
        if is(&change) {
            found.push(change);
        }
        ControlFlow::Continue(())
    });
    (found, whole)
}

/// Where a list begins and ends.
pub(crate) fn span(state: &(impl Read + ?Sized), list: &Key) -> Span {
    read(state, &list.clone().u64(0)).unwrap_or(Span { first: 1, ..Span::default() })
}

/// What is left after some was given up.
enum Rest {
    Nothing,
    /// This is the first that stays.
    From(Change),
    /// There may be more to be given up.
    Unknown,
}

fn trim(context: &mut Context<'_>, list: &Key, span: &mut Span, keep: Option<Keep>, max: usize) -> Rest {
    let now = context.time();
    let count = keep.map_or(0, |keep| keep.count());
    let first = (span.last + 1).saturating_sub(count);
    let mut over = Vec::new();
    let mut rest = Rest::Nothing;
    visit(context.state(), list, span.first..span.last + 1, |position, change| {
        if over.len() == max {
            rest = Rest::Unknown;
            return ControlFlow::Break(());
        }
        if position >= first && !keep.is_some_and(|keep| keep.is_over(&change, now)) {
            rest = Rest::From(change);
            span.first = position;
            return ControlFlow::Break(());
        }
        over.push((position, change.value));
        ControlFlow::Continue(())
    });
    match rest {
        Rest::Nothing => span.first = span.last + 1,
        Rest::Unknown => span.first = over.last().map_or(span.first, |(position, _)| position + 1),
        Rest::From(_) => {}
    }
    for (position, value) in over {
        context.delete(list.clone().u64(position));
        if let Some(value) = value {
            context.release(&value);
        }
    }
    rest
}

fn set_timer(context: &mut Context<'_>, list: &Key, span: &mut Span, due: Time) {
    let set = Time::recorded(span.timer_ms);
    let set = context.move_timer(set, Some(due), Owner::KvChange, list.as_bytes());
    span.timer_ms = Time::record(set);
}

fn visit(
    state: &(impl Read + ?Sized),
    list: &Key,
    positions: std::ops::Range<u64>,
    mut visit: impl FnMut(u64, Change) -> ControlFlow<()>,
) {
    let [from, to] = [positions.start, positions.end].map(|position| list.clone().u64(position));
    state.scan(from.as_bytes(), to.as_bytes(), Order::Forwards, &mut |key, value| {
        visit(last_number(key), decode(key, value.clone()))
    });
}

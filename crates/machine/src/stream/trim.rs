//! Taking removed events out, a few at a time.
//!
//! What is removed is decided by moving [`Stream::truncated`], which costs nothing. Each event then
//! has two keys and a pointer or two to be taken out. A command takes out [`EVENTS_TRIMMED_MAX`] at most;
//! where that leaves some, and where events will be too old one day, the stream's timer goes on. A
//! stream has one timer at most.

use super::{
    EVENTS_TRIMMED_MAX, Event, Settings, Store, Stream, event_key, place_key, store_key, stream_key,
};
use crate::context::Context;
use crate::key::{Key, Parts};
use crate::refusal::Refusal;
use crate::time::Time;
use crate::timer::Owner;

/// What a command takes out of a stream, and when the timer goes on.
pub(super) struct Plan {
    /// Up to which version.
    up_to: u64,
    timer: Option<Time>,
}

/// Plans what goes from `stream` as it shall be, whose version was `before`.
///
/// # Errors
///
/// If it needs a timer and the shard has no room for one; nothing has been written then.
pub(super) fn plan(
    context: &Context<'_>,
    stream: &mut Stream,
    settings: &Settings,
    before: u64,
) -> Result<Plan, Refusal> {
    let was_empty = before == stream.truncated;
    let count_max = stream.count_max.unwrap_or(settings.count_max);
    if count_max > 0 {
        stream.truncated = stream.truncated.max(stream.version.saturating_sub(count_max));
    }
    let up_to = stream.truncated.min(stream.trimmed + EVENTS_TRIMMED_MAX);
    let timer = next_look(context.time(), stream, settings, up_to, was_empty);
    if timer.is_some() && stream.timer == 0 {
        context.room_for_timers(1)?;
    }
    Ok(Plan { up_to, timer })
}

/// When the timer must be due, unless it is well as it is.
fn next_look(now: Time, stream: &Stream, settings: &Settings, up_to: u64, was_empty: bool) -> Option<Time> {
    let armed = Time::recorded(stream.timer);
    let age_ms_max = stream.age_ms_max.unwrap_or(settings.age_ms_max);
    let latest = if up_to < stream.truncated {
        now
    } else if age_ms_max > 0 && stream.version > stream.truncated {
        now.after(age_ms_max)
    } else {
        return None;
    };
    match armed {
        Some(armed) if armed <= latest => None,
        // Events that were there before a maximum was set, or set lower: how old they are is looked at then.
        _ if !was_empty => Some(now),
        _ => Some(latest),
    }
}

impl Plan {
    /// Takes out what goes, and puts the stream's record.
    pub(super) fn carry_out(
        self,
        context: &mut Context<'_>,
        store: &str,
        name: &str,
        key: Key,
        mut stream: Stream,
    ) {
        for version in stream.trimmed + 1..=self.up_to {
            let event = event(context, store, name, version);
            take_out(context, store, name, version, &event);
        }
        stream.trimmed = self.up_to;
        if let Some(at) = self.timer {
            set_timer(context, &key, &mut stream, Some(at));
        }
        context.put(key, &stream);
    }
}

/// The timer of the stream under `key` is due: takes out what is removed or too old.
pub(crate) fn due(context: &mut Context<'_>, key: &[u8]) {
    let mut parts = Parts::of(key);
    let (Some(store), Some(name)) = (parts.name(), parts.name()) else {
        panic!("a timer of streams names none: {key:?}");
    };
    let key = stream_key(store, name);
    let mut stream: Stream = context.get_or_default(&key);
    let settings = context.get_or_default::<Store>(&store_key(store)).settings;
    let age_ms_max = stream.age_ms_max.unwrap_or(settings.age_ms_max);
    stream.timer = 0;
    let next = take_out_due(context, store, name, &mut stream, age_ms_max);
    set_timer(context, &key, &mut stream, next);
    context.put(key, &stream);
}

/// Takes out what is removed or too old, and tells when to look again.
fn take_out_due(
    context: &mut Context<'_>,
    store: &str,
    name: &str,
    stream: &mut Stream,
    age_ms_max: u64,
) -> Option<Time> {
    let now = context.time();
    let last = stream.version.min(stream.trimmed + EVENTS_TRIMMED_MAX);
    for version in stream.trimmed + 1..=last {
        if version > stream.truncated && age_ms_max == 0 {
            return None;
        }
        let event = event(context, store, name, version);
        let end = Time::from_millis(event.time).after(age_ms_max);
        if version > stream.truncated && end > now {
            return Some(end);
        }
        take_out(context, store, name, version, &event);
        stream.trimmed = version;
        stream.truncated = stream.truncated.max(version);
    }
    (stream.trimmed < stream.version).then_some(now)
}

fn event(context: &Context<'_>, store: &str, name: &str, version: u64) -> Event {
    let event = context.get(&event_key(store, name, version));
    event.unwrap_or_else(|| {
        panic!("the stream {name:?} of {store:?} has no event {version}, and no gap is allowed")
    })
}

fn take_out(context: &mut Context<'_>, store: &str, name: &str, version: u64, event: &Event) {
    context.release(&event.payload);
    if let Some(metadata) = &event.metadata {
        context.release(metadata);
    }
    context.delete(place_key(store, event.position));
    context.delete(event_key(store, name, version));
}

fn set_timer(context: &mut Context<'_>, key: &Key, stream: &mut Stream, at: Option<Time>) {
    if let Some(set) = Time::recorded(stream.timer) {
        context.cancel_timer(set, Owner::StreamTrim, key.as_bytes());
    }
    stream.timer = Time::record(at);
    if let Some(at) = at {
        context.set_timer(at, Owner::StreamTrim, key.as_bytes());
    }
}

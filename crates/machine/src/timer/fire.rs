//! Firing what is due.

use std::ops::ControlFlow;

use super::Owner;
use crate::context::Context;
use crate::idempotency;
use crate::job;
use crate::key::{Key, Parts, Table};
use crate::kv;
use crate::limits::TIMERS_FIRED_MAX;
use crate::lock;
use crate::queue;
use crate::state::Order;
use crate::stream;
use crate::time::Time;
use crate::topic;

/// Fires the timers that are due at the entry's time, [`TIMERS_FIRED_MAX`] at most: if there are more,
/// the leader proposes another.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Fire {}

impl Fire {
    pub(crate) fn apply(&self, context: &mut Context<'_>) {
        for key in due(context) {
            let mut parts = Parts::of(&key);
            let at = parts.u64().map(Time::from_millis);
            let owner = parts.u8().and_then(Owner::of);
            let (Some(at), Some(owner)) = (at, owner) else {
                panic!("the state holds a timer that this program does not know: {key:?}");
            };
            // An earlier one of the same entry may have taken it back.
            if context.state().get(&key).is_some() {
                context.cancel_timer(at, owner, parts.rest());
                fire(context, owner, parts.rest());
            }
        }
    }
}

fn due(context: &Context<'_>) -> Vec<Vec<u8>> {
    let all = Key::new(Table::Timer);
    let end = Key::new(Table::Timer).u64(context.time().after(1).as_millis());
    let mut due = Vec::new();
    context.scan(&all, &end, Order::Forwards, &mut |key, _| {
        due.push(key.to_vec());
        if due.len() < TIMERS_FIRED_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    due
}

/// The one place where a timer finds its block.
fn fire(context: &mut Context<'_>, owner: Owner, key: &[u8]) {
    match owner {
        Owner::Idempotency => idempotency::expire(context, key),
        Owner::Kv => kv::expire(context, key),
        Owner::KvChange => kv::clear(context, key),
        Owner::Topic => topic::retention::fire(context, key),
        Owner::TopicDelayed => topic::delayed::fire(context, key),
        Owner::StreamTrim => stream::trim_due(context, key),
        Owner::Queue => queue::due::fire(context, key),
        Owner::Lock => lock::expire(context, key),
        Owner::Job => job::fire(context, key),
    }
}

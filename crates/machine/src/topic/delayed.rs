//! Messages that are not due yet.
//!
//! One that is delayed lies in a table of its own, with a timer. When that fires it is appended to its partition, and
//! gets its offset, its time and its time to live then, exactly as if it were published then: so groups, retention and
//! replay know of no delays. Of its key it comes behind what was published meanwhile, and those that are due at the same
//! time come in the order in which they were published. It keeps the partition that its key had.

use super::message::{Attributes, NewMessage};
use super::partition::{Open, Partition};
use super::{DELAY_MS_MAX, DELAYED_MAX, delayed_key, partition_key};
use crate::body::Stored;
use crate::context::Context;
use crate::key::{Key, Parts};
use crate::refusal::{Code, Refusal};
use crate::time::Time;
use crate::timer::Owner;

/// A message that is not due yet: a value under [`Table::TopicDelayed`](crate::Table::TopicDelayed).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Delayed {
    /// What it says of itself.
    #[prost(message, required, tag = "1")]
    pub attributes: Attributes,
    /// Its payload.
    #[prost(message, required, tag = "2")]
    pub body: Stored,
    /// As [`NewMessage::ttl_ms`], from when it is due.
    #[prost(uint64, optional, tag = "3")]
    pub ttl_ms: Option<u64>,
    /// When it is due, in milliseconds since the epoch.
    #[prost(uint64, tag = "4")]
    pub due: u64,
}

/// Publishes what is due now. `key` is that of the message.
pub(crate) fn fire(context: &mut Context<'_>, key: &[u8]) {
    let key = Key::from(key);
    let Some(Delayed { attributes, body, ttl_ms, .. }) = context.get(&key) else { return };
    let (topic, number) = place(&key);
    let of_partition = partition_key(&topic, number);
    let partition: Partition =
        context.get(&of_partition).expect("what is delayed is counted by its partition");
    let mut open = Open { topic: &topic, number, key: of_partition, partition };
    context.delete(key);
    open.partition.delayed -= 1;
    // The pointer to the payload passes over to the message.
    open.append(context, &attributes, &body, ttl_ms);
    open.trim_after(context, 1);
    open.close(context);
}

impl Open<'_> {
    /// Whether those of `messages` that are not due, which are `delayed`, can wait: asked before anything is written.
    pub(super) fn room_for_delayed(
        &self,
        context: &Context<'_>,
        messages: &[NewMessage],
        delayed: &[u32],
    ) -> Result<(), Refusal> {
        if delayed.is_empty() {
            return Ok(());
        }
        let latest = context.time().after(DELAY_MS_MAX).as_millis();
        if messages.iter().any(|message| message.due_ms > latest) {
            let late = format!("a message is delayed by {DELAY_MS_MAX} ms at most, which is ten years");
            return Err(Refusal::new(Code::Invalid, late));
        }
        let more = delayed.len() as u64;
        if self.partition.delayed + more > DELAYED_MAX {
            let full = format!(
                "partition {} of topic {:?} has {} messages that are delayed; {DELAYED_MAX} are the most",
                self.number, self.topic, self.partition.delayed
            );
            return Err(Refusal::new(Code::Limit, full));
        }
        // One more for the partition, which may be new.
        context.room_for_timers(more + 1)
    }

    /// Puts a message by until it is due.
    pub(super) fn delay(&mut self, context: &mut Context<'_>, message: &NewMessage, body: Stored) {
        let NewMessage { attributes, ttl_ms, due_ms, .. } = message.clone();
        let key = delayed_key(self.topic, self.number, self.partition.ever_delayed);
        self.partition.delayed += 1;
        self.partition.ever_delayed += 1;
        context.set_timer(Time::from_millis(due_ms), Owner::TopicDelayed, key.as_bytes());
        context.put(key, &Delayed { attributes, body, ttl_ms, due: due_ms });
    }
}

/// The topic and the number of the partition that a message is delayed for.
fn place(key: &Key) -> (String, u32) {
    let mut parts = Parts::of(key.as_bytes());
    let topic = parts.name().expect("the key of what is delayed names its topic").to_owned();
    (topic, parts.u32().expect("the key of what is delayed has a partition"))
}

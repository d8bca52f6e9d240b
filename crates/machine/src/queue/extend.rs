//! Work that takes longer.

use super::lease::check_receipts;
use super::open::Queue;
use super::{Receipt, VISIBILITY_MS_MAX, check_within};
use crate::context::Context;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// Has leases end at another time, counted from now; the receipts stay.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Extend {
    /// The queue's name.
    #[prost(string, tag = "1")]
    pub queue: String,
    /// What was handed out.
    #[prost(message, repeated, tag = "2")]
    pub receipts: Vec<Receipt>,
    /// For how long from now, in milliseconds: 1 to 12 hours. To give an item back, nack it.
    #[prost(uint64, tag = "3")]
    pub visibility_ms: u64,
}

/// What became of the leases.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Extended {
    /// When those end that could be extended.
    #[prost(uint64, tag = "1")]
    pub until_ms: u64,
    /// Those that were good no longer.
    #[prost(message, repeated, tag = "2")]
    pub fenced: Vec<Receipt>,
}

impl Extend {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("queue", &self.queue)?;
        check_receipts(&self.receipts)?;
        check_within("a lease", self.visibility_ms, VISIBILITY_MS_MAX)?;
        if self.visibility_ms == 0 {
            return Err(Refusal::new(Code::Invalid, "a lease of 0 ms: to give an item back, nack it"));
        }
        Ok(())
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Extended, Refusal> {
        let mut queue = Queue::open(context, &self.queue);
        let (opened, fenced) = queue.open_leases(&self.receipts, false)?;
        let until_ms = queue.now().after(self.visibility_ms).as_millis();
        for mut one in opened {
            one.taken.iter_mut().for_each(|held| held.until_ms = until_ms);
            one.lease.items.append(&mut one.taken);
            one.lease.items.sort_unstable_by_key(|held| held.item);
            // A later end needs no other entry in the index: it is looked at early once, and put right then.
            if until_ms < one.lease.look_ms {
                queue.look_at_lease(one.number, &mut one.lease, until_ms);
            }
            queue.put_lease(one.number, &one.lease);
        }
        queue.close();
        Ok(Extended { until_ms, fenced })
    }
}

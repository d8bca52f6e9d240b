//! The sending end, once the receiver has it.

use super::{on_the_way, parcel_key};
use crate::context::Context;
use crate::placement::Shard;

/// Forgets what the receiver has applied durably.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Delivered {
    /// Who has it.
    #[prost(uint32, tag = "1")]
    pub target: u32,
    /// Up to which number.
    #[prost(uint64, tag = "2")]
    pub number: u64,
}

impl Delivered {
    pub(crate) fn apply(&self, context: &mut Context<'_>) {
        let target = Shard(self.target);
        for (number, parcel) in on_the_way(context.state(), target, 0, usize::MAX) {
            if number > self.number {
                break;
            }
            for stored in &parcel.bodies {
                context.release(stored);
            }
            context.delete(parcel_key(target, number));
        }
    }
}

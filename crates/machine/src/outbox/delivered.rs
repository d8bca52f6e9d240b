//! The sending end, once the receiver has it.

use super::{Parcel, parcel_key, way, way_key};
use crate::context::Context;
use crate::placement::Shard;

/// Forgets what the receiver has applied durably.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
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
        let mut way = way(context.state(), target);
        let until = self.number.min(way.sent);
        if until <= way.delivered {
            return;
        }
        for number in way.delivered + 1..=until {
            let key = parcel_key(target, number);
            let parcel: Parcel = context.get(&key).expect("what has not been delivered is kept");
            for stored in &parcel.bodies {
                context.release(stored);
            }
            context.delete(key);
        }
        way.delivered = until;
        context.put(way_key(target), &way);
    }
}

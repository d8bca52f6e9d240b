//! Making a store of streams.

use super::{Reply, SNAPSHOTS_MAX, Settings, Spread, Store, store_key};
use crate::context::Context;
use crate::effect::Channel;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// Makes a store in this shard, or changes its settings. A store that is spread is made in all shards: at its
/// [`home`](super::home) first, with the others as sends of that entry.
///
/// What is kept no longer under new settings goes when its stream is appended to next.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Define {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub store: String,
    /// How it is kept.
    #[prost(message, required, tag = "2")]
    pub settings: Settings,
}

impl Define {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("store", &self.store)?;
        if Spread::try_from(self.settings.spread).is_err() {
            return Err(Refusal::new(Code::Invalid, "a store is spread by stream, or lies together"));
        }
        limits::within("snapshots of a stream", self.settings.snapshots as usize, SNAPSHOTS_MAX as usize)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let key = store_key(&self.store);
        let before: Option<Store> = context.get(&key);
        if before.as_ref().is_some_and(|before| before.settings.spread != self.settings.spread) {
            let settled = format!("over which shards the store {:?} lies is settled", self.store);
            return Err(Refusal::new(Code::Conflict, settled));
        }
        let position = before.map_or(0, |before| before.position);
        context.put(key, &Store { position, settings: self.settings });
        context.wake(Channel::stream(&self.store));
        Ok(Reply { version: 0, position })
    }
}

//! Saying what a store keeps.

use super::{Reply, Store, change_list, has_items, store_key};
use crate::changes::{self, Keep};
use crate::context::Context;
use crate::effect::Channel;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// Says whether and for how long a store's changes are kept and how its items are placed, in this shard: a store
/// that is in several is defined in each, at its [`home`](super::home) first. A store that was never defined keeps no
/// changes, and its items are placed by scope. What is kept already and is not to be any longer is given up step by
/// step.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Define {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub store: String,
    /// For how long changes are kept; none are if this is missing.
    #[prost(message, optional, tag = "2")]
    pub changes: Option<Keep>,
    /// Whether items are placed by their keys, too: [`Placement::Key`](super::Placement::Key). Settled once, before
    /// there are items.
    #[prost(bool, tag = "3")]
    pub spread: bool,
}

impl Define {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("store", &self.store)?;
        self.changes.as_ref().map_or(Ok(()), Keep::check)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let key = store_key(&self.store);
        let before: Store = context.get_or_default(&key);
        let after = Store { changes: self.changes, spread: self.spread };
        if after.spread != before.spread && (before.spread || has_items(context.state(), &self.store)) {
            let settled = format!(
                "how the items of the store {:?} are placed is settled, {}",
                self.store,
                if before.spread { "by key" } else { "by scope, for it has some" }
            );
            return Err(Refusal::new(Code::Conflict, settled));
        }
        if before.changes != after.changes {
            let [was_on, on] = [before.changes, after.changes].map(|keep| keep.is_some());
            changes::switch(context, &change_list(&self.store), was_on, on);
        }
        match after {
            _ if after == before => {}
            _ if after == Store::default() => context.delete(key),
            _ => context.put(key, &after),
        }
        context.wake(Channel::kv(&self.store));
        Ok(Reply::default())
    }
}

//! Saying what a store keeps.

use super::{Reply, Store, change_list, store_key};
use crate::changes::{self, Keep};
use crate::context::Context;
use crate::limits;
use crate::refusal::Refusal;

/// Says whether and for how long a store's changes are kept, in this shard: a store that is in several is
/// defined in each. A store that was never defined keeps none. What is kept already and is not to be
/// any longer is given up step by step.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Define {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub store: String,
    /// For how long changes are kept; none are if this is missing.
    #[prost(message, optional, tag = "2")]
    pub changes: Option<Keep>,
}

impl Define {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("store", &self.store)?;
        self.changes.as_ref().map_or(Ok(()), Keep::check)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let key = store_key(&self.store);
        let before: Store = context.get_or_default(&key);
        if before.changes != self.changes {
            let [was_on, on] = [before.changes, self.changes].map(|keep| keep.is_some());
            changes::switch(context, &change_list(&self.store), was_on, on);
            match self.changes {
                Some(_) => context.put(key, &Store { changes: self.changes }),
                None => context.delete(key),
            }
        }
        Ok(Reply::default())
    }
}

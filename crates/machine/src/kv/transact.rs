//! Several operations, all or none.

use std::collections::BTreeMap;

use super::operation::{Action, Operation, check_all};
use super::{Item, Reply, check_place, item_key, write};
use crate::context::Context;
use crate::key::Key;
use crate::refusal::Refusal;

/// Does several things to items of a scope, all or none. Each operation sees what those before it did; of
/// several to the same item only the outcome is written, for nobody else sees what is between.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Transact {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub store: String,
    /// Whose items they are; may be empty.
    #[prost(string, tag = "2")]
    pub scope: String,
    /// What is done.
    #[prost(message, repeated, tag = "3")]
    pub operations: Vec<Operation>,
}

/// What becomes of an item.
struct Fate<'a> {
    key: Key,
    before: Option<Item>,
    /// Its ETag after the operations that have been looked at.
    etag: u64,
    /// The last of them that changes it, and its place.
    last: Option<(usize, &'a Action)>,
}

impl Transact {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.store, &self.scope)?;
        check_all(&self.operations)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let mut fates = self.fates(context)?;
        let more = fates.iter().map(|fate| match fate.last {
            Some((_, Action::Put(value))) => write::more_timers(fate.before.as_ref(), value.ttl_ms),
            _ => 0,
        });
        context.room_for_timers(more.sum())?;
        fates.sort_unstable_by_key(|fate| fate.last.map(|(index, _)| index));
        for Fate { key, before, last, .. } in fates {
            match (last, before) {
                (Some((_, Action::Put(value))), before) => {
                    write::put(context, key, before, value.body, value.ttl_ms)?;
                }
                (Some((_, Action::Delete(()))), Some(before)) => write::delete(context, key, &before),
                _ => {}
            }
        }
        Ok(Reply { etag: context.sequence(), ..Reply::default() })
    }

    /// What becomes of each item, if nothing is in the way.
    fn fates<'a>(&'a self, context: &Context<'_>) -> Result<Vec<Fate<'a>>, Refusal> {
        let now = context.time();
        let mut fates: BTreeMap<&[u8], Fate<'a>> = BTreeMap::new();
        for (index, operation) in self.operations.iter().enumerate() {
            let fate = fates.entry(&operation.key).or_insert_with(|| {
                let key = item_key(&self.store, &self.scope, &operation.key);
                let before = context.get(&key);
                Fate { key, etag: write::etag(before.as_ref(), now), before, last: None }
            });
            write::matches(operation.etag, fate.etag, &operation.key)?;
            match &operation.action {
                Some(action @ Action::Put(value)) => {
                    context.length(value.body)?;
                    fate.etag = context.sequence();
                    fate.last = Some((index, action));
                }
                Some(action @ Action::Delete(())) => {
                    fate.etag = 0;
                    fate.last = Some((index, action));
                }
                Some(Action::Check(())) | None => {}
            }
        }
        Ok(fates.into_values().collect())
    }
}

//! Several operations, all or none.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::operation::{Action, Operation, check_all};
use super::write::{self, Before, Writer};
use super::{Reply, check_place};
use crate::context::Context;
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
    before: Before,
    /// Its ETag after the operations that have been looked at.
    etag: u64,
    /// The last of them that changes it: its place, the key, and what it does.
    last: Option<(usize, &'a Bytes, &'a Action)>,
}

impl Transact {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.store, &self.scope)?;
        check_all(&self.operations)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let mut writer = Writer::new(context, &self.store, &self.scope);
        let mut fates = self.fates(&writer)?;
        let more = fates.iter().map(|fate| match fate.last {
            Some((.., Action::Put(value))) => fate.before.more_timers(value.ttl_ms),
            _ => 0,
        });
        writer.context().room_for_timers(more.sum())?;
        fates.sort_unstable_by_key(|fate| fate.last.map(|(index, ..)| index));
        for Fate { before, last, .. } in fates {
            match last {
                Some((_, key, Action::Put(value))) => writer.put(key, before, value.body, value.ttl_ms)?,
                Some((_, key, Action::Delete(()))) => writer.delete(key, before),
                _ => {}
            }
        }
        writer.close();
        Ok(Reply { etag: context.sequence(), ..Reply::default() })
    }

    /// What becomes of each item, if nothing is in the way.
    fn fates(&self, writer: &Writer<'_, '_>) -> Result<Vec<Fate<'_>>, Refusal> {
        let context = writer.context();
        let mut fates: BTreeMap<&[u8], Fate<'_>> = BTreeMap::new();
        for (index, operation) in self.operations.iter().enumerate() {
            let fate = fates.entry(&operation.key).or_insert_with(|| {
                let before = writer.look(&operation.key);
                Fate { etag: before.etag, before, last: None }
            });
            write::matches(operation.etag, fate.etag, &operation.key)?;
            let Some(action) = &operation.action else { continue };
            fate.etag = match action {
                Action::Put(value) => {
                    context.length(value.body)?;
                    context.sequence()
                }
                Action::Delete(()) => 0,
                Action::Check(()) => continue,
            };
            fate.last = Some((index, &operation.key, action));
        }
        Ok(fates.into_values().collect())
    }
}

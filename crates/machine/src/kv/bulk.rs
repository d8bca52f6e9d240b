//! Several operations, each by itself.

use super::operation::{Action, Operation, check_all};
use super::{Failed, Item, Reply, check_place, item_key, write};
use crate::context::Context;
use crate::refusal::Refusal;

/// Does several things to items of a scope, in their order. One that is refused leaves the others be: the
/// reply names it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Bulk {
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

impl Bulk {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.store, &self.scope)?;
        check_all(&self.operations)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Reply {
        let mut reply = Reply { etag: context.sequence(), ..Reply::default() };
        for (index, operation) in self.operations.iter().enumerate() {
            if let Err(refusal) = self.one(context, operation) {
                reply.failed.push(Failed { index: index as u32, refusal });
            }
        }
        reply
    }

    fn one(&self, context: &mut Context<'_>, operation: &Operation) -> Result<(), Refusal> {
        let key = item_key(&self.store, &self.scope, &operation.key);
        let before: Option<Item> = context.get(&key);
        write::matches(operation.etag, write::etag(before.as_ref(), context.time()), &operation.key)?;
        match &operation.action {
            Some(Action::Put(value)) => {
                context.room_for_timers(write::more_timers(before.as_ref(), value.ttl_ms))?;
                write::put(context, key, before, value.body, value.ttl_ms)?;
            }
            Some(Action::Delete(())) => {
                if let Some(before) = before {
                    write::delete(context, key, &before);
                }
            }
            Some(Action::Check(())) | None => {}
        }
        Ok(())
    }
}

//! Several operations, each by itself.

use super::operation::{Action, Operation, check_all};
use super::write::Writer;
use super::{Failed, Reply, check_place};
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

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let mut reply = Reply { etag: context.sequence(), ..Reply::default() };
        let mut writer = Writer::new(context, &self.store, &self.scope);
        for (index, operation) in self.operations.iter().enumerate() {
            if let Err(refusal) = one(&mut writer, operation) {
                reply.failed.push(Failed { index: index as u32, refusal });
            }
        }
        writer.close();
        Ok(reply)
    }
}

fn one(writer: &mut Writer<'_, '_>, operation: &Operation) -> Result<(), Refusal> {
    let before = writer.look_for(&operation.key, operation.etag)?;
    match &operation.action {
        Some(Action::Put(value)) => {
            writer.context().room_for_timers(before.more_timers(value.ttl_ms))?;
            writer.put(&operation.key, before, value.body, value.ttl_ms)?;
        }
        Some(Action::Delete(())) => writer.delete(&operation.key, before),
        Some(Action::Check(())) | None => {}
    }
    Ok(())
}

//! The receiving end.

use super::{inbox_key, last_applied};
use crate::command::Command;
use crate::context::Context;
use crate::effect::Effect;
use crate::placement::Shard;
use crate::refusal::{Code, Refusal};

/// Applies a command that another shard sent, unless it has been applied before.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Deliver {
    /// Who sent it.
    #[prost(uint32, tag = "1")]
    pub source: u32,
    /// Its number among all that the sender ever sent here, from one.
    #[prost(uint64, tag = "2")]
    pub number: u64,
    /// What shall be done.
    #[prost(message, required, boxed, tag = "3")]
    pub command: Box<Command>,
}

impl Deliver {
    /// A command that is refused is done with, too: the sender's entry is long committed, so there is
    /// nobody to refuse it to.
    pub(crate) fn apply(&self, context: &mut Context<'_>) -> Result<(), Refusal> {
        let source = Shard(self.source);
        let applied = last_applied(context.state(), source);
        if self.number <= applied {
            return Ok(());
        }
        if self.number > applied + 1 {
            return Err(Refusal::new(
                Code::Conflict,
                format!(
                    "shard {} sent its command {} before {} was applied",
                    self.source,
                    self.number,
                    applied + 1
                ),
            ));
        }
        context.put_bytes(inbox_key(source), self.number.to_be_bytes().to_vec().into());
        if let Err(refusal) = self.command.apply(context) {
            context.effect(Effect::Undeliverable { source, refusal });
        }
        Ok(())
    }
}

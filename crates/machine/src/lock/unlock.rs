//! Giving a lock back.

use super::{Lease, Reply, check_place, held_by, lock_key};
use crate::context::Context;
use crate::effect::Channel;
use crate::refusal::Refusal;
use crate::timer::Owner;

/// Gives a lock back before its lease ends.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Unlock {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub store: String,
    /// Whose lock it is; may be empty.
    #[prost(string, tag = "2")]
    pub scope: String,
    /// The lock's name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// Who holds it.
    #[prost(string, tag = "4")]
    pub owner: String,
    /// The token of the grant that is given back. Without one the owner is enough.
    #[prost(uint64, optional, tag = "5")]
    pub token: Option<u64>,
}

impl Unlock {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.store, &self.scope, &self.name, &self.owner)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let key = lock_key(&self.store, &self.scope, &self.name);
        let lease = held_by(context, &key, &self.owner, self.token)?;
        context.wake(Channel::lock(&key));
        if lease.token == context.sequence() {
            // Its token is not to be given out again in this entry; its timer clears it up.
            context.put(key, &Lease { owner: String::new(), ..lease });
        } else {
            context.cancel_timer(lease.timer(), Owner::Lock, key.as_bytes());
            context.delete(key);
        }
        Ok(Reply::default())
    }
}

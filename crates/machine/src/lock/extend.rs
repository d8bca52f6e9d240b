//! Holding a lock for longer.

use super::{Reply, check_place, check_ttl, held_by, lock_key};
use crate::context::Context;
use crate::refusal::Refusal;

/// Has a lease end some time from now, in place of when it would have. One that has ended cannot be
/// extended, for somebody else may have held the lock since.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Extend {
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
    /// The token of the grant that is extended. Without one the owner is enough.
    #[prost(uint64, optional, tag = "5")]
    pub token: Option<u64>,
    /// For how long from now on, in milliseconds; not zero.
    #[prost(uint64, tag = "6")]
    pub ttl_ms: u64,
}

impl Extend {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.store, &self.scope, &self.name, &self.owner)?;
        check_ttl(self.ttl_ms)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let key = lock_key(&self.store, &self.scope, &self.name);
        let lease = held_by(context, &key, &self.owner, self.token)?;
        Ok(lease.hold(context, key, self.ttl_ms))
    }
}

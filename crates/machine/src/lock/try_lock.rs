//! Taking a lock.

use super::{Lease, Reply, check_place, check_ttl, lock_key};
use crate::context::Context;
use crate::refusal::Refusal;

/// Takes a lock if it is free. That it is not is no refusal but an answer, which says until when. Whoever
/// holds it already does not get it once more: a request that may have been lost comes again under an
/// idempotency key.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TryLock {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub store: String,
    /// Whose lock it is; may be empty.
    #[prost(string, tag = "2")]
    pub scope: String,
    /// The lock's name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// Who wants to hold it: the word by which it is extended and given back.
    #[prost(string, tag = "4")]
    pub owner: String,
    /// For how long, in milliseconds; not zero.
    #[prost(uint64, tag = "5")]
    pub ttl_ms: u64,
}

impl TryLock {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.store, &self.scope, &self.name, &self.owner)?;
        check_ttl(self.ttl_ms)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let key = lock_key(&self.store, &self.scope, &self.name);
        let before: Option<Lease> = context.get(&key);
        let (now, token) = (context.time(), context.sequence());
        if let Some(lease) = &before
            && (lease.is_held(now) || lease.token == token)
        {
            return Ok(Reply { held: false, token: 0, expires_ms: lease.expires_ms });
        }
        context.room_for_timers(u64::from(before.is_none()))?;
        let timer_ms = before.map_or(0, |lease| lease.timer_ms);
        let lease = Lease { owner: self.owner.clone(), token, expires_ms: 0, timer_ms };
        Ok(lease.hold(context, key, self.ttl_ms))
    }
}

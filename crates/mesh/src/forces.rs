//! Circuit breakers in somebody's hands: forced open or closed, and how that outlives a configuration.
//!
//! Who forced a breaker meant the call, not the values of its policies at that time. So a force goes over to
//! the call's next breaker, whatever it is made of, and ends by hand or with what it was put on.

use std::sync::Arc;

use policy::{Force, Time};

use crate::call::guard::lock;
use crate::clock;
use crate::mesh::Mesh;
use crate::table::Table;

/// Why a breaker was not forced.
#[derive(Debug)]
pub enum ForceError {
    /// There is no such call.
    NoCall {
        /// The ids there are.
        known: Vec<String>,
    },
    /// The call's breaker is switched off.
    NoBreaker,
}

/// A force that a new configuration has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostForce {
    /// The call whose breaker was forced.
    pub call: String,
    /// Which way: open or closed.
    pub force: Force,
    /// Why it could not stay so.
    pub why: ForceEnd,
}

/// Why a force ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForceEnd {
    /// The call is no more.
    CallGone,
    /// The call has no breaker any more.
    BreakerGone,
}

impl Mesh {
    /// Takes the decision out of the hands of a call's breaker, or gives it back. It stays so over every
    /// configuration in which the call has a breaker.
    ///
    /// # Errors
    /// [`ForceError`]; then nothing has changed.
    pub fn force_breaker(&self, call: &str, force: Force) -> Result<(), ForceError> {
        // Held to the end, so that no configuration is taken on in between that would not know of it.
        let state = lock(&self.inner.state);
        let Some(call) = state.table.calls.get(call) else {
            return Err(ForceError::NoCall { known: state.table.calls.keys().cloned().collect() });
        };
        let breaker = call.breaker.as_ref().ok_or(ForceError::NoBreaker)?;
        breaker.force(clock::now(), force);
        Ok(())
    }
}

/// Forces the breakers of `table` as those of the same calls are in `old`. Returns the forces that it has
/// no breaker for.
pub(crate) fn carry_over(old: &Table, table: &Table, now: Time) -> Vec<LostForce> {
    let mut lost = Vec::new();
    for (id, before) in &old.calls {
        let Some(force) = before.breaker.as_ref().and_then(|breaker| breaker.forced(now)) else { continue };
        let after = table.calls.get(id);
        if after.is_some_and(|after| Arc::ptr_eq(after, before)) {
            continue;
        }
        match after.map(|after| &after.breaker) {
            Some(Some(breaker)) => breaker.force(now, force),
            Some(None) => lost.push(LostForce { call: id.clone(), force, why: ForceEnd::BreakerGone }),
            None => lost.push(LostForce { call: id.clone(), force, why: ForceEnd::CallGone }),
        }
    }
    lost
}

//! Locks as users think of them.

use std::collections::BTreeMap;

use machine::lock::{self, Reply};
use machine::{Code, Read, Time};

use super::Step;

/// Leases by store, scope and name.
#[derive(Default)]
pub struct Locks {
    leases: BTreeMap<(String, String, String), Lease>,
}

struct Lease {
    owner: String,
    token: u64,
    expires: Time,
}

impl Locks {
    pub(super) fn apply(&mut self, step: &Step<'_>, command: &lock::Command) -> Result<Reply, Code> {
        let now = step.time;
        match command.kind.as_ref().expect("what is in the log says what it is") {
            lock::Kind::TryLock(wanted) => {
                let place = (wanted.store.clone(), wanted.scope.clone(), wanted.name.clone());
                if let Some(lease) = self.leases.get(&place).filter(|lease| now < lease.expires) {
                    return Ok(Reply { held: false, token: 0, expires_ms: lease.expires.as_millis() });
                }
                let expires = now.after(wanted.ttl_ms);
                let lease = Lease { owner: wanted.owner.clone(), token: step.sequence, expires };
                let reply = lease.reply();
                self.leases.insert(place, lease);
                Ok(reply)
            }
            lock::Kind::Unlock(unlock) => {
                let place = (unlock.store.clone(), unlock.scope.clone(), unlock.name.clone());
                self.held(&place, &unlock.owner, unlock.token, now)?;
                self.leases.remove(&place);
                Ok(Reply::default())
            }
            lock::Kind::Extend(extend) => {
                let place = (extend.store.clone(), extend.scope.clone(), extend.name.clone());
                let lease = self.held(&place, &extend.owner, extend.token, now)?;
                lease.expires = now.after(extend.ttl_ms);
                Ok(lease.reply())
            }
        }
    }

    fn held(
        &mut self,
        place: &(String, String, String),
        owner: &str,
        token: Option<u64>,
        now: Time,
    ) -> Result<&mut Lease, Code> {
        let lease = self.leases.get_mut(place).filter(|lease| now < lease.expires).ok_or(Code::NotFound)?;
        let is_its = lease.owner == owner && token.is_none_or(|token| token == lease.token);
        is_its.then_some(lease).ok_or(Code::Fenced)
    }

    /// The token of the last lease, for who held it or believes so.
    pub fn token(&self, store: &str, scope: &str, name: &str) -> u64 {
        let place = (store.to_owned(), scope.to_owned(), name.to_owned());
        self.leases.get(&place).map_or(1, |lease| lease.token)
    }

    pub(super) fn assert_read(&self, state: &impl Read, now: Time) {
        for ((store, scope, name), lease) in &self.leases {
            let read = lock::get(state, store, scope, name, now);
            let read = read.map(|lease| (lease.owner.clone(), lease.token, lease.expires()));
            let should = (now < lease.expires).then(|| (lease.owner.clone(), lease.token, lease.expires));
            assert_eq!(read, should, "the lock {name:?} of {scope:?} in {store:?}, and what it should be");
        }
    }
}

impl Lease {
    fn reply(&self) -> Reply {
        Reply { held: true, token: self.token, expires_ms: self.expires.as_millis() }
    }
}

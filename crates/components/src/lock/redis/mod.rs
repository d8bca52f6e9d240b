//! `lock.redis`: locks in a Redis, where Dapr has them, so that programs of both exclude each other.
//!
//! A lock is a string at `lock||scope||name` that says who holds it and expires with its lease. One Redis that is written to: of
//! replicas, one that takes over may not know yet of a lock that was just taken.
//!
//! No request is made twice: a lock that was taken by one whose answer was lost would be somebody's who does not know.

use std::time::Duration;

use redis::Script;

use super::{Error, Store, Unlocked};
use crate::Reply;
use crate::redis::{Connection, Settings, Unanswered};

/// Locks in a Redis.
#[derive(Clone)]
pub struct Redis {
    connection: Connection,
    unlock: Script,
}

impl Redis {
    /// Connects, and sees that there is a Redis that answers.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn connect(settings: Settings) -> Result<Redis, Error> {
        let connection = Connection::open(settings).await?;
        Ok(Redis { connection, unlock: Script::new(include_str!("unlock.lua")) })
    }
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Error {
        Error::Unavailable(unanswered.why)
    }
}

impl Store for Redis {
    fn try_lock<'a>(
        &'a self,
        scope: &'a str,
        name: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> Reply<'a, Result<bool, Error>> {
        Box::pin(async move {
            let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, TTL_MS_MAX);
            let mut command = redis::cmd("SET");
            command.arg(place(scope, name)).arg(owner).arg("NX").arg("PX").arg(ttl_ms);
            let set: Option<String> = self.connection.ask(&command).await?;
            Ok(set.is_some())
        })
    }

    fn unlock<'a>(
        &'a self,
        scope: &'a str,
        name: &'a str,
        owner: &'a str,
    ) -> Reply<'a, Result<Unlocked, Error>> {
        Box::pin(async move {
            let mut request = self.unlock.prepare_invoke();
            request.key(place(scope, name)).arg(owner);
            let answer: i64 = self.connection.script(&request).await?;
            Ok(match answer {
                -1 => Unlocked::NotHeld,
                -2 => Unlocked::Others,
                _ => Unlocked::Done,
            })
        })
    }
}

/// Where a lock lies.
fn place(scope: &str, name: &str) -> String {
    match scope {
        "" => format!("lock||{name}"),
        _ => format!("lock||{scope}||{name}"),
    }
}

/// The longest lease, milliseconds: 10,000 years, well below where Redis' clock overflows.
const TTL_MS_MAX: u64 = 315_576_000_000_000;

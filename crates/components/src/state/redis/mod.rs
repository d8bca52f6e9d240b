//! `state.redis`: items in a Redis, laid out as Dapr lays them out, so that each reads what the other has written.
//!
//! An item is a hash at `scope||key` with `data` and `version`, which counts its writes and is its ETag. Redis counts
//! anew when an item is deleted and made again, so here, other than with the engine, an ETag can come back. Conditions
//! are judged by scripts, one step of Redis each.
//!
//! When the connection is lost a read is asked once more; a write is not, for it may have been done.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use redis::{Script, ScriptInvocation};

use super::{Action, Condition, Error, Item, Operation, Store};
use crate::Reply;
use crate::properties::{Invalid, Properties};
use crate::redis::{self as server, Connection, Unanswered};

/// Items in a Redis.
#[derive(Clone)]
pub struct Redis {
    connection: Connection,
    ttl: Option<Duration>,
    read: Script,
    write: Script,
}

/// What is set for a store in a Redis.
#[derive(Clone, Debug)]
pub struct Settings {
    server: server::Settings,
    /// How long an item lives of which nothing else is said.
    ttl: Option<Duration>,
}

impl Settings {
    /// From what is set.
    ///
    /// # Errors
    ///
    /// Which setting is wrong, and how.
    pub fn new(set: &Properties) -> Result<Settings, Invalid> {
        let server = server::Settings::new(set)?;
        let ttl: Option<u32> = set.number("ttlInSeconds")?;
        let ttl = ttl.filter(|seconds| *seconds > 0).map(|seconds| Duration::from_secs(seconds.into()));
        Ok(Settings { server, ttl })
    }
}

impl Redis {
    /// Connects, and sees that there is a Redis that answers.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn connect(settings: Settings) -> Result<Redis, Error> {
        let connection = Connection::open(settings.server).await?;
        let read = Script::new(include_str!("read.lua"));
        let write = Script::new(include_str!("write.lua"));
        Ok(Redis { connection, ttl: settings.ttl, read, write })
    }

    async fn items(&self, keys: impl Iterator<Item = String>) -> Result<Vec<Option<Item>>, Error> {
        let mut request = self.read.prepare_invoke();
        for key in keys {
            request.key(key);
        }
        let now = SystemTime::now();
        let found = match self.connection.script(&request).await {
            Err(Unanswered { lost: true, .. }) => self.connection.script(&request).await,
            answer => answer,
        };
        let found: Vec<Option<(Vec<u8>, u64, i64)>> = found?;
        let item = |(value, etag, ttl_ms)| Item {
            value: Bytes::from(value),
            etag,
            expires: u64::try_from(ttl_ms).ok().map(|ms| now + Duration::from_millis(ms)),
        };
        Ok(found.into_iter().map(|found| found.map(item)).collect())
    }

    /// Which of the operations were not done, for their condition did not hold; counted from one.
    async fn done(&self, mode: &str, scope: &str, operations: &[Operation]) -> Result<Vec<usize>, Error> {
        if operations.is_empty() {
            return Ok(Vec::new());
        }
        let mut request = self.write.prepare_invoke();
        request.arg(mode);
        for operation in operations {
            request.key(place(scope, &operation.key));
            self.describe(operation, &mut request);
        }
        Ok(self.connection.script(&request).await?)
    }

    fn describe(&self, operation: &Operation, request: &mut ScriptInvocation<'_>) {
        let (what, value, ttl) = match &operation.action {
            Action::Put { value, ttl } => ("put", &value[..], ttl.or(self.ttl)),
            Action::Delete => ("delete", &[][..], None),
        };
        request.arg(what);
        match operation.condition {
            Condition::None => request.arg(""),
            Condition::Etag(etag) => request.arg(etag),
            Condition::Absent => request.arg("absent"),
        };
        match ttl {
            // Gone at once is not for ever, and Redis counts no further.
            Some(ttl) => request.arg(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, TTL_MS_MAX)),
            None => request.arg(""),
        };
        request.arg(value);
        request.arg(if operation.condition == Condition::Absent { "first" } else { "" });
    }
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Error {
        Error::Unavailable(unanswered.why)
    }
}

impl Store for Redis {
    fn get<'a>(&'a self, scope: &'a str, key: &'a str) -> Reply<'a, Result<Option<Item>, Error>> {
        Box::pin(async move {
            let items = self.items(std::iter::once(place(scope, key))).await?;
            Ok(items.into_iter().next().flatten())
        })
    }

    fn get_many<'a>(
        &'a self,
        scope: &'a str,
        keys: &'a [String],
    ) -> Reply<'a, Result<Vec<Option<Item>>, Error>> {
        Box::pin(async move {
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            self.items(keys.iter().map(|key| place(scope, key))).await
        })
    }

    fn write<'a>(&'a self, scope: &'a str, operation: Operation) -> Reply<'a, Result<(), Error>> {
        Box::pin(async move {
            let failed = self.done("each", scope, std::slice::from_ref(&operation)).await?;
            failed.first().map_or(Ok(()), |_| Err(conflict(&operation)))
        })
    }

    fn write_many<'a>(
        &'a self,
        scope: &'a str,
        operations: Vec<Operation>,
    ) -> Reply<'a, Result<Vec<Result<(), Error>>, Error>> {
        Box::pin(async move {
            let failed = self.done("each", scope, &operations).await?;
            let mut outcomes = vec![Ok(()); operations.len()];
            for number in failed {
                outcomes[number - 1] = Err(conflict(&operations[number - 1]));
            }
            Ok(outcomes)
        })
    }

    fn transact<'a>(&'a self, scope: &'a str, operations: Vec<Operation>) -> Reply<'a, Result<(), Error>> {
        Box::pin(async move {
            let failed = self.done("all", scope, &operations).await?;
            failed.first().map_or(Ok(()), |number| Err(conflict(&operations[number - 1])))
        })
    }
}

fn conflict(operation: &Operation) -> Error {
    Error::Conflict(match operation.condition {
        Condition::Absent => format!("the item {:?} is there already", operation.key),
        _ => format!("the item {:?} has another ETag, or is not there", operation.key),
    })
}

/// Where an item lies.
fn place(scope: &str, key: &str) -> String {
    match scope {
        "" => key.to_owned(),
        _ => format!("{scope}||{key}"),
    }
}

/// The longest life of an item, milliseconds: 10,000 years, well below where Redis' clock overflows.
const TTL_MS_MAX: u64 = 315_576_000_000_000;

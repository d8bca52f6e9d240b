//! `state.redis`: items in a Redis, laid out as Dapr lays them out, so that each reads what the other has written.
//!
//! An item is a hash at `scope||key` with `data` and `version`, which counts its writes and is its ETag. Redis counts
//! anew when an item is deleted and made again, so here, other than with the engine, an ETag can come back. Conditions
//! are judged by scripts, one step of Redis each.
//!
//! One connection carries all requests. When it is lost another is made by itself; until then requests wait a little,
//! then fail. A read is asked once more; a write is not, for it may have been done.

mod settings;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{FromRedisValue, RedisError, Script, ScriptInvocation};

use super::{Action, Condition, Error, Item, Operation, Store};
use crate::Reply;

pub use settings::Settings;

/// Items in a Redis.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    settings: Settings,
    read: Script,
    write: Script,
}

impl Redis {
    /// Connects, and sees that there is a Redis that answers.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn connect(settings: Settings) -> Result<Redis, Error> {
        let client = settings.connection().and_then(redis::Client::open);
        let client = client.map_err(|error| settings.failed(&error))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(settings.dial_timeout))
            .set_response_timeout(Some(settings.read_timeout))
            .set_number_of_retries(settings.retries)
            .set_min_delay(DELAY_MIN)
            .set_max_delay(DELAY_MAX)
            .set_pipeline_buffer_size(REQUESTS_WAITING_MAX);
        let connect = async {
            let mut connection = ConnectionManager::new_with_config(client, config).await?;
            let _: () = redis::cmd("PING").query_async(&mut connection).await?;
            Ok(connection)
        };
        let connection = settings.within(connect).await?;
        let read = Script::new(include_str!("read.lua"));
        let write = Script::new(include_str!("write.lua"));
        Ok(Redis { connection, settings, read, write })
    }

    async fn items(&self, keys: impl Iterator<Item = String>) -> Result<Vec<Option<Item>>, Error> {
        let mut request = self.read.prepare_invoke();
        for key in keys {
            request.key(key);
        }
        let now = SystemTime::now();
        let found = match self.ask(&request).await {
            Err(error) if error.lost => self.ask(&request).await,
            answer => answer,
        };
        let found: Vec<Option<(Vec<u8>, u64, i64)>> = found.map_err(|lost| lost.error)?;
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
        self.ask(&request).await.map_err(|lost| lost.error)
    }

    fn describe(&self, operation: &Operation, request: &mut ScriptInvocation<'_>) {
        let (what, value, ttl) = match &operation.action {
            Action::Put { value, ttl } => ("put", &value[..], ttl.or(self.settings.ttl)),
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

    async fn ask<T: FromRedisValue>(&self, request: &ScriptInvocation<'_>) -> Result<T, Lost> {
        let mut connection = self.connection.clone();
        let asked =
            tokio::time::timeout(self.settings.longest(), request.invoke_async(&mut connection)).await;
        match asked {
            Ok(answer) => answer.map_err(|error: RedisError| Lost {
                lost: error.is_unrecoverable_error(),
                error: self.settings.failed(&error),
            }),
            Err(_) => Err(Lost { lost: false, error: self.settings.late() }),
        }
    }
}

/// Why there is no answer.
struct Lost {
    /// Whether the connection is gone.
    lost: bool,
    error: Error,
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

/// The first wait before a connection is tried again.
const DELAY_MIN: Duration = Duration::from_millis(20);
/// The longest.
const DELAY_MAX: Duration = Duration::from_millis(500);
/// How many requests can wait to be sent before whoever has the next waits.
const REQUESTS_WAITING_MAX: usize = 1_024;
/// The longest life of an item, milliseconds: 10,000 years, well below where Redis' clock overflows.
const TTL_MS_MAX: u64 = 315_576_000_000_000;

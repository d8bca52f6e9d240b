//! `state.postgresql`: items in a PostgreSQL, laid out as Dapr lays them out, so that each reads what the other has written.
//!
//! An item is a row at `scope||key`. Dapr has two layouts ([`Version`]): in the first a value is `jsonb` and its ETag the number of the
//! transaction that wrote it, in the second it is bytes with a random UUID. A condition stands in the statement that writes, so
//! both are one step. A read whose connection breaks is asked once more; a write is not, for it may have been done. Transactions
//! write in the order of their keys, so that no two of ours wait for each other; what a deadlock with another's has undone is done
//! again.

mod cleanup;
mod jsonb;
mod layout;
mod migrate;
mod settings;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::{Action, Condition, Error, Item, Operation, Store};
use crate::Reply;
use crate::postgres::{Failure, Pool};
use layout::Layout;

pub use layout::Version;
pub use settings::Settings;

/// Items in a PostgreSQL.
#[derive(Clone)]
pub struct Postgres(Arc<Shared>);

struct Shared {
    pool: Pool,
    layout: Layout,
    cleanup: Option<JoinHandle<()>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(cleanup) = &self.cleanup {
            cleanup.abort();
        }
    }
}

impl Postgres {
    /// Connects, sees that there is a PostgreSQL that answers, and makes the tables that are not there.
    ///
    /// # Errors
    ///
    /// If there is none, or it refuses.
    pub async fn connect(settings: Settings) -> Result<Postgres, Error> {
        let pool = Pool::new(settings.place);
        let layout = Layout::new(settings.version, settings.table);
        let migrated = migrate::migrate(&pool, &layout, &settings.metadata_table).await;
        migrated.map_err(|failure| Error::Unavailable(failure.why()))?;
        let cleanup = settings.cleanup.map(|interval| {
            let cleaning = cleanup::run(pool.clone(), layout.clone(), settings.metadata_table, interval);
            tokio::spawn(cleaning)
        });
        Ok(Postgres(Arc::new(Shared { pool, layout, cleanup })))
    }

    /// What is at these places.
    async fn items(&self, places: &[String]) -> Result<HashMap<String, Item>, Error> {
        let found = match self.found(places).await {
            Err(Failure::Lost(_)) => self.found(places).await,
            found => found,
        };
        let rows = found.map_err(failed)?;
        rows.iter().map(|row| self.0.layout.item(row).map_err(Error::Unavailable)).collect()
    }

    async fn found(&self, places: &[String]) -> Result<Vec<tokio_postgres::Row>, Failure> {
        let Shared { pool, layout, .. } = &*self.0;
        let ask = async {
            let lent = pool.lend().await?;
            let found = lent.client().query_typed(&layout.read, &[(&places, Type::TEXT_ARRAY)]).await;
            lent.done(found)
        };
        pool.within(ask).await
    }

    /// Does each by itself, in their order; whether its condition held.
    async fn each(
        &self,
        scope: &str,
        operations: &[Operation],
    ) -> Result<Vec<Result<bool, Failure>>, Failure> {
        let Shared { pool, layout, .. } = &*self.0;
        let all = async {
            let lent = pool.lend().await?;
            let done = many(lent.client(), layout, scope, operations.iter()).await;
            // One that is lost is not lent again, whatever the others were answered.
            let done: Vec<_> = done.into_iter().map(|one| one.map_err(|error| pool.failed(&error))).collect();
            lent.done(Ok(()))?;
            Ok(done)
        };
        pool.within(all).await
    }

    /// Does all, or nothing; which of them was not done, for its condition did not hold.
    async fn all(&self, scope: &str, operations: &[Operation]) -> Result<Option<usize>, Failure> {
        let Shared { pool, layout, .. } = &*self.0;
        let all = async {
            let lent = pool.lend().await?;
            let order = by_key(operations);
            let sorted = order.iter().map(|&at| &operations[at]);
            let done = transaction(lent.client(), layout, scope, sorted).await;
            lent.done(done).map(|refused| refused.map(|at| order[at]))
        };
        pool.within(all).await
    }
}

/// Sends all at once; they are done in this order.
async fn many(
    client: &Client,
    layout: &Layout,
    scope: &str,
    operations: impl Iterator<Item = &Operation>,
) -> Vec<Result<bool, tokio_postgres::Error>> {
    join_all(operations.map(|operation| layout.write(client, scope, operation))).await
}

/// The operations in the order of their keys; those of one key stay in their own.
fn by_key(operations: &[Operation]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..operations.len()).collect();
    order.sort_by_key(|&at| &operations[at].key);
    order
}

async fn transaction(
    client: &Client,
    layout: &Layout,
    scope: &str,
    operations: impl Iterator<Item = &Operation>,
) -> Result<Option<usize>, tokio_postgres::Error> {
    client.batch_execute("BEGIN").await?;
    let mut refused = Ok(None);
    for (number, done) in many(client, layout, scope, operations).await.into_iter().enumerate() {
        match done {
            Ok(true) => {}
            Ok(false) => refused = Ok(Some(number)),
            Err(error) => refused = Err(error),
        }
        // What came after was done to what will not have been.
        if !matches!(refused, Ok(None)) {
            break;
        }
    }
    match refused {
        Ok(None) => client.batch_execute("COMMIT").await.map(|()| None),
        refused => {
            client.batch_execute("ROLLBACK").await?;
            refused
        }
    }
}

impl Store for Postgres {
    fn get<'a>(&'a self, scope: &'a str, key: &'a str) -> Reply<'a, Result<Option<Item>, Error>> {
        Box::pin(async move {
            let items = self.items(&[place(scope, key)]).await?;
            Ok(items.into_values().next())
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
            let places: Vec<String> = keys.iter().map(|key| place(scope, key)).collect();
            let items = self.items(&places).await?;
            Ok(places.iter().map(|place| items.get(place).cloned()).collect())
        })
    }

    fn write<'a>(&'a self, scope: &'a str, operation: Operation) -> Reply<'a, Result<(), Error>> {
        Box::pin(async move {
            let one = std::slice::from_ref(&operation);
            let mut done = self.each(scope, one).await.map_err(failed)?;
            match done.pop() {
                Some(Ok(true)) => Ok(()),
                Some(Err(failure)) => Err(failed(failure)),
                _ => Err(conflict(&operation)),
            }
        })
    }

    fn write_many<'a>(
        &'a self,
        scope: &'a str,
        operations: Vec<Operation>,
    ) -> Reply<'a, Result<Vec<Result<(), Error>>, Error>> {
        Box::pin(async move {
            if operations.is_empty() {
                return Ok(Vec::new());
            }
            let done = self.each(scope, &operations).await.map_err(failed)?;
            let outcome = |(done, operation): (Result<bool, Failure>, &Operation)| match done {
                Ok(true) => Ok(()),
                Ok(false) => Err(conflict(operation)),
                Err(failure) => Err(failed(failure)),
            };
            Ok(done.into_iter().zip(&operations).map(outcome).collect())
        })
    }

    fn transact<'a>(&'a self, scope: &'a str, operations: Vec<Operation>) -> Reply<'a, Result<(), Error>> {
        Box::pin(async move {
            if operations.is_empty() {
                return Ok(());
            }
            let mut done = self.all(scope, &operations).await;
            for _ in 1..TRIES {
                if !matches!(done, Err(Failure::Undone(_))) {
                    break;
                }
                done = self.all(scope, &operations).await;
            }
            match done.map_err(failed)? {
                None => Ok(()),
                Some(number) => Err(conflict(&operations[number])),
            }
        })
    }
}

fn failed(failure: Failure) -> Error {
    match failure {
        Failure::Refused(why) => Error::Invalid(why),
        failure => Error::Unavailable(failure.why()),
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

/// How often a transaction is tried that stands in the way of others.
const TRIES: usize = 5;

//! `configuration.postgresql`: items in a table of a PostgreSQL, as Dapr has them: `key`, `value`, `version` and `metadata`. The table is
//! its operator's, and so is the trigger by which it tells of what happens in it.
//!
//! Of what is told, by `pg_notify`, the key alone is used, and the item read as it is by then. It is told to who listens at that moment,
//! so whenever the connection was lost all is looked at anew.

mod hear;
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::TryStreamExt;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::watched::{ANSWER_BYTES_MAX, News, Watched, too_many};
use super::{Error, Item, Store, Watch};
use crate::Reply;
use crate::postgres::{Failure, Pool};
pub use settings::Settings;

/// Items in a PostgreSQL.
#[derive(Clone)]
pub struct Postgres(Arc<Shared>);

struct Shared {
    pool: Pool,
    table: String,
}

impl Postgres {
    /// Connects, and sees that there is a PostgreSQL that answers and has the table.
    ///
    /// # Errors
    ///
    /// If there is none, or it has none.
    pub async fn connect(settings: Settings) -> Result<Postgres, Error> {
        let pool = Pool::new(settings.place);
        let look = format!("SELECT key, value, version, metadata FROM {} LIMIT 0", settings.table);
        let looked = pool.within(async {
            let lent = pool.lend().await?;
            let found = lent.client().query_typed(&look, &[]).await;
            lent.done(found)
        });
        looked.await.map_err(refused)?;
        Ok(Postgres(Arc::new(Shared { pool, table: settings.table })))
    }

    async fn found(&self, keys: &[String]) -> Result<Option<BTreeMap<String, Item>>, Failure> {
        let Shared { pool, table } = &*self.0;
        let mut select = format!("SELECT key, value, version, metadata::text FROM {table}");
        if !keys.is_empty() {
            select.push_str(" WHERE key = ANY($1)");
        }
        pool.within(async {
            let lent = pool.lend().await?;
            let read = async {
                let rows = match keys {
                    [] => lent.client().query_typed_raw(&select, Vec::<(String, Type)>::new()).await?,
                    keys => lent.client().query_typed_raw(&select, [(keys, Type::TEXT_ARRAY)]).await?,
                };
                gathered(rows).await
            };
            let read = read.await;
            match read {
                // Who has not read all of an answer cannot lend the connection to another.
                Ok(None) => Ok(None),
                read => lent.done(read),
            }
        })
        .await
    }
}

/// All rows, unless they have too many bytes.
async fn gathered(
    rows: impl futures_util::Stream<Item = Result<Row, tokio_postgres::Error>>,
) -> Result<Option<BTreeMap<String, Item>>, tokio_postgres::Error> {
    let mut rows = std::pin::pin!(rows);
    let (mut items, mut bytes) = (BTreeMap::new(), 0);
    while let Some(row) = rows.try_next().await? {
        let [key, value, version, metadata] =
            [text(&row, 0)?, text(&row, 1)?, text(&row, 2)?, text(&row, 3)?];
        bytes += key.len() + value.len() + version.len() + metadata.len();
        if bytes > ANSWER_BYTES_MAX {
            return Ok(None);
        }
        items.insert(key, Item { value, version, metadata: told(&metadata) });
    }
    Ok(Some(items))
}

/// Nothing is as if it were empty.
fn text(row: &Row, column: usize) -> Result<String, tokio_postgres::Error> {
    Ok(row.try_get::<_, Option<String>>(column)?.unwrap_or_default())
}

/// Of what is no text it is told as JSON has it.
fn told(metadata: &str) -> BTreeMap<String, String> {
    let told: BTreeMap<String, serde_json::Value> = serde_json::from_str(metadata).unwrap_or_default();
    let text = |value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    told.into_iter().map(|(name, value)| (name, text(value))).collect()
}

impl Store for Postgres {
    fn get<'a>(&'a self, keys: &'a [String]) -> Reply<'a, Result<BTreeMap<String, Item>, Error>> {
        Box::pin(async move {
            let found = match self.found(keys).await {
                Err(Failure::Lost(_)) => self.found(keys).await,
                found => found,
            };
            found.map_err(refused)?.ok_or_else(too_many)
        })
    }

    fn watch<'a>(
        &'a self,
        keys: &'a [String],
        metadata: &'a BTreeMap<String, String>,
    ) -> Reply<'a, Result<Box<dyn Watch>, Error>> {
        Box::pin(async move {
            let channel = metadata.iter().find(|(name, _)| name.eq_ignore_ascii_case(CHANNEL));
            let channel = channel.map(|(_, channel)| channel.as_str()).unwrap_or_default();
            if channel.is_empty() || channel.len() > CHANNEL_BYTES_MAX || channel.contains('\0') {
                return Err(Error::Invalid(format!(
                    "`{CHANNEL}` in the metadata has to be the name of the channel to which the trigger of `{}` tells what happens, of {CHANNEL_BYTES_MAX} bytes at most",
                    self.0.table
                )));
            }
            let news = News::default();
            let ear = hear::Ear::open(&self.0.pool, channel, &self.0.table, &news).await.map_err(refused)?;
            let hearing = hear::run(self.clone(), channel.to_owned(), ear, news.clone());
            let watch: Box<dyn Watch> =
                Box::new(Watched::new(self.clone(), keys, news, tokio::spawn(hearing)));
            Ok(watch)
        })
    }
}

fn refused(failure: Failure) -> Error {
    match failure {
        Failure::Refused(why) => Error::Invalid(why),
        failure => Error::Unavailable(failure.why()),
    }
}

/// What in the metadata of who watches names the channel, as with Dapr.
const CHANNEL: &str = "pgNotifyChannel";
/// Longest name of a channel.
const CHANNEL_BYTES_MAX: usize = 63;

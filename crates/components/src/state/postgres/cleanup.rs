//! Rows that have expired are deleted now and then. Those who share a table take turns: when it was done last stands in the table
//! that Dapr reads, too.

use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};

use super::layout::{Layout, Version};
use crate::postgres::{Failure, Pool};

/// Deletes again and again. What fails is tried at the next turn: nobody sees what has expired.
pub(super) async fn run(pool: Pool, layout: Layout, metadata: String, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let _ = clean(&pool, &layout, &metadata, interval).await;
    }
}

/// Deletes what has expired, if nobody has for nearly as long.
pub(super) async fn clean(
    pool: &Pool,
    layout: &Layout,
    metadata: &str,
    interval: Duration,
) -> Result<(), Failure> {
    let key = match layout.version {
        Version::V1 => "last-cleanup".to_owned(),
        Version::V2 => format!("last-cleanup-state-v2-{metadata}"),
    };
    // Whose timer is a little ahead does not lose its turn.
    let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX) / 10 * 9;
    let turn = format!(
        "INSERT INTO {metadata} AS m (key, value) VALUES ($1, now()::text) \
         ON CONFLICT (key) DO UPDATE SET value = now()::text \
         WHERE extract(epoch FROM now() - m.value::timestamp with time zone) * 1000 > $2"
    );
    let all = async {
        let lent = pool.lend().await?;
        let done = async {
            let set: [(&(dyn ToSql + Sync), Type); 2] = [(&key, Type::TEXT), (&interval_ms, Type::INT8)];
            if lent.client().execute_typed(&turn, &set).await? > 0 {
                lent.client().execute_typed(&layout.expire, &[]).await?;
            }
            Ok(())
        }
        .await;
        lent.done(done)
    };
    pool.within(all).await
}

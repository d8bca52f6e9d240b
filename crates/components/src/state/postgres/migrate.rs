//! The tables, made if they are not there. Which steps have been done stands in a table that Dapr reads, too.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use super::layout::{Layout, Version};
use crate::postgres::{Failure, Pool};

/// Makes what is not there.
pub(super) async fn migrate(pool: &Pool, layout: &Layout, metadata: &str) -> Result<(), Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        let all = async {
            let lent = pool.lend().await?;
            let done = once(lent.client(), layout, metadata).await;
            lent.done(done)
        };
        match pool.within(all).await {
            // Another was quicker to make the first table: that it is asked for only if it is not there does not help against this.
            Err(Failure::Refused(_) | Failure::Undone(_)) if tries < TRIES => {}
            done => return done,
        }
    }
}

async fn once(client: &Client, layout: &Layout, metadata: &str) -> Result<(), Error> {
    client.batch_execute("BEGIN").await?;
    match steps(client, layout, metadata).await {
        Ok(()) => client.batch_execute("COMMIT").await,
        Err(error) => {
            client.batch_execute("ROLLBACK").await?;
            Err(error)
        }
    }
}

async fn steps(client: &Client, layout: &Layout, metadata: &str) -> Result<(), Error> {
    client
        .batch_execute(&format!(
            "CREATE TABLE IF NOT EXISTS {metadata} (key text NOT NULL PRIMARY KEY, value text NOT NULL); \
             LOCK TABLE {metadata} IN SHARE ROW EXCLUSIVE MODE"
        ))
        .await?;
    let Layout { version, table, .. } = layout;
    let key = match version {
        Version::V1 => "migrations".to_owned(),
        Version::V2 => format!("migrations-state-v2-{}", table.strip_suffix(V2_TABLE).unwrap_or(table)),
    };
    let set = &[(&key as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT)];
    let level = client.query_typed(&format!("SELECT value FROM {metadata} WHERE key = $1"), set).await?;
    let level = level.first().and_then(|row| row.get::<_, String>(0).parse::<usize>().ok()).unwrap_or(0);
    let steps = statements(*version, table);
    for step in steps.iter().skip(level) {
        client.batch_execute(step).await?;
    }
    if level < steps.len() {
        let write = format!(
            "INSERT INTO {metadata} (key, value) VALUES ($1, '{}') ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            steps.len()
        );
        client.execute_typed(&write, set).await?;
    }
    Ok(())
}

/// The steps from nothing to the layout.
fn statements(version: Version, table: &str) -> Vec<String> {
    match version {
        Version::V1 => vec![
            format!(
                "CREATE TABLE IF NOT EXISTS {table} (key text NOT NULL PRIMARY KEY, value jsonb NOT NULL, \
                 isbinary boolean NOT NULL, insertdate timestamp with time zone NOT NULL DEFAULT now(), \
                 updatedate timestamp with time zone)"
            ),
            format!("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS expiredate timestamp with time zone"),
        ],
        Version::V2 => vec![format!(
            "CREATE TABLE IF NOT EXISTS {table} (key text NOT NULL PRIMARY KEY, value bytea NOT NULL, \
             etag uuid NOT NULL DEFAULT gen_random_uuid(), \
             created_at timestamp with time zone NOT NULL DEFAULT now(), \
             updated_at timestamp with time zone, expires_at timestamp with time zone); \
             CREATE INDEX ON {table} (expires_at)"
        )],
    }
}

/// What the second layout's table is called, behind its prefix.
pub(super) const V2_TABLE: &str = "state";
/// How often the tables are tried to be made, where others make them, too.
const TRIES: usize = 3;

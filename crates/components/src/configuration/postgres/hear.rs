//! Hearing of what happens in a table, over a connection of its own, which is made again when it is lost.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_postgres::{AsyncMessage, Client};

use super::super::watched::{ASKED_EVERY, News, WAIT_MAX};
use super::Postgres;
use crate::postgres::{Failure, Pool};

/// A connection that is told of what happens.
pub(super) struct Ear {
    client: Client,
    hearing: JoinHandle<()>,
}

impl Ear {
    /// Listens to a channel, and tells of the keys of a table that are named there.
    pub(super) async fn open(pool: &Pool, channel: &str, table: &str, news: &News) -> Result<Ear, Failure> {
        pool.within(async {
            let (client, mut messages) = pool.connect_heard().await?;
            let (table, news) = (table.to_owned(), news.clone());
            let hearing = tokio::spawn(async move {
                while let Some(Ok(message)) = messages.next().await {
                    if let AsyncMessage::Notification(told) = message
                        && let Some(key) = key(told.payload(), &table)
                    {
                        news.of(&key);
                    }
                }
            });
            let ear = Ear { client, hearing };
            let listen = format!("LISTEN \"{}\"", channel.replace('"', "\"\""));
            ear.client.batch_execute(&listen).await.map_err(|error| pool.failed(&error))?;
            Ok(ear)
        })
        .await
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.hearing.abort();
    }
}

/// Hears until it is aborted.
pub(super) async fn run(store: Postgres, channel: String, ear: Ear, news: News) {
    let mut ear = Some(ear);
    let shared = &store.0;
    loop {
        if let Some(ear) = ear.take() {
            listen(&shared.pool, ear).await;
        }
        sleep(WAIT).await;
        match Ear::open(&shared.pool, &channel, &shared.table, &news).await {
            Ok(again) => {
                ear = Some(again);
                // Before this nobody heard.
                news.missed();
            }
            Err(_) => sleep(WAIT_MAX).await,
        }
    }
}

/// Until the connection is lost.
async fn listen(pool: &Pool, mut ear: Ear) {
    let mut asking = interval_at(Instant::now() + ASKED_EVERY, ASKED_EVERY);
    asking.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = &mut ear.hearing => return,
            _ = asking.tick() => {
                let asked = async {
                    ear.client.batch_execute("").await.map_err(|error| pool.failed(&error))
                };
                if pool.within(asked).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Which item of a table is told of, if one is. As with Dapr's triggers, the row is `data`, and the table may be named.
fn key(payload: &str, table: &str) -> Option<String> {
    let told: Value = serde_json::from_str(payload).ok()?;
    let name = table.rsplit('.').next().unwrap_or(table);
    if told["table"].as_str().is_some_and(|told| !told.eq_ignore_ascii_case(name)) {
        return None;
    }
    let mut row = told["data"].as_object()?.iter();
    row.find_map(|(name, value)| {
        value.as_str().filter(|_| name.eq_ignore_ascii_case("key")).map(str::to_owned)
    })
}

/// The wait before a connection is made again.
const WAIT: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_of_the_table() {
        let of = |payload| key(payload, "shop.limits");
        let full = r#"{"table":"limits","action":"UPDATE","data":{"key":"a","value":"1","version":"2","metadata":null}}"#;
        assert_eq!(of(full).as_deref(), Some("a"));
        assert_eq!(of(r#"{"data":{"KEY":"b"}}"#).as_deref(), Some("b"));
        for odd in [r#"{"table":"others","data":{"key":"a"}}"#, r#"{"data":{}}"#, "x", ""] {
            assert_eq!(of(odd), None, "{odd}");
        }
    }
}

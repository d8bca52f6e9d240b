//! Hearing of what happens to keys, over a connection of its own, which is made again when it is lost.

use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::super::Error;
use super::super::watched::{ASKED_EVERY, News, WAIT_MAX};
use super::switch_on;
use crate::redis::Connection;

/// A connection that is told of what happens to keys.
pub(super) struct Ear {
    sink: PubSubSink,
    stream: PubSubStream,
}

impl Ear {
    /// Listens for these keys; for all if there is none.
    pub(super) async fn open(connection: &Connection, keys: &[String]) -> Result<Ear, Error> {
        switch_on(connection).await?;
        let place = place(connection);
        let subscribed = connection.subscribed(|mut pubsub| async {
            match keys {
                [] => pubsub.psubscribe(format!("{place}*")).await?,
                keys => {
                    let channels: Vec<String> = keys.iter().map(|key| format!("{place}{key}")).collect();
                    pubsub.subscribe(channels).await?;
                }
            }
            Ok(pubsub)
        });
        let (sink, stream) = subscribed.await?.split();
        Ok(Ear { sink, stream })
    }
}

/// Tells of what is heard, until it is aborted.
pub(super) async fn run(connection: Connection, keys: Vec<String>, ear: Ear, news: News) {
    let mut ear = Some(ear);
    loop {
        if let Some(ear) = ear.take() {
            listen(&connection, ear, &news).await;
        }
        sleep(WAIT).await;
        match Ear::open(&connection, &keys).await {
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
async fn listen(connection: &Connection, ear: Ear, news: &News) {
    let Ear { mut sink, mut stream } = ear;
    let place = place(connection);
    let mut asking = interval_at(Instant::now() + ASKED_EVERY, ASKED_EVERY);
    asking.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = stream.next() => {
                let Some(message) = message else { return };
                let event: String = message.get_payload().unwrap_or_default();
                if let Some(key) = message.get_channel_name().strip_prefix(&place)
                    && EVENTS.contains(&event.as_str())
                {
                    news.of(key);
                }
            }
            _ = asking.tick() => {
                if !matches!(timeout(ANSWERED, sink.ping::<redis::Value>()).await, Ok(Ok(_))) {
                    return;
                }
            }
        }
    }
}

/// What stands before a key in the name of its channel.
fn place(connection: &Connection) -> String {
    format!("__keyspace@{}__:", connection.database())
}

/// What can happen to a string, or to any key. What happens to lists, hashes and others is no concern of configuration.
const EVENTS: [&str; 16] = [
    "append",
    "copy_to",
    "decrby",
    "del",
    "evicted",
    "expired",
    "incrby",
    "incrbyfloat",
    "move_from",
    "move_to",
    "rename_from",
    "rename_to",
    "restore",
    "set",
    "setrange",
    "unlink",
];
/// The wait before a connection is made again.
const WAIT: Duration = Duration::from_millis(50);
/// How long an answer to who asks whether somebody is there may take.
const ANSWERED: Duration = Duration::from_secs(5);

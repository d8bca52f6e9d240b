//! Consuming a queue: a channel of its own for each subscription, made again when it breaks.
//!
//! The server sends no more than `prefetch` messages that are not answered. What has failed and waits (`lent`) is not answered,
//! and would take the place of others: when it takes half of it, the queue is consumed anew on the same channel, to which the
//! server counts what it sends from then on only.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use lapin::Acker;
use lapin::Channel;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::connection::{Connection, WITHIN, declare};
use super::message::raise;
use crate::pubsub::consumer::{Consumer, Lender, Shared};
use crate::pubsub::lent::{Failures, Lent};
use crate::pubsub::{Error, Options};

/// What consumes, and how.
struct Consuming {
    connection: Arc<Connection>,
    exchange: ShortString,
    queue: ShortString,
    prefetch: u16,
    shared: Arc<Shared<Acker>>,
}

/// Where there is a channel at the moment.
pub(super) struct Lending {
    connection: Arc<Connection>,
    queue: ShortString,
    channel: watch::Receiver<Option<Channel>>,
}

/// Begins.
pub(super) async fn begin(
    connection: &Arc<Connection>,
    exchange: ShortString,
    queue: ShortString,
    options: &Options,
    failures: Arc<Failures>,
) -> Result<Consumer<Lending>, Error> {
    let held_max = options.held_max.clamp(1, usize::from(u16::MAX));
    let held_max = held_max.min(connection.settings.prefetch.map_or(usize::MAX, usize::from));
    let options = Options { held_max, ..options.clone() };
    let shared = Shared::new(Lent::new(&options, false, failures));
    let consuming = Consuming {
        connection: Arc::clone(connection),
        exchange,
        queue: queue.clone(),
        prefetch: u16::try_from(held_max).unwrap_or(u16::MAX),
        shared: Arc::clone(&shared),
    };
    let first = consuming.open().await?;
    let (sender, channel) = watch::channel(Some(first.0.clone()));
    let task = tokio::spawn(consuming.run(first, sender));
    Ok(Consumer::new(Lending { connection: Arc::clone(connection), queue, channel }, shared, task))
}

impl Consuming {
    async fn run(self, first: (Channel, lapin::Consumer), sender: watch::Sender<Option<Channel>>) {
        tokio::select! {
            () = self.consume(first, &sender) => {}
            () = self.shared.closed() => {}
        }
        // With the channel the server has all back that was not answered.
        let channel = sender.send_replace(None);
        if let Some(channel) = channel {
            let _ = timeout(WITHIN, channel.close(200, ShortString::default())).await;
        }
        self.shared.lent().clear();
    }

    async fn consume(&self, first: (Channel, lapin::Consumer), sender: &watch::Sender<Option<Channel>>) {
        let mut opened = Ok(first);
        let mut wait = WAIT_MIN;
        loop {
            match opened {
                Ok((channel, consumer)) => {
                    sender.send_replace(Some(channel.clone()));
                    self.shared.well();
                    let begun = tokio::time::Instant::now();
                    self.take(&channel, consumer).await;
                    sender.send_replace(None);
                    // Of another channel nobody knows these.
                    self.shared.lent().clear();
                    if begun.elapsed() > WAIT_MAX {
                        wait = WAIT_MIN;
                    }
                }
                Err(error) => self.shared.ill(error),
            }
            sleep(wait).await;
            wait = (wait * 2).min(WAIT_MAX);
            opened = timeout(WITHIN * 2, self.open())
                .await
                .unwrap_or_else(|_| Err(self.connection.failed("it does not let the queue be consumed")));
        }
    }

    async fn open(&self) -> Result<(Channel, lapin::Consumer), Error> {
        let live = self.connection.live().await?;
        let opened = async {
            let channel = live.channel().await?;
            let settings = &self.connection.settings;
            declare(&channel, &self.exchange, settings).await?;
            let options = QueueDeclareOptions {
                durable: settings.durable,
                auto_delete: settings.delete_when_unused,
                ..QueueDeclareOptions::default()
            };
            channel.queue_declare(self.queue.clone(), options, self.arguments()).await?;
            let (queue, exchange) = (self.queue.clone(), self.exchange.clone());
            let (key, options) = (ShortString::default(), QueueBindOptions::default());
            channel.queue_bind(queue, exchange, key, options, FieldTable::default()).await?;
            channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
            let consumer = self.consumer(&channel).await?;
            Ok((channel, consumer))
        };
        opened.await.map_err(|error: lapin::Error| self.connection.failed(error))
    }

    /// As Dapr declares it, so that either finds what the other has made.
    fn arguments(&self) -> FieldTable {
        let settings = &self.connection.settings;
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
        for (name, most) in
            [("x-max-length", settings.queue_max), ("x-max-length-bytes", settings.queue_bytes_max)]
        {
            if let Some(most) = most {
                arguments.insert(name.into(), AMQPValue::LongLongInt(most.into()));
            }
        }
        arguments
    }

    async fn consumer(&self, channel: &Channel) -> lapin::Result<lapin::Consumer> {
        let options = BasicConsumeOptions::default();
        channel
            .basic_consume(self.queue.clone(), ShortString::default(), options, FieldTable::default())
            .await
    }

    /// Takes what comes until the channel breaks.
    async fn take(&self, channel: &Channel, mut consumer: lapin::Consumer) {
        loop {
            tokio::select! {
                delivery = consumer.next() => match delivery {
                    Some(Ok(delivery)) => self.shared.add(raise(delivery, self.queue.as_str())),
                    Some(Err(_)) | None => return,
                },
                () = self.shared.wanted() => {
                    let (expired, is_crowded) = {
                        let mut lent = self.shared.lent();
                        let half = usize::from(self.prefetch).div_ceil(2);
                        (lent.expired(), lent.may_wait() && lent.waiting_of_round() >= half)
                    };
                    acknowledge(expired).await;
                    if is_crowded {
                        match self.anew(channel, consumer).await {
                            Ok(another) => consumer = another,
                            Err(_) => return,
                        }
                    }
                }
            }
        }
    }

    async fn anew(&self, channel: &Channel, mut before: lapin::Consumer) -> lapin::Result<lapin::Consumer> {
        channel.basic_cancel(before.tag(), BasicCancelOptions::default()).await?;
        while let Some(delivery) = before.next().await {
            self.shared.add(raise(delivery?, self.queue.as_str()));
        }
        self.shared.lent().begin_round();
        self.consumer(channel).await
    }
}

impl Lender for Lending {
    type Token = Acker;

    async fn acknowledge(&self, tokens: Vec<Acker>) {
        acknowledge(tokens).await;
    }

    async fn give_back(&self, tokens: Vec<Acker>) {
        let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        // What cannot be given back is so already: the channel has broken.
        let _ = timeout(WITHIN, join_all(tokens.iter().map(|token| token.nack(options)))).await;
    }

    /// The server answers a question about the queue when it has dealt with what was sent before.
    async fn settled(&self) -> Result<(), Error> {
        let channel = self.channel.borrow().clone();
        let Some(channel) = channel else { return Err(self.connection.failed("the connection is lost")) };
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = channel.queue_declare(self.queue.clone(), options, FieldTable::default());
        match timeout(WITHIN, asked).await {
            Ok(answer) => answer.map(drop).map_err(|error| self.connection.failed(error)),
            Err(_) => Err(self.connection.failed(format!("no answer within {WITHIN:?}"))),
        }
    }
}

/// What cannot be acknowledged comes again: the channel has broken.
async fn acknowledge(tokens: Vec<Acker>) {
    let _ = timeout(WITHIN, join_all(tokens.iter().map(|token| token.ack(BasicAckOptions::default())))).await;
}

/// The first wait before a queue is consumed again.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// And the longest.
const WAIT_MAX: Duration = Duration::from_secs(5);

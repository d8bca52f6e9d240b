//! A producer: one record after the other, each printed when it was acknowledged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::blocks::kv::Write;
use engine::blocks::queue::Item;
use engine::blocks::stream::NewEvent;
use engine::blocks::topic::Message;
use engine::{Embedded, Error};
use machine::queue::VISIBILITY_MS_MAX;
use machine::stream::Expected;

use super::record::{Kind, Line, NAME, ORDERS, Writer};
use super::{acknowledged, not_written};
use crate::failure::Failure;

pub(super) struct Producer {
    engine: Arc<Embedded>,
    writer: Writer,
    /// The ETag of the item, and of that of the orders.
    etags: [u64; 2],
    /// How many items of the queue were had.
    received: u64,
}

impl Producer {
    pub(super) fn new(engine: Arc<Embedded>, writer: Writer) -> Producer {
        Producer { engine, writer, etags: [0; 2], received: 0 }
    }

    /// Writes until `end`, or for ever.
    pub(super) async fn run(mut self, end: Option<Instant>) -> Result<(), Failure> {
        let mut number = 0;
        while end.is_none_or(|end| Instant::now() < end) {
            number += 1;
            self.put(number).await?;
            self.publish(number).await?;
            self.send(number).await?;
            // Slower than they come, so that some are there whenever somebody looks.
            if number % 2 == 0 {
                self.work().await?;
            }
            self.append(number).await?;
            self.order(number).await?;
        }
        Ok(())
    }

    async fn put(&mut self, number: u64) -> Result<(), Failure> {
        let (writer, etag) = (self.writer, self.etags[0]);
        self.etags[0] = taken(|| async {
            let items = self.engine.kv(NAME)?;
            items.put(writer.key(), writer.payload(number), Write::if_etag(etag)).await
        })
        .await?;
        self.done(Kind::Put, number, self.etags[0])
    }

    async fn publish(&self, number: u64) -> Result<(), Failure> {
        let message = Message::new(self.writer.payload(number)).key(self.writer.key());
        let published = taken(|| async { self.engine.topic(NAME)?.publish(message.clone()).await }).await?;
        self.done(Kind::Publish, number, published.offset.unwrap_or_default())
    }

    async fn send(&self, number: u64) -> Result<(), Failure> {
        let (name, item) = (self.writer.queue(), Item::new(self.writer.payload(number)));
        let id = taken(|| async { self.engine.queue(&name)?.send_one(item.clone()).await }).await?.id;
        self.done(Kind::Send, number, id.number())
    }

    /// Has an item handed out, and is done with it.
    async fn work(&mut self) -> Result<(), Failure> {
        let name = self.writer.queue();
        let lease = Some(Duration::from_millis(VISIBILITY_MS_MAX));
        let receive = || async { self.engine.queue(&name)?.receive(NAME, 1, lease, Duration::ZERO).await };
        let Some(work) = taken(receive).await?.into_iter().next() else {
            return Err(Failure::new(format!("the queue {name} has items, and hands none out")));
        };
        self.received += 1;
        let item = work.receipt.id().number();
        self.done(Kind::Receive, self.received, item)?;
        let gone = taken(|| async { self.engine.queue(&name)?.acknowledge(&[work.receipt]).await }).await?;
        if !gone.is_empty() {
            return Err(Failure::new(format!("the queue {name} does not know the lease that it has given")));
        }
        self.done(Kind::Acknowledge, self.received, item)
    }

    async fn append(&self, number: u64) -> Result<(), Failure> {
        let (name, event) = (self.writer.name(), NewEvent::new("written", self.writer.payload(number)));
        let expected = Some(Expected::Version(number - 1));
        let append = || async { self.engine.streams(NAME)?.append(&name, expected, [event.clone()]).await };
        let (version, _) = taken(append).await?;
        self.done(Kind::Append, number, version)
    }

    /// An item and a message to another shard, in one entry.
    async fn order(&mut self, number: u64) -> Result<(), Failure> {
        let (writer, etag) = (self.writer, self.etags[1]);
        let payload = writer.payload(number);
        self.etags[1] = taken(|| async {
            let message = Message::new(payload.clone()).key(writer.key());
            let partition = writer.orders_partition(self.engine.shards());
            let told = [self.engine.topic(ORDERS)?.publishing(message.partition(partition))];
            let items = self.engine.kv(NAME)?.along(&told);
            items.put(writer.order_key(), payload.clone(), Write::if_etag(etag)).await
        })
        .await?;
        self.done(Kind::Order, number, self.etags[1])
    }

    fn done(&self, kind: Kind, number: u64, at: u64) -> Result<(), Failure> {
        let Writer { run, producer } = self.writer;
        acknowledged(&Line { run, producer, kind, number, at })
    }
}

/// Asks until there is room.
async fn taken<T, F>(ask: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Error>>,
{
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(Error::Overloaded) => tokio::task::yield_now().await,
            Err(error) => return Err(not_written(&error)),
        }
    }
}

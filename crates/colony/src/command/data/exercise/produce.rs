//! A producer: one record after the other, each printed when it was acknowledged.

use std::sync::Arc;
use std::time::Instant;

use engine::{Embedded, Error};
use machine::command::Answer;
use machine::{Entry, Shard, Shards, kv, outbox, queue, stream, topic};

use super::record::{Kind, Line, NAME, ORDERS, Writer, item_shard, queue_shard};
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
        let key = self.writer.key();
        let shard = item_shard(self.shards(), &key);
        let put = kv::Put { store: NAME.to_owned(), key, etag: Some(self.etags[0]), ..kv::Put::default() };
        let entry = Entry::new(put).with_body(self.writer.payload(number));
        self.etags[0] = etag(self.propose(shard, entry).await?)?;
        self.done(Kind::Put, number, self.etags[0])
    }

    async fn publish(&self, number: u64) -> Result<(), Failure> {
        let partition = self.writer.partition();
        let shard = topic::shard(self.shards(), NAME, partition);
        let entry = Entry::new(self.message(NAME, partition)).with_body(self.writer.payload(number));
        match self.propose(shard, entry).await? {
            Some(Answer::Topic(topic::Reply { answer: Some(topic::Answer::Published(published)) })) => {
                self.done(Kind::Publish, number, published.offset)
            }
            odd => Err(unexpected(&odd)),
        }
    }

    async fn send(&self, number: u64) -> Result<(), Failure> {
        let send = queue::Send {
            queue: self.writer.queue(),
            items: vec![queue::SendItem { body: 0, ..queue::SendItem::default() }],
        };
        let entry = Entry::new(send).with_body(self.writer.payload(number));
        match self.propose(queue_shard(self.shards(), &self.writer.queue()), entry).await? {
            Some(Answer::Queue(queue::Reply { answer: Some(queue::Answer::Sent(sent)) })) => {
                self.done(Kind::Send, number, sent.items.first().copied().unwrap_or_default())
            }
            odd => Err(unexpected(&odd)),
        }
    }

    /// Has an item handed out, and is done with it.
    async fn work(&mut self) -> Result<(), Failure> {
        let queue = self.writer.queue();
        let shard = queue_shard(self.shards(), &queue);
        let receive = queue::Receive {
            queue: queue.clone(),
            consumer: NAME.to_owned(),
            max: 1,
            visibility_ms: queue::VISIBILITY_MS_MAX,
        };
        let work = match self.propose(shard, Entry::new(receive)).await? {
            Some(Answer::Queue(queue::Reply { answer: Some(queue::Answer::Received(received)) })) => {
                received.items.into_iter().next()
            }
            odd => return Err(unexpected(&odd)),
        };
        let Some(work) = work else {
            return Err(Failure::new(format!("the queue {queue} has items, and hands none out")));
        };
        self.received += 1;
        self.done(Kind::Receive, self.received, work.receipt.item)?;
        let item = work.receipt.item;
        let done = queue::Acknowledge { queue, receipts: vec![work.receipt], all: true };
        self.propose(shard, Entry::new(done)).await?;
        self.done(Kind::Acknowledge, self.received, item)
    }

    async fn append(&self, number: u64) -> Result<(), Failure> {
        let (store, name) = (NAME.to_owned(), self.writer.name());
        let shard = stream::shard(self.shards(), NAME, stream::Spread::ByStream, &name);
        let event = stream::NewEvent { r#type: "written".to_owned(), ..stream::NewEvent::default() };
        let expected = Some(stream::Expected::Version(number - 1));
        let append = stream::Append { store, stream: name, expected, events: vec![event] };
        match self.propose(shard, Entry::new(append).with_body(self.writer.payload(number))).await? {
            Some(Answer::Stream(reply)) => self.done(Kind::Append, number, reply.version),
            odd => Err(unexpected(&odd)),
        }
    }

    /// An item and a message to another shard, in one entry.
    async fn order(&mut self, number: u64) -> Result<(), Failure> {
        let key = self.writer.order_key();
        let shard = item_shard(self.shards(), &key);
        let put = kv::Put { store: NAME.to_owned(), key, etag: Some(self.etags[1]), ..kv::Put::default() };
        let partition = self.writer.orders_partition(self.shards());
        let target = topic::shard(self.shards(), ORDERS, partition);
        let mut send = outbox::Send::new(target, self.message(ORDERS, partition));
        send.bodies.push(0);
        let mut entry = Entry::new(put).with_body(self.writer.payload(number));
        entry.sends.push(send);
        self.etags[1] = etag(self.propose(shard, entry).await?)?;
        self.done(Kind::Order, number, self.etags[1])
    }

    fn message(&self, topic: &str, partition: u32) -> topic::Publish {
        let attributes = topic::Attributes { key: self.writer.key(), ..topic::Attributes::default() };
        let message = topic::NewMessage { attributes, body: 0, ttl_ms: None };
        topic::Publish { topic: topic.to_owned(), partition, message }
    }

    fn shards(&self) -> Shards {
        self.engine.shards()
    }

    async fn propose(&self, shard: Shard, entry: Entry) -> Result<Option<Answer>, Failure> {
        loop {
            match self.engine.propose(shard, entry.clone()).await {
                Ok(reply) => return Ok(reply.answer),
                Err(Error::Overloaded) => tokio::task::yield_now().await,
                Err(error) => return Err(not_written(&error)),
            }
        }
    }

    fn done(&self, kind: Kind, number: u64, at: u64) -> Result<(), Failure> {
        let Writer { run, producer } = self.writer;
        acknowledged(&Line { run, producer, kind, number, at })
    }
}

fn etag(answer: Option<Answer>) -> Result<u64, Failure> {
    match answer {
        Some(Answer::Kv(reply)) => Ok(reply.etag),
        odd => Err(unexpected(&odd)),
    }
}

fn unexpected(answer: &Option<Answer>) -> Failure {
    Failure::new(format!("the engine answers something else than what was asked: {answer:?}"))
}

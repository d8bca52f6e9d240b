//! `pubsub.rabbitmq`: a topic is a fanout exchange of its name, and a group's part in it the queue `GROUP-TOPIC`, as Dapr has
//! them.
//!
//! What is published is confirmed by the server before that is said. A queue is there from its group's first subscription
//! on: what was published before is not kept for it. How often a message has failed only this process knows
//! (`crate::pubsub::lent`); to another it is one that comes again.

mod connection;
mod consume;
mod message;
mod settings;

use std::sync::Arc;
use std::time::SystemTime;

use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{Confirmation, PublisherConfirm};
use tokio::time::timeout;

use self::connection::{Connection, WITHIN};
use self::message::Ids;
use super::in_order::{Confirmed, in_order};
use super::lent::Failures;
use super::{Broker, Error, Features, Message, Options, Subscription};
use crate::Reply;
pub use settings::Settings;

/// Topics in a RabbitMQ. A copy is the same.
#[derive(Clone)]
pub struct RabbitMq {
    connection: Arc<Connection>,
    ids: Arc<Ids>,
    failures: Arc<Failures>,
}

impl RabbitMq {
    /// Connects to it.
    ///
    /// # Errors
    ///
    /// If it does not answer, or refuses.
    pub async fn connect(settings: Settings) -> Result<RabbitMq, Error> {
        let connection = Arc::new(Connection::open(settings).await?);
        Ok(RabbitMq { connection, ids: Arc::default(), failures: Arc::default() })
    }

    async fn publish(&self, topic: &str, message: Message) -> Result<(), Error> {
        let exchange = exchange(topic)?;
        let done = async { self.send(&exchange, message).await?.await };
        timeout(WITHIN, done).await.unwrap_or_else(|_| Err(self.late()))
    }

    /// Sends a message; comes true before it is confirmed.
    async fn send(&self, exchange: &ShortString, message: Message) -> Result<Confirmed, Error> {
        let settings = &self.connection.settings;
        let (data, properties) = message::lower(message, settings, &self.ids, SystemTime::now())?;
        let sent = async {
            let live = self.connection.live().await?;
            let channel =
                live.publishing(exchange, settings).await.map_err(|error| self.connection.failed(error))?;
            let options = BasicPublishOptions::default();
            let sent =
                channel.basic_publish(exchange.clone(), ShortString::default(), options, &data, properties);
            sent.await.map_err(|error| self.connection.failed(error))
        };
        let confirm = timeout(WITHIN, sent).await.unwrap_or_else(|_| Err(self.late()))?;
        let connection = Arc::clone(&self.connection);
        Ok(Box::pin(async move { confirmed(&connection, confirm).await }))
    }

    fn late(&self) -> Error {
        self.connection.failed(format!("no answer within {WITHIN:?}"))
    }
}

async fn confirmed(connection: &Connection, confirm: PublisherConfirm) -> Result<(), Error> {
    match confirm.await {
        Ok(Confirmation::Ack(_)) => Ok(()),
        Ok(Confirmation::Nack(_) | Confirmation::NotRequested) => {
            Err(connection.failed("the message was not taken"))
        }
        Err(error) => Err(connection.failed(error)),
    }
}

impl Broker for RabbitMq {
    fn features(&self) -> Features {
        Features { bulk: true, ttl: true, ordering: false, history: false, attempts: false, delay: false }
    }

    fn publish<'a>(&'a self, topic: &'a str, message: Message) -> Reply<'a, Result<(), Error>> {
        Box::pin(RabbitMq::publish(self, topic, message))
    }

    fn publish_many<'a>(
        &'a self,
        topic: &'a str,
        messages: Vec<Message>,
    ) -> Reply<'a, Result<Vec<Result<(), Error>>, Error>> {
        Box::pin(async move {
            let exchange = exchange(topic)?;
            Ok(in_order(messages, WITHIN, |message| self.send(&exchange, message)).await)
        })
    }

    fn subscribe<'a>(
        &'a self,
        topic: &'a str,
        group: &'a str,
        options: Options,
    ) -> Reply<'a, Result<Box<dyn Subscription>, Error>> {
        Box::pin(async move {
            let exchange = exchange(topic)?;
            let queue = message::short(format!("{group}-{topic}"), "the name of the queue")?;
            let consumer =
                consume::begin(&self.connection, exchange, queue, &options, Arc::clone(&self.failures));
            let consumer = timeout(WITHIN, consumer).await.unwrap_or_else(|_| Err(self.late()))?;
            Ok(Box::new(consumer) as Box<dyn Subscription>)
        })
    }
}

fn exchange(topic: &str) -> Result<ShortString, Error> {
    match topic {
        "" => Err(Error::Invalid("a topic has a name".to_owned())),
        topic if topic.starts_with("amq.") => {
            Err(Error::Invalid(format!("names that begin with `amq.` are the server's: {topic:?}")))
        }
        topic => message::short(topic.to_owned(), "the topic"),
    }
}

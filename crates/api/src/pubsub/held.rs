//! A subscription to one of the engine's topics.

use components::Reply;
use components::pubsub::{Delivery, Error, Receipt, Subscription};
use engine::{EmbeddedConsumer, InMemoryConsumer, Received};

use super::engine::{raised, refused};

/// One of a group's consumers, of either engine.
pub enum Held {
    /// In a folder.
    Disk(EmbeddedConsumer),
    /// In memory.
    Memory(InMemoryConsumer),
}

/// Asks the consumer that it is.
macro_rules! ask {
    ($held:expr, $consumer:ident => $ask:expr) => {
        match $held {
            Held::Disk($consumer) => $ask,
            Held::Memory($consumer) => $ask,
        }
        .map_err(|error| refused(&error))
    };
}

impl Held {
    pub(super) async fn next(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        let received = ask!(self, consumer => consumer.next(max).await)?;
        Ok(received.into_iter().map(raised).collect())
    }

    pub(super) fn acknowledge(&self, messages: &[Receipt]) -> Result<(), Error> {
        ask!(self, consumer => consumer.acknowledge(&named(messages)))
    }

    pub(super) fn fail(&self, message: Receipt, cause: &str) -> Result<(), Error> {
        let named = named(&[message]);
        named.iter().try_for_each(|message| ask!(self, consumer => consumer.fail(message, cause, false)))
    }

    pub(super) fn release(&self, messages: &[Receipt]) -> Result<(), Error> {
        ask!(self, consumer => consumer.release(&named(messages)))
    }

    pub(super) fn extend(&self, messages: &[Receipt]) -> Result<(), Error> {
        ask!(self, consumer => consumer.extend(&named(messages)))
    }

    pub(super) async fn settled(&self) -> Result<(), Error> {
        ask!(self, consumer => consumer.settled().await)
    }
}

impl Subscription for Held {
    fn next(&self, max: usize) -> Reply<'_, Result<Vec<Delivery>, Error>> {
        Box::pin(Held::next(self, max))
    }

    fn acknowledge<'a>(&'a self, messages: &'a [Receipt]) -> Reply<'a, Result<(), Error>> {
        Box::pin(std::future::ready(Held::acknowledge(self, messages)))
    }

    fn fail<'a>(&'a self, message: Receipt, cause: &'a str) -> Reply<'a, Result<(), Error>> {
        Box::pin(std::future::ready(Held::fail(self, message, cause)))
    }

    fn release<'a>(&'a self, messages: &'a [Receipt]) -> Reply<'a, Result<(), Error>> {
        Box::pin(std::future::ready(Held::release(self, messages)))
    }

    fn extend<'a>(&'a self, messages: &'a [Receipt]) -> Reply<'a, Result<(), Error>> {
        Box::pin(std::future::ready(Held::extend(self, messages)))
    }

    fn settled(&self) -> Reply<'_, Result<(), Error>> {
        Box::pin(Held::settled(self))
    }
}

/// What the engine knows messages by; of those that it never delivered nothing comes.
fn named(messages: &[Receipt]) -> Vec<Received> {
    let named = messages.iter().filter_map(|Receipt(partition, offset)| {
        Some(Received {
            partition: u32::try_from(*partition).ok()?,
            offset: *offset,
            attempt: 0,
            time: Default::default(),
            attributes: Default::default(),
            payload: Default::default(),
        })
    });
    named.collect()
}

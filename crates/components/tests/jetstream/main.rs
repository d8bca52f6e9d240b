//! `pubsub.jetstream` against a real server, which the tests start, break and start again.

mod layout;
mod outages;
#[path = "../servers/port.rs"]
mod port;
mod server;

use std::time::Duration;

use components::Properties;
use components::pubsub::conformance::Subject;
use components::pubsub::jetstream::{JetStream, Settings};
use components::pubsub::{Broker, Delivery, Error, Options, Subscription};
use server::Server;
use tokio::time::timeout;

/// A server, and what is connected to it.
struct Place {
    server: Server,
    broker: JetStream,
}

impl Place {
    async fn new() -> Place {
        Place::with(&[]).await
    }

    async fn with(more: &[(&str, &str)]) -> Place {
        let server = Server::start(&[]);
        let broker = broker(&server.url(), more).await.expect("it answers");
        Place { server, broker }
    }

    async fn subscribe(&self, topic: &str, options: Options) -> Box<dyn Subscription> {
        self.broker.subscribe(topic, "packing", options).await.expect("it is subscribed")
    }
}

/// What is connected to a server, with more set.
async fn broker(url: &str, more: &[(&str, &str)]) -> Result<JetStream, Error> {
    let all = [("natsURL", url)].into_iter().chain(more.iter().copied());
    JetStream::connect(Settings::new(&Properties::from_iter(all)).expect("it is right")).await
}

async fn one(consumer: &dyn Subscription) -> Delivery {
    let mut all = timeout(WITHIN, consumer.next(1)).await.expect("something comes").expect("it is delivered");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

impl Subject for Place {
    fn broker(&self) -> Box<dyn Broker + '_> {
        Box::new(self.broker.clone())
    }
}

components::pubsub_conformance_tests!(Place::new().await);

/// On a busy machine.
const WITHIN: Duration = Duration::from_secs(30);

//! `pubsub.rabbitmq` against a real one, which the tests start, break and start again.

mod layout;
mod outages;
#[path = "../servers/port.rs"]
mod port;
mod server;

use std::sync::Arc;

use components::Properties;
use components::pubsub::conformance::Subject;
use components::pubsub::rabbitmq::{RabbitMq, Settings};
use components::pubsub::{Broker, Error};
use server::Server;

/// A RabbitMQ, a virtual host in it, and what is connected to that.
struct Place {
    _server: Arc<Server>,
    url: String,
    broker: RabbitMq,
}

impl Place {
    async fn new() -> Place {
        Place::with(&[]).await
    }

    async fn with(more: &[(&str, &str)]) -> Place {
        let server = Server::shared();
        let url = server.url();
        let broker = broker(&url, more).await.expect("it answers");
        Place { _server: server, url, broker }
    }
}

/// What is connected to a virtual host, with more set.
async fn broker(url: &str, more: &[(&str, &str)]) -> Result<RabbitMq, Error> {
    let all = [("connectionString", url)].into_iter().chain(more.iter().copied());
    RabbitMq::connect(Settings::new(&Properties::from_iter(all)).expect("it is right")).await
}

impl Subject for Place {
    fn broker(&self) -> Box<dyn Broker + '_> {
        Box::new(self.broker.clone())
    }
}

components::pubsub_conformance_tests!(Place::new().await);

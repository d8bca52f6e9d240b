//! The adapters to a Redis against a real one, which the tests start, break and start again.

mod configuration;
mod layout;
mod lock;
mod outages;
#[path = "../servers/port.rs"]
mod port;
mod pubsub;
mod server;

use components::Properties;
use components::conformance::Subject;
use components::state::redis::{Redis, Settings};
use components::state::{Error, Store};
use server::Server;

/// A Redis, and a store in it.
struct Place {
    server: Server,
    store: Redis,
}

impl Place {
    async fn new() -> Place {
        let server = Server::start();
        let store = store(&server, &[]).await.expect("it answers");
        Place { server, store }
    }
}

/// A store in a server, with more set.
async fn store(server: &Server, more: &[(&str, &str)]) -> Result<Redis, Error> {
    let host = format!("127.0.0.1:{}", server.port);
    let all = [("redisHost", host.as_str())].into_iter().chain(more.iter().copied());
    Redis::connect(Settings::new(&Properties::from_iter(all)).expect("it is right")).await
}

impl Subject for Place {
    fn store(&self) -> Box<dyn Store + '_> {
        Box::new(self.store.clone())
    }
}

components::conformance_tests!(Place::new().await);

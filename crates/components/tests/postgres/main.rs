//! What is kept in a PostgreSQL, against a real one, which the tests start, break and start again.

mod binding;
mod configuration;
mod layout;
mod outages;
#[path = "../servers/port.rs"]
mod port;
mod server;

use std::sync::Arc;

use components::Properties;
use components::conformance::Subject;
use components::state::postgres::{Postgres, Settings, Version};
use components::state::{Error, Store};
use server::Server;

/// A PostgreSQL, a database in it, and a store in that.
struct Place {
    server: Arc<Server>,
    database: String,
    store: Postgres,
}

impl Place {
    async fn new(version: Version) -> Place {
        Place::with(version, &[]).await
    }

    async fn with(version: Version, more: &[(&str, &str)]) -> Place {
        let server = Server::shared();
        let database = server.database();
        let store = store(&server, &database, version, more).await.expect("it answers");
        Place { server, database, store }
    }

    fn ask(&self, sql: &str) -> String {
        self.server.ask(&self.database, sql)
    }
}

/// A store in a database, with more set.
async fn store(
    server: &Server,
    database: &str,
    version: Version,
    more: &[(&str, &str)],
) -> Result<Postgres, Error> {
    let string = server.string(database);
    let all = [("connectionString", string.as_str())].into_iter().chain(more.iter().copied());
    Postgres::connect(Settings::new(version, &Properties::from_iter(all)).expect("it is right")).await
}

impl Subject for Place {
    fn store(&self) -> Box<dyn Store + '_> {
        Box::new(self.store.clone())
    }
}

/// The first layout.
mod v1 {
    use super::{Place, Version};

    components::conformance_tests!(Place::new(Version::V1).await);
}

/// The second.
mod v2 {
    use super::{Place, Version};

    components::conformance_tests!(Place::new(Version::V2).await);
}

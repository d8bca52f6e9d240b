//! `configuration.postgresql`: the contract, with the table and the trigger that Dapr's documentation has made, and what becomes
//! of who watches when the PostgreSQL goes away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use components::configuration::postgres::{Postgres, Settings};
use components::configuration::{Change, Error, Store, Watch};
use components::conformance::configuration::Subject;
use components::{Properties, Reply};
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

use crate::server::Server;

/// A PostgreSQL, a database in it, configuration in that, and a connection of another's.
struct Place {
    server: Arc<Server>,
    database: String,
    items: Postgres,
    client: Client,
}

impl Place {
    async fn new() -> Place {
        let server = Server::shared();
        let database = server.database();
        server.ask(&database, TABLE);
        let items = items(&server, &database, "config").await.expect("it answers");
        let string = server.string(&database).replace("database=", "dbname=");
        let (client, connection) = tokio_postgres::connect(&string, NoTls).await.expect("connected");
        tokio::spawn(connection);
        Place { server, database, items, client }
    }
}

async fn items(server: &Server, database: &str, table: &str) -> Result<Postgres, Error> {
    let all = [("connectionString", server.string(database)), ("table", table.to_owned())];
    Postgres::connect(Settings::new(&Properties::from_iter(all)).expect("it is right")).await
}

fn channel() -> BTreeMap<String, String> {
    BTreeMap::from([("PgNotifyChannel".to_owned(), "config".to_owned())])
}

impl Subject for Place {
    fn configuration(&self) -> Box<dyn Store + '_> {
        Box::new(self.items.clone())
    }

    fn metadata(&self) -> BTreeMap<String, String> {
        channel()
    }

    fn set<'a>(&'a self, key: &'a str, item: Option<(&'a str, &'a str)>) -> Reply<'a, ()> {
        Box::pin(async move {
            let done = match item {
                Some((value, version)) => self.client.execute(UPSERT, &[&key, &value, &version]).await,
                None => self.client.execute("DELETE FROM config WHERE key = $1", &[&key]).await,
            };
            done.expect("it is set");
        })
    }
}

components::configuration_conformance_tests!(Place::new().await);

async fn told(watch: &mut dyn Watch) -> Change {
    timeout(PATIENCE, watch.next()).await.expect("told in time").expect("told")
}

#[tokio::test]
async fn an_item_has_what_its_row_has() {
    let place = Place::new().await;
    place
        .server
        .ask(&place.database, r#"INSERT INTO config VALUES ('a', '1', 'v1', '{"by": "ada", "n": 2}')"#);
    let items = place.items.get(&["a".to_owned()]).await.expect("an answer");
    let item = &items["a"];
    assert_eq!((item.value.as_str(), item.version.as_str()), ("1", "v1"));
    assert_eq!(item.metadata, [("by", "ada"), ("n", "2")].map(|(a, b)| (a.to_owned(), b.to_owned())).into());
}

#[tokio::test]
async fn what_cannot_be_watched_or_opened_is_refused() {
    let place = Place::new().await;
    for channel in [None, Some(""), Some(&*"x".repeat(64))] {
        let metadata = channel.map(|channel| ("pgNotifyChannel".to_owned(), channel.to_owned()));
        let refused = place.items.watch(&[], &metadata.into_iter().collect()).await.map(drop);
        assert!(
            matches!(&refused, Err(Error::Invalid(why)) if why.contains("pgNotifyChannel")),
            "{refused:?}"
        );
    }
    let none = items(&place.server, &place.database, "nowhere").await.map(drop);
    assert!(matches!(&none, Err(Error::Invalid(why)) if why.contains("nowhere")), "{none:?}");
}

#[tokio::test]
async fn of_other_tables_nothing_is_told_and_odd_channels_are_names() {
    let place = Place::new().await;
    let odd = BTreeMap::from([("pgNotifyChannel".to_owned(), "An \"odd\" one; --".to_owned())]);
    let mut watch = place.items.watch(&[], &odd).await.expect("it is watched");
    for payload in [
        "nonsense",
        r#"{"table":"others","data":{"key":"a"}}"#,
        r#"{"table":"config","action":"INSERT","data":{"key":"b"}}"#,
    ] {
        let notify = "SELECT pg_notify('An \"odd\" one; --', $1)";
        place.client.execute(notify, &[&payload]).await.expect("it is told");
    }
    assert_eq!(told(&mut *watch).await, Change { key: "b".to_owned(), item: None });
}

#[tokio::test]
async fn who_watches_is_told_of_what_it_missed_while_it_was_away() {
    let mut server = Server::start();
    let database = server.database();
    server.ask(&database, TABLE);
    let items = items(&server, &database, "config").await.expect("it answers");
    let keys = ["a".to_owned(), "b".to_owned()];
    let mut watch = items.watch(&keys, &channel()).await.expect("it is watched");
    server.ask(&database, "INSERT INTO config VALUES ('a', '1', '', NULL)");
    assert_eq!(told(&mut *watch).await.key, "a");
    server.kill();
    server.restart();
    // Nobody hears this, or somebody does.
    server.ask(&database, "INSERT INTO config VALUES ('b', '2', '', NULL)");
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE);
        let Change { key, item } = told(&mut *watch).await;
        if key == "b" && item.is_some() {
            break;
        }
    }
    server.ask(&database, "UPDATE config SET value = '3' WHERE key = 'a'");
    loop {
        let Change { key, item } = told(&mut *watch).await;
        if key == "a" && item.is_some_and(|item| item.value == "3") {
            break;
        }
    }
}

/// What an operator makes.
const TABLE: &str = r#"
CREATE TABLE config (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL, version VARCHAR NOT NULL, metadata JSON);
CREATE FUNCTION notify_event() RETURNS TRIGGER AS $$
DECLARE
    data json;
BEGIN
    IF (TG_OP = 'DELETE') THEN data = row_to_json(OLD); ELSE data = row_to_json(NEW); END IF;
    PERFORM pg_notify('config', json_build_object('table', TG_TABLE_NAME, 'action', TG_OP, 'data', data)::text);
    RETURN NULL;
END;
$$ LANGUAGE plpgsql;
CREATE TRIGGER config AFTER INSERT OR UPDATE OR DELETE ON config FOR EACH ROW EXECUTE PROCEDURE notify_event();
"#;
const UPSERT: &str =
    "INSERT INTO config VALUES ($1, $2, $3) ON CONFLICT (key) DO UPDATE SET value = $2, version = $3";
/// On a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

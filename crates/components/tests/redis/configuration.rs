//! `configuration.redis`: the contract, where items lie, and what becomes of who watches when their Redis goes away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use components::configuration::redis::{Redis, Settings};
use components::configuration::{Change, Error, Store, Watch};
use components::conformance::configuration::Subject;
use components::{Properties, Reply};
use tokio::time::timeout;

use crate::server::Server;

/// A Redis, and configuration in it.
struct Place {
    server: Server,
    items: Redis,
}

impl Place {
    async fn new() -> Place {
        let server = Server::start();
        let items = items(&server, &[]).await.expect("it answers");
        Place { server, items }
    }

    async fn watch(&self, keys: &[&str]) -> Box<dyn Watch> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.items.watch(&keys, &BTreeMap::new()).await.expect("it is watched")
    }
}

async fn items(server: &Server, more: &[(&str, &str)]) -> Result<Redis, Error> {
    let host = format!("127.0.0.1:{}", server.port);
    let all = [("redisHost", host.as_str())].into_iter().chain(more.iter().copied());
    Redis::connect(Settings::new(&Properties::from_iter(all)).expect("it is right")).await
}

impl Subject for Place {
    fn configuration(&self) -> Box<dyn Store + '_> {
        Box::new(self.items.clone())
    }

    fn set<'a>(&'a self, key: &'a str, item: Option<(&'a str, &'a str)>) -> Reply<'a, ()> {
        match item {
            Some((value, "")) => self.server.ask(&["SET", key, value]),
            Some((value, version)) => self.server.ask(&["SET", key, &format!("{value}||{version}")]),
            None => self.server.ask(&["DEL", key]),
        };
        Box::pin(std::future::ready(()))
    }
}

components::configuration_conformance_tests!(Place::new().await);

async fn told(watch: &mut dyn Watch) -> Change {
    timeout(PATIENCE, watch.next()).await.expect("told in time").expect("told")
}

#[tokio::test]
async fn what_is_no_string_is_no_item() {
    let place = Place::new().await;
    place.server.ask(&["HSET", "hash", "data", "x"]);
    place.server.ask(&["SET", "plain", "text"]);
    let all = place.items.get(&[]).await.expect("an answer");
    assert_eq!(all.keys().collect::<Vec<_>>(), ["plain"]);
    assert_eq!((all["plain"].value.as_str(), all["plain"].version.as_str()), ("text", ""));
    assert_eq!(place.items.get(&["hash".to_owned()]).await, Ok(BTreeMap::new()));
    let mut watch = place.watch(&[]).await;
    place.server.ask(&["HSET", "hash", "data", "y"]);
    place.server.ask(&["SET", "plain", "other"]);
    assert_eq!(told(&mut *watch).await.key, "plain");
}

#[tokio::test]
async fn very_many_items_are_read() {
    let place = Place::new().await;
    let mut all = vec!["MSET".to_owned()];
    (0..2_500).for_each(|n| all.extend([format!("key{n}"), format!("{n}||v")]));
    place.server.ask(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let found = place.items.get(&[]).await.expect("an answer");
    assert_eq!((found.len(), found["key2499"].value.as_str()), (2_500, "2499"));
}

#[tokio::test]
async fn another_database_is_watched_and_what_others_are_notified_of_stays() {
    let server = Server::start();
    server.ask(&["CONFIG", "SET", "notify-keyspace-events", "Ex"]);
    let items = items(&server, &[("redisDB", "3")]).await.expect("it answers");
    let keys = ["a".to_owned()];
    let mut watch = items.watch(&keys, &BTreeMap::new()).await.expect("it is watched");
    let set = server.ask(&["CONFIG", "GET", "notify-keyspace-events"]);
    assert!(["K", "E", "A"].iter().all(|flag| set.contains(flag)), "{set}");
    server.ask(&["SET", "a", "elsewhere"]);
    server.ask(&["-n", "3", "SET", "a", "here||1"]);
    let item = told(&mut *watch).await.item.expect("it is there");
    assert_eq!((item.value.as_str(), item.version.as_str()), ("here", "1"));
    server.ask(&["-n", "3", "PEXPIRE", "a", "1"]);
    assert_eq!(told(&mut *watch).await.item, None, "it has expired");
}

#[tokio::test]
async fn who_watches_is_told_of_what_it_missed_while_redis_was_away() {
    let mut place = Place::new().await;
    let (mut some, mut all) = (place.watch(&["a", "b"]).await, place.watch(&[]).await);
    place.server.ask(&["SET", "a", "1"]);
    assert_eq!((told(&mut *some).await.key, told(&mut *all).await.key), ("a".to_owned(), "a".to_owned()));
    place.server.kill();
    assert!(matches!(place.items.get(&["a".to_owned()]).await, Err(Error::Unavailable(_))));
    place.server.restart();
    // Nobody hears this, or somebody does. It may still be reading what it has kept.
    while place.server.ask(&["SET", "b", "2"]) != "OK" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut seen = BTreeSet::new();
    let begun = Instant::now();
    while !seen.contains("b") {
        assert!(begun.elapsed() < PATIENCE);
        seen.insert(told(&mut *some).await.key);
    }
    while told(&mut *all).await.key != "b" {}
    // The notifications that were switched on are gone with the process that was killed, and on again.
    place.server.ask(&["SET", "a", "3"]);
    loop {
        let Change { key, item } = told(&mut *some).await;
        if key == "a" && item.is_some_and(|item| item.value == "3") {
            break;
        }
    }
}

#[tokio::test]
async fn where_notifications_cannot_be_had_nothing_is_watched() {
    let server = Server::start();
    server.ask(&["ACL", "SETUSER", "reader", "on", ">pass", "~*", "&*", "+@all", "-config"]);
    let reader = [("redisUsername", "reader"), ("redisPassword", "pass")];
    let items = items(&server, &reader).await.expect("it answers");
    assert_eq!(items.get(&[]).await, Ok(BTreeMap::new()));
    let refused = items.watch(&[], &BTreeMap::new()).await.map(drop);
    assert!(
        matches!(&refused, Err(Error::Invalid(why)) if why.contains("notify-keyspace-events")),
        "{refused:?}"
    );
}

/// On a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

//! Items lie where Dapr would look for them, and those that Dapr has written are read.

use std::time::Duration;

use components::state::{Condition, Operation, Store};

use crate::Place;

#[tokio::test]
async fn an_item_is_a_hash_of_data_and_version() {
    let Place { server, store } = Place::new().await;
    for value in ["1", "{\"a\":2}"] {
        store.write("app", Operation::put("k", value)).await.expect("it is put");
    }
    assert_eq!(server.ask(&["HMGET", "app||k", "data", "version"]), "{\"a\":2}\n2");
    assert_eq!(server.ask(&["HLEN", "app||k"]), "2");
    store.write("", Operation::put("k", "v")).await.expect("it is put");
    assert_eq!(server.ask(&["HGET", "k", "version"]), "1");
}

#[tokio::test]
async fn what_was_inserted_says_so() {
    let Place { server, store } = Place::new().await;
    store.write("app", Operation::put("k", "v").only_if(Condition::Absent)).await.expect("it is put");
    assert_eq!(server.ask(&["HGET", "app||k", "first-write"]), "0");
}

#[tokio::test]
async fn what_another_has_written_is_read_and_its_version_is_the_etag() {
    let Place { server, store } = Place::new().await;
    server.ask(&["HSET", "app||k", "data", "\"theirs\"", "version", "41"]);
    server.ask(&["EXPIRE", "app||k", "100"]);
    let item = store.get("app", "k").await.expect("it is read").expect("it is there");
    assert_eq!((&item.value[..], item.etag), (&b"\"theirs\""[..], 41));
    assert!(item.expires.is_some());
    store.write("app", Operation::put("k", "ours").only_if(Condition::Etag(41))).await.expect("it is put");
    assert_eq!(server.ask(&["HGET", "app||k", "version"]), "42");
}

#[tokio::test]
async fn a_string_is_an_item_without_an_etag_until_it_is_written() {
    let Place { server, store } = Place::new().await;
    server.ask(&["SET", "app||k", "plain"]);
    let item = store.get("app", "k").await.expect("it is read").expect("it is there");
    assert_eq!((&item.value[..], item.etag), (&b"plain"[..], 0));
    let insert = Operation::put("k", "v").only_if(Condition::Absent);
    assert!(store.write("app", insert).await.is_err());
    store.write("app", Operation::put("k", "v")).await.expect("it is put");
    assert_eq!(server.ask(&["HGET", "app||k", "version"]), "1");
}

#[tokio::test]
async fn what_is_neither_is_no_item_and_is_not_counted_up() {
    let Place { server, store } = Place::new().await;
    server.ask(&["HSET", "app||k", "version", "beta"]);
    assert_eq!(store.get("app", "k").await, Ok(None));
    assert!(store.write("app", Operation::put("k", "v")).await.is_err());
    assert_eq!(server.ask(&["HGET", "app||k", "data"]), "");
}

#[tokio::test]
async fn what_says_nothing_of_its_life_lives_as_long_as_is_set() {
    let server = Place::new().await.server;
    let store = crate::store(&server, &[("ttlInSeconds", "100")]).await.expect("it answers");
    store.write("app", Operation::put("k", "v")).await.expect("it is put");
    let ttl = || server.ask(&["TTL", "app||k"]).parse::<i64>().expect("seconds");
    assert!((95..=100).contains(&ttl()), "{}", ttl());
    store.write("app", Operation::put("k", "v").for_(Duration::MAX)).await.expect("it is put");
    assert!(ttl() > 100);
}

#[tokio::test]
async fn another_database_and_a_password_are_used() {
    let server = Place::new().await.server;
    server.ask(&["CONFIG", "SET", "requirepass", "hush"]);
    let refused = crate::store(&server, &[]).await.map(drop).expect_err("it wants a password");
    assert!(refused.to_string().contains(&server.port.to_string()), "{refused}");
    let more = [("redisPassword", "hush"), ("redisDB", "3")];
    let store = crate::store(&server, &more).await.expect("it answers");
    store.write("app", Operation::put("k", "v")).await.expect("it is put");
    assert!(store.get("app", "k").await.is_ok_and(|item| item.is_some()));
    let elsewhere = crate::store(&server, &[("redisPassword", "hush")]).await.expect("it answers");
    assert_eq!(elsewhere.get("app", "k").await, Ok(None));
}

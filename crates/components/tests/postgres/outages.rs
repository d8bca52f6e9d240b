//! A PostgreSQL that goes away, stands still and comes back: nothing stuck, nothing lost.

use std::time::{Duration, Instant};

use components::state::postgres::Version;
use components::state::{Error, Operation, Store};

use crate::Place;
use crate::server::Server;

#[tokio::test]
async fn what_was_acknowledged_is_there_when_it_is_back() {
    let mut server = Server::start();
    let database = server.database();
    let store = crate::store(&server, &database, Version::V2, &[]).await.expect("it answers");
    store.write("app", Operation::put("k", "v")).await.expect("it is put");
    server.kill();
    let (read, write) = tokio::join!(store.get("app", "k"), store.write("app", Operation::put("k", "lost")));
    assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
    assert!(matches!(write, Err(Error::Unavailable(_))), "{write:?}");
    server.restart();
    let item = again(|| store.get("app", "k")).await.expect("it is there");
    assert_eq!(item.value, "v");
    store.write("app", Operation::put("k", "w")).await.expect("it is put");
    server.kill();
    server.restart();
    // Nobody has asked meanwhile: the loss itself was noticed.
    again(|| store.transact("app", vec![Operation::put("k", "x")])).await;
}

#[tokio::test]
async fn one_that_does_not_answer_is_not_waited_for_for_ever() {
    let place = Place::with(Version::V2, &[("timeout", "1"), ("maxConns", "2")]).await;
    place.store.write("app", Operation::put("k", "v")).await.expect("it is put");
    let lock = "BEGIN; LOCK TABLE state IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)";
    let mut holder = place.server.psql(&place.database, lock).spawn().expect("psql runs");
    while !place
        .ask("SELECT mode FROM pg_locks WHERE relation = 'state'::regclass")
        .contains("AccessExclusive")
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let begun = Instant::now();
    let put = || place.store.write("app", Operation::put("k", "w"));
    let (a, b, c) = tokio::join!(put(), put(), put());
    for outcome in [a, b, c] {
        assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    holder.kill().expect("it is ours");
    holder.wait().expect("it ends");
    place.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()");
    again(|| place.store.get("app", "k")).await;
}

#[tokio::test]
async fn where_none_is_none_is_connected_to() {
    let mut server = Server::start();
    let database = server.database();
    let wrong =
        crate::store(&server, "nowhere", Version::V2, &[]).await.map(drop).expect_err("no such database");
    assert!(matches!(&wrong, Error::Unavailable(why) if why.contains("nowhere")), "{wrong}");
    server.kill();
    let refused =
        crate::store(&server, &database, Version::V2, &[]).await.map(drop).expect_err("nothing there");
    let port = server.port.to_string();
    assert!(matches!(&refused, Error::Unavailable(why) if why.contains(&port)), "{refused}");
}

/// Asks until there is an answer.
async fn again<'a, T>(ask: impl Fn() -> components::Reply<'a, Result<T, Error>>) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(30), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

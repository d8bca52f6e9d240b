//! A Redis that goes away, stands still and comes back: nothing stuck, nothing lost.

use std::time::{Duration, Instant};

use components::state::{Error, Operation, Store};

use crate::Place;
use crate::server::Server;

#[tokio::test]
async fn what_was_acknowledged_is_there_when_it_is_back() {
    let Place { mut server, store } = Place::new().await;
    store.write("app", Operation::put("k", "v")).await.expect("it is put");
    server.kill();
    let (read, write) = tokio::join!(store.get("app", "k"), store.write("app", Operation::put("k", "lost")));
    assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
    assert!(matches!(write, Err(Error::Unavailable(_))), "{write:?}");
    server.restart();
    let item = again(|| store.get("app", "k")).await.expect("it is there");
    assert_eq!(item.value, "v");
    store.write("app", Operation::put("k", "w")).await.expect("it is put");
}

#[tokio::test]
async fn one_that_came_back_unnoticed_is_simply_asked() {
    let Place { mut server, store } = Place::new().await;
    server.kill();
    server.restart();
    // Nobody has asked meanwhile: the loss itself was noticed.
    again(|| store.write("app", Operation::put("k", "v"))).await;
    assert!(store.get("app", "k").await.is_ok_and(|item| item.is_some()));
}

#[tokio::test]
async fn one_that_stands_still_is_not_waited_for_for_ever() {
    let server = Server::start();
    let short = [("readTimeout", "200ms"), ("dialTimeout", "200ms"), ("redisMaxRetries", "0")];
    let store = crate::store(&server, &short).await.expect("it answers");
    server.freeze();
    let begun = Instant::now();
    let outcome = store.write("app", Operation::put("k", "v")).await;
    server.thaw();
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    again(|| store.get("app", "k")).await;
}

#[tokio::test]
async fn where_none_is_none_is_connected_to() {
    let mut server = Server::start();
    server.kill();
    let refused = crate::store(&server, &[]).await.map(drop).expect_err("nothing is there");
    assert!(
        matches!(&refused, Error::Unavailable(why) if why.contains(&server.port.to_string())),
        "{refused}"
    );
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

//! `lock.redis`: the contract, where locks lie, and what becomes of them when their Redis goes away.

use std::time::{Duration, Instant};

use components::Properties;
use components::conformance::lock::Subject;
use components::lock::redis::Redis;
use components::lock::{Error, Store, Unlocked};
use components::redis::Settings;

use crate::server::Server;

/// A Redis, and locks in it.
struct Place {
    server: Server,
    locks: Redis,
}

impl Place {
    async fn new() -> Place {
        let server = Server::start();
        let host = format!("127.0.0.1:{}", server.port);
        let settings = Settings::new(&Properties::from_iter([("redisHost", host)])).expect("it is right");
        let locks = Redis::connect(settings).await.expect("it answers");
        Place { server, locks }
    }
}

impl Subject for Place {
    fn locks(&self) -> Box<dyn Store + '_> {
        Box::new(self.locks.clone())
    }
}

components::lock_conformance_tests!(Place::new().await);

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_lock_lies_where_dapr_looks_for_it() {
    let Place { server, locks } = Place::new().await;
    assert_eq!(locks.try_lock("shop", "stock", "ada", MINUTE).await, Ok(true));
    assert_eq!(server.ask(&["GET", "lock||shop||stock"]), "ada");
    let ttl: u32 = server.ask(&["PTTL", "lock||shop||stock"]).parse().expect("milliseconds");
    assert!((50_000..=60_000).contains(&ttl), "{ttl}");
    assert_eq!(locks.try_lock("", "stock", "bob", MINUTE).await, Ok(true));
    assert_eq!(server.ask(&["GET", "lock||stock"]), "bob");
    // One that another program has taken.
    server.ask(&["SET", "lock||shop||theirs", "dapr", "EX", "100"]);
    assert_eq!(locks.try_lock("shop", "theirs", "ada", MINUTE).await, Ok(false));
    assert_eq!(locks.unlock("shop", "theirs", "ada").await, Ok(Unlocked::Others));
    assert_eq!(locks.unlock("shop", "theirs", "dapr").await, Ok(Unlocked::Done));
}

#[tokio::test]
async fn a_redis_that_goes_away_is_an_error_and_its_locks_are_there_when_it_is_back() {
    let Place { mut server, locks } = Place::new().await;
    assert_eq!(locks.try_lock("shop", "stock", "ada", MINUTE).await, Ok(true));
    server.kill();
    assert!(matches!(locks.try_lock("shop", "other", "ada", MINUTE).await, Err(Error::Unavailable(_))));
    server.restart();
    let begun = Instant::now();
    let again = loop {
        match locks.try_lock("shop", "stock", "bob", MINUTE).await {
            Ok(taken) => break taken,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(30), "{error}"),
        }
    };
    assert!(!again, "ada holds it");
    assert_eq!(locks.unlock("shop", "stock", "ada").await, Ok(Unlocked::Done));
}

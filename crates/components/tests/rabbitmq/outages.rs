//! A RabbitMQ that goes away, stands still and comes back: nothing stuck, nothing lost.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use components::pubsub::{Broker, Error, Message, Options};
use tokio::time::timeout;

use crate::server::Server;

#[tokio::test]
async fn what_was_acknowledged_is_delivered_when_it_is_back() {
    let mut server = Server::start();
    let broker = crate::broker(&server.url(), &[("heartBeat", "2")]).await.expect("it answers");
    let consumer = broker.subscribe("orders", "packing", Options::default()).await.expect("it is subscribed");
    for data in ["done", "held", "waiting"] {
        broker.publish("orders", Message::new(data)).await.expect("it is published");
    }
    let first = consumer.next(1).await.expect("it is delivered").remove(0);
    assert_eq!(first.message.data, "done");
    let held = consumer.next(1).await.expect("it is delivered").remove(0);
    consumer.acknowledge(&[first.receipt]).await.expect("it is told");
    consumer.settled().await.expect("it has taken note");

    server.kill();
    let begun = Instant::now();
    let refused = broker.publish("orders", Message::new("refused")).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    let refused =
        broker.publish_many("orders", vec![Message::new("refused"); 1_000]).await.expect("each is answered");
    assert!(refused.len() == 1_000 && refused.iter().all(Result::is_err));
    assert!(begun.elapsed() < BOUNDED, "{:?}", begun.elapsed());
    consumer.acknowledge(&[held.receipt]).await.expect("nobody can be told, and it comes again");

    server.restart();
    published(&broker, "after").await;
    let mut had = BTreeSet::new();
    while !["held", "waiting", "after"].iter().all(|data| had.contains(*data)) {
        let next = timeout(WITHIN, consumer.next(10)).await.expect("something comes");
        // That it was away for long may be said in between.
        for delivery in next.unwrap_or_default() {
            // Also what was acknowledged just before, for the server does not write that at once.
            consumer.acknowledge(&[delivery.receipt]).await.expect("it is told");
            had.insert(String::from_utf8_lossy(&delivery.message.data).into_owned());
        }
    }

    server.freeze();
    let begun = Instant::now();
    let refused = broker.publish("orders", Message::new("frozen")).await;
    let refused_many = broker.publish_many("orders", vec![Message::new("frozen"); 1_000]).await;
    server.thaw();
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(refused_many.is_ok_and(|all| all.len() == 1_000));
    assert!(begun.elapsed() < BOUNDED, "{:?}", begun.elapsed());
    published(&broker, "thawed").await;
    loop {
        let next = timeout(WITHIN, consumer.next(10)).await.expect("something comes").unwrap_or_default();
        if next.iter().any(|delivery| delivery.message.data == "thawed") {
            break;
        }
        for delivery in next {
            consumer.acknowledge(&[delivery.receipt]).await.expect("it is told");
        }
    }
}

#[tokio::test]
async fn where_none_is_none_is_connected_to() {
    let url = "amqp://guest:hidden@127.0.0.1:1/";
    let refused = crate::broker(url, &[]).await.map(drop).expect_err("nothing is there");
    let why = refused.to_string();
    assert!(matches!(refused, Error::Unavailable(_)) && why.contains("127.0.0.1:1"), "{why}");
    assert!(!why.contains("hidden"), "{why}");
    let server = Server::shared();
    let url = server.url().replace("guest:guest", "guest:wrong");
    let refused = crate::broker(&url, &[]).await.map(drop).expect_err("it is another password");
    assert!(!refused.to_string().contains("wrong"), "{refused}");
}

/// Publishes as soon as it can be.
async fn published(broker: &dyn Broker, data: &'static str) {
    let begun = Instant::now();
    while let Err(error) = broker.publish("orders", Message::new(data)).await {
        assert!(begun.elapsed() < WITHIN, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// On a busy machine.
const WITHIN: Duration = Duration::from_secs(60);
/// Within which time there is an answer, whatever it is.
const BOUNDED: Duration = Duration::from_secs(40);

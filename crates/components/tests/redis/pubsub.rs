//! `pubsub.redis`: the contract, where messages lie, what becomes of those that nobody answers, and of all when their Redis
//! goes away.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use components::Properties;
use components::pubsub::conformance::Subject;
use components::pubsub::redis::{Redis, Settings};
use components::pubsub::{Broker, Delivery, Error, Message, Options, Subscription};
use tokio::time::timeout;

use crate::server::Server;

/// A Redis, and topics in it.
struct Place {
    server: Server,
    topics: Redis,
}

impl Place {
    /// With what fails coming again within seconds.
    async fn new() -> Place {
        Place::with(&[("processingTimeout", "2s"), ("redeliverInterval", "100ms")]).await
    }

    async fn with(more: &[(&str, &str)]) -> Place {
        let server = Server::start();
        let topics = topics(&server, more).await.expect("it answers");
        Place { server, topics }
    }

    async fn subscribed(&self) -> Box<dyn Subscription> {
        Broker::subscribe(&self.topics, "orders", "packing", Options::default())
            .await
            .expect("it is subscribed")
    }

    async fn publish(&self, data: &'static str) {
        Broker::publish(&self.topics, "orders", Message::new(data)).await.expect("it is published");
    }

    fn pending(&self) -> String {
        self.server.ask(&["XPENDING", "orders", "packing"]).lines().next().unwrap_or_default().to_owned()
    }
}

async fn topics(server: &Server, more: &[(&str, &str)]) -> Result<Redis, Error> {
    let host = format!("127.0.0.1:{}", server.port);
    let all = [("redisHost", host.as_str())].into_iter().chain(more.iter().copied());
    Redis::connect(Settings::new(&Properties::from_iter(all)).expect("it is right")).await
}

impl Subject for Place {
    fn broker(&self) -> Box<dyn Broker + '_> {
        Box::new(self.topics.clone())
    }
}

components::pubsub_conformance_tests!(Place::new().await);

async fn one(consumer: &dyn Subscription) -> Delivery {
    let taken = timeout(PATIENCE, consumer.next(1)).await.expect("something comes").expect("it is delivered");
    taken.into_iter().next().expect("one")
}

#[tokio::test]
async fn a_message_lies_where_dapr_looks_for_it() {
    let place = Place::new().await;
    let metadata = [("a".to_owned(), "1".to_owned())].into();
    let message = Message { metadata, content_type: "text/plain".to_owned(), ..Message::new("{}") };
    Broker::publish(&place.topics, "orders", message).await.expect("it is published");
    let lines = place.server.ask(&["XRANGE", "orders", "-", "+"]);
    let fields: Vec<&str> = lines.lines().skip(1).collect();
    assert_eq!(fields, ["data", "{}", "metadata", r#"{"a":"1"}"#, "contentType", "text/plain"]);
    place.publish("bare").await;
    let lines = place.server.ask(&["XREVRANGE", "orders", "+", "-", "COUNT", "1"]);
    assert_eq!(lines.lines().skip(1).collect::<Vec<_>>(), ["data", "bare"]);
}

#[tokio::test]
async fn what_another_has_published_is_consumed_and_acknowledged_in_its_group() {
    let place = Place::new().await;
    place.server.ask(&["XADD", "orders", "*", "data", "theirs", "metadata", r#"{"k":"v"}"#, "more", "x"]);
    let consumer = place.subscribed().await;
    let delivery = one(&*consumer).await;
    assert_eq!((&delivery.message.data[..], &delivery.message.metadata["k"][..]), (&b"theirs"[..], "v"));
    assert_eq!(place.pending(), "1");
    consumer.acknowledge(&[delivery.receipt]).await.expect("it is noted");
    consumer.settled().await.expect("it is told");
    assert_eq!(place.pending(), "0");
    // Only one consumer of the group's name, as with Dapr: none is left behind.
    let consumers = place.server.ask(&["XINFO", "CONSUMERS", "orders", "packing"]);
    assert_eq!(consumers.lines().filter(|line| *line == "name").count(), 1, "{consumers}");
    assert!(consumers.contains("packing"));
}

#[tokio::test]
async fn what_another_has_left_behind_is_taken_over_when_it_is_due() {
    let place = Place::new().await;
    place.server.ask(&["XADD", "orders", "*", "data", "left"]);
    place.server.ask(&["XGROUP", "CREATE", "orders", "packing", "0"]);
    place.server.ask(&["XREADGROUP", "GROUP", "packing", "another", "STREAMS", "orders", ">"]);
    let consumer = place.subscribed().await;
    let delivery = one(&*consumer).await;
    assert_eq!((&delivery.message.data[..], delivery.attempt), (&b"left"[..], 2));
}

#[tokio::test]
async fn what_is_held_is_nobody_elses_however_long_it_takes() {
    let place = Place::new().await;
    place.publish("long").await;
    let (holder, other) = (place.subscribed().await, place.subscribed().await);
    let held = one(&*holder).await;
    assert!(timeout(Duration::from_secs(4), other.next(1)).await.is_err(), "it is held");
    holder.acknowledge(&[held.receipt]).await.expect("it is noted");
    holder.settled().await.expect("it is told");
    assert_eq!(place.pending(), "0");
}

#[tokio::test]
async fn what_a_stream_has_let_go_of_is_forgotten() {
    let place = Place::new().await;
    place.publish("gone").await;
    let consumer = place.subscribed().await;
    let delivery = one(&*consumer).await;
    place.server.ask(&["XTRIM", "orders", "MAXLEN", "0"]);
    consumer.fail(delivery.receipt, "not today").await.expect("it is noted");
    let begun = Instant::now();
    let waiting = async {
        while place.pending() != "0" {
            assert!(begun.elapsed() < PATIENCE, "it is still pending");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = waiting => {}
        odd = consumer.next(1) => panic!("{odd:?}"),
    }
}

#[tokio::test]
async fn a_stream_is_kept_as_short_or_as_young_as_is_set() {
    let place = Place::with(&[("maxLenApprox", "100")]).await;
    let messages = (0..1_000).map(|n| Message::new(n.to_string())).collect();
    Broker::publish_many(&place.topics, "orders", messages).await.expect("each is answered");
    let length: u32 = place.server.ask(&["XLEN", "orders"]).parse().expect("a number");
    assert!((100..1_000).contains(&length), "{length}");
    let young = topics(&place.server, &[("streamTTL", "1h")]).await.expect("it answers");
    for n in 0..300 {
        place.server.ask(&["XADD", "aged", &format!("{}-1", n + 1), "data", "old"]);
    }
    Broker::publish(&young, "aged", Message::new("new")).await.expect("it is published");
    let length: u32 = place.server.ask(&["XLEN", "aged"]).parse().expect("a number");
    assert!(length < 300, "{length}");
}

#[tokio::test]
async fn no_more_is_had_than_the_component_says() {
    let place = Place::with(&[("concurrency", "1")]).await;
    place.publish("1").await;
    place.publish("2").await;
    let consumer = place.subscribed().await;
    let first = one(&*consumer).await;
    assert!(timeout(Duration::from_millis(300), consumer.next(5)).await.is_err());
    consumer.acknowledge(&[first.receipt]).await.expect("it is noted");
    assert_eq!(one(&*consumer).await.message.data, "2");
}

#[tokio::test]
async fn what_is_no_stream_is_refused() {
    let place = Place::new().await;
    place.server.ask(&["SET", "orders", "text"]);
    let refused = Broker::publish(&place.topics, "orders", Message::new("x")).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    let refused = Broker::subscribe(&place.topics, "orders", "packing", Options::default()).await.map(drop);
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}

#[tokio::test]
async fn a_stream_that_is_deleted_is_consumed_when_it_is_there_again() {
    let place = Place::new().await;
    let consumer = place.subscribed().await;
    place.publish("1").await;
    let first = one(&*consumer).await;
    place.server.ask(&["DEL", "orders"]);
    consumer.acknowledge(&[first.receipt]).await.expect("it is noted");
    let (second, ()) = tokio::join!(one(&*consumer), place.publish("2"));
    assert_eq!(second.message.data, "2");
}

#[tokio::test]
async fn a_redis_that_comes_back_has_all_and_what_was_answered_meanwhile_holds() {
    let mut place = Place::new().await;
    for data in ["1", "2", "3"] {
        place.publish(data).await;
    }
    let consumer = place.subscribed().await;
    let first = one(&*consumer).await;
    place.server.kill();
    let published = Broker::publish(&place.topics, "orders", Message::new("lost")).await;
    assert!(matches!(published, Err(Error::Unavailable(_))), "{published:?}");
    consumer.acknowledge(&[first.receipt]).await.expect("it is noted");
    place.server.restart();
    let (mut had, begun, mut consumer) = (BTreeSet::new(), Instant::now(), Some(consumer));
    while had.len() < 2 {
        assert!(begun.elapsed() < PATIENCE, "only {had:?}");
        let Some(held) = &consumer else {
            // It was away for longer than is passed over.
            consumer = Broker::subscribe(&place.topics, "orders", "packing", Options::default()).await.ok();
            continue;
        };
        match timeout(PATIENCE, held.next(1)).await.expect("something comes") {
            Err(_) => consumer = None,
            Ok(taken) => {
                let receipts: Vec<_> = taken.iter().map(|delivery| delivery.receipt).collect();
                held.acknowledge(&receipts).await.expect("it is noted");
                had.extend(
                    taken.into_iter().map(|delivery| delivery.message.data).filter(|data| data != "1"),
                );
            }
        }
    }
    assert_eq!(had, ["2", "3"].map(Into::into).into());
    if let Some(consumer) = consumer {
        consumer.close().await.expect("it is told");
    }
    let begun = Instant::now();
    while place.pending() != "0" {
        assert!(begun.elapsed() < PATIENCE, "{} are pending", place.pending());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_redis_that_stays_away_is_told_of() {
    let mut place = Place::with(&[("redisMaxRetries", "0")]).await;
    let consumer = place.subscribed().await;
    place.server.kill();
    let told = timeout(PATIENCE, consumer.next(1)).await.expect("it is told in time");
    assert!(matches!(told, Err(Error::Unavailable(_))), "{told:?}");
    assert!(Broker::subscribe(&place.topics, "orders", "packing", Options::default()).await.is_err());
}

/// On a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

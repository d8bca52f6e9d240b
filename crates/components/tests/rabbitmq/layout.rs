//! Where messages lie, for other programs that look there; and what of a RabbitMQ cannot be otherwise.

use std::time::Duration;

use components::pubsub::{Broker, Delivery, Error, Message, Options, Subscription};
use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use tokio::time::timeout;

use crate::Place;

#[tokio::test]
async fn another_program_finds_what_is_published_and_is_heard() {
    let place = Place::new().await;
    let consumer = place.subscribe("orders", Options::default()).await;
    let theirs = place.channel().await;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    theirs.queue_declare("packing-orders".into(), passive, FieldTable::default()).await.expect("it is there");
    theirs
        .queue_declare("theirs".into(), QueueDeclareOptions::default(), FieldTable::default())
        .await
        .expect("it is made");
    theirs
        .queue_bind(
            "theirs".into(),
            "orders".into(),
            "".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .expect("the exchange is there");
    let mut received = theirs
        .basic_consume("theirs".into(), "".into(), BasicConsumeOptions::default(), FieldTable::default())
        .await
        .expect("it is consumed");
    let content_type = "application/json".to_owned();
    let message = Message { content_type, metadata: [("a".into(), "1".into())].into(), ..Message::new("{}") };
    place.broker.publish("orders", message).await.expect("it is published");
    let seen =
        timeout(WITHIN, received.next()).await.expect("it comes").expect("it comes").expect("it comes");
    assert_eq!((&seen.data[..], seen.properties.delivery_mode()), (&b"{}"[..], &Some(2)));
    assert_eq!(seen.properties.content_type().as_ref().map(|text| text.as_str()), Some("application/json"));
    assert_eq!(one(&*consumer).await.message.data, "{}");
    // As Dapr publishes.
    let properties = BasicProperties::default().with_content_type("text/plain".into());
    theirs
        .basic_publish("orders".into(), "".into(), BasicPublishOptions::default(), b"theirs", properties)
        .await
        .expect("it is published");
    let theirs = one(&*consumer).await;
    assert_eq!((&theirs.message.data[..], &theirs.message.content_type[..]), (&b"theirs"[..], "text/plain"));
}

#[tokio::test]
async fn an_exchange_that_is_there_otherwise_is_an_error_that_says_so() {
    let place = Place::new().await;
    let options = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
    let theirs = place.channel().await;
    theirs
        .exchange_declare("orders".into(), ExchangeKind::Fanout, options, FieldTable::default())
        .await
        .expect("it is made");
    let refused = place.broker.publish("orders", Message::new("1")).await.expect_err("it is another");
    assert!(matches!(&refused, Error::Unavailable(why) if why.contains("`deletedWhenUnused`")), "{refused}");
    let refused = place.broker.subscribe("orders", "packing", Options::default()).await.map(drop);
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    // Nothing else suffers.
    place.broker.publish("returns", Message::new("1")).await.expect("it is published");
    let alike = crate::broker(&place.url, &[("durable", "false"), ("deletedWhenUnused", "true")])
        .await
        .expect("it answers");
    alike.publish("orders", Message::new("1")).await.expect("it is published");
}

#[tokio::test]
async fn an_exchange_that_is_deleted_is_made_again() {
    let place = Place::new().await;
    place.broker.publish("orders", Message::new("1")).await.expect("it is published");
    let theirs = place.channel().await;
    theirs.exchange_delete("orders".into(), Default::default()).await.expect("it is deleted");
    // This one may find out.
    let _ = place.broker.publish("orders", Message::new("2")).await;
    place.broker.publish("orders", Message::new("3")).await.expect("it is published");
}

#[tokio::test]
async fn names_that_cannot_be_are_refused() {
    let place = Place::new().await;
    for topic in ["", "amq.direct", &"x".repeat(256)] {
        let refused = place.broker.publish(topic, Message::new("1")).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
        let refused = place.broker.subscribe(topic, "packing", Options::default()).await.map(drop);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    let refused = place.broker.subscribe(&"x".repeat(250), "packing", Options::default()).await.map(drop);
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}

#[tokio::test]
async fn what_fails_and_waits_is_in_nobodys_way() {
    let place = Place::with(&[("prefetchCount", "2")]).await;
    let consumer = place.subscribe("orders", Options::default()).await;
    for _ in 0..20 {
        place.broker.publish("orders", Message::new("bad")).await.expect("it is published");
    }
    place.broker.publish("orders", Message::new("good")).await.expect("it is published");
    loop {
        let delivery = one(&*consumer).await;
        if delivery.message.data == "good" {
            consumer.acknowledge(&[delivery.receipt]).await.expect("it is done");
            break;
        }
        consumer.fail(delivery.receipt, "bad").await.expect("it is told");
    }
    // They come again all the same, and what is not settled is there for the next.
    let again = one(&*consumer).await;
    assert!(again.message.data == "bad" && again.attempt > 1, "{again:?}");
    consumer.close().await.expect("it is given back");
    let next = place.subscribe("orders", Options::default()).await;
    for _ in 0..20 {
        let delivery = one(&*next).await;
        assert_eq!(delivery.message.data, "bad");
        next.acknowledge(&[delivery.receipt]).await.expect("it is done");
    }
    next.settled().await.expect("it is durable");
}

impl Place {
    async fn subscribe(&self, topic: &str, options: Options) -> Box<dyn Subscription> {
        self.broker.subscribe(topic, "packing", options).await.expect("it is subscribed")
    }

    /// What another program would use.
    async fn channel(&self) -> Channel {
        let connection = Connection::connect(&self.url, ConnectionProperties::default()).await;
        connection.expect("it answers").create_channel().await.expect("a channel")
    }
}

async fn one(consumer: &dyn Subscription) -> Delivery {
    let mut all = timeout(WITHIN, consumer.next(1)).await.expect("something comes").expect("it is delivered");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// On a busy machine.
const WITHIN: Duration = Duration::from_secs(30);

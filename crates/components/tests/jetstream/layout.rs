//! Where messages lie, for other programs that look there; and what cannot be.

use async_nats::jetstream;
use async_nats::jetstream::stream::Config;
use components::pubsub::{Broker, Error, Message, Options};

use crate::server::Server;
use crate::{Place, broker, one};

#[tokio::test]
async fn a_stream_that_has_the_subject_is_used_and_others_are_heard() {
    let place = Place::new().await;
    let theirs = jetstream::new(async_nats::connect(place.server.url()).await.expect("it answers"));
    let config = Config { name: "SHOP".into(), subjects: vec!["shop.>".into()], ..Config::default() };
    let mut stream = theirs.create_stream(config).await.expect("it is made");
    place.broker.publish("shop.orders", Message::new("ours")).await.expect("it is published");
    assert_eq!(stream.info().await.expect("it is told").state.messages, 1);
    let consumer = place.subscribe("shop.orders", Options::default()).await;
    assert_eq!(one(&*consumer).await.message.data, "ours");
    // As Dapr publishes.
    theirs.publish("shop.orders", "theirs".into()).await.expect("it is sent").await.expect("it is taken");
    theirs.publish("shop.returns", "other".into()).await.expect("it is sent").await.expect("it is taken");
    let heard = one(&*consumer).await;
    assert!(heard.message == Message::new("theirs"), "{heard:?}");
    assert_eq!(theirs.stream_by_subject("shop.orders").await.expect("there is one"), "SHOP");
}

#[tokio::test]
async fn a_stream_is_made_where_there_is_none_and_again_when_it_is_deleted() {
    let place = Place::new().await;
    let theirs = jetstream::new(async_nats::connect(place.server.url()).await.expect("it answers"));
    place.broker.publish("orders.eu", Message::new("1")).await.expect("it is published");
    let mut stream = theirs.get_stream("orders~2Eeu").await.expect("it is made");
    assert_eq!(stream.info().await.expect("it is told").config.subjects, ["orders.eu"]);
    theirs.delete_stream("orders~2Eeu").await.expect("it is deleted");
    // This one may find out.
    let _ = place.broker.publish("orders.eu", Message::new("2")).await;
    place.broker.publish("orders.eu", Message::new("3")).await.expect("it is published");
}

#[tokio::test]
async fn what_is_set_of_streams_and_groups_holds() {
    let server = Server::start(&[]);
    let all = [("streamName", "ALL"), ("deliverPolicy", "last"), ("concurrency", "single")];
    let set = broker(&server.url(), &all).await.expect("it answers");
    for data in ["1", "2"] {
        set.publish("orders", Message::new(data)).await.expect("it is published");
    }
    let consumer = set.subscribe("orders", "packing", Options::default()).await.expect("it is subscribed");
    assert_eq!(one(&*consumer).await.message.data, "2");
    // Its stream has no other subject.
    let refused = set.publish("returns", Message::new("1")).await;
    assert!(matches!(&refused, Err(Error::Unavailable(why)) if why.contains("returns")), "{refused:?}");
    let plain = broker(&server.url(), &[]).await.expect("it answers");
    plain.publish("returns", Message::new("1")).await.expect("it is published");
    let refused = set.publish("returns", Message::new("1")).await;
    assert!(matches!(&refused, Err(Error::Invalid(why)) if why.contains("ALL")), "{refused:?}");
}

#[tokio::test]
async fn tokens_and_passwords_are_asked_for() {
    let server = Server::start(&["--auth", "secret"]);
    broker(&server.url(), &[("token", "secret")]).await.expect("it is let in");
    broker(&server.url().replace("//", "//secret@"), &[]).await.expect("it is let in");
    for more in [&[("token", "wrong")][..], &[]] {
        let refused = broker(&server.url(), more).await.map(drop).expect_err("it is not let in");
        assert!(!refused.to_string().contains("wrong"), "{refused}");
    }
    let server = Server::start(&["--user", "ada", "--pass", "secret"]);
    broker(&server.url().replace("//", "//ada:secret@"), &[]).await.expect("it is let in");
    let refused = broker(&server.url().replace("//", "//ada:wrong@"), &[]).await.map(drop);
    assert!(refused.as_ref().is_err_and(|error| !error.to_string().contains("wrong")), "{refused:?}");
}

#[tokio::test]
async fn names_that_cannot_be_are_refused() {
    let place = Place::new().await;
    for topic in ["", "a..b", "a.*", ">", "$JS.API", "a b"] {
        let refused = place.broker.publish(topic, Message::new("1")).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
        let refused = place.broker.subscribe(topic, "packing", Options::default()).await.map(drop);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn what_a_process_that_was_killed_had_comes_to_others() {
    let place = Place::with(&[("ackWait", "1s")]).await;
    // A process that ends without a word.
    let gone = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let url = place.server.url();
    place.broker.publish("orders", Message::new("1")).await.expect("it is published");
    let (told, held) = tokio::sync::oneshot::channel();
    gone.spawn(async move {
        let broker = broker(&url, &[("ackWait", "1s")]).await.expect("it answers");
        let consumer =
            broker.subscribe("orders", "packing", Options::default()).await.expect("it is subscribed");
        let delivery = one(&*consumer).await;
        // For longer than it may be silent, which it is not.
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        told.send(delivery.attempt).expect("somebody wants to know");
        std::future::pending::<()>().await;
        drop(consumer);
    });
    assert_eq!(held.await.expect("it has one"), 1);
    let consumer = place.subscribe("orders", Options::default()).await;
    gone.shutdown_background();
    let again = one(&*consumer).await;
    assert!(again.message.data == "1" && again.attempt > 1, "{again:?}");
}

//! What every [`Broker`] must do, as stories: one suite, run against each implementation, as `crate::conformance` is for
//! stores.
//!
//! ```text
//! struct Mine { /* a directory, a server, ... */ }
//! impl components::pubsub::conformance::Subject for Mine { ... }
//! components::pubsub_conformance_tests!(Mine::new().await);
//! ```
//!
//! There must be no topic at first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::{Begin, Broker, Delivery, Error, Message, Options, Receipt, Subscription};

/// Something that has a broker.
pub trait Subject {
    /// The broker.
    fn broker(&self) -> Box<dyn Broker + '_>;
}

/// What is published arrives, whatever its bytes, with all that is said of it.
pub async fn what_is_published_arrives(broker: &dyn Broker) {
    let consumer = subscribe(broker, TOPIC, GROUP).await;
    let all: [Bytes; 4] =
        ["{\"a\":1}".into(), Bytes::new(), Bytes::from_static(b"\0\xff\r\n"), vec![b'x'; 1 << 19].into()];
    for data in all {
        let metadata = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b c".to_owned(), "é".to_owned())]);
        let content_type = "application/json".to_owned();
        let message = Message { content_type, metadata, ..Message::new(data).key("k") };
        done(broker.publish(TOPIC, message.clone()).await);
        let delivery = one(&*consumer).await;
        assert!(delivery.message == message, "{} bytes", message.data.len());
        assert_eq!(delivery.attempt, 1);
        done(consumer.acknowledge(&[delivery.receipt]).await);
    }
}

/// Each group has every message of its topic, and of no other.
pub async fn each_group_has_every_message(broker: &dyn Broker) {
    let a = subscribe(broker, TOPIC, "a").await;
    let b = subscribe(broker, TOPIC, "b").await;
    let other = subscribe(broker, "other/topic", "a").await;
    done(broker.publish(TOPIC, Message::new("1")).await);
    done(broker.publish("other/topic", Message::new("2")).await);
    for (consumer, data) in [(a, "1"), (b, "1"), (other, "2")] {
        assert_eq!(one(&*consumer).await.message.data, data);
        nothing(&*consumer).await;
    }
}

/// Of a group one at a time has a message, and all of them are had.
pub async fn one_of_a_group_has_a_message(broker: &dyn Broker) {
    let consumers = [subscribe(broker, TOPIC, GROUP).await, subscribe(broker, TOPIC, GROUP).await];
    let expected: BTreeSet<Bytes> = (0..SEVERAL).map(|n| Bytes::from(n.to_string())).collect();
    for data in &expected {
        done(broker.publish(TOPIC, Message::new(data.clone())).await);
    }
    let mut had = BTreeSet::new();
    while had.len() < expected.len() {
        let messages = tokio::select! {
            messages = consumers[0].next(3) => messages,
            messages = consumers[1].next(3) => messages,
            () = tokio::time::sleep(WITHIN) => panic!("only {} of {SEVERAL} came", had.len()),
        };
        for delivery in messages.expect("they are delivered") {
            assert!(had.insert(delivery.message.data.clone()), "{delivery:?} came twice");
        }
    }
    assert_eq!(had, expected);
    for consumer in &consumers {
        nothing(&**consumer).await;
    }
}

/// What is acknowledged does not come again, also not to who subscribes later.
pub async fn what_is_acknowledged_does_not_come_again(broker: &dyn Broker) {
    let consumer = subscribe(broker, TOPIC, GROUP).await;
    done(broker.publish(TOPIC, Message::new("1")).await);
    let first = one(&*consumer).await.receipt;
    done(consumer.acknowledge(&[first]).await);
    done(consumer.acknowledge(&[first, Receipt(0, 1 << 40)]).await);
    done(consumer.settled().await);
    drop(consumer);
    let later = subscribe(broker, TOPIC, GROUP).await;
    done(broker.publish(TOPIC, Message::new("2")).await);
    assert_eq!(one(&*later).await.message.data, "2");
}

/// What failed comes again as the next attempt.
pub async fn what_failed_comes_again(broker: &dyn Broker) {
    let consumer = subscribe(broker, TOPIC, GROUP).await;
    done(broker.publish(TOPIC, Message::new("1")).await);
    for attempt in 1..=2 {
        let delivery = one(&*consumer).await;
        assert_eq!(delivery.message.data, "1");
        attempted(broker, &delivery, attempt);
        done(consumer.fail(delivery.receipt, "not today").await);
    }
    attempted(broker, &one(&*consumer).await, 3);
}

/// What is given back comes again, and nothing was attempted.
pub async fn what_is_given_back_counts_as_no_attempt(broker: &dyn Broker) {
    let consumer = subscribe(broker, TOPIC, GROUP).await;
    done(broker.publish(TOPIC, Message::new("1")).await);
    for _ in 0..3 {
        let delivery = one(&*consumer).await;
        assert!(delivery.attempt == 1 || !broker.features().attempts, "{delivery:?}");
        done(consumer.release(&[delivery.receipt]).await);
    }
}

/// No more is held than was asked for, roughly; what is answered makes room for more.
pub async fn no_more_is_held_than_was_asked_for(broker: &dyn Broker) {
    let options = Options { held_max: 2, ..Options::default() };
    let consumer = broker.subscribe(TOPIC, GROUP, options).await.expect("it is subscribed");
    let expected: BTreeSet<Bytes> = (0..2 * HELD_MAX).map(|n| Bytes::from(n.to_string())).collect();
    for data in &expected {
        done(broker.publish(TOPIC, Message::new(data.clone())).await);
    }
    let (mut had, mut held) = (BTreeSet::new(), Vec::new());
    while let Ok(messages) = timeout(NOTHING_FOR, consumer.next(HELD_MAX)).await {
        held.extend(messages.expect("they are delivered"));
    }
    assert!(held.len() <= HELD_MAX, "{} are held", held.len());
    loop {
        let receipts: Vec<_> = held.iter().map(|delivery| delivery.receipt).collect();
        had.extend(held.into_iter().map(|delivery| delivery.message.data));
        done(consumer.acknowledge(&receipts).await);
        if had.len() == expected.len() {
            break;
        }
        held = next(&*consumer, HELD_MAX).await;
    }
    assert_eq!(had, expected);
}

/// When it has been closed, what it held is with others; what it answered before holds.
pub async fn who_is_closed_has_given_back(broker: &dyn Broker) {
    let closed = subscribe(broker, TOPIC, GROUP).await;
    for data in ["1", "2", "3"] {
        done(broker.publish(TOPIC, Message::new(data)).await);
    }
    let mut held = Vec::new();
    while held.len() < 3 {
        held.extend(next(&*closed, 3).await);
    }
    let acknowledged = held.swap_remove(0);
    done(closed.acknowledge(&[acknowledged.receipt]).await);
    done(closed.close().await);
    drop(closed);
    let other = subscribe(broker, TOPIC, GROUP).await;
    let mut again = BTreeSet::new();
    while again.len() < 2 {
        again.extend(next(&*other, 1).await.into_iter().map(|delivery| delivery.message.data));
    }
    assert_eq!(again, held.into_iter().map(|delivery| delivery.message.data).collect());
    nothing(&*other).await;
}

/// Who goes away gives back what it holds, for another of the group to have at once.
pub async fn who_goes_away_gives_back(broker: &dyn Broker) {
    let gone = subscribe(broker, TOPIC, GROUP).await;
    done(broker.publish(TOPIC, Message::new("1")).await);
    let held = one(&*gone).await;
    let other = subscribe(broker, TOPIC, GROUP).await;
    nothing(&*other).await;
    drop(gone);
    let again = one(&*other).await;
    assert_eq!(again.message, held.message);
    assert!(again.attempt == 1 || !broker.features().attempts, "{again:?}");
}

/// What is not answered in time has failed; who asks for longer has it.
pub async fn what_is_not_answered_in_time_comes_again(broker: &dyn Broker) {
    let options = Options { answer_within: Duration::from_millis(400), ..Options::default() };
    let consumer = broker.subscribe(TOPIC, GROUP, options).await.expect("it is subscribed");
    done(broker.publish(TOPIC, Message::new("1")).await);
    let held = one(&*consumer).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        done(consumer.extend(&[held.receipt]).await);
    }
    let again = one(&*consumer).await;
    attempted(broker, &again, 2);
    assert_eq!(again.message, held.message);
}

/// A group that is there has what was published while nobody of it was.
pub async fn a_group_has_what_it_was_away_for(broker: &dyn Broker) {
    drop(subscribe(broker, TOPIC, GROUP).await);
    done(broker.publish(TOPIC, Message::new("1")).await);
    let back = subscribe(broker, TOPIC, GROUP).await;
    assert_eq!(one(&*back).await.message.data, "1");
}

/// A group that comes to be begins where it says.
pub async fn a_new_group_begins_where_it_says(broker: &dyn Broker) {
    done(broker.publish(TOPIC, Message::new("old")).await);
    let begins = |begin| Options { begin, ..Options::default() };
    let start = broker.subscribe(TOPIC, "start", begins(Begin::Start)).await.expect("it is subscribed");
    let end = broker.subscribe(TOPIC, "end", begins(Begin::End)).await.expect("it is subscribed");
    if broker.features().history {
        assert_eq!(one(&*start).await.message.data, "old");
    }
    done(broker.publish(TOPIC, Message::new("new")).await);
    assert_eq!(one(&*start).await.message.data, "new");
    assert_eq!(one(&*end).await.message.data, "new");
}

/// Messages of one key are had in order, one at a time, where the broker says so.
pub async fn a_key_keeps_its_order(broker: &dyn Broker) {
    if !broker.features().ordering {
        return;
    }
    let consumer = subscribe(broker, TOPIC, GROUP).await;
    for n in 0..SEVERAL {
        done(broker.publish(TOPIC, Message::new(n.to_string()).key("k")).await);
    }
    for n in 0..SEVERAL {
        let messages = next(&*consumer, SEVERAL).await;
        let data: Vec<_> = messages.iter().map(|delivery| &delivery.message.data[..]).collect();
        assert_eq!(data, [n.to_string().as_bytes()]);
        done(consumer.acknowledge(&[messages[0].receipt]).await);
    }
}

/// Of several each is published by itself; what was not is told in its place.
pub async fn each_of_several_is_published_by_itself(broker: &dyn Broker) {
    let consumer = subscribe(broker, TOPIC, GROUP).await;
    let data = ["1", "", "2", "3"].map(|text| Message::new(text.to_owned()).key(text.to_owned()));
    let mut several = data.to_vec();
    several[1].data = vec![b'x'; TOO_LARGE].into();
    let outcomes = broker.publish_many(TOPIC, several).await.expect("each is answered");
    let ok: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(ok, [true, false, true, true]);
    assert!(matches!(outcomes[1], Err(Error::Invalid(_))), "{:?}", outcomes[1]);
    let mut had = BTreeSet::new();
    while had.len() < 3 {
        had.extend(next(&*consumer, 10).await.into_iter().map(|delivery| delivery.message.data));
    }
    assert_eq!(had, ["1", "2", "3"].map(Bytes::from).into());
    assert_eq!(broker.publish_many(TOPIC, Vec::new()).await, Ok(Vec::new()));
}

/// More is published at once than anybody takes in one request.
pub async fn very_many_are_published(broker: &dyn Broker) {
    let consumer = subscribe(broker, TOPIC, GROUP).await;
    let messages = (0..MANY).map(|n| Message::new(n.to_string())).collect();
    let outcomes = broker.publish_many(TOPIC, messages).await.expect("each is answered");
    assert!(outcomes.len() == MANY && outcomes.iter().all(Result::is_ok));
    let mut had = BTreeSet::new();
    while had.len() < MANY {
        let messages = next(&*consumer, 1_000).await;
        let receipts: Vec<_> = messages.iter().map(|delivery| delivery.receipt).collect();
        had.extend(messages.into_iter().map(|delivery| delivery.message.data));
        done(consumer.acknowledge(&receipts).await);
    }
}

/// A message that has expired does not come, where the broker says so.
pub async fn messages_expire(broker: &dyn Broker) {
    if !broker.features().ttl {
        return;
    }
    drop(subscribe(broker, TOPIC, GROUP).await);
    let short = Some(Duration::from_millis(20));
    done(broker.publish(TOPIC, Message { ttl: short, ..Message::new("gone").key("k") }).await);
    done(broker.publish(TOPIC, Message { ttl: Some(Duration::ZERO), ..Message::new("gone").key("k") }).await);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let long = Some(Duration::from_secs(100));
    done(broker.publish(TOPIC, Message { ttl: long, ..Message::new("kept").key("k") }).await);
    let consumer = subscribe(broker, TOPIC, GROUP).await;
    assert_eq!(one(&*consumer).await.message.data, "kept");
    nothing(&*consumer).await;
}

async fn subscribe(broker: &dyn Broker, topic: &str, group: &str) -> Box<dyn Subscription> {
    broker.subscribe(topic, group, Options::default()).await.expect("it is subscribed")
}

async fn next(consumer: &dyn Subscription, max: usize) -> Vec<Delivery> {
    let messages = timeout(WITHIN, consumer.next(max)).await.expect("something comes");
    messages.expect("it is delivered")
}

async fn one(consumer: &dyn Subscription) -> Delivery {
    let mut messages = next(consumer, 1).await;
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

/// The how manieth attempt it is, as far as the broker counts them.
#[track_caller]
fn attempted(broker: &dyn Broker, delivery: &Delivery, attempt: u32) {
    let fits = match broker.features().attempts {
        true => delivery.attempt == attempt,
        false => (delivery.attempt > 1) == (attempt > 1),
    };
    assert!(fits, "attempt {} and not {attempt}", delivery.attempt);
}

/// There is nothing for it, as far as can be told soon.
async fn nothing(consumer: &dyn Subscription) {
    let odd = timeout(NOTHING_FOR, consumer.next(1)).await;
    assert!(odd.is_err(), "{odd:?}");
}

#[track_caller]
fn done(outcome: Result<(), Error>) {
    outcome.expect("it is done");
}

/// What is consumed and by whom where that does not matter.
const TOPIC: &str = "orders";
const GROUP: &str = "packing";
/// How many messages some are.
const SEVERAL: usize = 20;
/// More than are held where two may be, whatever parts a topic has.
const HELD_MAX: usize = 64;
/// How many are more than a request has room for.
const MANY: usize = 12_000;
/// More bytes than anybody takes as one message.
const TOO_LARGE: usize = 16 << 20;
/// On a busy machine. What a broker has just sent to one who went away comes to another when it has waited for the acknowledgement,
/// which is 30 seconds in JetStream.
const WITHIN: Duration = Duration::from_secs(90);
/// For how long nothing comes where nothing is to.
const NOTHING_FOR: Duration = Duration::from_millis(50);

/// A test for each story, with a subject of its own. The expression may `.await`.
#[macro_export]
macro_rules! pubsub_conformance_tests {
    ($subject:expr) => {
        $crate::pubsub_conformance_tests!(@ $subject;
            what_is_published_arrives each_group_has_every_message one_of_a_group_has_a_message
            what_is_acknowledged_does_not_come_again what_failed_comes_again
            what_is_given_back_counts_as_no_attempt no_more_is_held_than_was_asked_for
            who_goes_away_gives_back who_is_closed_has_given_back
            what_is_not_answered_in_time_comes_again a_group_has_what_it_was_away_for
            a_new_group_begins_where_it_says a_key_keeps_its_order each_of_several_is_published_by_itself
            very_many_are_published messages_expire
        );
    };
    (@ $subject:expr; $($story:ident)*) => {
        $(
            #[tokio::test]
            async fn $story() {
                let subject = $subject;
                let broker = $crate::pubsub::conformance::Subject::broker(&subject);
                $crate::pubsub::conformance::$story(&*broker).await;
            }
        )*
    };
}

//! Consumers of topics, on a running engine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use engine::store::Fjall;
use engine::{Config, Consumer, ConsumerConfig, Engine, Received, System};
use log::Memory;
use machine::topic::{self, NewMessage, Place, Publish, partition_of};
use machine::{Entry, Time};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_gets_what_was_and_what_will_be_published() {
    let world = World::new();
    world.publish("one", b"key").await;
    let consumer = world.consumer("group").await;
    let messages = consumer.next(10).await.expect("it gets messages");
    assert_eq!(payloads(&messages), ["one"]);
    consumer.acknowledge(&messages).expect("it is taken");
    let (next, ()) = tokio::join!(consumer.next(10), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.publish("two", b"key").await;
    });
    assert_eq!(payloads(&next.expect("it is woken")), ["two"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_and_settled_does_not_come_again_after_a_crash() {
    let mut world = World::new();
    for number in 0..100 {
        world.publish(&number.to_string(), number.to_string().as_bytes()).await;
    }
    let consumer = world.consumer("group").await;
    let mut kept = BTreeSet::new();
    let mut seen = 0;
    while seen < 100 {
        let messages = consumer.next(16).await.expect("it gets messages");
        seen += messages.len();
        let (even, odd): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| payload(message).parse::<u32>().unwrap().is_multiple_of(2));
        consumer.acknowledge(&even).expect("they are taken");
        kept.extend(odd.iter().map(payload));
    }
    consumer.settled().await.expect("it is written down");
    drop(consumer);
    world.crash();
    let consumer = world.consumer("group").await;
    let mut again = BTreeSet::new();
    while again.len() < kept.len() {
        again.extend(consumer.next(16).await.expect("it gets messages").iter().map(payload));
    }
    assert_eq!(again, kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_key_come_in_order_one_at_a_time() {
    let world = World::new();
    for number in 0..10 {
        world.publish(&number.to_string(), b"same").await;
    }
    let consumer = world.consumer("group").await;
    for number in 0..10 {
        let messages = consumer.next(10).await.expect("it gets messages");
        assert_eq!(payloads(&messages), [number.to_string()]);
        consumer.acknowledge(&messages).expect("it is taken");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_consumer_held_comes_to_another_when_it_goes() {
    let world = World::new();
    world.publish("one", b"key").await;
    let first = world.consumer("group").await;
    let second = world.consumer("group").await;
    assert_eq!(first.next(1).await.expect("it gets the message").len(), 1);
    drop(first);
    let again = second.next(1).await.expect("it gets the message");
    assert_eq!(payloads(&again), ["one"]);
    assert_eq!(again[0].attempt, 1, "going is no failure");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_not_answered_comes_again() {
    let world = World::new();
    world.publish("one", b"key").await;
    let mut config = ConsumerConfig::default();
    config.delivery.ack_timeout = Duration::from_millis(50);
    let consumer = world.engine().consume("orders", 0..8, "group", Place::start(), config).await.unwrap();
    assert_eq!(consumer.next(1).await.expect("it gets the message")[0].attempt, 1);
    let again = consumer.next(1).await.expect("it gets the message");
    assert_eq!((payloads(&again), again[0].attempt), (vec!["one".to_owned()], 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_fails_comes_again_with_its_attempts() {
    let world = World::new();
    world.publish("one", b"key").await;
    let consumer = world.consumer("group").await;
    let first = consumer.next(1).await.expect("it gets the message");
    consumer.fail(&first[0], "no", false).expect("it is taken");
    let again = consumer.next(1).await.expect("it gets the message");
    assert_eq!(again[0].attempt, 2);
    assert!(again[0].time > Time::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_holds_no_more_than_its_credits() {
    let world = World::new();
    for number in 0..100 {
        world.publish(&number.to_string(), b"").await;
    }
    let config = ConsumerConfig { credits: 4, ..ConsumerConfig::default() };
    let consumer = world.engine().consume("orders", 0..1, "group", Place::start(), config).await.unwrap();
    let held = consumer.next(100).await.expect("it gets messages");
    assert_eq!(held.len(), 4);
    let waits = tokio::time::timeout(Duration::from_millis(100), consumer.next(1)).await;
    assert!(waits.is_err(), "it got more than its credits: {waits:?}");
    consumer.acknowledge(&held[..2]).expect("they are taken");
    assert_eq!(consumer.next(100).await.expect("it gets messages").len(), 2);
}

struct World {
    engine: Option<Engine<Memory, Fjall>>,
    log: Arc<Memory>,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let mut world = World { engine: None, log: Arc::new(Memory::new()), folder };
        world.crash();
        world
    }

    fn engine(&self) -> &Engine<Memory, Fjall> {
        self.engine.as_ref().expect("it is open")
    }

    /// And opens what was before it, if anything was.
    fn crash(&mut self) {
        drop(self.engine.take());
        let store = Arc::new(Fjall::open(self.folder.path(), 1 << 20).expect("the store opens"));
        let opened = Engine::open(Config::default(), Arc::clone(&self.log), store, System);
        self.engine = Some(opened.expect("it opens"));
    }

    async fn publish(&self, text: &str, key: &[u8]) {
        let partition = if key.is_empty() { 0 } else { partition_of(key, 8) };
        let shard = topic::shard(self.engine().shards(), "orders", partition);
        let message = NewMessage::new(0).with_key(key.to_vec());
        let publish = Publish { topic: "orders".to_owned(), partition, message };
        let entry = Entry::new(publish).with_body(text.to_owned());
        self.engine().propose(shard, entry).await.expect("it is taken");
    }

    async fn consumer(&self, group: &str) -> Consumer<Memory, Fjall> {
        let consumer =
            self.engine().consume("orders", 0..8, group, Place::start(), ConsumerConfig::default()).await;
        consumer.expect("the group is made")
    }
}

fn payload(message: &Received) -> String {
    String::from_utf8(message.payload.to_vec()).expect("it is text")
}

fn payloads(messages: &[Received]) -> Vec<String> {
    messages.iter().map(payload).collect()
}

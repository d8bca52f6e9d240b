//! What an application asks for, block by block, on a running engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::blocks::config::Edit;
use engine::blocks::jobs::When;
use engine::blocks::kv::{self, Operation, Write};
use engine::blocks::queue::Item;
use engine::blocks::stream::{Filter, NewEvent};
use engine::blocks::topic::Message;
use engine::store::Memory;
use engine::{Begin, Config, ConsumerConfig, Engine, Kind, Position, System};
use machine::changes::Keep;
use machine::idempotency::Idempotency;
use machine::outbox::Send;
use machine::stream::{Expected, Settings, Spread};
use machine::topic::{DeadLetter, Failing, Place};
use machine::{Entry, Order, Shard, job, topic};

type Running = Engine<log::Memory, Memory>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_is_written_under_its_etag() {
    let world = World::new();
    let engine = world.open();
    let carts = engine.kv("carts").unwrap().scope("shop");
    let first = carts.put("ada", "apples", Write::if_absent()).await.unwrap();
    let late = carts.put("ada", "pears", Write::if_absent()).await.unwrap_err();
    assert_eq!(late.kind(), Kind::Conflict);
    let second = carts.put("ada", big(1), Write::if_etag(first).for_(LONG)).await.unwrap();
    let item = carts.get(b"ada").await.unwrap().expect("it is there");
    assert_eq!((item.value, item.etag), (big(1), second));
    assert!(item.expires.is_some());
    assert_eq!(engine.kv("carts").unwrap().get(b"ada").await.unwrap(), None, "that is another scope");
    assert!(carts.delete("ada", Write::if_etag(second)).await.unwrap());
    assert!(!carts.delete("ada", Write::default()).await.unwrap());
    let large = carts.put("ada", vec![0; (1 << 20) + 1], Write::default()).await.unwrap_err();
    assert_eq!(large.kind(), Kind::TooLarge);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_spread_is_as_one() {
    let world = World::new();
    for spread in [false, true] {
        let engine = world.open();
        let name = if spread { "spread" } else { "together" };
        engine.kv(name).unwrap().define(kv::Settings { spread, changes: None }).await.unwrap();
        let items = engine.kv(name).unwrap();
        let operations =
            (0..300).map(|number| Operation::put(key(number), big(number), Write::default())).collect();
        assert!(items.bulk(operations).await.unwrap().iter().all(Result::is_ok));
        let refused = vec![
            Operation::put(key(1), "again", Write::if_absent()),
            Operation::delete(key(2), Write::default()),
        ];
        let outcomes = items.bulk(refused).await.unwrap();
        assert_eq!(outcomes[0].as_ref().unwrap_err().kind(), Kind::Conflict);
        assert!(outcomes[1].is_ok());
        let keys: Vec<Bytes> = [4, 2, 9].map(key).into();
        let found = items.get_many(&keys).await.unwrap();
        assert_eq!(
            found.iter().map(|item| item.as_ref().map(|item| item.value.clone())).collect::<Vec<_>>(),
            [Some(big(4)), None, Some(big(9))]
        );
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let page = machine::kv::Page { prefix: Bytes::new(), after, max: 7 };
            let listing = items.list(&page).await.unwrap();
            listed.extend(listing.items.into_iter().map(|item| item.key));
            after = listing.next;
            if after.is_none() {
                break;
            }
        }
        let all: Vec<Bytes> = (0..300).filter(|number| *number != 2).map(key).collect();
        assert_eq!(listed, all);
        let both =
            items.transact((3..30).map(|n| Operation::put(key(n), "x", Write::default())).collect()).await;
        assert_eq!(both.map_err(|error| error.kind()).is_err_and(|kind| kind == Kind::Invalid), spread);
        drop(engine);
        // Nobody says it a second time.
        let engine = world.open();
        let found = engine.kv(name).unwrap().get(&key(200)).await.unwrap();
        assert_eq!(found.expect("it is there").value, big(200));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_is_the_same_in_all_shards_and_costs_nothing_the_second_time() {
    let world = World::new();
    let engine = world.open();
    let keep = Keep { count: 100, ..Keep::default() };
    let settings = kv::Settings { spread: true, changes: Some(keep) };
    engine.kv("items").unwrap().define(settings).await.unwrap();
    engine.streams("facts").unwrap().define(Settings::default()).await.unwrap();
    engine.topic("news").unwrap().define(topic::Settings::default()).await.unwrap();
    for shard in engine.shards().all() {
        let is = engine
            .read(shard, |state, _| {
                let store = machine::kv::definition(state, "items");
                let facts = machine::stream::settings(state, "facts").is_some();
                (store.spread, store.changes, facts, topic::read::settings(state, "news").is_some())
            })
            .unwrap();
        assert_eq!(is, (true, Some(keep), true, true), "shard {}", shard.0);
    }
    until(|| engine.shards().all().all(|shard| on_the_way(&engine, shard) == 0)).await;
    let before = world.entries();
    engine.kv("items").unwrap().define(settings).await.unwrap();
    engine.streams("facts").unwrap().define(Settings::default()).await.unwrap();
    engine.topic("news").unwrap().define(topic::Settings::default()).await.unwrap();
    assert_eq!(world.entries(), before);
    assert_eq!(engine.kv("items").unwrap().settings().await.unwrap(), settings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_is_half_done_is_finished() {
    let world = World::new();
    let engine = world.open();
    let define = machine::stream::Define { store: "facts".to_owned(), settings: Settings::default() };
    // By hand, and by a program that ended too soon.
    for shard in [3, 7].map(Shard) {
        engine.propose(shard, Entry::new(define.clone())).await.unwrap();
    }
    engine.streams("facts").unwrap().define(Settings::default()).await.unwrap();
    assert!(engine.shards().all().all(|shard| has_streams(&engine, shard, "facts")));
    // With the power: what was on its way arrives with the next start.
    let define = machine::stream::Define { store: "more".to_owned(), settings: Settings::default() };
    let home = machine::stream::home(engine.shards(), "more");
    let mut entry = Entry::new(define.clone());
    let others = engine.shards().all().filter(|shard| *shard != home);
    entry.sends = others.map(|shard| Send::new(shard, define.clone())).collect();
    engine.propose(home, entry).await.unwrap();
    drop(engine);
    let engine = world.open();
    until(|| engine.shards().all().all(|shard| has_streams(&engine, shard, "more"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_nobody_waits_for_holds_for_all() {
    let world = World::new();
    let engine = world.open();
    let (items, queue) = (engine.kv("items").unwrap(), engine.queue("work").unwrap());
    let spread = machine::queue::Settings { spread: true, ..Default::default() };
    for gives_up in [true, false] {
        let wait = if gives_up { Duration::ZERO } else { LONG };
        let settings = kv::Settings { spread: true, changes: None };
        let _ = tokio::time::timeout(wait, items.define(settings)).await;
        let _ = tokio::time::timeout(wait, queue.define(spread.clone())).await;
        until_async(|| async { items.settings().await.unwrap().spread }).await;
        until_async(|| async { queue.settings().await.unwrap().spread }).await;
    }
    let items = engine.kv("items").unwrap();
    for number in 0..30 {
        items.put(key(number), big(number), Write::default()).await.unwrap();
    }
    drop(engine);
    let engine = world.open();
    for number in 0..30 {
        let item = engine.kv("items").unwrap().get(&key(number)).await.unwrap();
        assert_eq!(item.map(|item| item.value), Some(big(number)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_shards_disagree_that_is_said() {
    let world = World::new();
    let engine = world.open();
    let together = Settings { spread: Spread::Together.into(), ..Settings::default() };
    let define = machine::stream::Define { store: "facts".to_owned(), settings: together };
    engine.propose(Shard(5), Entry::new(define)).await.unwrap();
    let error = engine.streams("facts").unwrap().define(Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains("shard 5"), "{error}");
    assert!(!has_streams(&engine, Shard(4), "facts"), "nothing is begun that cannot be finished");
    let carts = engine.kv("carts").unwrap();
    carts.put("ada", "apples", Write::default()).await.unwrap();
    let late = carts.define(kv::Settings { spread: true, changes: None }).await.unwrap_err();
    assert_eq!(late.kind(), Kind::Conflict, "{late}");
    engine
        .topic("news")
        .unwrap()
        .define(topic::Settings { partitions: Some(4), ..Default::default() })
        .await
        .unwrap();
    let fewer = topic::Settings { partitions: Some(2), ..Default::default() };
    assert_eq!(engine.topic("news").unwrap().define(fewer).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(engine.topic("news").unwrap().partitions(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_goes_to_its_partition_and_dead_letters_arrive() {
    let world = World::new();
    let engine = world.open();
    engine
        .topic("dead")
        .unwrap()
        .define(topic::Settings { partitions: Some(3), ..Default::default() })
        .await
        .unwrap();
    // How many partitions and shards there are for them is nobody's business.
    let failing = Failing {
        attempts_max: Some(1),
        given_up: topic::GivenUp::DeadLetter.into(),
        dead_letter: Some(DeadLetter { topic: "dead".to_owned(), ..DeadLetter::default() }),
        ..Failing::default()
    };
    let settings = topic::Settings { partitions: Some(2), failing: Some(failing), ..Default::default() };
    engine.topic("news").unwrap().define(settings.clone()).await.unwrap();
    let news = engine.topic("news").unwrap();
    let messages = (0..20).map(|n| Message::new(n.to_string()).key(format!("key {}", n % 5))).collect();
    let published = news.publish_batch(messages).await.unwrap();
    assert_eq!(published.iter().map(|p| p.as_ref().unwrap().partition).collect::<BTreeSet<_>>().len(), 2);
    let one = news.publish(Message::new("one").key("key 3")).await.unwrap();
    assert_eq!(one.partition, published[3].as_ref().unwrap().partition);
    let offset = one.offset.expect("it is not delayed");
    assert_eq!(news.read(one.partition, offset, 9).await.unwrap()[0].payload, "one");
    let consumer = news.consume("group", Place::offset(offset), ConsumerConfig::default()).await.unwrap();
    loop {
        let messages = consumer.next(100).await.unwrap();
        for message in &messages {
            consumer.fail(message, "no", true).unwrap();
        }
        if messages.iter().any(|message| message.payload == "one") {
            break;
        }
    }
    let dead = engine
        .topic("dead")
        .unwrap()
        .consume("group", Place::start(), ConsumerConfig::default())
        .await
        .unwrap();
    while !dead.next(100).await.unwrap().iter().any(|message| message.payload == "one") {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_along_is_one_commit_and_once() {
    let world = World::new();
    let engine = world.open();
    let (queue, news, carts) =
        (engine.queue("pack").unwrap(), engine.topic("news").unwrap(), engine.kv("carts").unwrap());
    let along =
        [queue.sending([Item::new(big(1)), Item::new("small")]), news.publishing(Message::new(big(2)))];
    let once = Idempotency {
        scope: "shop".to_owned(),
        key: "order 1".to_owned(),
        fingerprint: 7,
        remember_ms: 60_000,
    };
    let first =
        engine.kv("carts").unwrap().once(&once).along(&along).put("1", "order", Write::default()).await;
    let again =
        engine.kv("carts").unwrap().once(&once).along(&along).put("1", "order", Write::default()).await;
    assert_eq!(first.unwrap(), again.unwrap());
    let got = queue.receive("me", 10, None, LONG).await.unwrap();
    assert_eq!(got.iter().map(|work| work.payload.clone()).collect::<Vec<_>>(), [big(1), "small".into()]);
    let consumer = news.consume("group", Place::start(), ConsumerConfig::default()).await.unwrap();
    assert_eq!(consumer.next(10).await.unwrap()[0].payload, big(2));
    // A refusal takes what goes along with it.
    let refused = engine.kv("carts").unwrap().along(&along).put("1", "order", Write::if_absent()).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(queue.counts().await.unwrap().ready, 0);
    // The outcome of work is committed with its end, or not at all.
    let receipt = got[0].receipt.to_string().parse().unwrap();
    let outcome = [carts.putting("packed", "yes", Write::default())];
    engine.queue("pack").unwrap().along(&outcome).acknowledge(&[receipt]).await.unwrap();
    until_async(|| async { carts.get(b"packed").await.unwrap().is_some() }).await;
    let late = engine.queue("pack").unwrap().along(&outcome).acknowledge(&[receipt]).await.unwrap_err();
    assert_eq!(late.kind(), Kind::Fenced);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_all_streams_has_every_event_once_and_in_order() {
    let world = World::new();
    let engine = Arc::new(world.open());
    for spread in [Spread::ByStream, Spread::Together] {
        let store = format!("{spread:?}");
        let settings = Settings { spread: spread.into(), ..Settings::default() };
        engine.streams(&store).unwrap().define(settings).await.unwrap();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (engine, store) = (Arc::clone(&engine), store.clone());
                tokio::spawn(async move {
                    let facts = engine.streams(&store).unwrap();
                    let stream = format!("stream {writer}");
                    for number in 0..100_u64 {
                        let event =
                            NewEvent::new(if number % 2 == 0 { "even" } else { "odd" }, big(number as u32));
                        let expected = Some(Expected::Version(number));
                        facts.append(&stream, expected, [event]).await.unwrap();
                    }
                })
            })
            .collect();
        let facts = engine.streams(&store).unwrap();
        let mut feed = facts.subscribe_all(Filter::default(), &Begin::Start).await.unwrap();
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        let mut count = 0;
        while count < 400 {
            // Dropped at any moment, and begun anew from where it was.
            let Ok(events) = tokio::time::timeout(Duration::from_micros(count * 7 % 900), feed.next(9)).await
            else {
                let position: Position = feed.position().to_string().parse().unwrap();
                feed = facts.subscribe_all(Filter::default(), &Begin::After(position)).await.unwrap();
                continue;
            };
            for event in events.unwrap() {
                let version = seen.entry(event.stream).or_default();
                assert_eq!(event.version, *version + 1);
                assert_eq!(event.payload, big(*version as u32));
                *version += 1;
                count += 1;
            }
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let odd = Filter { types: vec!["odd".to_owned()], ..Filter::default() };
        let from = Begin::After(
            facts.subscribe("stream 1", Filter::default(), &Begin::Start).await.unwrap().position(),
        );
        let mut feed = facts.subscribe("stream 1", odd, &from).await.unwrap();
        let mut versions = Vec::new();
        while versions.len() < 50 {
            versions.extend(feed.next(7).await.unwrap().into_iter().map(|event| event.version));
        }
        assert_eq!(versions, (1..=50).map(|half| half * 2).collect::<Vec<_>>());
        let page = facts.read("stream 1", u64::MAX, Order::Backwards, &Filter::default(), 1).await.unwrap();
        assert_eq!(page.unwrap().events[0].payload, big(99));
    }
    assert_eq!(
        engine
            .streams("none")
            .unwrap()
            .append("a", None, [NewEvent::new("b", "c")])
            .await
            .unwrap_err()
            .kind(),
        Kind::NotFound
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_a_store_has_every_change_once_and_is_told_what_was_missed() {
    let world = World::new();
    let engine = world.open();
    let items = engine.kv("items").unwrap();
    assert_eq!(items.changes(&Begin::Start).await.map(drop).unwrap_err().kind(), Kind::NotFound);
    let keep = Keep { count: 1000, values: true, ..Keep::default() };
    items.define(kv::Settings { spread: true, changes: Some(keep) }).await.unwrap();
    let items = engine.kv("items").unwrap();
    let mut live = items.changes(&Begin::Now).await.unwrap();
    let mut etags = BTreeMap::new();
    for number in 0..100 {
        etags.insert(key(number), items.put(key(number), big(number), Write::default()).await.unwrap());
    }
    for feed in [&mut live, &mut items.changes(&Begin::Start).await.unwrap()] {
        let mut seen = BTreeMap::new();
        while seen.len() < 100 {
            for change in feed.next(7).await.unwrap() {
                let value = change.value.expect("the store keeps it");
                assert!(value == big(std::str::from_utf8(&change.key).unwrap().parse().unwrap()));
                assert!(seen.insert(change.key, change.etag.unwrap()).is_none(), "it comes twice");
            }
        }
        assert_eq!(seen, etags);
    }
    let (next, deleted) = tokio::join!(live.next(9), items.delete(key(3), Write::default()));
    assert!(deleted.unwrap());
    let next = next.unwrap();
    assert_eq!((next.len(), next[0].etag, &next[0].key), (1, None, &key(3)));
    let keep = Keep { count: 1, ..Keep::default() };
    items.define(kv::Settings { spread: true, changes: Some(keep) }).await.unwrap();
    let position = live.position();
    for _ in 0..5 {
        items.put(key(3), "x", Write::default()).await.unwrap();
    }
    let mut late = items.changes(&Begin::After(position)).await.unwrap();
    let gone = loop {
        match late.next(100).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(gone.kind(), Kind::Gone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_configuration_misses_nothing_and_has_nothing_twice() {
    let world = World::new();
    let engine = world.open();
    let limits = engine.configuration("limits");
    let first = limits.write(vec![Edit::set("a", "1"), Edit::set("b", big(2))]).await.unwrap();
    let (items, mut watch) = limits.watch().await.unwrap();
    assert_eq!(
        items.iter().map(|item| (&item.key[..], item.revision)).collect::<Vec<_>>(),
        [("a", first), ("b", first)]
    );
    assert_eq!(items[1].value, big(2));
    let (changed, written) = tokio::join!(
        watch.next(9),
        limits.write(vec![Edit::set("a", big(3)).only_if(first), Edit::delete("b")])
    );
    written.unwrap();
    let changed = changed.unwrap();
    assert_eq!(changed[0].item.as_ref().unwrap().value, big(3));
    assert_eq!((&changed[1].key[..], changed[1].revision, &changed[1].item), ("b", None, &None));
    let late = limits.write(vec![Edit::delete("a").only_if(first)]).await.unwrap_err();
    assert_eq!(late.kind(), Kind::Conflict);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_waited_for_and_not_held_by_who_has_gone() {
    let world = World::new();
    let engine = world.open();
    let lock = engine.lock("locks", "shop", "stock");
    let held = lock.try_lock("ada", LONG).await.unwrap().expect("it is free");
    assert_eq!(lock.try_lock("bob", LONG).await.unwrap(), None);
    assert_eq!(lock.lock("bob", LONG, Duration::from_millis(30)).await.unwrap(), None);
    let (bob, given) = tokio::join!(lock.lock("bob", LONG, LONG), lock.unlock("ada", Some(held.token)));
    given.unwrap();
    let bob = bob.unwrap().expect("it is free by then");
    assert!(bob.token > held.token);
    assert_eq!(lock.extend("ada", Some(held.token), LONG).await.unwrap_err().kind(), Kind::Fenced);
    lock.unlock("bob", None).await.unwrap();
    for micros in 0..200 {
        let wait = lock.lock("gone", LONG, LONG);
        if let Ok(held) = tokio::time::timeout(Duration::from_micros(micros * 5), wait).await {
            lock.unlock("gone", held.unwrap().map(|held| held.token)).await.unwrap();
        }
    }
    assert!(lock.lock("ada", LONG, LONG).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_sends_what_it_was_given_and_one_to_nowhere_is_refused() {
    let world = World::new();
    let engine = world.open();
    let (jobs, queue) = (engine.jobs("shop"), engine.queue("work").unwrap());
    let what = queue.sending([Item::new(big(1)), Item::new("two")]);
    jobs.put("soon", When::once(engine.now()), what.clone(), false).await.unwrap();
    let got = queue.receive("me", 10, None, LONG).await.unwrap();
    assert_eq!(got.iter().map(|work| work.payload.clone()).collect::<Vec<_>>(), [big(1), "two".into()]);
    jobs.put("daily", When::schedule("@daily").unwrap(), what.clone(), false).await.unwrap();
    let again = jobs.put("daily", When::schedule("@daily").unwrap(), what, false).await.unwrap_err();
    assert_eq!(again.kind(), Kind::Exists);
    assert_eq!(jobs.list("", None, 10).await.unwrap().jobs.len(), 1);
    jobs.pause("daily").await.unwrap();
    jobs.trigger("daily").await.unwrap();
    assert_eq!(queue.receive("me", 10, None, LONG).await.unwrap().len(), 2);
    assert!(jobs.resume("daily").await.unwrap().is_some());
    assert!(jobs.delete("daily").await.unwrap());
    assert_eq!(When::schedule("soonish").unwrap_err().kind(), Kind::Invalid);

    let nowhere = job::Put {
        name: "nowhere".to_owned(),
        first_ms: 1,
        target: 16,
        command: Box::new(machine::kv::Put { store: "s".to_owned(), ..Default::default() }.into()),
        ..job::Put::default()
    };
    let before = world.entries();
    let refused = engine.propose(Shard(0), Entry::new(nowhere)).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(refused.to_string().contains("shard 16"), "{refused}");
    assert_eq!(world.entries(), before, "it is not in the log");
    let forged = "99-1-1".parse().unwrap();
    assert_eq!(queue.acknowledge(&[forged]).await.unwrap_err().kind(), Kind::Invalid);
}

/// A log and a store that outlive engines.
struct World {
    log: Arc<log::Memory>,
    store: Arc<Memory>,
}

impl World {
    fn new() -> World {
        World { log: Arc::new(log::Memory::new()), store: Arc::new(Memory::default()) }
    }

    fn open(&self) -> Running {
        Engine::open(Config::default(), Arc::clone(&self.log), Arc::clone(&self.store), System)
            .expect("it opens")
    }

    /// How many entries all logs have.
    fn entries(&self) -> u64 {
        (0..16).map(|shard| log::Log::last(self.log.as_ref(), shard)).sum()
    }
}

fn has_streams(engine: &Running, shard: Shard, store: &str) -> bool {
    engine.read(shard, |state, _| machine::stream::settings(state, store).is_some()).unwrap()
}

fn on_the_way(engine: &Running, shard: Shard) -> usize {
    engine.read(shard, |state, _| machine::outbox::targets(state).len()).unwrap()
}

fn key(number: u32) -> Bytes {
    format!("{number:05}").into()
}

/// A payload that is not kept in line.
fn big(number: u32) -> Bytes {
    number.to_le_bytes().repeat(64).into()
}

async fn until(is: impl Fn() -> bool) {
    until_async(|| std::future::ready(is())).await;
}

async fn until_async<F: Future<Output = bool>>(is: impl Fn() -> F) {
    for _ in 0..2_000 {
        if is().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not happen within ten seconds");
}

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

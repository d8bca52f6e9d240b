//! Waiting for items of queues, on a running engine.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use engine::blocks::queue::{Item, Queue, Work};
use engine::store::Memory;
use engine::{Config, Engine, Kind, Outcome, System, WorkConfig};
use machine::queue::{Rate, Settings};
use proptest::prelude::*;

type Running = Engine<log::Memory, Memory>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_is_had_at_once_and_what_comes_is_waited_for() {
    let engine = open();
    let queue = engine.queue("work").unwrap();
    queue.send([Item::new("one"), Item::new("two")]).await.unwrap();
    assert_eq!(payloads(&queue.receive("me", 10, None, Duration::ZERO).await.unwrap()), ["one", "two"]);
    let (got, sent) =
        tokio::join!(queue.receive("me", 10, None, LONG), queue.send([Item::new("three").delay(SHORT)]));
    sent.unwrap();
    assert_eq!(payloads(&got.unwrap()), ["three"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_in_vain_is_told_when_the_time_is_over() {
    let engine = open();
    let queue = engine.queue("work").unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(queue.receive("me", 1, None, SHORT).await.unwrap(), []);
    assert!(begun.elapsed() >= SHORT);
    let odd = queue.receive("me", 0, None, LONG).await.unwrap_err();
    assert_eq!(odd.kind(), Kind::Invalid, "it is not waited for what can never be: {odd}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asked_first_gets_first() {
    for spread in [false, true] {
        let engine = open();
        let queue = engine.queue("work").unwrap();
        queue.define(Settings { spread, ..Settings::default() }).await.unwrap();
        let queue = engine.queue("work").unwrap();
        let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(queue.receive("me", 1, None, LONG))).collect();
        for one in &mut waiting {
            assert!(poll(one).await.is_none(), "there is nothing yet");
        }
        let gone = waiting.remove(7);
        drop(gone);
        for (number, one) in waiting.into_iter().enumerate() {
            queue.send([Item::new(number.to_string())]).await.unwrap();
            assert_eq!(payloads(&one.await.unwrap()), [number.to_string()]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_who_wait_for_one_item_make_few_commands() {
    let engine = open();
    let queue = engine.queue("work").unwrap();
    let mut waiting: Vec<_> = (0..10).map(|_| Box::pin(queue.receive("me", 1, None, LONG))).collect();
    for one in &mut waiting {
        assert!(poll(one).await.is_none());
    }
    let before = last(&engine);
    queue.send([Item::new("one")]).await.unwrap();
    let mut rest = waiting.split_off(1);
    assert_eq!(waiting.pop().unwrap().await.unwrap().len(), 1);
    for one in &mut rest {
        assert!(poll(one).await.is_none());
    }
    assert_eq!(last(&engine) - before, 2, "one that sends it and one that hands it out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rate_holds_back_is_had_when_it_allows() {
    let engine = open();
    let queue = engine.queue("work").unwrap();
    let rate = Some(Rate { count: 1, per_ms: 60, burst: 1 });
    queue.define(Settings { rate, ..Settings::default() }).await.unwrap();
    queue.send((0..4).map(|number| Item::new(number.to_string()))).await.unwrap();
    let begun = std::time::Instant::now();
    for number in 0..4 {
        let got = queue.receive("me", 10, None, LONG).await.unwrap();
        assert_eq!(payloads(&got), [number.to_string()]);
    }
    assert!(begun.elapsed() >= Duration::from_millis(170), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_at_a_pause_or_for_a_key_is_woken_when_it_ends() {
    let engine = open();
    let queue = engine.queue("work").unwrap();
    queue.define(Settings { key_concurrency: 1, ..Settings::default() }).await.unwrap();
    queue.send([Item::new("one").key("same"), Item::new("two").key("same")]).await.unwrap();
    queue.pause().await.unwrap();
    let mut paused = Box::pin(queue.receive("me", 10, None, LONG));
    assert!(poll(&mut paused).await.is_none());
    queue.resume().await.unwrap();
    let one = paused.await.unwrap();
    assert_eq!(payloads(&one), ["one"]);
    let mut blocked = Box::pin(queue.receive("me", 10, None, LONG));
    assert!(poll(&mut blocked).await.is_none());
    queue.acknowledge(&[one[0].receipt]).await.unwrap();
    assert_eq!(payloads(&blocked.await.unwrap()), ["two"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_are_worked_on_so_many_at_a_time_until_they_are_done() {
    let engine = Arc::new(open());
    let queue = engine.queue("work").unwrap();
    let backoff_ms = Some(5);
    queue.define(Settings { spread: true, backoff_ms, ..Settings::default() }).await.unwrap();
    let queue = engine.queue("work").unwrap();
    queue.send((0..60).map(|number| Item::new(number.to_string()).key(number.to_string()))).await.unwrap();
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let handler = {
        let seen = Arc::clone(&seen);
        move |work: Work| {
            let seen = Arc::clone(&seen);
            async move {
                {
                    let mut seen = seen.lock().unwrap();
                    seen.now += 1;
                    seen.most = seen.most.max(seen.now);
                }
                // Longer than its lease, now and then.
                let long = work.key.ends_with('7');
                tokio::time::sleep(Duration::from_millis(if long { 250 } else { 2 })).await;
                let mut seen = seen.lock().unwrap();
                seen.now -= 1;
                *seen.times.entry(work.key.clone()).or_default() += 1;
                match work.key.ends_with('3') && work.attempt == 1 {
                    true => Outcome::Failed { cause: "not yet".to_owned(), delay: None, for_good: false },
                    false => Outcome::Done,
                }
            }
        }
    };
    let config = WorkConfig { concurrency: 4, lease: Some(Duration::from_millis(100)) };
    tokio::select! {
        error = queue.work("me", config, handler) => panic!("it ended: {error}"),
        () = until(|| async { queue.counts().await.unwrap().is_empty() }) => {}
    }
    let Seen { most, times, .. } = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(most, 4);
    for number in 0..60 {
        let wanted = if number % 10 == 3 { 2 } else { 1 };
        assert_eq!(times[&number.to_string()], wanted, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_worked_on_is_given_back_when_the_work_is_stopped() {
    let engine = open();
    let queue = engine.queue("work").unwrap();
    queue.send((0..8).map(|number| Item::new(number.to_string()))).await.unwrap();
    let config = WorkConfig { concurrency: 4, lease: None };
    tokio::select! {
        error = queue.work("me", config, |_| std::future::pending()) => panic!("it ended: {error}"),
        () = until(|| async { queue.counts().await.unwrap().leased == 4 }) => {}
    }
    until(|| async { queue.counts().await.unwrap().leased == 0 }).await;
    let again = queue.receive("me", 10, None, LONG).await.unwrap();
    assert_eq!(again.len(), 8);
    assert!(again.iter().all(|work| work.attempt == 1), "to be stopped is no failure");
}

/// How many are worked on now, how many were at most at a time, and how often each was.
#[derive(Default)]
struct Seen {
    now: usize,
    most: usize,
    times: BTreeMap<String, u32>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever futures are dropped at whatever moment: an item is with one at a time, none is lost, and no attempt is
    /// counted where nobody has had it.
    #[test]
    fn whoever_stops_waiting_loses_nothing(
        spread in any::<bool>(),
        patience in prop::collection::vec(prop::collection::vec((0..2_000_u64, 1..8_u32, any::<bool>()), 1..40), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(waiters_come_and_go(spread, patience));
    }
}

async fn waiters_come_and_go(spread: bool, patience: Vec<Vec<(u64, u32, bool)>>) {
    let engine = Arc::new(open());
    let queue = engine.queue("work").unwrap();
    queue.define(Settings { spread, ..Settings::default() }).await.unwrap();
    let held: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let done: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let mut waiters = Vec::new();
    for turns in patience {
        let (engine, held, done) = (Arc::clone(&engine), Arc::clone(&held), Arc::clone(&done));
        waiters.push(tokio::spawn(async move {
            let queue = engine.queue("work").unwrap();
            for (micros, max, keeps) in turns {
                let receive = queue.receive("me", max, Some(LONG * 60), LONG);
                let Ok(got) = tokio::time::timeout(Duration::from_micros(micros), receive).await else {
                    continue;
                };
                settle(&queue, got.unwrap(), keeps, &held, &done).await;
            }
        }));
    }
    for number in 0..ITEMS {
        let outcome = queue.send([Item::new(number.to_string()).key(number.to_string())]).await.unwrap();
        assert!(outcome[0].is_ok());
    }
    for waiter in waiters {
        waiter.await.expect("no waiter panics");
    }
    let queue = engine.queue("work").unwrap();
    while done.lock().unwrap().len() < ITEMS {
        let got = queue.receive("me", 100, None, LONG).await.unwrap();
        assert!(!got.is_empty(), "items are lost: {:?}", queue.counts().await);
        settle(&queue, got, true, &held, &done).await;
    }
    assert!(queue.counts().await.unwrap().is_empty());
}

async fn settle(
    queue: &Queue<'_, log::Memory, Memory>,
    got: Vec<Work>,
    keeps: bool,
    held: &Mutex<BTreeSet<String>>,
    done: &Mutex<BTreeSet<String>>,
) {
    for work in &got {
        assert_eq!(work.attempt, 1);
        assert!(held.lock().unwrap().insert(work.key.clone()), "{} is with two", work.key);
    }
    tokio::task::yield_now().await;
    let receipts: Vec<_> = got.iter().map(|work| work.receipt).collect();
    for work in &got {
        held.lock().unwrap().remove(&work.key);
        if keeps {
            assert!(done.lock().unwrap().insert(work.key.clone()), "{} is done twice", work.key);
        }
    }
    if receipts.is_empty() {
        return;
    }
    let fenced = match keeps {
        true => queue.acknowledge(&receipts).await,
        false => queue.release(&receipts).await,
    };
    assert_eq!(fenced.unwrap(), []);
}

fn open() -> Running {
    let (log, store) = (Arc::new(log::Memory::new()), Arc::new(Memory::default()));
    Engine::open(Config::default(), log, store, System).expect("it opens")
}

/// Looks at a future once.
async fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

async fn until<F: Future<Output = bool>>(is: impl Fn() -> F) {
    for _ in 0..2_000 {
        if is().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not happen within ten seconds");
}

/// How many entries all logs have.
fn last(engine: &Running) -> u64 {
    engine.shards().all().map(|shard| log::Log::last(engine.log(), shard.0)).sum()
}

fn payloads(works: &[Work]) -> Vec<String> {
    works.iter().map(|work| String::from_utf8(work.payload.to_vec()).expect("it is text")).collect()
}

const ITEMS: usize = 60;
const SHORT: Duration = Duration::from_millis(50);
/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

//! What happens to items.

use machine::queue::{
    Acknowledge, Available, Cancel, Filter, LEASE_ITEMS_MAX, Nack, Pause, Purge, Reason, Receipt, Redrive,
    Resume, SendItem, Settings, Standing, Which, available,
};
use machine::{Code, Effect, queue};

use crate::shop::{QUEUE, Shop, ids, receipts};

fn settings() -> Settings {
    Settings::default()
}

#[test]
fn what_is_sent_is_received_and_gone_once_acknowledged() {
    let mut shop = Shop::new();
    let sent = shop.send_plain(3);
    assert_eq!(sent, [1, 2, 3]);
    assert!(matches!(shop.world.effects[..], [Effect::Wake(_)]));
    let works = shop.receive(10);
    assert_eq!(ids(&works), sent);
    assert_eq!(works[0].attempt, 1);
    assert_eq!(works[0].body.len(), 500);
    assert_eq!(shop.receive(10), []);
    assert_eq!((shop.counts().ready, shop.counts().leased), (0, 3));
    assert_eq!(shop.acknowledge(&receipts(&works)).expect("acknowledged").fenced, []);
    assert!(shop.counts().is_empty());
    shop.assert_clean();
}

#[test]
fn a_batch_larger_than_a_lease_is_settled_one_by_one_or_together() {
    let mut shop = Shop::new();
    let count = LEASE_ITEMS_MAX * 2 + 5;
    shop.try_send(vec![SendItem::default(); count]).expect("sent");
    let works = shop.receive(1000);
    assert_eq!(works.len(), count);
    for work in works.iter().step_by(2) {
        shop.acknowledge(&[work.receipt]).expect("one");
    }
    let rest: Vec<Receipt> = works.iter().skip(1).step_by(2).map(|work| work.receipt).collect();
    shop.acknowledge(&rest).expect("the rest");
    shop.assert_clean();
    shop.advance(60_000);
    assert!(shop.counts().is_empty());
}

#[test]
fn the_highest_priority_comes_first_then_what_was_ready_first() {
    let mut shop = Shop::new();
    let with = |priority, delay_ms| SendItem { priority: Some(priority), delay_ms, ..SendItem::default() };
    let late = shop.send(with(9, 500));
    let low = shop.send(with(0, 0));
    let usual = shop.send(SendItem::default());
    let soon = shop.send(with(5, 100));
    let urgent = shop.send(with(5, 50));
    shop.advance(200);
    assert_eq!(shop.peek(Which::Ready), [urgent, soon, usual, low]);
    assert_eq!(shop.peek(Which::Delayed), [late]);
    assert_eq!(ids(&shop.receive(10)), [urgent, soon, usual, low]);
}

#[test]
fn a_delay_ends_at_its_time_and_not_before() {
    let mut shop = Shop::new();
    let at_ms = shop.world.now().after(5_000).as_millis();
    let delayed = shop.send(SendItem { delay_ms: 3_000, ..SendItem::default() });
    let scheduled = shop.send(SendItem { at_ms, ..SendItem::default() });
    let past = shop.send(SendItem { at_ms: 1, ..SendItem::default() });
    assert_eq!(ids(&shop.receive(10)), [past]);
    shop.advance(2_999);
    assert_eq!(shop.receive(10), []);
    shop.advance(1);
    assert!(matches!(shop.world.effects[..], [Effect::Wake(_)]), "who waits is woken");
    assert_eq!(ids(&shop.receive(10)), [delayed]);
    shop.advance(1_999);
    assert_eq!(shop.receive(10), []);
    shop.advance(1);
    assert_eq!(ids(&shop.receive(10)), [scheduled]);
}

#[test]
fn a_lease_that_runs_out_is_a_failed_attempt_and_its_receipt_is_fenced() {
    let mut shop = Shop::new();
    let id = shop.send(SendItem::default());
    let first = shop.receive_one();
    shop.advance(29_999);
    assert!(matches!(shop.standing(id), Some(Standing::Leased { .. })));
    shop.advance(1);
    assert!(matches!(shop.standing(id), Some(Standing::Delayed(_))));
    shop.advance(1_000);
    let second = shop.receive_one();
    assert_eq!(second.attempt, 2);
    for refused in [
        shop.acknowledge(&[first.receipt]).err(),
        shop.nack(first.receipt, "late", None).err(),
        shop.extend(first.receipt, 1_000).err(),
    ] {
        assert_eq!(refused.expect("refused").code(), Code::Fenced);
    }
    shop.acknowledge(&[second.receipt]).expect("the holder's is good");
    assert_eq!(shop.acknowledge(&[second.receipt]).expect_err("once only").code(), Code::Fenced);
    shop.assert_clean();
}

#[test]
fn an_acknowledgement_counts_until_the_item_is_taken_back() {
    let mut shop = Shop::new();
    shop.send_plain(2);
    let works = shop.receive(2);
    shop.world.sleep(60_000);
    shop.acknowledge(&[works[0].receipt]).expect("late, and nobody else has it");
    shop.advance(0);
    assert_eq!(shop.acknowledge(&[works[1].receipt]).expect_err("taken back").code(), Code::Fenced);
    assert_eq!(shop.counts().len(), 1);
}

#[test]
fn a_late_nack_or_extension_counts_until_the_item_is_taken_back() {
    let mut shop = Shop::new();
    shop.send_plain(3);
    let works = shop.receive(3);
    shop.world.sleep(60_000);
    shop.nack(works[0].receipt, "late", None).expect("nobody else has it");
    shop.extend(works[1].receipt, 10_000).expect("nobody else has begun");
    shop.advance(0);
    let causes =
        |id| shop.get(id).expect("an item").history.failures.into_iter().map(|failure| failure.cause);
    assert!(causes(works[0].receipt.item).eq(["late"]));
    assert!(matches!(shop.standing(works[1].receipt.item), Some(Standing::Leased { .. })));
    assert!(causes(works[2].receipt.item).eq([""]), "the lease has run out");
    for taken in [works[0].receipt, works[2].receipt] {
        assert_eq!(shop.extend(taken, 10_000).expect_err("taken back").code(), Code::Fenced);
    }
    shop.advance(10_000);
    assert_eq!(shop.counts().leased, 0);
}

#[test]
fn among_many_receipts_the_fenced_ones_are_named_and_the_others_settled() {
    let mut shop = Shop::new();
    shop.send_plain(3);
    let works = shop.receive(3);
    shop.acknowledge(&[works[1].receipt]).expect("acknowledged");
    let all = Acknowledge { queue: QUEUE.into(), receipts: receipts(&works), all: true };
    assert_eq!(shop.settle(all.clone()).expect_err("all or none").code(), Code::Fenced);
    assert_eq!(shop.counts().leased, 2);
    let settled = shop.settle(Acknowledge { all: false, ..all }).expect("two of them");
    assert_eq!(settled.fenced, [works[1].receipt]);
    assert_eq!(shop.counts().leased, 0);
}

#[test]
fn an_extended_lease_lasts_longer_and_the_others_of_its_batch_do_not() {
    let mut shop = Shop::new();
    shop.send_plain(2);
    let works = shop.receive(2);
    shop.advance(20_000);
    shop.extend(works[0].receipt, 60_000).expect("extended");
    shop.advance(10_000);
    assert_eq!((shop.counts().leased, shop.counts().delayed), (1, 1));
    shop.advance(49_999);
    assert!(matches!(shop.standing(works[0].receipt.item), Some(Standing::Leased { .. })));
    shop.advance(1);
    assert!(!matches!(shop.standing(works[0].receipt.item), Some(Standing::Leased { .. })));
}

#[test]
fn a_lease_can_be_made_shorter() {
    let mut shop = Shop::new();
    shop.send_plain(1);
    let work = shop.receive_one();
    shop.extend(work.receipt, 100).expect("shortened");
    shop.advance(100);
    assert_eq!(shop.counts().leased, 0);
}

#[test]
fn failures_are_backed_off_from_and_then_dead_with_their_history() {
    let settings = Settings { attempts_max: 4, backoff_ms: Some(100), backoff_ms_max: 250, ..settings() };
    let mut shop = Shop::with(settings);
    let id = shop.send(SendItem::default());
    for (attempt, wait) in [(1, 100), (2, 200), (3, 250)] {
        let work = shop.receive_one();
        assert_eq!(work.attempt, attempt);
        shop.nack(work.receipt, &format!("broken {attempt}"), None).expect("nacked");
        shop.advance(wait - 1);
        assert_eq!(shop.receive(1), [], "attempt {attempt}");
        shop.advance(1);
    }
    let last = shop.receive_one();
    shop.nack(last.receipt, "broken for good", None).expect("nacked");
    let peeked = shop.get(id).expect("a dead letter");
    let Standing::Dead(dead) = peeked.standing else { panic!("{:?}", peeked.standing) };
    assert_eq!((dead.attempts, dead.reason(), dead.cause.as_str()), (4, Reason::Nacked, "broken for good"));
    let causes: Vec<&str> = peeked.history.failures.iter().map(|failure| failure.cause.as_str()).collect();
    assert_eq!(causes, ["broken 1", "broken 2", "broken 3", "broken for good"]);
    assert_eq!(peeked.history.failures[0].consumer, "ada");
    assert_eq!(shop.peek(Which::Dead), [id]);
    assert_eq!(shop.counts().dead, 1);
}

#[test]
fn what_failed_for_good_is_dead_at_once() {
    let mut shop = Shop::new();
    let id = shop.send(SendItem::default());
    let receipts = vec![shop.receive_one().receipt];
    let cause = "no such order".to_owned();
    shop.settle(Nack { queue: QUEUE.into(), receipts, cause, for_good: true, ..Nack::default() })
        .expect("nacked");
    let Some(Standing::Dead(dead)) = shop.standing(id) else { panic!("{:?}", shop.standing(id)) };
    assert_eq!((dead.attempts, dead.reason(), dead.cause.as_str()), (1, Reason::Nacked, "no such order"));
}

#[test]
fn an_item_remembers_its_last_failures_only() {
    let mut shop = Shop::with(Settings { attempts_max: 100, backoff_ms: Some(0), ..settings() });
    let id = shop.send(SendItem::default());
    for _ in 0..queue::FAILURES_MAX + 3 {
        let work = shop.receive_one();
        shop.nack(work.receipt, "", None).expect("nacked");
    }
    let failures = shop.get(id).expect("ready").history.failures;
    assert_eq!(failures.len(), queue::FAILURES_MAX);
    assert_eq!(failures[0].attempt, 4);
}

#[test]
fn without_dead_letters_a_failed_item_is_gone() {
    let mut shop = Shop::with(Settings { attempts_max: 1, dead_letters: Some(false), ..settings() });
    shop.send(SendItem::default());
    let work = shop.receive_one();
    shop.nack(work.receipt, "", None).expect("nacked");
    assert!(shop.counts().is_empty());
    shop.assert_clean();
}

#[test]
fn a_delay_of_the_consumers_own_stands_for_the_backoff() {
    let mut shop = Shop::new();
    shop.send(SendItem::default());
    let work = shop.receive_one();
    shop.nack(work.receipt, "", Some(0)).expect("nacked");
    let work = shop.receive_one();
    shop.nack(work.receipt, "", Some(7_000)).expect("nacked");
    shop.advance(6_999);
    assert_eq!(shop.receive(1), []);
    shop.advance(1);
    assert_eq!(shop.receive_one().attempt, 3);
}

#[test]
fn what_was_not_begun_is_back_in_its_place_and_no_attempt() {
    let mut shop = Shop::new();
    let sent = shop.send_plain(2);
    let works = shop.receive(2);
    let back = Nack { queue: QUEUE.into(), receipts: receipts(&works), not_begun: true, ..Nack::default() };
    shop.settle(back).expect("given back");
    let again = shop.receive(2);
    assert_eq!(ids(&again), sent);
    assert_eq!(again[0].attempt, 1);
}

#[test]
fn what_was_sent_before_is_not_sent_again_within_the_window() {
    let mut shop = Shop::with(Settings { dedup_window_ms: Some(1_000), ..settings() });
    let with = |id: &str| SendItem { dedup_id: id.into(), ..SendItem::default() };
    let sent = shop.try_send(vec![with("a"), with("b"), with("a")]).expect("sent");
    assert_eq!((sent.items, sent.duplicates), (vec![1, 2, 1], vec![2]));
    shop.advance(999);
    let works = shop.receive(10);
    shop.acknowledge(&receipts(&works)).expect("acknowledged");
    let sent = shop.try_send(vec![with("b"), with("c")]).expect("sent");
    assert_eq!((sent.items, sent.duplicates), (vec![2, 3], vec![0]), "done, and still known");
    shop.advance(1);
    assert_eq!(shop.try_send(vec![with("b")]).expect("sent").items, [4]);
}

#[test]
fn without_a_window_nothing_is_a_duplicate() {
    let mut shop = Shop::with(Settings { dedup_window_ms: Some(0), ..settings() });
    let item = SendItem { dedup_id: "a".into(), ..SendItem::default() };
    assert_eq!(shop.try_send(vec![item.clone(), item]).expect("sent").items, [1, 2]);
}

#[test]
fn what_is_too_old_is_not_handed_out() {
    let mut shop = Shop::new();
    let old = SendItem { ttl_ms: 1_000, ..SendItem::default() };
    shop.send(old.clone());
    shop.send(SendItem { delay_ms: 2_000, ..old.clone() });
    shop.advance(999);
    assert_eq!(shop.counts().ready, 1);
    shop.advance(1);
    assert!(shop.counts().is_empty());
    shop.assert_clean();
    shop.send(old);
    shop.world.sleep(5_000);
    assert_eq!(shop.receive(1), [], "even if nobody came to fire the timer");
    shop.assert_clean();
}

#[test]
fn what_somebody_works_on_does_not_expire_unless_it_fails() {
    let mut shop = Shop::with(Settings { dead_letters_expired: true, ..settings() });
    let old = SendItem { ttl_ms: 1_000, ..SendItem::default() };
    shop.send(old.clone());
    let id = shop.send(old);
    let works = shop.receive(2);
    shop.advance(2_000);
    assert_eq!(shop.counts().leased, 2);
    shop.acknowledge(&[works[0].receipt]).expect("in time");
    shop.nack(works[1].receipt, "no", None).expect("nacked");
    let Some(Standing::Dead(dead)) = shop.standing(id) else { panic!("it is a dead letter") };
    assert_eq!(dead.reason(), Reason::Expired);
}

#[test]
fn a_cancelled_item_is_gone_and_one_that_somebody_has_is_not() {
    let mut shop = Shop::new();
    let taken = shop.send(SendItem::default());
    shop.receive_one();
    let ready = shop.send(SendItem::default());
    let delayed = shop.send(SendItem { delay_ms: 1_000, ..SendItem::default() });
    let cancel = Cancel { queue: QUEUE.into(), items: vec![taken, ready, delayed, 99] };
    let Ok(Some(queue::Answer::Cancelled(cancelled))) = shop.run(cancel) else { panic!("cancelled") };
    assert_eq!((cancelled.not_waiting, cancelled.not_found), (vec![taken], vec![99]));
    assert_eq!((shop.counts().len(), shop.counts().leased), (1, 1));
    shop.advance(1_000);
    assert_eq!(shop.counts().ready, 0);
}

#[test]
fn a_paused_queue_hands_nothing_out_and_takes_everything_in() {
    let mut shop = Shop::new();
    shop.run(Pause { queue: QUEUE.into() }).expect("paused");
    shop.send_plain(1);
    assert_eq!(shop.receive(1), []);
    assert_eq!(available(&shop.world.state, QUEUE, shop.world.now()), Available::WhenWoken);
    shop.run(Resume { queue: QUEUE.into() }).expect("resumed");
    assert!(matches!(shop.world.effects[..], [Effect::Wake(_)]));
    assert_eq!(shop.receive(1).len(), 1);
}

#[test]
fn no_more_are_leased_than_the_queue_allows() {
    let mut shop = Shop::with(Settings { concurrency: 2, ..settings() });
    shop.send_plain(4);
    let works = shop.receive(10);
    assert_eq!(works.len(), 2);
    assert_eq!(shop.receive(10), []);
    assert_eq!(available(&shop.world.state, QUEUE, shop.world.now()), Available::WhenWoken);
    shop.acknowledge(&[works[0].receipt]).expect("acknowledged");
    assert!(matches!(shop.world.effects[..], [Effect::Wake(_)]), "there is room");
    assert_eq!(shop.receive(10).len(), 1);
}

#[test]
fn no_more_are_handed_out_than_the_rate_allows() {
    let rate = queue::Rate { count: 10, per_ms: 1_000, burst: 3 };
    let mut shop = Shop::with(Settings { rate: Some(rate), ..settings() });
    shop.send_plain(10);
    let received = shop.receive_all(10);
    assert_eq!(received.items.len(), 3);
    let at = shop.world.now().after(100);
    assert_eq!(received.look_again_ms, at.as_millis());
    assert_eq!(available(&shop.world.state, QUEUE, shop.world.now()), Available::At(at));
    shop.advance(99);
    assert_eq!(shop.receive(10).len(), 0);
    shop.advance(1);
    assert_eq!(shop.receive(10).len(), 1);
}

#[test]
fn a_faster_rate_holds_at_once() {
    let rate = |count, per_ms, burst| Some(queue::Rate { count, per_ms, burst });
    let mut shop = Shop::with(Settings { rate: rate(1, 86_400_000, 10), ..settings() });
    shop.send_plain(12);
    assert_eq!(shop.receive(20).len(), 10);
    shop.define(Settings { rate: rate(1, 100, 1), ..settings() });
    shop.advance(100);
    assert_eq!(shop.receive(20).len(), 1);
    shop.advance(100);
    assert_eq!(shop.receive(20).len(), 1);
}

#[test]
fn queues_are_listed_by_name() {
    let mut shop = Shop::new();
    for name in ["a", "ab", "b"] {
        shop.run(queue::Send { queue: name.into(), items: vec![SendItem::default(); 2] }).expect("sent");
    }
    shop.define(settings());
    let listed = |after, max| {
        let found = queue::queues(&shop.world.state, after, max).into_iter();
        found.map(|(name, counts)| format!("{name} {}", counts.ready)).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 10), ["a 2", "ab 2", "b 2", "mail 0"]);
    assert_eq!(listed(None, 2), ["a 2", "ab 2"]);
    assert_eq!(listed(Some("a"), 2), ["ab 2", "b 2"]);
}

#[test]
fn a_full_queue_takes_all_of_a_batch_or_nothing() {
    let mut shop = Shop::with(Settings { length_max: 3, ..settings() });
    shop.send_plain(2);
    let two = vec![SendItem::default(); 2];
    assert_eq!(shop.try_send(two).expect_err("full").code(), Code::Limit);
    assert_eq!(shop.counts().len(), 2);
    shop.send_plain(1);
}

/// Three dead letters: two of key `a`, one of key `b`.
fn morgue() -> Shop {
    let mut shop = Shop::with(Settings { attempts_max: 1, ..settings() });
    for key in ["a", "b", "a"] {
        shop.send(SendItem { key: key.into(), ..SendItem::default() });
    }
    for work in shop.receive(3) {
        shop.nack(work.receipt, &format!("key {}", work.key), None).expect("nacked");
    }
    assert_eq!(shop.counts().dead, 3);
    shop
}

fn redrive(shop: &mut Shop, redrive: Redrive) -> queue::Redriven {
    let redrive = Redrive { queue: QUEUE.into(), ..redrive };
    match shop.run(redrive).expect("redriven") {
        Some(queue::Answer::Redriven(redriven)) => redriven,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dry_run_says_what_would_be_put_back_and_does_nothing() {
    let mut shop = morgue();
    let filter = Filter { cause: "key a".into(), ..Filter::default() };
    let found = redrive(&mut shop, Redrive { dry_run: true, filter: Some(filter), ..Redrive::default() });
    assert_eq!((found.matching, found.first, found.more), (2, vec![1, 3], false));
    shop.advance(10_000);
    assert_eq!(shop.counts().dead, 3);
}

#[test]
fn redriven_items_are_tried_anew_with_their_history() {
    let mut shop = morgue();
    let filter = Filter { key: "a".into(), ..Filter::default() };
    redrive(&mut shop, Redrive { filter: Some(filter), ..Redrive::default() });
    shop.advance(0);
    let works = shop.receive(10);
    assert_eq!(ids(&works), [1, 3]);
    assert_eq!(works[0].attempt, 1);
    assert_eq!(shop.get(1).expect("leased").history.failures.len(), 1);
    shop.acknowledge(&receipts(&works)).expect("acknowledged");
    assert_eq!((shop.counts().len(), shop.counts().dead), (1, 1));
}

#[test]
fn a_redrive_keeps_to_its_rate_and_its_number() {
    let mut shop = Shop::with(Settings { attempts_max: 1, ..settings() });
    shop.send_plain(10);
    for work in shop.receive(10) {
        shop.nack(work.receipt, "", None).expect("nacked");
    }
    redrive(&mut shop, Redrive { rate: 2, max: 5, ..Redrive::default() });
    let mut back = Vec::new();
    for _ in 0..5 {
        shop.advance(0);
        back.push(shop.counts().ready);
        shop.advance(1_000);
    }
    assert_eq!(back, [2, 4, 5, 5, 5]);
}

#[test]
fn what_dies_again_during_a_redrive_is_not_redriven_by_it() {
    let mut shop = morgue();
    redrive(&mut shop, Redrive { rate: 1, ..Redrive::default() });
    for _ in 0..10 {
        shop.advance(1_000);
        for work in shop.receive(10) {
            shop.nack(work.receipt, "again", None).expect("nacked");
        }
    }
    assert_eq!(shop.counts().dead, 3);
    assert!((1..=3).all(|id| shop.get(id).expect("dead").history.failures.len() == 2));
}

#[test]
fn a_purge_takes_what_was_there_and_leaves_what_somebody_has() {
    let mut shop = morgue();
    let works = {
        shop.try_send(vec![SendItem::default(); 700]).expect("sent");
        shop.receive(1)
    };
    shop.send(SendItem { delay_ms: 60_000, ttl_ms: 90_000, ..SendItem::default() });
    shop.run(Purge { queue: QUEUE.into(), waiting: true, dead: false }).expect("purging");
    let later = shop.send(SendItem::default());
    shop.advance(0);
    let counts = shop.counts();
    assert_eq!((counts.ready, counts.delayed, counts.leased, counts.dead), (1, 0, 1, 3));
    assert_eq!(shop.peek(Which::Ready), [later]);
    assert_eq!(shop.peek(Which::Leased), ids(&works));
    shop.run(Purge { queue: QUEUE.into(), waiting: false, dead: true }).expect("purging");
    shop.advance(0);
    assert_eq!((shop.counts().len(), shop.counts().dead), (2, 0));
}

#[test]
fn a_thousand_items_that_come_due_together_all_come() {
    let mut shop = Shop::new();
    shop.try_send(vec![SendItem { delay_ms: 1_000, ..SendItem::default() }; 1_000]).expect("sent");
    shop.advance(1_000);
    assert_eq!(shop.counts().ready, 1_000);
}

#[test]
fn malformed_commands_are_refused_before_they_are_in_the_log() {
    let mut shop = Shop::new();
    let item = SendItem::default;
    for bad in [
        vec![],
        vec![item(); queue::SEND_ITEMS_MAX + 1],
        vec![SendItem { priority: Some(10), ..item() }],
        vec![SendItem { delay_ms: 1, at_ms: 1, ..item() }],
        vec![SendItem { delay_ms: queue::DELAY_MS_MAX + 1, ..item() }],
        vec![SendItem { key: "a\0".into(), ..item() }],
        vec![SendItem { dedup_id: "x".repeat(queue::DEDUP_ID_BYTES_MAX + 1), ..item() }],
    ] {
        assert_eq!(shop.try_send(bad).expect_err("malformed").code(), Code::Invalid);
    }
    let rate = Some(queue::Rate { count: 0, per_ms: 1, burst: 1 });
    let define = queue::Define { queue: QUEUE.into(), settings: Settings { rate, ..settings() } };
    assert_eq!(shop.run(define).expect_err("no rate").code(), Code::Invalid);
    assert_eq!(shop.acknowledge(&[]).expect_err("no receipts").code(), Code::Invalid);
    assert_eq!(shop.world.sequence(), 0);
}

#[test]
fn a_queue_that_is_spread_stays_so() {
    let spread = || Settings { spread: true, ..settings() };
    let mut shop = Shop::with(Settings { concurrency: 1, ..settings() });
    shop.define(spread());
    shop.define(Settings { key_concurrency: 1, ..spread() });
    let define = |settings| queue::Define { queue: QUEUE.into(), settings };
    assert_eq!(shop.run(define(settings())).expect_err("it has items elsewhere").code(), Code::Conflict);
    for limited in [
        Settings { concurrency: 1, ..spread() },
        Settings { rate: Some(queue::Rate { count: 1, per_ms: 1, burst: 1 }), ..spread() },
    ] {
        assert_eq!(shop.run(define(limited)).expect_err("of which shard?").code(), Code::Invalid);
    }
}

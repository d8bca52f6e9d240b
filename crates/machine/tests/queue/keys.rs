//! Limits of keys.

use machine::Table;
use machine::queue::{Cancel, Rate, SendItem, Settings, Which};

use crate::shop::{QUEUE, Shop, ids, receipts};
use crate::world::table;

fn of(key: &str) -> SendItem {
    SendItem { key: key.into(), ..SendItem::default() }
}

fn one_at_a_time() -> Shop {
    Shop::with(Settings { key_concurrency: 1, ..Settings::default() })
}

#[test]
fn a_key_at_its_limit_does_not_hold_up_the_others() {
    let mut shop = one_at_a_time();
    for _ in 0..3 {
        shop.send(of("a"));
    }
    let other = shop.send(of("b"));
    let free = shop.send(SendItem::default());
    let works = shop.receive(10);
    assert_eq!(ids(&works), [1, other, free]);
    assert_eq!(shop.peek(Which::Blocked), [2, 3]);
    assert_eq!((shop.counts().ready, shop.counts().blocked), (0, 2));
    shop.acknowledge(&receipts(&works)).expect("acknowledged");
    assert_eq!(ids(&shop.receive(10)), [2]);
}

#[test]
fn what_stood_aside_comes_before_what_came_later() {
    let mut shop = one_at_a_time();
    shop.send(of("a"));
    shop.send(of("a"));
    let mut works = shop.receive(10);
    shop.send(of("a"));
    for next in [2, 3] {
        shop.acknowledge(&receipts(&works)).expect("acknowledged");
        works = shop.receive(10);
        assert_eq!(ids(&works), [next]);
    }
}

#[test]
fn whatever_ends_a_lease_makes_room_for_its_key() {
    let mut shop = one_at_a_time();
    for _ in 0..4 {
        shop.send(of("a"));
    }
    let first = shop.receive(10);
    shop.advance(30_000);
    let second = shop.receive(10);
    assert_eq!((ids(&first), ids(&second)), (vec![1], vec![2]), "it ran out");
    shop.nack(second[0].receipt, "", Some(60_000)).expect("nacked");
    let third = shop.receive(10);
    assert_eq!(ids(&third), [3], "it was given back");
    shop.acknowledge(&receipts(&third)).expect("done");
    // It is the first's turn: its delay has long ended when that of its lease has.
    shop.advance(1_000);
    assert_eq!(ids(&shop.receive(10)).len(), 1);
}

#[test]
fn an_item_that_is_taken_back_leaves_its_place_to_the_next_of_its_key() {
    let mut shop = one_at_a_time();
    for _ in 0..3 {
        shop.send(of("a"));
    }
    let works = shop.receive(10);
    shop.acknowledge(&receipts(&works)).expect("acknowledged");
    shop.run(Cancel { queue: QUEUE.into(), items: vec![2] }).expect("cancelled");
    assert_eq!(ids(&shop.receive(10)), [3]);
}

#[test]
fn a_blocked_item_can_be_taken_back_and_can_expire() {
    let mut shop = one_at_a_time();
    shop.send(of("a"));
    shop.send(of("a"));
    shop.send(SendItem { ttl_ms: 1_000, ..of("a") });
    let works = shop.receive(10);
    shop.run(Cancel { queue: QUEUE.into(), items: vec![2] }).expect("cancelled");
    shop.advance(1_000);
    assert_eq!(shop.counts().len(), 1);
    shop.acknowledge(&receipts(&works)).expect("acknowledged");
    shop.assert_clean();
}

#[test]
fn a_rate_of_a_key_holds_its_items_back_and_no_others() {
    let key_rate = Some(Rate { count: 1, per_ms: 100, burst: 2 });
    let mut shop = Shop::with(Settings { key_rate, ..Settings::default() });
    for _ in 0..5 {
        shop.send(of("a"));
    }
    shop.send(of("b"));
    let works = shop.receive(10);
    assert_eq!(ids(&works), [1, 2, 6]);
    shop.acknowledge(&receipts(&works)).expect("acknowledged");
    let mut handed_out = Vec::new();
    for _ in 0..50 {
        shop.advance(10);
        let works = shop.receive(10);
        handed_out.push(works.len());
        if !works.is_empty() {
            shop.acknowledge(&receipts(&works)).expect("acknowledged");
        }
    }
    let at: Vec<usize> = (0..50).filter(|tick| handed_out[*tick] > 0).collect();
    assert_eq!(at, [9, 19, 29], "one in 100 ms");
    shop.advance(1_000);
    assert_eq!(table(&shop.world.state, Table::QueueKey), [], "keys are forgotten");
}

#[test]
fn limits_that_are_lifted_let_all_go_that_stood_aside() {
    let mut shop = one_at_a_time();
    shop.try_send((0..600).map(|_| of("a")).collect()).expect("sent");
    let first = shop.receive(1_000);
    assert_eq!((first.len(), shop.counts().ready > 0), (1, true), "no more are moved at once than a bound");
    while shop.counts().ready > 0 {
        shop.receive(1_000);
    }
    assert_eq!(shop.counts().blocked, 599);
    shop.define(Settings::default());
    shop.advance(0);
    assert_eq!(shop.counts().ready, 599);
    let rest = shop.receive(1_000);
    assert_eq!(rest.len(), 599);
    shop.acknowledge(&receipts(&rest)).expect("acknowledged");
    shop.acknowledge(&receipts(&first)).expect("acknowledged");
    shop.assert_clean();
}

#[test]
fn a_faster_rate_of_keys_holds_at_once() {
    let rate = |count, per_ms, burst| Some(Rate { count, per_ms, burst });
    let mut shop = Shop::with(Settings { key_rate: rate(1, 86_400_000, 10), ..Settings::default() });
    for _ in 0..12 {
        shop.send(of("a"));
    }
    assert_eq!(shop.receive(20).len(), 10);
    shop.define(Settings { key_rate: rate(1, 100, 1), ..Settings::default() });
    shop.advance(0);
    for _ in 0..2 {
        assert_eq!(shop.receive(20).len(), 0);
        shop.advance(100);
        assert_eq!(shop.receive(20).len(), 1);
    }
}

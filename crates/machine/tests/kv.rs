//! Stories of key-value state.

mod world;

use bytes::Bytes;
use machine::body::Stored;
use machine::command::Answer;
use machine::kv::{self, Bulk, Delete, Item, Operation, Page, Placement, Put, Reply, Transact, Value};
use machine::{Code, Command, Entry, Memory, Refusal, Shards, Table};
use prost::Message;
use world::{World, table};

#[test]
fn what_is_put_is_there_until_it_is_deleted() {
    let mut world = World::new();
    let reply = world.kv(put("cart"), &[b"apples"]).unwrap();
    assert_eq!((reply.etag, reply.existed), (1, false));
    assert_eq!(world.value("cart"), Some(b"apples".to_vec()));
    assert!(world.kv(put("cart"), &[b"pears"]).unwrap().existed);
    assert_eq!(world.value("cart"), Some(b"pears".to_vec()));
    assert!(world.kv(delete("cart"), &[]).unwrap().existed);
    assert!(!world.kv(delete("cart"), &[]).unwrap().existed);
    assert_eq!(world.value("cart"), None);
    world.check(pointers);
}

#[test]
fn the_same_key_in_two_scopes_is_two_items() {
    let mut world = World::new();
    let of = |scope: &str| Put { scope: scope.to_owned(), ..put("k") };
    for scope in ["", "a", "ab"] {
        world.kv(of(scope), &[scope.as_bytes()]).unwrap();
    }
    for scope in ["", "a", "ab"] {
        let item = kv::get(&world.state, "shop", scope, b"k", world.now()).unwrap();
        assert_eq!(world.body(&item.value), scope.as_bytes());
        let listing =
            kv::list(&world.state, "shop", scope, &Page { max: 10, ..Page::default() }, world.now());
        assert_eq!(listing.items.len(), 1, "a listing stays in its scope");
    }
}

#[test]
fn stores_and_scopes_are_found_and_counted() {
    let mut world = World::new();
    for (store, scope, key) in
        [("shop", "web", "a"), ("shop", "web", "b"), ("shop", "", "a"), ("carts", "x", "a")]
    {
        world.kv(Put { store: store.into(), scope: scope.into(), ..put(key) }, &[b"1"]).unwrap();
    }
    world.kv(Put { ttl_ms: 10, ..put("late") }, &[b"1"]).unwrap();
    assert_eq!(kv::stores(&world.state, None, 10), ["carts", "shop"]);
    assert_eq!(kv::stores(&world.state, Some("carts"), 10), ["shop"]);
    assert_eq!(kv::stores(&world.state, None, 1), ["carts"]);
    assert_eq!(kv::scopes(&world.state, "shop", "", None, 10), ["", "web"]);
    assert_eq!(kv::scopes(&world.state, "shop", "", Some(""), 10), ["web"]);
    assert_eq!(kv::scopes(&world.state, "shop", "we", None, 10), ["web"]);
    assert!(kv::scopes(&world.state, "shop", "we", Some("web"), 10).is_empty());
    let count = |world: &World, max| kv::count(&world.state, "shop", "web", max, world.now());
    assert_eq!(count(&world, 3), (3, true));
    assert_eq!(count(&world, 2), (2, false), "no more are looked at");
    world.sleep(10);
    assert_eq!(count(&world, 3), (2, true), "what has expired is not there");
}

#[test]
fn the_first_write_wins_where_an_etag_is_named() {
    let mut world = World::new();
    let etag = world.kv(put("k"), &[b"1"]).unwrap().etag;
    world.kv(Put { etag: Some(etag), ..put("k") }, &[b"2"]).unwrap();
    let late = world.kv(Put { etag: Some(etag), ..put("k") }, &[b"3"]);
    assert_eq!(code(late), Code::Conflict);
    assert_eq!(code(world.kv(Delete { etag: Some(etag), ..delete("k") }, &[])), Code::Conflict);
    assert_eq!(world.value("k"), Some(b"2".to_vec()));
}

#[test]
fn zero_as_an_etag_only_inserts() {
    let mut world = World::new();
    let insert = Put { etag: Some(0), ..put("k") };
    world.kv(insert.clone(), &[b"1"]).unwrap();
    assert_eq!(code(world.kv(insert.clone(), &[b"2"])), Code::Conflict);
    world.kv(delete("k"), &[]).unwrap();
    world.kv(insert, &[b"3"]).unwrap();
}

#[test]
fn an_etag_never_comes_back() {
    let mut world = World::new();
    let old = world.kv(put("k"), &[b"1"]).unwrap().etag;
    world.kv(delete("k"), &[]).unwrap();
    assert_eq!(code(world.kv(Put { etag: Some(old), ..put("k") }, &[b"2"])), Code::Conflict);
    world.kv(put("k"), &[b"1"]).unwrap();
    assert_eq!(code(world.kv(Put { etag: Some(old), ..put("k") }, &[b"2"])), Code::Conflict);
}

#[test]
fn an_expired_item_is_gone_before_its_timer_fired() {
    let mut world = World::new();
    let mortal = Put { ttl_ms: 100, ..put("k") };
    let etag = world.kv(mortal, &[&[7; 1000]]).unwrap().etag;
    world.sleep(99);
    assert!(world.value("k").is_some());
    world.sleep(1);
    assert!(world.value("k").is_none());
    assert_eq!(code(world.kv(Put { etag: Some(etag), ..put("k") }, &[b""])), Code::Conflict);
    assert!(!world.kv(Put { etag: Some(0), ..put("k") }, &[b"new"]).unwrap().existed);
    world.advance(1000);
    assert_eq!(world.value("k"), Some(b"new".to_vec()), "the old item's timer has taken the new one");
    assert!(table(&world.state, Table::Timer).is_empty());
    world.check(pointers);
}

#[test]
fn a_timer_clears_up_what_has_expired() {
    let mut world = World::new();
    world.kv(Put { ttl_ms: 100, ..put("k") }, &[&[7; 1000]]).unwrap();
    world.advance(100);
    assert!(table(&world.state, Table::KvItem).is_empty());
    assert!(table(&world.state, Table::Timer).is_empty());
    world.check(pointers);
}

#[test]
fn an_item_that_is_refreshed_keeps_its_timer_and_lives_on() {
    let mut world = World::new();
    for _ in 0..10 {
        world.kv(Put { ttl_ms: 100, ..put("k") }, &[b"session"]).unwrap();
        let timers = table(&world.state, Table::Timer);
        assert_eq!(timers.len(), 1, "one timer, however often it is refreshed");
        world.advance(50);
    }
    assert!(world.value("k").is_some());
    world.advance(50);
    assert!(world.value("k").is_none());
    assert!(table(&world.state, Table::Timer).is_empty());
    world.check(pointers);
}

#[test]
fn a_shorter_life_and_one_without_end_move_the_timer() {
    let mut world = World::new();
    world.kv(Put { ttl_ms: 1000, ..put("k") }, &[b""]).unwrap();
    world.kv(Put { ttl_ms: 10, ..put("k") }, &[b""]).unwrap();
    world.advance(10);
    assert!(table(&world.state, Table::KvItem).is_empty());
    world.kv(Put { ttl_ms: 10, ..put("k") }, &[b""]).unwrap();
    world.kv(put("k"), &[b""]).unwrap();
    assert!(table(&world.state, Table::Timer).is_empty());
    world.advance(10);
    assert!(world.value("k").is_some());
}

#[test]
fn a_transaction_does_all_or_nothing() {
    let mut world = World::new();
    world.kv(put("stock"), &[b"5"]).unwrap();
    let order = |etag| {
        transact(vec![
            Operation::put("order", 0),
            Operation::put("stock", 1).only_if(etag),
            Operation::delete("cart"),
        ])
    };
    world.kv(put("cart"), &[b"apples"]).unwrap();
    assert_eq!(code(world.kv(order(7), &[b"apples", b"4"])), Code::Conflict);
    assert_eq!(world.value("order"), None);
    let reply = world.kv(order(1), &[b"apples", b"4"]).unwrap();
    let etag = |key: &[u8]| kv::get(&world.state, "shop", "web", key, world.now()).unwrap().etag;
    assert_eq!([etag(b"order"), etag(b"stock")], [reply.etag; 2]);
    assert_eq!(world.value("cart"), None);
    world.check(pointers);
}

#[test]
fn a_transaction_whose_payload_is_missing_writes_nothing() {
    let mut world = World::new();
    let order = transact(vec![Operation::put("a", 0), Operation::put("b", 1)]);
    assert_eq!(code(world.kv(order, &[b"alone"])), Code::Invalid);
    assert_eq!(world.value("a"), None);
}

#[test]
fn a_transaction_relies_on_what_it_only_looks_at() {
    let mut world = World::new();
    let price = world.kv(put("price"), &[b"10"]).unwrap().etag;
    let buy = transact(vec![Operation::check("price", price), Operation::put("order", 0)]);
    world.kv(buy.clone(), &[b"at 10"]).unwrap();
    world.kv(put("price"), &[b"11"]).unwrap();
    assert_eq!(code(world.kv(buy, &[b"at 10"])), Code::Conflict);
}

#[test]
fn an_operation_of_a_transaction_sees_those_before_it() {
    let mut world = World::new();
    let twice = transact(vec![
        Operation::put("k", 0).only_if(0),
        Operation::delete("k"),
        Operation::put("k", 1).only_if(0),
    ]);
    world.kv(twice, &[&[1; 500], &[2; 500]]).unwrap();
    assert_eq!(world.value("k"), Some(vec![2; 500]));
    let gone = transact(vec![Operation::delete("k"), Operation::delete("k").only_if(1)]);
    assert_eq!(code(world.kv(gone, &[])), Code::Conflict);
    let none = transact(vec![Operation::put("k", 0), Operation::delete("k")]);
    world.kv(none, &[&[3; 500]]).unwrap();
    assert_eq!(world.value("k"), None);
    world.check(pointers);
}

#[test]
fn what_a_bulk_cannot_do_leaves_the_rest_be() {
    let mut world = World::new();
    world.kv(put("a"), &[b"old"]).unwrap();
    let mortal = Value { body: 2, ttl_ms: 5 };
    let operations = vec![
        Operation::put("a", 0).only_if(99),
        Operation::put("b", 1),
        Operation { action: Some(kv::Action::Put(mortal)), ..Operation::delete("c") },
        Operation::put("d", 9),
        Operation::delete("a"),
    ];
    let bulk = Bulk { store: "shop".into(), scope: "web".into(), operations };
    let reply = world.kv(bulk, &[b"A", b"B", b"C"]).unwrap();
    let failed: Vec<_> = reply.failed.iter().map(|failed| (failed.index, failed.refusal.code())).collect();
    assert_eq!(failed, [(0, Code::Conflict), (3, Code::Invalid)]);
    let values = ["a", "b", "c", "d"].map(|key| world.value(key));
    assert_eq!(values, [None, Some(b"B".to_vec()), Some(b"C".to_vec()), None]);
    world.advance(5);
    assert_eq!(world.value("c"), None);
    world.check(pointers);
}

#[test]
fn a_listing_goes_page_by_page_while_items_come_and_go() {
    let mut world = World::new();
    for number in 0..10 {
        world.kv(put(&format!("order/{number}")), &[b""]).unwrap();
    }
    world.kv(put("other"), &[b""]).unwrap();
    let mut page = Page { prefix: "order/".into(), after: None, max: 4 };
    let mut seen = Vec::new();
    loop {
        let listing = kv::list(&world.state, "shop", "web", &page, world.now());
        seen.extend(listing.items.into_iter().map(|(key, _)| String::from_utf8(key.to_vec()).unwrap()));
        if listing.next.is_none() {
            break;
        }
        page.after = listing.next;
        world.kv(delete(seen.last().unwrap()), &[]).unwrap();
        world.kv(put("order/00"), &[b""]).unwrap();
    }
    let wanted: Vec<String> = (0..10).map(|number| format!("order/{number}")).collect();
    assert_eq!(seen, wanted);
}

#[test]
fn keys_of_any_bytes_are_listed() {
    let mut world = World::new();
    let keys: [&[u8]; 5] = [b"", b"\0", b"\0\xff", b"\xff", b"\xff\xff"];
    for key in keys {
        world.kv(Put { key: Bytes::from_static(key), ..put("") }, &[b""]).unwrap();
    }
    let list = |prefix: &'static [u8], after: Option<&'static [u8]>| -> Vec<Bytes> {
        let page = Page { prefix: prefix.into(), after: after.map(Bytes::from_static), max: 10 };
        let listing = kv::list(&world.state, "shop", "web", &page, world.now());
        listing.items.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(list(b"", None), keys);
    assert_eq!(list(b"\xff", None), keys[3..]);
    assert_eq!(list(b"\xff", Some(b"\xff")), keys[4..]);
    assert_eq!(list(b"\xff", Some(b"\0")), keys[3..]);
}

#[test]
fn a_page_ends_in_time_where_much_has_expired() {
    let mut world = World::new();
    for from in (0..kv::PAGE_VISITED_MAX + 10).step_by(500) {
        let mortal = |number: usize| Operation {
            action: Some(kv::Action::Put(Value { body: 0, ttl_ms: 1 })),
            ..Operation::delete(format!("{number:06}"))
        };
        world.kv(transact((from..from + 500).map(mortal).collect()), &[b""]).unwrap();
    }
    world.kv(put("last"), &[b""]).unwrap();
    world.sleep(1);
    let mut page = Page { max: 10, ..Page::default() };
    let first = kv::list(&world.state, "shop", "web", &page, world.now());
    assert!(first.items.is_empty());
    page.after = first.next;
    let second = kv::list(&world.state, "shop", "web", &page, world.now());
    assert_eq!((second.items.len(), second.next), (1, None));
}

#[test]
fn what_is_malformed_does_not_get_in() {
    let mut world = World::new();
    let key = Bytes::from(vec![b'k'; 1025]);
    let bad = [
        Put { store: String::new(), ..put("k") },
        Put { scope: "a\0b".into(), ..put("k") },
        Put { key, ..put("k") },
        Put { value: 1, ..put("k") },
    ];
    for put in bad {
        assert_eq!(code(world.kv(put, &[b""])), Code::Invalid);
    }
    let many = (0..=kv::OPERATIONS_MAX).map(|_| Operation::delete("k")).collect();
    assert_eq!(code(world.kv(transact(many), &[])), Code::Invalid);
    let empty = transact(vec![Operation { action: None, ..Operation::delete("k") }]);
    assert_eq!(code(world.kv(empty, &[])), Code::Invalid);
}

#[test]
fn a_scope_is_in_one_shard_unless_the_store_places_by_key() {
    let shards = Shards::new(16).unwrap();
    let keys: Vec<Vec<u8>> = (0..100u8).map(|key| vec![key]).collect();
    let all = || keys.iter().map(Vec::as_slice);
    let one = Placement::Scope.shard(shards, "shop", "web", b"any");
    assert_eq!(Placement::Scope.shard_of_all(shards, "shop", "web", all()), Some(one));
    assert_eq!(Placement::Key.shard_of_all(shards, "shop", "web", all()), None);
    let alone = Placement::Key.shard(shards, "shop", "web", b"k");
    assert_eq!(Placement::Key.shard_of_all(shards, "shop", "web", [&b"k"[..], b"k"]), Some(alone));
    let mut spread: Vec<_> = all().map(|key| Placement::Key.shard(shards, "shop", "web", key)).collect();
    spread.sort();
    spread.dedup();
    assert_eq!(spread.len(), 16);
}

trait Kv {
    fn kv(&mut self, command: impl Into<Command>, bodies: &[&[u8]]) -> Result<Reply, Refusal>;
    fn value(&self, key: &str) -> Option<Vec<u8>>;
}

impl Kv for World {
    fn kv(&mut self, command: impl Into<Command>, bodies: &[&[u8]]) -> Result<Reply, Refusal> {
        let entry = Entry::new(command);
        let entry = bodies.iter().fold(entry, |entry, body| entry.with_body(body.to_vec()));
        match self.run(entry)?.answer {
            Some(Answer::Kv(reply)) => Ok(reply),
            other => panic!("answered {other:?}"),
        }
    }

    fn value(&self, key: &str) -> Option<Vec<u8>> {
        let item = kv::get(&self.state, "shop", "web", key.as_bytes(), self.now())?;
        Some(self.body(&item.value).to_vec())
    }
}

fn put(key: &str) -> Put {
    let key = Bytes::copy_from_slice(key.as_bytes());
    Put { store: "shop".into(), scope: "web".into(), key, ..Put::default() }
}

fn delete(key: &str) -> Delete {
    let key = Bytes::copy_from_slice(key.as_bytes());
    Delete { store: "shop".into(), scope: "web".into(), key, etag: None }
}

fn transact(operations: Vec<Operation>) -> Transact {
    Transact { store: "shop".into(), scope: "web".into(), operations }
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Refusal>) -> Code {
    outcome.expect_err("it was to be refused").code()
}

fn pointers(state: &Memory) -> Vec<Stored> {
    let items = table(state, Table::KvItem).into_iter();
    items.map(|(_, value)| Item::decode(value).expect("an item").value).collect()
}

#[test]
fn how_items_are_placed_is_settled_before_there_are_some() {
    let mut world = World::new();
    let spread = |spread| kv::Define { store: "shop".to_owned(), changes: None, spread };
    world.kv(put("k"), &[b"1"]).unwrap();
    assert_eq!(code(world.kv(spread(true), &[])), Code::Conflict);
    world.kv(delete("k"), &[]).unwrap();
    world.kv(spread(true), &[]).unwrap();
    assert_eq!(code(world.kv(spread(false), &[])), Code::Conflict);
    let changes = Some(machine::changes::Keep::default());
    world.kv(kv::Define { changes, ..spread(true) }, &[]).unwrap();
    assert!(kv::definition(&world.state, "shop").spread);
    world.kv(spread(true), &[]).unwrap();
    assert!(kv::changes(&world.state, "shop", 0, 1).is_err(), "it keeps none any more");
    world.check(pointers);
}

//! Stories of requests that come again.

mod world;

use machine::command::Answer;
use machine::idempotency::Idempotency;
use machine::kv::{self, Action, Define, Operation, Put, Transact, Value};
use machine::limits::{KEY_BYTES_MAX, TIMERS_MAX};
use machine::outbox::Send;
use machine::{Code, Entry, Key, Refusal, Reply, Shard, State, Table};
use world::{SHARD, World, table};

#[test]
fn a_request_that_comes_again_gets_the_same_reply_and_is_done_once() {
    let mut world = World::new();
    let first = world.run(request("r1", put("k"))).unwrap();
    world.run(Entry::new(put("k")).with_body("v")).unwrap();
    let again = world.run(request("r1", put("k")).with_body("v")).unwrap();
    assert_eq!(again, first);
    assert_eq!(kv_reply(first).etag, 1);
    let item = kv::get(&world.state, "shop", "", b"k", world.now()).unwrap();
    assert_eq!(item.etag, 2, "it was done again");
    world.check(|_| Vec::new());
}

#[test]
fn a_refusal_is_remembered_too() {
    let mut world = World::new();
    let only_new = Put { etag: Some(9), ..put("k") };
    let first = world.run(request("r1", only_new.clone())).unwrap_err();
    assert_eq!(first.code(), Code::Conflict);
    let elsewhere = Put { etag: Some(0), ..put("k") };
    world.run(Entry::new(elsewhere).with_body("v")).unwrap();
    assert_eq!(world.run(request("r1", only_new)).unwrap_err(), first);
}

#[test]
fn what_was_refused_only_at_present_may_be_taken_later() {
    let mut world = World::new();
    let mortal = |key: &'static str| {
        let action = Some(Action::Put(Value { body: 0, ttl_ms: 10 }));
        Operation { action, ..Operation::delete(key) }
    };
    let two =
        Transact { store: "shop".into(), operations: vec![mortal("a"), mortal("b")], ..Transact::default() };
    // There is room for the timer of the reply, but not for those of both items.
    set_timers(&mut world, TIMERS_MAX - 1);
    assert_eq!(world.run(request("r1", two.clone())).unwrap_err().code(), Code::Limit);
    assert!(table(&world.state, Table::Idempotency).is_empty());
    set_timers(&mut world, 0);
    world.run(request("r1", two)).unwrap();
}

#[test]
fn another_request_under_the_same_key_is_a_mistake() {
    let mut world = World::new();
    world.run(request("r1", put("k"))).unwrap();
    let mut other = request("r1", put("other"));
    other.idempotency.as_mut().unwrap().fingerprint += 1;
    assert_eq!(world.run(other).unwrap_err().code(), Code::Reused);
    assert!(kv::get(&world.state, "shop", "", b"other", world.now()).is_none());
}

#[test]
fn the_same_key_of_two_scopes_is_of_two_requests() {
    let mut world = World::new();
    for (scope, etag) in [("a", 1), ("b", 2), ("", 3)] {
        let mut entry = request("r1", put("k"));
        entry.idempotency.as_mut().unwrap().scope = scope.to_owned();
        assert_eq!(kv_reply(world.run(entry).unwrap()).etag, etag);
    }
}

#[test]
fn a_reply_is_forgotten_after_its_time_and_not_before() {
    let mut world = World::new();
    world.run(request("r1", put("k"))).unwrap();
    world.advance(REMEMBER_MS - 1);
    assert_eq!(kv_reply(world.run(request("r1", put("k"))).unwrap()).etag, 1);
    world.advance(1);
    assert!(table(&world.state, Table::Idempotency).is_empty());
    assert!(table(&world.state, Table::Timer).is_empty());
    assert!(kv_reply(world.run(request("r1", put("k"))).unwrap()).etag > 1);
    world.check(|_| Vec::new());
}

#[test]
fn what_is_sent_with_a_request_is_sent_once() {
    let mut world = World::new();
    let with_sends = || {
        let mut entry = request("r1", put("k"));
        let there = Send { bodies: vec![0], ..Send::new(Shard(SHARD.0 + 1), put("there")) };
        let here = Send { bodies: vec![0], ..Send::new(SHARD, put("here")) };
        entry.sends = vec![there, here];
        entry
    };
    for _ in 0..3 {
        world.run(with_sends()).unwrap();
    }
    assert_eq!(table(&world.state, Table::Outbox).len(), 1);
    assert_eq!(kv::get(&world.state, "shop", "", b"here", world.now()).unwrap().etag, 1);
}

#[test]
fn where_there_is_no_room_for_a_timer_the_request_is_not_begun() {
    let mut world = World::new();
    set_timers(&mut world, TIMERS_MAX);
    assert_eq!(world.run(request("r1", put("k"))).unwrap_err().code(), Code::Limit);
    assert!(kv::get(&world.state, "shop", "", b"k", world.now()).is_none());
}

#[test]
fn what_is_malformed_does_not_get_in() {
    let mut world = World::new();
    let wrong: [fn(&mut Idempotency); 4] = [
        |it| it.scope = "a\0b".into(),
        |it| it.key = "k".repeat(KEY_BYTES_MAX + 1),
        |it| it.key = String::new(),
        |it| it.remember_ms = 0,
    ];
    for wrong in wrong {
        let mut entry = request("r1", put("k"));
        wrong(entry.idempotency.as_mut().unwrap());
        assert_eq!(world.run(entry).unwrap_err().code(), Code::Invalid);
    }
    let malformed: Result<_, Refusal> = world.run(request("r1", Define::default()));
    assert_eq!(malformed.unwrap_err().code(), Code::Invalid);
    assert_eq!(world.sequence(), 0, "it is in the log");
}

fn request(key: &str, command: impl Into<machine::Command>) -> Entry {
    let idempotency =
        Idempotency { scope: "web".into(), key: key.into(), fingerprint: 7, remember_ms: REMEMBER_MS };
    Entry { idempotency: Some(idempotency), ..Entry::new(command).with_body("v") }
}

fn put(key: &str) -> Put {
    Put { store: "shop".into(), key: key.to_owned().into(), ..Put::default() }
}

fn kv_reply(reply: Reply) -> kv::Reply {
    match reply.answer {
        Some(Answer::Kv(reply)) => reply,
        other => panic!("answered {other:?}"),
    }
}

/// As if there were so many.
fn set_timers(world: &mut World, count: u64) {
    let key = Key::new(Table::Shard).name("timers");
    world.state.put(key, count.to_be_bytes().to_vec().into());
}

const REMEMBER_MS: u64 = 1000;

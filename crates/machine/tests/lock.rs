//! Stories of locks.

mod world;

use std::collections::BTreeMap;

use machine::command::Answer;
use machine::lock::{self, Extend, Reply, TryLock, Unlock};
use machine::outbox::Send;
use machine::{Code, Command, Effect, Entry, Refusal, Shards, Table};
use proptest::prelude::*;
use world::{SHARD, World, table};

#[test]
fn a_lock_has_one_holder() {
    let mut world = World::new();
    let first = world.lock(try_lock("a", 100)).unwrap();
    assert!(first.held);
    let second = world.lock(try_lock("b", 100)).unwrap();
    assert_eq!((second.held, second.token, second.expires_ms), (false, 0, first.expires_ms));
    assert!(!world.lock(try_lock("a", 100)).unwrap().held, "not even who holds it gets it again");
    world.lock(unlock("a")).unwrap();
    assert!(world.lock(try_lock("b", 100)).unwrap().held);
    world.check(|_| Vec::new());
}

#[test]
fn a_lease_has_ended_before_its_timer_fired() {
    let mut world = World::new();
    let first = world.lock(try_lock("a", 100)).unwrap();
    world.sleep(99);
    assert!(!world.lock(try_lock("b", 100)).unwrap().held);
    world.sleep(1);
    assert_eq!(lock::get(&world.state, "shop", "web", "till", world.now()), None);
    assert_eq!(code(world.lock(extend("a", 100))), Code::NotFound);
    assert_eq!(code(world.lock(unlock("a"))), Code::NotFound);
    let second = world.lock(try_lock("b", 100)).unwrap();
    assert!(second.held && second.token > first.token);
    world.advance(99);
    assert!(
        lock::get(&world.state, "shop", "web", "till", world.now()).is_some(),
        "the old timer ended the new lease"
    );
    world.advance(1);
    assert!(world.is_empty());
}

#[test]
fn tokens_grow_across_release_expiry_and_oblivion() {
    let mut world = World::new();
    let mut last = 0;
    for round in 0..6 {
        let token = world.lock(try_lock("a", 10)).unwrap().token;
        assert!(token > last, "round {round}: {token} after {last}");
        last = token;
        match round % 3 {
            0 => drop(world.lock(unlock("a")).unwrap()),
            1 => world.advance(10),
            _ => world.sleep(10),
        }
    }
    world.advance(10);
    assert!(world.is_empty(), "a lock that is free costs nothing");
}

#[test]
fn a_lock_is_granted_once_in_an_entry() {
    let mut world = World::new();
    let own = |command: Command| Send::new(SHARD, command);
    let mut entry = Entry::new(try_lock("a", 10));
    entry.sends = vec![own(unlock("a").into()), own(try_lock("b", 10).into())];
    world.run(entry).unwrap();
    assert_eq!(lock::get(&world.state, "shop", "web", "till", world.now()), None);
    assert!(world.lock(try_lock("c", 10)).unwrap().held);
    world.advance(10);
    assert!(world.is_empty());
}

#[test]
fn extending_moves_the_end_but_not_the_timer() {
    let mut world = World::new();
    let token = world.lock(try_lock("a", 100)).unwrap().token;
    for _ in 0..5 {
        world.advance(60);
        let reply = world.lock(extend("a", 100)).unwrap();
        assert_eq!((reply.token, reply.expires_ms), (token, world.now().after(100).as_millis()));
        assert_eq!(table(&world.state, Table::Timer).len(), 1);
    }
    world.lock(extend("a", 5)).unwrap();
    world.advance(5);
    assert!(world.is_empty(), "it can also be cut short");
}

#[test]
fn who_does_not_hold_a_lock_is_told_why() {
    let mut world = World::new();
    assert_eq!(code(world.lock(unlock("a"))), Code::NotFound);
    let old = world.lock(try_lock("a", 10)).unwrap().token;
    assert_eq!(code(world.lock(unlock("b"))), Code::Fenced);
    assert_eq!(code(world.lock(extend("b", 10))), Code::Fenced);
    world.advance(10);
    let new = world.lock(try_lock("a", 10)).unwrap().token;
    assert_eq!(code(world.lock(Unlock { token: Some(old), ..unlock("a") })), Code::Fenced);
    assert_eq!(code(world.lock(Extend { token: Some(old), ..extend("a", 10) })), Code::Fenced);
    world.lock(Unlock { token: Some(new), ..unlock("a") }).unwrap();
}

#[test]
fn who_waits_is_woken_when_a_lock_comes_free() {
    let mut world = World::new();
    let woken = [Effect::Wake(lock::channel("shop", "web", "till"))];
    world.lock(try_lock("a", 10)).unwrap();
    assert!(world.effects.is_empty());
    world.lock(unlock("a")).unwrap();
    assert_eq!(world.effects, woken);
    world.lock(try_lock("b", 10)).unwrap();
    world.advance(10);
    assert_eq!(world.effects, woken);
}

#[test]
fn locks_are_listed_by_name_in_their_scope() {
    let mut world = World::new();
    for name in ["c", "a", "b"] {
        world.lock(TryLock { name: name.into(), ..try_lock("me", 10) }).unwrap();
    }
    world.lock(TryLock { scope: "other".into(), ..try_lock("me", 10) }).unwrap();
    let names = |after: &str, max| -> Vec<String> {
        let locks = lock::list(&world.state, "shop", "web", after, max, world.now());
        locks.into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names("", 10), ["a", "b", "c"]);
    assert_eq!(names("a", 1), ["b"]);
    let held = |world: &World, max| -> Vec<String> {
        let held = lock::held(&world.state, max, world.now()).into_iter();
        held.map(|(place, lease)| format!("{}/{}/{} {}", place.store, place.scope, place.name, lease.owner))
            .collect()
    };
    assert_eq!(held(&world, 2), ["shop/other/till me", "shop/web/a me"]);
    assert_eq!(held(&world, 10).len(), 4);
    world.sleep(10);
    assert_eq!(held(&world, 10), Vec::<String>::new());
    assert!(lock::list(&world.state, "shop", "web", "", 10, world.now()).is_empty());
}

#[test]
fn what_is_malformed_does_not_get_in() {
    let mut world = World::new();
    let long = "n".repeat(256);
    let bad = [
        try_lock("a", 0),
        try_lock("", 10),
        try_lock(&long, 10),
        TryLock { name: String::new(), ..try_lock("a", 10) },
        TryLock { store: "a\0b".into(), ..try_lock("a", 10) },
    ];
    for command in bad {
        assert_eq!(code(world.lock(command)), Code::Invalid);
    }
}

#[test]
fn locks_of_a_service_are_spread() {
    let shards = Shards::new(16).unwrap();
    let mut spread: Vec<_> =
        (0..200).map(|number| lock::shard(shards, "shop", "web", &number.to_string())).collect();
    spread.sort();
    spread.dedup();
    assert_eq!(spread.len(), 16);
}

#[derive(Clone, Debug)]
enum Step {
    Try { owner: usize, ttl_ms: u64 },
    Unlock { owner: usize },
    Extend { owner: usize, ttl_ms: u64 },
    Advance(u64),
    Sleep(u64),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// The model: who holds each lock, by which token, until when.
    #[test]
    fn a_model_agrees_who_holds_what(steps in prop::collection::vec((0..2usize, step()), 1..80)) {
        let mut world = World::new();
        let mut held: BTreeMap<usize, (usize, u64, u64)> = BTreeMap::new();
        let mut last_token = [0; 2];
        for (at, step) in steps {
            held.retain(|_, (_, _, expires)| world.now().as_millis() < *expires);
            let name = ["till", "door"][at].to_owned();
            let now = world.now();
            match step {
                Step::Try { owner, ttl_ms } => {
                    let reply = world.lock(TryLock { name, ..try_lock(OWNERS[owner], ttl_ms) }).unwrap();
                    prop_assert_eq!(reply.held, !held.contains_key(&at));
                    if reply.held {
                        prop_assert!(reply.token > last_token[at]);
                        last_token[at] = reply.token;
                        held.insert(at, (owner, reply.token, now.after(ttl_ms).as_millis()));
                    }
                }
                Step::Unlock { owner } => {
                    let outcome = world.lock(Unlock { name, ..unlock(OWNERS[owner]) });
                    match held.get(&at) {
                        None => prop_assert_eq!(code(outcome), Code::NotFound),
                        Some((holder, ..)) if *holder != owner => prop_assert_eq!(code(outcome), Code::Fenced),
                        Some(_) => {
                            outcome.unwrap();
                            held.remove(&at);
                        }
                    }
                }
                Step::Extend { owner, ttl_ms } => {
                    let outcome = world.lock(Extend { name, ..extend(OWNERS[owner], ttl_ms) });
                    match held.get_mut(&at) {
                        None => prop_assert_eq!(code(outcome), Code::NotFound),
                        Some((holder, ..)) if *holder != owner => prop_assert_eq!(code(outcome), Code::Fenced),
                        Some((_, token, expires)) => {
                            *expires = now.after(ttl_ms).as_millis();
                            let reply = outcome.unwrap();
                            prop_assert_eq!((reply.token, reply.expires_ms), (*token, *expires));
                        }
                    }
                }
                Step::Advance(millis) => world.advance(millis),
                Step::Sleep(millis) => world.sleep(millis),
            }
        }
        world.check(|_| Vec::new());
        world.advance(1000);
        prop_assert!(world.is_empty());
    }
}

fn step() -> impl Strategy<Value = Step> {
    let owner = || 0..OWNERS.len();
    prop_oneof![
        3 => (owner(), 1..50u64).prop_map(|(owner, ttl_ms)| Step::Try { owner, ttl_ms }),
        1 => owner().prop_map(|owner| Step::Unlock { owner }),
        2 => (owner(), 1..50u64).prop_map(|(owner, ttl_ms)| Step::Extend { owner, ttl_ms }),
        2 => (0..30u64).prop_map(Step::Advance),
        1 => (0..30u64).prop_map(Step::Sleep),
    ]
}

trait Locks {
    fn lock(&mut self, command: impl Into<Command>) -> Result<Reply, Refusal>;
    fn is_empty(&self) -> bool;
}

impl Locks for World {
    fn lock(&mut self, command: impl Into<Command>) -> Result<Reply, Refusal> {
        match self.run(Entry::new(command))?.answer {
            Some(Answer::Lock(reply)) => Ok(reply),
            other => panic!("answered {other:?}"),
        }
    }

    fn is_empty(&self) -> bool {
        table(&self.state, Table::Lock).is_empty() && table(&self.state, Table::Timer).is_empty()
    }
}

fn try_lock(owner: &str, ttl_ms: u64) -> TryLock {
    let [store, scope, name] = place();
    TryLock { store, scope, name, owner: owner.into(), ttl_ms }
}

fn unlock(owner: &str) -> Unlock {
    let [store, scope, name] = place();
    Unlock { store, scope, name, owner: owner.into(), token: None }
}

fn extend(owner: &str, ttl_ms: u64) -> Extend {
    let [store, scope, name] = place();
    Extend { store, scope, name, owner: owner.into(), token: None, ttl_ms }
}

fn place() -> [String; 3] {
    ["shop".into(), "web".into(), "till".into()]
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Refusal>) -> Code {
    outcome.expect_err("it was to be refused").code()
}

const OWNERS: [&str; 3] = ["a", "b", "c"];

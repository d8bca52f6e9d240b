//! Which instance a request comes to: the same one for the same key, each in turn, few for a newcomer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh::Endpoint;
use mesh::config::{Balance, Call, HashKey};
use policy::{BalanceConfig, SlowStart};

use crate::retries::retries;
use crate::world::{Answer, Server, Wire, World, call, ms};

/// So many servers, each of which answers with a name of its own.
async fn named(names: &[&'static str]) -> Vec<Server> {
    let mut servers = Vec::new();
    for name in names {
        let mut server = Server::fixed("200 OK", name).await;
        server.id = (*name).to_owned();
        servers.push(server);
    }
    servers
}

fn all(servers: &[Server]) -> Vec<&Server> {
    servers.iter().collect()
}

fn by(policy: BalanceConfig, key: Option<HashKey>) -> Call {
    let balance = Balance { policy, key, slow_start: None, zone: None };
    Call { balance, retries: Some(retries()), ..call("shop") }
}

fn header() -> Option<HashKey> {
    Some(HashKey::Header("x-user".into()))
}

async fn of_user(wire: &mut Wire, user: usize) -> String {
    let answer = wire.ask(&format!("GET / HTTP/1.1\r\nHost: shop\r\nX-User: user-{user}\r\n\r\n")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

/// Where each of so many users comes to, over connections of their own and so over both cores.
async fn homes(world: &World, users: usize) -> BTreeMap<usize, String> {
    let mut homes = BTreeMap::new();
    for user in 0..users {
        homes.insert(user, of_user(&mut world.wire().await, user).await);
    }
    homes
}

const HASHING: [BalanceConfig; 2] = [BalanceConfig::Maglev, BalanceConfig::RingHash];

#[tokio::test]
async fn the_same_key_comes_to_the_same_instance_on_every_core() {
    for policy in HASHING {
        let servers = named(&["a", "b", "c"]).await;
        let world = World::with(&all(&servers), by(policy, header())).await;
        let first = homes(&world, 30).await;
        assert_eq!(homes(&world, 30).await, first);
        assert!(servers.iter().all(|server| server.requests() > 4), "{first:?}");
    }
}

#[tokio::test]
async fn an_instance_that_was_started_again_gets_its_keys_back() {
    for policy in HASHING {
        let servers = named(&["a", "b", "c"]).await;
        let world = World::with(&all(&servers), by(policy, header())).await;
        let before = homes(&world, 30).await;
        world.publish("shop", &[&servers[0], &servers[2]]);
        let without = homes(&world, 30).await;
        assert!(without.values().all(|home| home != "b"));
        let moved = |user: &usize| without[user] != before[user];
        // Maglev moves a few more than it must.
        let needless = before.iter().filter(|(user, home)| *home != "b" && moved(user)).count();
        assert!(needless <= if policy == BalanceConfig::Maglev { 3 } else { 0 }, "{before:?} {without:?}");

        let again = named(&["b"]).await.remove(0);
        world.publish("shop", &[&again, &servers[2], &servers[0]]);
        assert_eq!(homes(&world, 30).await, before);
        assert_ne!(again.address, servers[1].address);
    }
}

#[tokio::test]
async fn a_replacement_takes_over_the_keys_of_its_slot_and_no_others() {
    for policy in HASHING {
        let servers = named(&["a", "b", "c", "new"]).await;
        let world = World::with(&all(&servers[..3]), by(policy, header())).await;
        let before = homes(&world, 30).await;
        let moved =
            |(user, home): (&usize, &String)| (*user, if home == "b" { "new" } else { home }.to_owned());
        let after: BTreeMap<usize, String> = before.iter().map(moved).collect();
        let mut endpoints: Vec<Endpoint> = servers.iter().map(Server::endpoint).collect();
        endpoints[3].slot = "b".to_owned();
        // Whichever is listed first.
        for _ in 0..2 {
            world.mesh.publish("shop", &endpoints);
            assert_eq!(homes(&world, 30).await, after);
            endpoints.reverse();
        }
        endpoints.remove(1);
        world.mesh.publish("shop", &endpoints);
        assert_eq!(homes(&world, 30).await, after);
    }
}

#[tokio::test]
async fn keys_of_one_that_fails_go_to_the_next_until_it_is_well() {
    let well = named(&["a", "b", "c"]).await;
    for policy in HASHING {
        let dead = Server::dead().await;
        let world = World::with(&all(&well), by(policy, header())).await;
        let before = homes(&world, 30).await;
        let mut endpoints: Vec<Endpoint> = well.iter().map(Server::endpoint).collect();
        endpoints[1].address = dead.address;
        world.mesh.publish("shop", &endpoints);
        let meanwhile = homes(&world, 30).await;
        assert_eq!(homes(&world, 30).await, meanwhile);
        for (user, home) in &before {
            assert!(if home == "b" { meanwhile[user] != "b" } else { meanwhile[user] == *home });
        }
        assert!(world.status("shop").retries > 0);
        world.publish("shop", &all(&well));
        assert_eq!(homes(&world, 30).await, before);
    }
}

#[tokio::test]
async fn a_client_without_a_cookie_is_given_one_and_comes_back_by_it() {
    let servers = named(&["a", "b", "c", "d"]).await;
    let key = HashKey::Cookie { name: "seat".into(), ttl: Some(Duration::from_secs(3600)) };
    let world = World::with(&all(&servers), by(BalanceConfig::Maglev, Some(key))).await;
    let mut seen = Vec::new();
    for _ in 0..12 {
        let first = world.get("/").await;
        let given = first.header("set-cookie").expect("a cookie").to_owned();
        assert!(given.starts_with("seat=") && given.ends_with("; Max-Age=3600"), "{given}");
        assert!(given.contains("; HttpOnly") && !given.contains("Secure"), "{given}");
        let pair = given.split(';').next().expect("a pair");
        let request = format!("GET / HTTP/1.1\r\nHost: shop\r\nCookie: other=1; {pair}\r\n\r\n");
        let back: Answer = world.ask(&request).await;
        assert_eq!((back.text(), back.header("set-cookie")), (first.text(), None));
        seen.push(first.text());
    }
    seen.sort();
    seen.dedup();
    assert!(seen.len() > 1, "{seen:?}");
}

#[tokio::test]
async fn a_segment_of_the_path_and_the_client_are_keys() {
    let servers = named(&["a", "b", "c"]).await;
    let world = World::with(&all(&servers), by(BalanceConfig::RingHash, Some(HashKey::Segment(1)))).await;
    let mut homes = Vec::new();
    for cart in 0..12 {
        let home = world.get(&format!("/carts/{cart}/items")).await.text();
        assert_eq!(world.get(&format!("/carts/{cart}?x=1")).await.text(), home);
        homes.push(home);
    }
    assert!(homes.iter().any(|home| *home != homes[0]), "{homes:?}");

    let world = World::with(&all(&servers), by(BalanceConfig::Maglev, Some(HashKey::Client))).await;
    let home = world.get("/").await.text();
    for _ in 0..10 {
        assert_eq!(world.get("/").await.text(), home);
    }
}

#[tokio::test]
async fn round_robin_gives_each_its_turn() {
    let servers = named(&["a", "b", "c"]).await;
    let world = World::with(&all(&servers), by(BalanceConfig::RoundRobin, None)).await;
    let mut wire = world.wire().await;
    for _ in 0..10 {
        let mut round =
            [of_user(&mut wire, 1).await, of_user(&mut wire, 1).await, of_user(&mut wire, 1).await];
        round.sort();
        assert_eq!(round, ["a", "b", "c"]);
    }
    assert_eq!(world.status("shop").balance, "round-robin");
}

#[tokio::test]
async fn the_fewest_in_flight_get_the_next() {
    let slow = Server::slow(Duration::from_secs(60), "late").await;
    let quick = Server::fixed("200 OK", "quick").await;
    let least = BalanceConfig::LeastRequest { choices: 40 };
    let world = World::with(&[&slow, &quick], by(least, None)).await;
    // One connection is served by one core.
    let h2 = Arc::new(world.h2().await);
    let mut waiting = tokio::task::JoinSet::new();
    while slow.requests() == 0 {
        let h2 = h2.clone();
        waiting.spawn(async move { h2.get("http://shop/").await });
        tokio::time::sleep(ms(20)).await;
    }
    for _ in 0..20 {
        assert_eq!(h2.get("http://shop/").await.text(), "quick");
    }
}

#[tokio::test]
async fn a_newcomer_gets_few_at_first_and_its_share_in_the_end() {
    let window = ms(1500);
    let slow_start = Some(SlowStart { window, aggression: 1.0, min: 0.05 });
    let balance = Balance { policy: BalanceConfig::RoundRobin, key: None, slow_start, zone: None };
    let servers = named(&["a", "b"]).await;
    let world = World::with(&[&servers[0]], Call { balance, ..call("shop") }).await;
    tokio::time::sleep(window).await;
    world.publish("shop", &all(&servers));
    let mut wire = world.wire().await;
    for user in 0..100 {
        of_user(&mut wire, user).await;
    }
    let new = servers[1].requests();
    assert!((1..40).contains(&new), "{new} of 100");
    tokio::time::sleep(window).await;
    for user in 0..100 {
        of_user(&mut wire, user).await;
    }
    assert_eq!(servers[1].requests() - new, 50);
}

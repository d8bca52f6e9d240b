//! Requests shared by several calls: by weight, by header, and so that a user stays.

use std::collections::BTreeMap;

use mesh::config::{Call, Fallback, HashKey, Part, Protocol, Role, Split};
use mesh::{ApplyError, Asked, Side, preview};
use policy::{BreakerConfig, Gcra};

use crate::world::{Server, World, call, ms};

fn part(weight: u64) -> Part {
    Part { weight, when: Vec::new() }
}

/// The call to `shop`, which shares its requests with `next` by these weights.
fn shared(shop: u64, next: u64) -> Call {
    let other = Call { id: "shop (next)".into(), ..call("next") };
    let split = Split { first: part(shop), others: vec![(part(next), other)], sticky: None };
    Call { split: Some(split), ..call("shop") }
}

fn sticky(shop: u64, next: u64, by: HashKey) -> Call {
    let mut call = shared(shop, next);
    call.split.as_mut().expect("shared").sticky = Some(by);
    call
}

async fn world(call: Call) -> (World, [Server; 2]) {
    let servers = [Server::fixed("200 OK", "shop").await, Server::fixed("200 OK", "next").await];
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.upstream("next", Protocol::Http1, &[]);
    world.route("/**", call);
    let world = world.start(&[&servers[0]]).await;
    world.publish("next", &[&servers[1]]);
    (world, servers)
}

async fn ask(world: &World, headers: &str) -> String {
    world.ask(&format!("GET / HTTP/1.1\r\nHost: shop\r\n{headers}\r\n")).await.text()
}

#[tokio::test]
async fn each_side_gets_its_share_and_counts_it() {
    let (world, servers) = world(shared(80, 20)).await;
    let mut wire = world.wire().await;
    for _ in 0..1000 {
        wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    }
    let next = servers[1].requests();
    assert!((120..280).contains(&next), "200 and six deviations: {next}");
    let (one, two) = (world.status("shop"), world.status("shop (next)"));
    assert_eq!((one.share, two.share), (Some(0.8), Some(0.2)));
    assert_eq!((one.requests + two.requests, two.requests), (1000, next as u64));
}

#[tokio::test]
async fn a_header_sends_a_request_whatever_the_weights() {
    let mut policies = shared(100, 0);
    let split = policies.split.as_mut().expect("shared");
    let beta = |value: &str| ("x-beta".to_owned(), value.to_owned());
    split.others[0].0.when = vec![vec![beta("yes")], vec![beta("maybe"), ("x-day".into(), "monday".into())]];
    let (world, _servers) = world(policies).await;
    for (headers, side) in [
        ("", "shop"),
        ("X-Beta: no\r\n", "shop"),
        ("X-Beta: yes\r\n", "next"),
        ("X-Beta: maybe\r\n", "shop"),
        ("X-Day: monday\r\nX-Beta: maybe\r\n", "next"),
    ] {
        assert_eq!(ask(&world, headers).await, side, "{headers}");
    }
}

#[tokio::test]
async fn who_is_given_a_cookie_stays_and_few_move_when_weights_change() {
    let by = || HashKey::Cookie { name: "side".into(), ttl: Some(ms(0)) };
    let (mut world, _servers) = world(sticky(50, 50, by())).await;
    let mut users = Vec::new();
    for _ in 0..40 {
        let answer = world.get("/").await;
        let given = answer.header("set-cookie").expect("one").to_owned();
        assert!(given.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{given}");
        users.push((given.split(';').next().expect("a value").to_owned(), answer.text()));
    }
    assert!(users.iter().any(|(_, side)| side == "next") && users.iter().any(|(_, side)| side == "shop"));
    for (cookie, side) in &users {
        let answer =
            world.ask(&format!("GET / HTTP/1.1\r\nHost: shop\r\nCookie: a=b; {cookie}\r\n\r\n")).await;
        assert_eq!((&answer.text(), answer.header("set-cookie")), (side, None));
    }
    world.routes()[0].call = sticky(30, 70, by());
    world.apply().await;
    let mut moved = 0;
    for (cookie, side) in &users {
        let now = ask(&world, &format!("Cookie: {cookie}\r\n")).await;
        assert!(side == "shop" || now == "next", "who was there stays there");
        moved += usize::from(now != *side);
    }
    assert!(moved < 25, "20 % of 40 and some: {moved}");
}

#[tokio::test]
async fn a_header_keeps_a_user_on_a_side_and_who_has_none_is_split_by_chance() {
    let (world, _servers) = world(sticky(50, 50, HashKey::Header("x-user".into()))).await;
    for user in 0..10 {
        let header = format!("X-User: {user}\r\n");
        let side = ask(&world, &header).await;
        for _ in 0..5 {
            assert_eq!(ask(&world, &header).await, side);
        }
    }
    let mut sides = BTreeMap::new();
    for _ in 0..60 {
        *sides.entry(ask(&world, "").await).or_insert(0) += 1;
    }
    assert_eq!(sides.len(), 2, "{sides:?}");
}

#[tokio::test]
async fn the_breaker_of_one_side_is_not_that_of_the_other() {
    let (well, ill) = (Server::fixed("200 OK", "well").await, Server::fixed("500 Ill", "").await);
    let breaker = Some(BreakerConfig { failures: 3, ..BreakerConfig::default() });
    let mut policies = Call { breaker, ..shared(50, 50) };
    policies.split.as_mut().expect("shared").others[0].1.breaker = breaker;
    let (world, _) = world(policies).await;
    world.publish("shop", &[&well]);
    world.publish("next", &[&ill]);
    let mut statuses = BTreeMap::new();
    for _ in 0..60 {
        *statuses.entry(world.get("/").await.status).or_insert(0) += 1;
    }
    assert_eq!(statuses[&500], 3, "then it is open: {statuses:?}");
    assert_eq!(world.status("shop").breaker, "closed");
    assert_eq!(world.status("shop (next)").breaker, "open");
    assert_eq!(statuses[&200], world.status("shop").requests);
}

#[tokio::test]
async fn another_weight_drops_nothing_and_forgets_nothing() {
    let (mut world, servers) = world(shared(50, 50)).await;
    let mut wire = world.wire().await;
    for round in 0..10 {
        for _ in 0..10 {
            assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.status, 200);
        }
        world.routes()[0].call = shared(50 - 5 * round, 50 + 5 * round);
        world.apply().await;
    }
    assert_eq!(world.status("shop").requests + world.status("shop (next)").requests, 100);
    assert!(servers.iter().all(|server| server.connections() == 1), "connections go on too");
    // The split ends: the call goes on.
    let before = world.status("shop").requests;
    world.routes()[0].call = call("shop");
    world.apply().await;
    assert_eq!(world.get("/").await.text(), "shop");
    let status = world.status("shop");
    assert_eq!((status.requests, status.share), (before + 1, None));
}

#[tokio::test]
async fn all_sides_have_one_rate_limit() {
    let limit = mesh::config::RateLimit {
        name: "3/h".into(),
        requests: 3,
        per: ms(3_600_000),
        burst: 3,
        gcra: Gcra::new(3, ms(3_600_000), 3),
        key: mesh::config::LimitKey::All,
        shadow: false,
        headers: false,
    };
    let limited = |shop, next| {
        let mut policies = Call { limits: vec![limit.clone()], ..shared(shop, next) };
        policies.split.as_mut().expect("shared").others[0].1.limits = vec![limit.clone()];
        policies
    };
    let (mut world, _servers) = world(limited(50, 50)).await;
    let mut statuses = Vec::new();
    for round in 0..6 {
        statuses.push(world.get("/").await.status);
        world.routes()[0].call = limited(10 * round, 60 - 10 * round);
        world.apply().await;
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429, 429]);
}

#[tokio::test]
async fn a_side_without_an_instance_sends_nobody_to_the_others_but_by_a_fallback() {
    let mut policies = shared(0, 100);
    let (mut world, servers) = world(policies.clone()).await;
    world.publish("next", &[]);
    world.mesh.give_up("next");
    world.get("/").await.problem(503, "no-instance");
    assert_eq!(servers[0].requests(), 0);
    let back = Call { id: "shop (next) (fallback shop)".into(), ..call("shop") };
    let side = &mut policies.split.as_mut().expect("shared").others[0].1;
    side.fallback = Some(Fallback::Call(Box::new(back)));
    world.routes()[0].call = policies;
    world.apply().await;
    assert_eq!(world.get("/").await.text(), "shop");
    assert_eq!(world.status("shop (next)").fallbacks, 1, "and it is counted");
}

#[tokio::test]
async fn a_call_between_services_is_split_on_both_of_its_ways() {
    let (mut world, _servers) = world(call("shop")).await;
    let shared = Call { id: "cart -> shop".into(), ..shared(0, 1) };
    let calls = BTreeMap::from([("shop".to_owned(), shared.clone())]);
    world.listener("one", Role::Call { caller: "cart".into(), call: shared });
    world.listener("all", Role::Sidecar { caller: "cart".into(), calls, known: Vec::new() });
    world.apply().await;
    for listener in ["one", "all"] {
        let address = world.mesh.address(listener).expect("it listens");
        let mut wire = crate::world::Wire::connect(address).await;
        assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.text(), "next");
    }
}

#[tokio::test]
async fn what_cannot_be_split_is_refused() {
    let (mut world, _servers) = world(call("shop")).await;
    let mut twice = shared(1, 1);
    twice.split.as_mut().expect("shared").others[0].1.id = "shop".into();
    let mut nowhere = shared(1, 1);
    nowhere.split.as_mut().expect("shared").others[0].1.upstream = "gone".into();
    for (call, why) in [(shared(0, 0), "no side"), (twice, "two calls"), (nowhere, "no upstream")] {
        world.routes()[0].call = call;
        match world.mesh.apply(world.config.clone()).await {
            Err(ApplyError::Config(text)) => assert!(text.contains(why), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_preview_names_the_side_that_then_answers() {
    let mut policies = sticky(50, 50, HashKey::Header("x-user".into()));
    let split = policies.split.as_mut().expect("shared");
    split.others[0].0.when = vec![vec![("x-beta".to_owned(), "yes".to_owned())]];
    let (mut world, _servers) = world(policies).await;
    let routes = world.routes().clone();
    let look = |headers: &[(&str, &str)]| {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let asked = Asked { method: "GET", target: "/", host: "shop", headers: &headers };
        preview(&routes, &asked).expect("sound").side
    };
    assert_eq!(look(&[]), Some(Side::ByShare));
    assert_eq!(look(&[("x-beta", "yes"), ("x-user", "anna")]), Some(Side::ByHeader(1)));
    let mut seen = [false, false];
    for user in 0..20 {
        let user = user.to_string();
        let Some(Side::ByUser(side)) = look(&[("x-user", &user)]) else { panic!("a user has a side") };
        seen[side] = true;
        assert_eq!(ask(&world, &format!("X-User: {user}\r\n")).await, ["shop", "next"][side]);
    }
    assert_eq!(seen, [true, true]);
}

#[test]
fn who_is_unknown_is_sent_by_the_shares() {
    let ways = [
        HashKey::Client,
        HashKey::Cookie { name: "side".into(), ttl: Some(ms(0)) },
        HashKey::Cookie { name: "side".into(), ttl: None },
    ];
    for by in ways {
        let mut world = World::new();
        world.route("/**", sticky(50, 50, by));
        let asked = Asked { method: "GET", target: "/", host: "shop", headers: &[] };
        let seen = preview(world.routes(), &asked).expect("sound");
        assert_eq!(seen.side, Some(Side::ByShare));
    }
}

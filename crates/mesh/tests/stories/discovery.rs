//! Where an external is, by what a DNS server says that changes its mind, is silent, or says nothing.
//!
//! All of 127.0.0.0/8 is this machine, so a server at one port of several of its addresses is several
//! instances of one name.

use std::net::{Ipv4Addr, SocketAddr};

use mesh::UpstreamStatus;
use mesh::config::{Call, External, Origin, Protocol, Upstream};

use crate::retries::retries;
use crate::world::{Dns, Says, Server, World, call, until};

const HOST: &str = "shop.example";

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 7, last)
}

/// Servers at one port of several addresses, each of which answers with the last part of its address.
async fn fleet<const N: usize>(names: [(u8, &'static str); N]) -> (u16, Vec<Server>) {
    'port: loop {
        let mut servers = Vec::new();
        let mut port = 0;
        for (last, body) in names {
            match Server::at(SocketAddr::from((ip(last), port)), body).await {
                Some(server) => {
                    port = server.address.port();
                    servers.push(server);
                }
                None => continue 'port,
            }
        }
        return (port, servers);
    }
}

fn at(host: &str, port: u16) -> Origin {
    Origin { host: host.to_owned(), port, srv: None }
}

fn service(name: &str) -> Origin {
    Origin { host: HOST.to_owned(), port: 80, srv: Some(name.to_owned()) }
}

/// A gateway before an external that `dns` knows.
async fn before(dns: &Dns, origins: Vec<Origin>) -> World {
    let mut world = World::new();
    let external = External { tls: false, origins, prefix: String::new(), resolver: vec![dns.address] };
    let upstream =
        Upstream { protocol: Protocol::Http1, external: Some(external), concurrency: None, zones: None };
    world.config.upstreams.insert("shop".to_owned(), upstream);
    world.route("/**", Call { retries: Some(retries()), ..call("shop") });
    world.apply().await;
    world
}

fn shop(world: &World) -> UpstreamStatus {
    world.mesh.status().upstreams.remove(0)
}

fn addresses(world: &World) -> Vec<String> {
    shop(world).instances.into_iter().map(|instance| instance.address).collect()
}

/// What so many requests were answered with, once each.
async fn answers(world: &World, count: usize) -> Vec<String> {
    let mut answers = Vec::new();
    for _ in 0..count {
        answers.push(world.get("/").await.text());
    }
    answers.sort();
    answers.dedup();
    answers
}

#[tokio::test]
async fn every_address_of_a_name_is_an_instance_and_a_change_is_followed() {
    let (port, _servers) = fleet([(1, "one"), (2, "two"), (3, "three")]).await;
    let dns = Dns::start();
    dns.say(HOST, Says::At(1, vec![ip(1), ip(2)]));
    let world = before(&dns, vec![at(HOST, port)]).await;
    until("both addresses", || addresses(&world).len() == 2).await;
    assert_eq!(answers(&world, 20).await, ["one", "two"]);

    dns.say(HOST, Says::At(1, vec![ip(3)]));
    until("the new address", || addresses(&world) == [format!("{}:{port}", ip(3))]).await;
    assert_eq!(answers(&world, 5).await, ["three"]);
}

#[tokio::test]
async fn where_one_address_takes_no_connection_the_same_try_goes_to_another() {
    let (port, _servers) = fleet([(1, "one")]).await;
    let dns = Dns::start();
    dns.say(HOST, Says::At(3600, vec![ip(1), ip(2), ip(3)]));
    let mut world = before(&dns, vec![at(HOST, port)]).await;
    world.routes()[0].call = Call { ejection: None, ..call("shop") };
    world.apply().await;
    until("all addresses", || addresses(&world).len() == 3).await;
    assert_eq!(answers(&world, 20).await, ["one"]);
    let status = world.status("shop");
    assert_eq!((status.requests, status.failures, status.retries), (20, 0, 0));
}

#[tokio::test]
async fn an_answer_is_kept_for_as_long_as_it_says() {
    let (port, _servers) = fleet([(1, "one")]).await;
    let dns = Dns::start();
    dns.say(HOST, Says::At(3600, vec![ip(1)]));
    let world = before(&dns, vec![at(HOST, port)]).await;
    until("the address", || addresses(&world).len() == 1).await;
    let asked = dns.asked(HOST);
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert_eq!(dns.asked(HOST), asked);
}

#[tokio::test]
async fn what_was_found_is_kept_while_there_is_no_answer() {
    let failures = [Says::Nothing, Says::Silence, Says::At(1, Vec::new())];
    futures_util::future::join_all(failures.map(kept_over)).await;
}

async fn kept_over(failure: Says) {
    let (port, _servers) = fleet([(1, "one"), (2, "two")]).await;
    let dns = Dns::start();
    dns.say(HOST, Says::At(1, vec![ip(1)]));
    let world = before(&dns, vec![at(HOST, port)]).await;
    until("the address", || addresses(&world).len() == 1).await;
    assert_eq!(shop(&world).trouble, None);

    dns.say(HOST, failure);
    until("the trouble", || shop(&world).trouble.is_some()).await;
    let trouble = shop(&world).trouble.unwrap_or_default();
    assert!(trouble.contains("`shop.example`") && trouble.contains("of before are kept"), "{trouble}");
    assert_eq!(answers(&world, 3).await, ["one"]);

    dns.say(HOST, Says::At(1, vec![ip(2)]));
    until("the answer", || shop(&world).trouble.is_none()).await;
    assert_eq!(answers(&world, 3).await, ["two"]);
}

#[tokio::test]
async fn a_name_that_was_never_found_is_said_and_not_waited_for() {
    let dns = Dns::start();
    let world = before(&dns, vec![at(HOST, 80)]).await;
    until("the trouble", || shop(&world).trouble.is_some()).await;
    let problem = world.get("/").await.problem(503, "no-instance");
    assert!(problem["detail"].as_str().unwrap().contains("cannot resolve `shop.example`"), "{problem}");
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_asked_for_again_over_tcp() {
    let (port, _servers) = fleet([(1, "one")]).await;
    let dns = Dns::start();
    dns.say(HOST, Says::Truncated(Box::new(Says::At(60, vec![ip(1)]))));
    let world = before(&dns, vec![at(HOST, port)]).await;
    until("the address", || addresses(&world).len() == 1).await;
    assert_eq!(answers(&world, 3).await, ["one"]);
}

#[tokio::test]
async fn a_service_is_where_its_records_say_by_weight_and_priority() {
    let (port, servers) = fleet([(1, "light"), (2, "heavy"), (3, "spare")]).await;
    let dns = Dns::start();
    let name = "_http._tcp.shop.example";
    let targets = vec![
        (10, 1, port, "a.shop.example"),
        (10, 4, port, "b.shop.example"),
        (20, 0, port, "c.shop.example"),
    ];
    dns.say(name, Says::Srv(1, targets.clone()));
    for (last, host) in [(1, "a.shop.example"), (2, "b.shop.example"), (3, "c.shop.example")] {
        dns.say(host, Says::At(1, vec![ip(last)]));
    }
    let world = before(&dns, vec![service(name)]).await;
    until("three instances", || addresses(&world).len() == 3).await;
    let ids: Vec<String> = shop(&world).instances.into_iter().map(|instance| instance.id).collect();
    assert_eq!(ids, ["a", "b", "c"].map(|label| format!("{label}.shop.example:{port}")));
    assert_eq!(answers(&world, 200).await, ["heavy", "light"]);
    let (light, heavy) = (servers[0].requests(), servers[1].requests());
    assert!(light * 2 < heavy, "a fifth is less than half of four fifths: {light} {heavy}");

    // The first two are gone: the name of one, and the server of the other.
    servers[1].kill();
    dns.say(name, Says::Srv(1, vec![targets[1], targets[2]]));
    until("two instances", || addresses(&world).len() == 2).await;
    assert_eq!(answers(&world, 20).await, ["spare"]);

    // Only the weight is another: the instance stays what it was.
    dns.say(name, Says::Srv(1, vec![(20, 7, port, "c.shop.example")]));
    until("the new weight", || shop(&world).instances.iter().any(|instance| instance.weight == 7)).await;
    assert_eq!(answers(&world, 3).await, ["spare"]);
}

#[tokio::test]
async fn a_target_without_an_answer_keeps_its_address() {
    let (port, _servers) = fleet([(1, "one"), (2, "two")]).await;
    let dns = Dns::start();
    let name = "_http._tcp.shop.example";
    dns.say(name, Says::Srv(1, vec![(0, 1, port, "a.shop.example"), (0, 1, port, "b.shop.example")]));
    dns.say("a.shop.example", Says::At(1, vec![ip(1)]));
    dns.say("b.shop.example", Says::At(1, vec![ip(2)]));
    let world = before(&dns, vec![service(name)]).await;
    until("two instances", || addresses(&world).len() == 2).await;
    dns.say("b.shop.example", Says::Nothing);
    until("the trouble", || shop(&world).trouble.is_some_and(|it| it.contains("`b.shop.example`"))).await;
    assert_eq!(answers(&world, 20).await, ["one", "two"]);
    dns.say(name, Says::Srv(1, vec![(0, 0, 0, ".")]));
    until("no service", || shop(&world).trouble.is_some_and(|it| it.contains("nobody offers"))).await;
    assert_eq!(answers(&world, 20).await, ["one", "two"]);
}

#[tokio::test]
async fn each_of_several_names_is_asked_by_its_own_name() {
    let (one, two) = (Server::echo().await, Server::echo().await);
    let dns = Dns::start();
    dns.say("one.example", Says::At(60, vec![Ipv4Addr::LOCALHOST]));
    let origins = vec![at("one.example", one.address.port()), at("127.0.0.1", two.address.port())];
    let world = before(&dns, origins).await;
    until("both", || addresses(&world).len() == 2).await;
    let mut hosts = Vec::new();
    for _ in 0..30 {
        hosts.extend(world.get("/").await.echoed("host"));
    }
    hosts.sort();
    hosts.dedup();
    assert_eq!(
        hosts,
        [format!("127.0.0.1:{}", two.address.port()), format!("one.example:{}", one.address.port())]
    );

    // A name that is not found is no trouble for the others.
    let world = before(&dns, vec![at("none.example", 80), at("127.0.0.1", two.address.port())]).await;
    until("the trouble", || shop(&world).trouble.is_some()).await;
    assert_eq!(world.get("/").await.status, 200);
}

//! An external that a DNS server knows, as a person writes it down and sees it in the status.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use crate::dns::{Dns, Says};
use crate::world::{World, serve, server, wait};

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 8, last)
}

/// A gateway before an external at this URL.
fn shop(dns: &Dns, url: &str) -> World {
    let world = World::start(
        &format!(
            "name: shop\nresolver: \"{}\"\ngateway:\n  listen: 127.0.0.1:0\n  routes:\n    - {{ to: shop, balance: round-robin }}\n\
             externals:\n  shop: {url}\nservices:\n  idle: {{ run: sleep 1000, ready: none }}\n",
            dns.address
        ),
        &[],
    );
    world.wait_for("all-ready");
    world
}

fn instances(world: &World) -> Vec<String> {
    let status = world.status();
    let upstreams = status["upstreams"].as_array().expect("upstreams");
    let shop = upstreams.iter().find(|upstream| upstream["name"] == "shop").expect("shop");
    let instances = shop["instances"].as_array().expect("instances");
    instances.iter().map(|instance| instance["id"].as_str().expect("an id").to_owned()).collect()
}

fn shown(world: &World) -> String {
    String::from_utf8_lossy(&world.run(&["status"]).stdout).into_owned()
}

#[test]
fn a_name_that_moves_is_followed_and_one_that_is_gone_is_said() {
    let address = server("here");
    let moved = TcpListener::bind((ip(2), address.port())).expect("free at this address");
    std::thread::spawn(move || serve(&moved, "there", Duration::ZERO));
    let dns = Dns::start();
    dns.say("shop.example", Says::At(1, vec![Ipv4Addr::LOCALHOST]));
    let world = shop(&dns, &format!("http://shop.example:{}", address.port()));
    wait("the address", || instances(&world) == [address.to_string()]);
    assert_eq!(world.get("/").body, "here");

    dns.say("shop.example", Says::At(1, vec![ip(2)]));
    wait("the other address", || world.get("/").body == "there");

    dns.say("shop.example", Says::Nothing);
    wait("the trouble", || shown(&world).contains("cannot resolve `shop.example`: there is no such name"));
    assert!(shown(&world).contains("the addresses of before are kept"), "{}", shown(&world));
    assert_eq!(world.get("/").body, "there");
}

#[test]
fn a_service_record_says_where_and_how_much() {
    let (light, heavy): (SocketAddr, SocketAddr) = (server("light"), server("heavy"));
    let dns = Dns::start();
    let name = "_http._tcp.shop.example";
    dns.say("a.example", Says::At(60, vec![Ipv4Addr::LOCALHOST]));
    dns.say(name, Says::Srv(1, vec![(0, 1, light.port(), "a.example"), (0, 3, heavy.port(), "a.example")]));
    let world = shop(&dns, &format!("http+srv://{name}"));
    wait("both instances", || instances(&world).len() == 2);
    // Over connections of their own, and so over all cores: each gives its turns by weight.
    let all: Vec<String> = (0..200).map(|_| world.get("/").body).collect();
    let share = all.iter().filter(|body| *body == "light").count();
    assert!((30..70).contains(&share), "{share} of 200");

    world.edit("round-robin", "least-request");
    world.edit(
        &format!("http+srv://{name}"),
        &format!("[\"http://{light}\", \"http://a.example:{}\"]", heavy.port()),
    );
    let applied = world.json(&["apply", "--json"]).to_string();
    let told = format!("url http+srv://{name} -> http://{light}, http://a.example:{}", heavy.port());
    assert!(applied.contains(&told), "{applied}");
    wait("both names", || instances(&world) == [light.to_string(), format!("a.example:{}", heavy.port())]);
    assert_eq!(world.get("/").status, 200);
}

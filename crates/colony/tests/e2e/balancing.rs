//! Where requests go, as a person says it in the manifest and sees it happen.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::world::{World, kill, request, serve, server, wait};

/// A gateway in front of one service of three instances, with this on its only route.
fn shop(route: &str) -> World {
    let urls: Vec<String> = ["a", "b", "c"].map(server).iter().map(|at| format!("\"http://{at}\"")).collect();
    World::up(&format!(
        "name: shop\ngateway:\n  listen: 127.0.0.1:0\n  routes:\n    - {{ to: app, {route} }}\nservices:\n  \
         app: {{ url: [{}] }}\n",
        urls.join(", ")
    ))
}

/// Where each of so many carts comes to.
fn homes(world: &World, carts: usize) -> Vec<String> {
    (0..carts).map(|cart| world.get(&format!("/carts/{cart}")).body).collect()
}

#[test]
fn a_cart_comes_to_the_same_instance_over_reloads() {
    let world = shop("path: \"/carts/{cart}\", balance: { segment: \"{cart}\" }");
    let before = homes(&world, 20);
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 3, "{before:?}");
    assert_eq!(homes(&world, 20), before);
    assert_eq!(world.call("gateway /carts/*")["balance"], "maglev");

    world.edit("{ segment: \"{cart}\" }", "{ policy: ring-hash, segment: 2 }");
    let applied = world.json(&["apply", "--json"]).to_string();
    assert!(
        applied.contains("balance maglev by segment 2 of the path -> ring-hash by segment 2 of the path"),
        "{applied}"
    );
    let ring = homes(&world, 20);
    assert_eq!(homes(&world, 20), ring);
    assert_eq!(world.call("gateway /carts/*")["balance"], "ring-hash");
}

#[test]
fn a_visitor_is_given_a_seat_and_keeps_it() {
    let world = shop("balance: { cookie: seat, ttl: 0s }");
    let first = world.get("/");
    let given = first.header("set-cookie").expect("a cookie").to_owned();
    assert!(given.starts_with("seat=") && !given.contains("Max-Age"), "{given}");
    let pair = given.split(';').next().expect("a pair");
    for _ in 0..10 {
        let again = request(&world.gateway(), "GET", "/", &[("cookie", pair)], None);
        assert_eq!((again.body.as_str(), again.header("set-cookie")), (first.body.as_str(), None));
    }
}

/// The program of the next test, which is this one: an instance that says who it is.
#[test]
fn instance() {
    let (Ok(port), Ok(_)) = (std::env::var("PORT"), std::env::var("SERVE_AS_INSTANCE")) else { return };
    let name = std::env::var("COLONY_INSTANCE").expect("a name");
    let listener = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).expect("bound");
    serve(&listener, name.leak(), Duration::ZERO);
}

#[test]
fn an_instance_that_dies_gets_its_keys_back_when_it_is_there_again() {
    let program = std::env::current_exe().expect("this program");
    let world = World::up(&format!(
        "name: shop\ngateway:\n  listen: 127.0.0.1:0\n  routes:\n    - {{ to: app, balance: {{ header: x-user }} }}\nservices:\n  \
         app:\n    run: {} --exact balancing::instance\n    env: {{ SERVE_AS_INSTANCE: 1 }}\n    scale: 3\n",
        program.display()
    ));
    let gateway = world.gateway();
    let of = |user: usize| request(&gateway, "GET", "/", &[("x-user", &user.to_string())], None).body;
    let homes = || (0..20).map(of).collect::<Vec<String>>();
    let before = homes();
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 3, "{before:?}");
    let victim = world.pids("app")[1];
    kill(victim, libc::SIGKILL);
    wait("the instance to be there again", || {
        let app = world.service("app");
        let instances = app["instances"].as_array().expect("instances");
        let ready = instances.iter().all(|one| one["state"] == "ready" && one["pid"] != victim);
        ready && instances.len() == 3
    });
    assert_eq!(homes(), before);
}

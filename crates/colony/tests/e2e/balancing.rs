//! Where requests go, as a person says it in the manifest and sees it happen.

use std::collections::{BTreeMap, BTreeSet};
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

/// The program of the next tests, which is this one: an instance that says who it is.
#[test]
fn instance() {
    let (Ok(port), Ok(_)) = (std::env::var("PORT"), std::env::var("SERVE_AS_INSTANCE")) else { return };
    let name = match std::env::var("NAMED_BY_PID") {
        Ok(_) => std::process::id().to_string(),
        Err(_) => std::env::var("COLONY_INSTANCE").expect("a name"),
    };
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

const ROOMS: usize = 60;

/// A service whose instances are known by their processes, for no name outlives a replacement.
struct Rooms {
    world: World,
    gateway: String,
    /// Every process that was seen, with its slot.
    slots: BTreeMap<String, u64>,
}

impl Rooms {
    fn up(policy: &str) -> Rooms {
        let program = std::env::current_exe().expect("this program");
        let world = World::up(&format!(
            "name: shop\ngateway:\n  listen: 127.0.0.1:0\n  routes:\n    - {{ to: app, balance: {{ policy: {policy}, header: x-room }} }}\nservices:\n  \
             app:\n    run: {} --exact balancing::instance\n    env: {{ SERVE_AS_INSTANCE: 1, NAMED_BY_PID: 1, BUILD: 1 }}\n    scale: 4\n",
            program.display()
        ));
        let gateway = world.gateway();
        Rooms { world, gateway, slots: BTreeMap::new() }
    }

    fn look(&mut self) {
        let app = self.world.service("app");
        for one in app["instances"].as_array().expect("instances") {
            self.slots.insert(one["pid"].to_string(), one["slot"].as_u64().expect("a slot"));
        }
    }

    /// Which slots each room comes to while this goes on, and then once more.
    fn homes_while(&mut self, command: &[&str]) -> Vec<BTreeSet<u64>> {
        self.look();
        let (gateway, mut answers) = (self.gateway.clone(), vec![BTreeSet::new(); ROOMS]);
        let mut ask_all = || {
            for (room, answers) in answers.iter_mut().enumerate() {
                let answer = request(&gateway, "GET", "/", &[("x-room", &room.to_string())], None);
                assert!(answer.head.starts_with("HTTP/1.1 200"), "{answer:?}");
                answers.insert(answer.body);
            }
        };
        std::thread::scope(|scope| {
            let doing = scope.spawn(|| self.world.json(command));
            while !doing.is_finished() {
                ask_all();
            }
            doing.join().expect("done");
        });
        ask_all();
        self.look();
        answers.iter().map(|pids| pids.iter().map(|pid| self.slots[pid]).collect()).collect()
    }
}

#[test]
fn keys_stay_in_their_slots_over_restarts_and_new_versions() {
    for policy in ["ring-hash", "maglev"] {
        let mut rooms = Rooms::up(policy);
        let before = rooms.homes_while(&["status", "--json"]);
        assert!(before.iter().all(|slots| slots.len() == 1), "{before:?}");
        let pids = rooms.world.pids("app");
        for _ in 0..2 {
            assert_eq!(rooms.homes_while(&["restart", "app", "--json"]), before, "{policy}");
        }
        rooms.world.edit("BUILD: 1", "BUILD: 2");
        assert_eq!(rooms.homes_while(&["apply", "--json"]), before, "{policy}");
        let now = rooms.world.pids("app");
        assert!(now.len() == 4 && now.iter().all(|pid| !pids.contains(pid)), "{pids:?} {now:?}");
    }
}

#[test]
fn one_more_takes_its_share_of_the_keys_and_gives_it_back() {
    let mut rooms = Rooms::up("ring-hash");
    let before = rooms.homes_while(&["restart", "app", "--json"]);
    rooms.homes_while(&["scale", "app", "5", "--json"]);
    let more = rooms.homes_while(&["status", "--json"]);
    let moved: Vec<_> = before.iter().zip(&more).filter(|(before, more)| before != more).collect();
    assert!(moved.iter().all(|(_, more)| **more == BTreeSet::from([5])), "{moved:?}");
    assert!((1..=ROOMS / 2).contains(&moved.len()), "{} of {ROOMS}", moved.len());
    rooms.homes_while(&["scale", "app", "4", "--json"]);
    assert_eq!(rooms.homes_while(&["status", "--json"]), before);
}

#[test]
fn an_address_keeps_its_keys_wherever_it_is_listed() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(server);
    let list = |of: &[std::net::SocketAddr]| {
        let urls: Vec<String> = of.iter().map(|at| format!("\"http://{at}\"")).collect();
        format!("[{}]", urls.join(", "))
    };
    let world = World::up(&format!(
        "name: shop\ngateway:\n  listen: 127.0.0.1:0\n  routes:\n    - {{ path: \"/carts/{{cart}}\", to: app, \
         balance: {{ policy: ring-hash, segment: 2 }} }}\nservices:\n  app: {{ url: {} }}\n",
        list(&[a, b, c])
    ));
    let changed = |from: &[std::net::SocketAddr], to: &[std::net::SocketAddr]| {
        world.edit(&list(from), &list(to));
        world.json(&["apply", "--json"]);
        homes(&world, 40)
    };
    let before = homes(&world, 40);
    let more = changed(&[a, b, c], &[d, c, b, a]);
    assert!(more.iter().zip(&before).all(|(now, before)| now == before || now == "d"), "{before:?} {more:?}");
    assert!(more.contains(&"d".to_owned()), "{more:?}");
    assert_eq!(changed(&[d, c, b, a], &[b, c, a]), before);
    let replaced = changed(&[b, c, a], &[d, b, a]);
    let expected: Vec<&str> = before.iter().map(|home| if home == "c" { "d" } else { home }).collect();
    assert_eq!(replaced, expected);
}

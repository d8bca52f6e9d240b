//! Requests stay in the zone of their node while enough of it is well, and come back when it is well again.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::world::{World, run_in, wait};

/// A server that says its name, and that can be stopped and started again where it was.
struct Shop {
    name: &'static str,
    address: SocketAddr,
    running: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Shop {
    fn open(name: &'static str) -> Shop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut shop = Shop { name, address: listener.local_addr().expect("bound"), running: None };
        shop.serve(listener);
        shop
    }

    fn serve(&mut self, listener: TcpListener) {
        let (open, name) = (Arc::new(AtomicBool::new(true)), self.name);
        let still = open.clone();
        let serving = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if !still.load(Ordering::SeqCst) {
                    return;
                }
                std::thread::spawn(move || answer(stream, name));
            }
        });
        self.running = Some((open, serving));
    }

    fn stop(&mut self) {
        let Some((open, serving)) = self.running.take() else { return };
        open.store(false, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        serving.join().expect("served");
    }

    fn start(&mut self) {
        self.serve(TcpListener::bind(self.address).expect("its port is free"));
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Answers one request, so that nothing outlives the listener.
fn answer(mut stream: TcpStream, name: &str) {
    let mut reader = BufReader::new(stream.try_clone().expect("cloned"));
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = name.len();
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{name}");
}

fn manifest(shops: &[Shop; 4]) -> String {
    let urls: Vec<String> = shops
        .iter()
        .map(|shop| format!("{{ url: \"http://{}\", zone: {} }}", shop.address, &shop.name[..1]))
        .collect();
    let ready = "{ tcp: true, every: 100ms, failures: 1 }";
    format!(
        "name: town\nzone: b\ngateway: {{ listen: 127.0.0.1:0, routes: [{{ to: shop, balance: round-robin }}] }}\n\
         services:\n  shop: {{ url: [{}], ready: {ready} }}\n",
        urls.join(", ")
    )
}

/// What so many requests are answered by.
fn seen(world: &World, requests: usize) -> Vec<String> {
    let gateway = world.gateway();
    (0..requests)
        .map(|_| {
            let answer = crate::world::request(&gateway, "GET", "/", &[], None);
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.body
        })
        .collect()
}

fn names(seen: &[String]) -> BTreeSet<&str> {
    seen.iter().map(String::as_str).collect()
}

fn ready(world: &World) -> u64 {
    world.service("shop")["ready"].as_u64().expect("a number")
}

fn zone(world: &World) -> Value {
    world.call("gateway /**")["zone"].clone()
}

#[test]
fn requests_stay_near_spill_over_as_instances_stop_and_come_back_with_them() {
    let mut shops = ["a1", "a2", "b1", "b2"].map(Shop::open);
    // What the node is told goes before the manifest.
    let world = World::start(&manifest(&shops), &[("COLONY_ZONE", "a")]);
    world.wait_for("all-ready");
    assert_eq!(names(&seen(&world, 40)), BTreeSet::from(["a1", "a2"]));
    let status = world.status();
    assert_eq!(status["zone"], "a");
    for instances in [&status["services"][0]["instances"], &status["upstreams"][0]["instances"]] {
        let zones: Vec<&Value> = instances.as_array().expect("some").iter().map(|one| &one["zone"]).collect();
        assert_eq!(zones, ["a", "a", "b", "b"], "{instances}");
    }
    assert_eq!(zone(&world)["elsewhere"], 0);

    shops[0].stop();
    wait("one to be missed", || ready(&world) == 3);
    let seen_then = seen(&world, 300);
    assert_eq!(names(&seen_then), BTreeSet::from(["a2", "b1", "b2"]));
    let stayed = seen_then.iter().filter(|name| *name == "a2").count();
    assert!((150..270).contains(&stayed), "{stayed} of 300 are not about 70%");
    let told = zone(&world);
    assert_eq!((&told["own"], &told["well"], &told["all"]), (&"a".into(), &1.into(), &2.into()));
    assert_eq!((told["share"].as_f64().expect("a part") * 100.0).round(), 70.0);
    assert!(told["elsewhere"].as_u64().expect("a count") >= 300 - stayed as u64, "{told}");
    let drawn = String::from_utf8(world.run(&["status"]).stdout).expect("text");
    assert!(drawn.contains("zone a, pid") && drawn.contains("address          zone  "), "{drawn}");
    assert!(
        drawn.contains("gateway /**: 1 of 2 in a are well, so 70% of its requests stay there"),
        "{drawn}"
    );

    shops[1].stop();
    wait("all to be missed", || ready(&world) == 2);
    assert_eq!(names(&seen(&world, 40)), BTreeSet::from(["b1", "b2"]));

    shops[0].start();
    shops[1].start();
    wait("all to be back", || ready(&world) == 4);
    let before = zone(&world)["elsewhere"].clone();
    assert_eq!(names(&seen(&world, 40)), BTreeSet::from(["a1", "a2"]));
    assert_eq!(zone(&world)["elsewhere"], before);

    world.edit("balance: round-robin", "balance: round-robin, zone-preference: none");
    let report = world.json(&["apply", "--json"]);
    let told = report["changes"].to_string();
    assert!(
        told.contains("zone-preference factor 1.4 -> none") || report["changes"] == Value::Array(vec![]),
        "{told}"
    );
    wait("the change", || names(&seen(&world, 40)).len() == 4);
}

#[test]
fn explain_tells_what_the_preference_comes_to() {
    let shops = ["a1", "a2", "b1", "b2"].map(Shop::open);
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("colony.yaml"), manifest(&shops)).expect("written");
    let explained = |more: &[&str]| {
        let output = run_in(dir.path(), &[&["explain", "GET", "/", "--json"], more].concat());
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let policies = told["policies"].as_array().expect("policies").clone();
        policies.into_iter().find(|policy| policy["key"] == "services.shop.url").expect("its zones")
    };
    assert_eq!(explained(&[])["value"], "2 in a, 2 in b, which is near");
    let near = explained(&["--zone", "a"]);
    assert_eq!(near["value"], "2 in a, which is near, 2 in b");
    assert_eq!(near["options"]["stay"]["value"], "all while 2 of 2 are well, none without one that is");
    assert_eq!(
        explained(&["--zone", "c"])["options"]["stay"]["value"],
        "none in particular: nothing is near"
    );
    let drawn = String::from_utf8(run_in(dir.path(), &["explain", "GET", "/"]).stdout).expect("text");
    assert!(drawn.contains("zone preference") && drawn.contains("zones of shop"), "{drawn}");
}

#[test]
fn what_is_no_zone_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "name: a\nservices: { a: { url: http://127.0.0.1:1 } }\n";
    std::fs::write(dir.path().join("colony.yaml"), text).expect("written");
    let refused = run_in(dir.path(), &["check", "--zone", "eu 1"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("`eu 1` cannot be the name of a zone"), "{said}");
    let check = std::process::Command::new(crate::world::binary())
        .arg("check")
        .current_dir(dir.path())
        .env("COLONY_ZONE", "-")
        .output()
        .expect("colony runs");
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(!check.status.success() && said.contains("COLONY_ZONE: `-` cannot be"), "{said}");
}

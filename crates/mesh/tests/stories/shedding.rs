//! More requests than an upstream shall have at a time, of which some matter more than others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mesh::config::{Call, Concurrency, ConcurrencyLimit, Protocol, Role};
use mesh::{ClassStatus, ConcurrencyStatus};
use policy::{Class, Shares};
use tokio::sync::Semaphore;

use crate::world::{Answer, Server, Wire, World, answer, call, ms, until};

/// A server that answers one request for each permit, and the paths in the order in which they came.
async fn gated() -> (Server, Arc<Semaphore>, Arc<Mutex<Vec<String>>>) {
    let (gate, came) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (opened, seen) = (gate.clone(), came.clone());
    let server = Server::answering(move |_, request, _| {
        let (opened, seen) = (opened.clone(), seen.clone());
        async move {
            seen.lock().expect("no panic").push(request.target);
            opened.acquire().await.expect("open").forget();
            Some(answer("200 OK", "served"))
        }
    })
    .await;
    (server, gate, came)
}

/// A route a class, `/low` to `/critical`, to an upstream that takes so many.
async fn shop(server: &Server, max: u32, queue: u32) -> World {
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    let limit = ConcurrencyLimit::Fixed(max);
    let concurrency = Concurrency { limit, queue, wait: ms(60_000), shares: Shares::new(0.5, 0.75, 0.9) };
    world.config.upstreams.get_mut("shop").expect("just added").concurrency = Some(concurrency);
    for class in Class::ALL {
        let id = class.name().to_owned();
        world.route(&format!("/{id}/**"), Call { id, priority: Some(class), ..call("shop") });
    }
    world.start(&[server]).await
}

fn places(world: &World) -> ConcurrencyStatus {
    world.upstream_status("shop").concurrency.expect("it is limited")
}

fn of_class(world: &World, class: Class) -> ClassStatus {
    let classes = places(world).classes;
    classes.into_iter().find(|one| one.class == class.name()).expect("each is there")
}

/// Sends a request and waits until so many are in flight and wait.
async fn send(world: &World, path: &str, in_flight: usize, waiting: usize) -> Wire {
    let mut wire = world.wire().await;
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n")).await;
    let there = || (places(world).in_flight, places(world).waiting) == (in_flight, waiting);
    until(&format!("{path} to be there"), there).await;
    wire
}

fn is_shed(answer: &Answer) -> bool {
    let problem = answer.problem(503, "shed");
    assert_eq!((&problem["policy"], answer.header("retry-after")), (&"priority".into(), Some("1")));
    problem["upstream"] == "shop"
}

#[tokio::test]
async fn each_class_may_fill_its_share_and_the_highest_all() {
    let (server, gate, _) = gated().await;
    let world = shop(&server, 4, 0).await;
    let mut held = Vec::new();
    for (nth, class) in ["low", "low", "normal", "critical"].into_iter().enumerate() {
        held.push(send(&world, &format!("/{class}/"), nth + 1, 0).await);
    }
    let refused = world.get("/low/").await;
    assert!(is_shed(&refused));
    let detail = refused.json()["detail"].clone();
    assert_eq!(detail, "its priority is low, which may fill 2 of the 4 places of all calls to shop");
    assert!(is_shed(&world.get("/normal/").await) && is_shed(&world.get("/high/").await));
    world.get("/critical/").await.problem(503, "overloaded");
    for (class, limit) in [(Class::Low, 2), (Class::Normal, 3), (Class::High, 3), (Class::Critical, 4)] {
        let status = of_class(&world, class);
        assert_eq!((status.limit, status.waiting, status.refused), (limit, 0, 1), "{class:?}");
        let call = world.status(class.name());
        let shed = u64::from(class != Class::Critical);
        assert_eq!((call.shed, call.overloaded), (shed, 1 - shed), "{class:?}");
    }
    gate.add_permits(4);
    for mut wire in held {
        assert_eq!(wire.answer().await.status, 200);
    }
    assert_eq!((places(&world).in_flight, places(&world).refused), (0, 4));
}

#[tokio::test]
async fn who_matters_most_is_served_first_and_takes_the_place_of_who_matters_least() {
    let (server, gate, came) = gated().await;
    let world = shop(&server, 1, 4).await;
    let mut held = vec![send(&world, "/normal/0", 1, 0).await];
    let mut displaced = Vec::new();
    for (waiting, path) in ["/low/1", "/low/2", "/normal/3", "/critical/4"].into_iter().enumerate() {
        let wire = send(&world, path, 1, waiting + 1).await;
        if path == "/low/2" { displaced.push(wire) } else { held.push(wire) }
    }
    world.get("/low/5").await.problem(503, "overloaded");
    held.push(send(&world, "/high/6", 1, 4).await);
    let refused = displaced.remove(0).answer().await;
    assert!(is_shed(&refused));
    assert!(refused.json()["detail"].as_str().unwrap().contains("of a higher priority took its place"));
    gate.add_permits(5);
    for mut wire in held {
        assert_eq!(wire.answer().await.status, 200);
    }
    let order = ["/normal/0", "/critical/4", "/high/6", "/normal/3", "/low/1"];
    assert_eq!(*came.lock().expect("no panic"), order);
    let low = of_class(&world, Class::Low);
    let call = world.status("low");
    assert_eq!((low.waiting, low.refused, call.shed, call.overloaded), (0, 2, 1, 1));
}

#[tokio::test]
async fn a_low_one_that_waits_comes_in_once_there_is_room_for_its_class() {
    let (server, gate, came) = gated().await;
    let world = shop(&server, 4, 4).await;
    let mut held = Vec::new();
    for nth in 0..3 {
        held.push(send(&world, "/critical/", nth + 1, 0).await);
    }
    let mut low = send(&world, "/low/", 3, 1).await;
    held.push(send(&world, "/critical/", 4, 1).await);
    for left in [3, 2] {
        gate.add_permits(1);
        until("one to be served", || places(&world).in_flight == left).await;
        assert_eq!(places(&world).waiting, 1, "half of the places are taken");
    }
    gate.add_permits(1);
    until("the low one to come in", || (places(&world).in_flight, places(&world).waiting) == (2, 0)).await;
    gate.add_permits(2);
    assert_eq!(low.answer().await.status, 200);
    assert_eq!(came.lock().expect("no panic").last().map(String::as_str), Some("/low/"));
}

#[tokio::test]
async fn nobody_who_waits_is_forgotten_in_a_crowd_of_all_classes() {
    let most = Arc::new(AtomicUsize::new(0));
    let (now, seen) = (Arc::new(AtomicUsize::new(0)), most.clone());
    let server = Server::answering(move |nth, _, _| {
        let (now, seen) = (now.clone(), seen.clone());
        async move {
            seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(ms(nth as u64 % 4)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Some(answer("200 OK", "served"))
        }
    })
    .await;
    let world = shop(&server, 4, 1_000).await;
    let paths = (0..200).map(|nth| format!("/{}/{nth}", Class::ALL[nth * 7 % 4].name()));
    let paths: Vec<String> = paths.collect();
    let answers = futures_util::future::join_all(paths.iter().map(|path| world.get(path))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(most.load(Ordering::SeqCst) <= 4, "{most:?}");
    let places = places(&world);
    assert_eq!((places.in_flight, places.waiting, places.refused), (0, 0, 0));
}

#[tokio::test]
async fn what_is_done_for_a_low_request_is_low_and_nobody_outside_has_a_say() {
    let echo = Server::echo().await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.route("/low", Call { id: "low".into(), priority: Some(Class::Low), ..call("shop") });
    world.route("/**", call("shop"));
    let calls = [("declared", Some(Class::High)), ("free", None)];
    for (id, priority) in calls {
        let call = Call { id: id.into(), priority, ..call("shop") };
        world.listener(id, Role::Call { caller: "cart".into(), call });
    }
    let world = world.start(&[&echo]).await;
    let get = |path: &str, asked: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: shop\r\nX-Colony-Priority: {asked}\r\n\r\n")
    };
    assert_eq!(world.ask(&get("/low", "critical")).await.echoed("x-colony-priority"), ["low"]);
    assert!(world.ask(&get("/", "critical")).await.echoed("x-colony-priority").is_empty());
    for (listener, asked, handed_on) in [
        ("free", "low", vec!["low"]),
        ("free", "critical", vec!["critical"]),
        ("free", "normal", vec![]),
        ("free", "so-so", vec![]),
        ("declared", "low", vec!["low"]),
        ("declared", "critical", vec!["high"]),
    ] {
        let address = world.mesh.address(listener).expect("it listens");
        let answer = Wire::connect(address).await.ask(&get("/", asked)).await;
        assert_eq!(answer.echoed("x-colony-priority"), handed_on, "{listener}, {asked}");
    }
}

//! What is refused at the door, as a person meets it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::world::{Answer, World, request, server, slow_server, wait};

/// A gateway in front of one service, with these policies on its only route.
fn shop(policies: &str) -> World {
    World::up(&format!(
        "name: shop\ngateway:\n  listen: 127.0.0.1:0\n  routes:\n    - {{ to: app{policies} }}\nservices:\n  \
         app: {{ url: \"http://{}\" }}\n",
        server("well")
    ))
}

fn shown(world: &World) -> String {
    String::from_utf8_lossy(&world.run(&["status"]).stdout).into_owned()
}

fn left(answer: &Answer) -> Option<&str> {
    answer.header("ratelimit")
}

#[test]
fn a_limit_is_tried_in_the_shadow_before_it_refuses() {
    let world = shop(", limit: { rate: 2/m per segment 2, shadow: true }");
    for _ in 0..3 {
        let answer = world.get("/carts/7");
        assert_eq!((answer.body.as_str(), left(&answer)), ("well", None));
    }
    world.get("/carts/8");
    let call = world.call("gateway /**");
    assert_eq!((&call["limited"], &call["limited_shadow"]), (&0.into(), &2.into()), "{call}");
    let text = shown(&world);
    assert!(text.contains("gateway /**: 2 requests over a limit that only counts"), "{text}");

    world.edit("shadow: true", "shadow: false");
    let applied = world.json(&["apply", "--json"]);
    let change = "limit 2/m per segment 2 (shadow) -> 2/m per segment 2";
    assert!(applied["changes"].to_string().contains(change), "{applied}");
    let first = world.get("/carts/7");
    assert_eq!(first.header("ratelimit-policy"), Some("\"2/m per segment 2\";q=2;w=60;colony-burst=1"));
    assert_eq!((first.status, left(&first)), (200, Some("\"2/m per segment 2\";r=0;t=30")));
    let refused = world.get("/carts/7");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("30")), "{refused:?}");
    assert_eq!(refused.json()["detail"], "over the limit of 2/m per segment 2");
    assert_eq!(world.get("/carts/8").status, 200);
}

#[test]
fn each_session_has_a_limit_of_its_own() {
    let world = shop(", limit: { rate: 1/h per cookie session, headers: false }");
    let gateway = world.gateway();
    let ask = |cookie: &str| request(&gateway, "GET", "/", &[("cookie", cookie)], None);
    for (cookie, status) in [("session=a", 200), ("b=1; session=b", 200), ("session=a; b=1", 429)] {
        let answer = ask(cookie);
        assert_eq!((answer.status, left(&answer)), (status, None), "{cookie}");
    }
}

/// So many requests at once for each of these paths.
fn crowd(world: &World, paths: &[&str], each: usize) -> Vec<Answer> {
    let gateway = world.gateway();
    let all = paths.iter().flat_map(|path| std::iter::repeat_n((*path).to_owned(), each));
    let asking: Vec<_> = all
        .map(|path| {
            let gateway = gateway.clone();
            std::thread::spawn(move || request(&gateway, "GET", &path, &[], None))
        })
        .collect();
    asking.into_iter().map(|one| one.join().expect("answered")).collect()
}

#[test]
fn a_service_and_an_external_get_so_many_requests_at_a_time_whoever_calls() {
    let app = slow_server("late", Duration::from_millis(400));
    for (services, externals) in [
        (format!("  app: {{ url: \"http://{app}\", concurrency: 2 }}\n"), String::new()),
        (
            "  idle: { run: sleep 1000, ready: none }\n".to_owned(),
            format!("externals:\n  app: {{ url: \"http://{app}\", concurrency: 2 }}\n"),
        ),
    ] {
        let world = World::up(&format!(
            "name: shop\ngateway:\n  listen: 127.0.0.1:0\n  routes: [{{ path: /a, to: app }}, {{ path: /b, to: app }}]\n\
             services:\n{services}{externals}"
        ));
        // The name of an external is looked up first.
        wait("an instance", || world.get("/a").status == 200);
        let answers = crowd(&world, &["/a", "/b"], 3);
        assert_eq!(answers.iter().filter(|answer| answer.body == "late").count(), 2, "{answers:?}");
        let refused = answers.iter().find(|answer| answer.status == 503).expect("four of them").json();
        assert_eq!((&refused["policy"], &refused["upstream"]), (&"concurrency".into(), &"app".into()));
        assert_eq!(refused["detail"], "2 requests of all calls to app are in flight and 0 wait");
        let status = world.status();
        let upstreams = status["upstreams"].as_array().expect("upstreams");
        let app = upstreams.iter().find(|upstream| upstream["name"] == "app").expect("it is there");
        assert_eq!((&app["concurrency"]["limit"], &app["concurrency"]["refused"]), (&2.into(), &4.into()));
        let text = shown(&world);
        assert!(text.contains("note: app: 0 of 2 requests in flight, 0 waiting, 4 refused so far"), "{text}");

        world.edit("concurrency: 2", "concurrency: { max: 2, queue: 10, wait: 20s }");
        let applied = world.json(&["apply", "--json"]);
        assert!(applied["changes"].to_string().contains("concurrency 2 -> 2, queue 10 for 20s"), "{applied}");
        assert!(crowd(&world, &["/a", "/b"], 3).iter().all(|answer| answer.body == "late"));
    }
}

/// A shop with a slow service that takes four requests at a time, of which orders matter and prefetching does not.
fn busy_shop(takes: Duration) -> World {
    let app = slow_server("late", takes);
    World::up(&format!(
        "name: shop\ngateway:\n  listen: 127.0.0.1:0\n  routes:\n    - {{ path: /orders, to: app, priority: critical }}\n    \
         - {{ path: /prefetch, to: app, priority: low }}\n    - {{ to: app }}\nservices:\n  app: {{ url: \"http://{app}\", \
         concurrency: 4 }}\n  cart: {{ url: \"http://{app}\", calls: [app] }}\n"
    ))
}

#[test]
fn a_flood_of_what_can_be_done_without_keeps_nobody_from_ordering() {
    let world = busy_shop(Duration::from_millis(150));
    let gateway = world.gateway();
    let flooding = AtomicBool::new(true);
    let (orders, flood) = std::thread::scope(|scope| {
        let flood: Vec<_> = (0..12)
            .map(|_| {
                scope.spawn(|| {
                    let mut answers = Vec::new();
                    while flooding.load(Ordering::SeqCst) {
                        answers.push(request(&gateway, "GET", "/prefetch", &[], None));
                    }
                    answers
                })
            })
            .collect();
        wait("the flood to be there", || world.call("gateway /prefetch")["shed"].as_u64() > Some(20));
        let orders: Vec<_> = (0..8).map(|_| request(&gateway, "GET", "/orders", &[], None)).collect();
        flooding.store(false, Ordering::SeqCst);
        (orders, flood.into_iter().flat_map(|one| one.join().expect("answered")).collect::<Vec<_>>())
    });
    assert!(orders.iter().all(|answer| answer.body == "late"), "{orders:?}");
    let shed = flood.iter().find(|answer| answer.status == 503).expect("most of them");
    let problem = shed.json();
    assert_eq!(
        (&problem["type"], shed.header("retry-after")),
        (&"urn:colony:problem:shed".into(), Some("1"))
    );
    assert_eq!(
        problem["detail"],
        "its priority is low, which may fill 2 of the 4 places of all calls to app"
    );

    let call = world.call("gateway /orders");
    assert_eq!((&call["requests"], &call["shed"], &call["overloaded"]), (&8.into(), &0.into(), &0.into()));
    let status = world.status();
    let upstreams = status["upstreams"].as_array().expect("upstreams");
    let app = upstreams.iter().find(|upstream| upstream["name"] == "app").expect("it is there");
    let classes = app["concurrency"]["classes"].as_array().expect("classes");
    let limits: Vec<_> =
        classes.iter().map(|class| (class["class"].as_str(), class["limit"].as_u64())).collect();
    let expected = [("critical", 4), ("high", 3), ("normal", 3), ("low", 2)];
    assert_eq!(limits, expected.map(|(class, limit)| (Some(class), Some(limit))));
    let refused = flood.iter().filter(|answer| answer.status == 503).count();
    assert_eq!((&classes[0]["refused"], &classes[3]["refused"]), (&0.into(), &refused.into()));
    let text = shown(&world);
    assert!(text.contains(&format!("{refused} refused so far (low {refused})")), "{text}");
}

#[test]
fn a_service_hands_on_the_priority_and_the_manifest_says_what_each_may_fill() {
    let world = busy_shop(Duration::from_millis(600));
    let status = world.status();
    let listeners = status["listeners"].as_array().expect("listeners");
    let cart = listeners.iter().find(|listener| listener["name"] == "cart -> app").expect("it is there");
    let cart = cart["address"].as_str().expect("an address").to_owned();
    let crowd = |headers: &'static [(&'static str, &'static str)]| {
        let asking: Vec<_> = (0..8)
            .map(|_| {
                let cart = cart.clone();
                std::thread::spawn(move || request(&cart, "GET", "/", headers, None))
            })
            .collect();
        let answers = asking.into_iter().map(|one| one.join().expect("answered"));
        answers.filter(|answer| answer.status == 200).count()
    };
    assert_eq!(crowd(&[("x-colony-priority", "low")]), 2);
    assert_eq!((crowd(&[]), crowd(&[("x-colony-priority", "critical")])), (3, 4));
    world.edit("concurrency: 4", "concurrency: { max: 4, shares: { low: 25%, normal: 50% } }");
    let applied = world.json(&["apply", "--json"]);
    let change =
        "concurrency 4, low up to 50%, normal 80%, high 90% -> 4, low up to 25%, normal 50%, high 90%";
    assert!(applied["changes"].to_string().contains(change), "{applied}");
    assert_eq!((crowd(&[("x-colony-priority", "low")]), crowd(&[])), (1, 2));
}

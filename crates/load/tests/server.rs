//! Runs against real servers that stall, hang up, refuse and lie.

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use load::{Config, Report, Scenario, Target};
use world::{Reply, World};

fn config(world: &World) -> Config {
    let target = Target::parse(&world.url()).unwrap();
    Config { rate: 200.0, duration: Duration::from_secs(1), ..Config::new(target) }
}

fn run(config: Config) -> Report {
    load::run(config, &mut |_| {}, Arc::default()).unwrap()
}

fn shop(steps: &str) -> Scenario {
    Scenario::parse("shop.yaml", &format!("journeys: [{{ name: buy, steps: [{steps}] }}]")).unwrap()
}

#[test]
fn every_arrival_is_sent_and_answered() {
    let world = World::new(|_| Reply::ok("hello"));
    let report = run(config(&world));
    assert_eq!((report.sent, report.ok, report.failed, report.unfinished), (200, 200, 0, 0));
    assert_eq!(report.bytes, 200 * 5);
    assert_eq!(world.requests(), 200);
    assert!(report.connections < 200, "connections are kept: {}", report.connections);
}

#[test]
fn a_warm_up_is_counted_nowhere() {
    let world = World::new(|_| Reply::ok(""));
    let report = run(Config { warmup: Duration::from_millis(500), ..config(&world) });
    assert_eq!((report.sent, report.ok), (200, 200));
    assert_eq!(world.requests(), 300);
}

#[test]
fn a_stall_is_met_by_everyone_who_would_have_come() {
    let world = World::new(|_| Reply::ok(""));
    world.stall(Duration::from_millis(500), Duration::from_secs(1));
    let stalled = Config { rate: 100.0, duration: Duration::from_secs(3), ..config(&world) };
    let report = run(Config { connections_max: 4, ..stalled });
    assert_eq!((report.sent, report.ok), (300, 300));
    // A closed loop of four connections would have met the stall four times, and its p90 would be
    // that of a healthy server. A third of all arrivals fell into the stall, evenly spread over it.
    assert!(report.latency.max_us >= 900_000, "{:?}", report.latency);
    assert!(report.latency.p90_us >= 500_000, "{:?}", report.latency);
    assert!(report.latency.mean_us >= 100_000, "{:?}", report.latency);
}

#[test]
fn arrivals_do_not_wait_for_answers() {
    let world = World::new(|_| Reply::ok("").after(Duration::from_millis(400)));
    let report = run(Config { duration: Duration::from_millis(500), ..config(&world) });
    assert_eq!((report.sent, report.ok), (100, 100));
    assert!(report.connections >= 50, "many at once: {}", report.connections);
}

#[test]
fn errors_are_counted_by_status_with_an_example() {
    let world = World::new(|request| match request.number % 4 {
        0 => Reply::status(503, "try\n later"),
        1 => Reply::status(404, "nothing here"),
        _ => Reply::ok(""),
    });
    let report = run(config(&world));
    assert_eq!((report.ok, report.failed), (100, 100));
    assert_eq!((report.failures.status[&503], report.failures.status[&404]), (50, 50));
    let example = report.examples.iter().find(|example| example.status == Some(503)).unwrap();
    assert_eq!((example.detail.as_str(), example.count), ("try later", 50));
}

#[test]
fn a_connection_closed_while_idle_is_no_failure() {
    let world = World::new(|_| Reply::ok("").then_hang_up_silently());
    let report = run(config(&world));
    assert_eq!((report.ok, report.failed), (200, 0), "{:?}", report.examples);
    assert_eq!(world.requests(), 200, "none reached the server twice");
}

#[test]
fn a_purchase_is_not_sent_twice_unless_it_has_a_key() {
    let hang_up = |request: &world::Request| {
        if request.on_connection > 1 { Reply::hang_up() } else { Reply::ok("") }
    };
    let world = World::new(hang_up);
    let report = run(Config { scenario: shop("{ post: /buy }"), ..config(&world) });
    assert!(report.failures.reset > 0 && report.failures.reset == report.failed, "{:?}", report.failures);
    assert_eq!((report.repeated, world.requests()), (0, 200));

    let world = World::new(hang_up);
    let keyed = shop("{ post: /buy, headers: { idempotency-key: \"{unique}\" } }");
    let report = run(Config { scenario: keyed, ..config(&world) });
    assert_eq!(report.failed, 0, "{:?}", report.examples);
    assert!(report.repeated > 0);
    assert_eq!(world.requests(), 200 + report.repeated);
}

#[test]
fn a_server_that_hangs_up_half_way_is_a_failure() {
    let world = World::new(|_| Reply::ok("whole").cut_short());
    let report = run(config(&world));
    assert_eq!((report.ok, report.failures.reset), (0, 200), "{:?}", report.failures);
}

#[test]
fn what_is_no_http_is_a_failure() {
    let world = World::new(|_| Reply::raw("SSH-2.0-server\r\n\r\n"));
    let report = run(config(&world));
    assert_eq!(report.failures.protocol, 200, "{:?}", report.failures);
}

#[test]
fn nobody_listening_is_a_failure_to_connect() {
    let world = World::new(|_| Reply::ok(""));
    let config = config(&world);
    drop(world);
    let report = run(config);
    assert_eq!((report.failures.connect, report.latency.max_us), (200, 0), "{:?}", report.failures);
    assert_eq!(report.examples[0].kind, "connect");
}

#[test]
fn a_timeout_counts_with_its_whole_time() {
    let world = World::new(|_| Reply::ok("").after(Duration::from_secs(5)));
    let impatient = Duration::from_millis(300);
    let report = run(Config { timeout: impatient, duration: Duration::from_millis(200), ..config(&world) });
    assert_eq!(report.failures.timeout, 40);
    assert!(report.latency.p50_us >= 300_000, "{:?}", report.latency);
}

#[test]
fn whoever_waits_for_a_connection_gets_one_when_others_give_up() {
    let world = World::new(|request| match request.number {
        0 => Reply::ok("").after(Duration::from_secs(5)),
        _ => Reply::ok(""),
    });
    let one = Config { connections_max: 1, timeout: Duration::from_millis(300), ..config(&world) };
    let report = run(one);
    assert!(report.failures.timeout >= 1, "{:?}", report.failures);
    assert!(report.ok >= 100, "the line moves on after the first gave up: {}", report.ok);
    assert_eq!(report.ok + report.failures.timeout, 200);
}

#[test]
fn stopping_reports_what_was_done() {
    let world = World::new(|_| Reply::ok(""));
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let mut ticks = 0;
    let mut on_tick = |tick: &load::Tick| {
        ticks += 1;
        assert!(tick.sent > 0 && tick.total_s == 600.0);
        stop.store(true, Ordering::Relaxed);
    };
    let long = Config { duration: Duration::from_secs(600), ..config(&world) };
    let report = load::run(long, &mut on_tick, stop.clone()).unwrap();
    assert!(report.interrupted && report.ok > 100 && ticks >= 1, "{report:?}");
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(report.sent, report.ok + report.failed + report.unfinished);
}

#[test]
fn a_stopped_run_leaves_a_hanging_server_behind() {
    let world = World::new(|_| Reply::ok("").after(Duration::from_secs(120)));
    let stop = Arc::new(AtomicBool::new(false));
    let long =
        Config { duration: Duration::from_secs(600), timeout: Duration::from_secs(600), ..config(&world) };
    let begun = Instant::now();
    let report = load::run(long, &mut |_| stop.store(true, Ordering::Relaxed), stop.clone()).unwrap();
    assert!(report.unfinished > 100 && report.unfinished == report.sent);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_journey_carries_what_it_saved_from_step_to_step() {
    let world = World::new(|request| match request.path.as_str() {
        "/checkout" => Reply::status(201, format!("{{\"order\":{{\"ids\":[{}]}}}}", request.number)),
        path if path.starts_with("/orders/") => Reply::ok(""),
        _ => Reply::status(400, ""),
    });
    let scenario = shop(
        "{ name: checkout, post: /checkout, json: { n: 1 }, expect: 201, save: { order: order.ids.0 } }, \
         { name: order, get: \"/orders/{order}\" }",
    );
    let report = run(Config { scenario, ..config(&world) });
    assert_eq!((report.sent, report.ok), (200, 200), "{:?}", report.examples);
    let buy = &report.journeys[0];
    assert_eq!(buy.started, buy.steps[0].ok);
    assert_eq!(buy.completed, buy.steps[1].ok);
    assert!(buy.completed >= 50, "{buy:?}");
}

#[test]
fn an_answer_without_what_must_be_saved_is_a_failure() {
    let world = World::new(|_| Reply::status(201, "{\"status\":\"new\"}"));
    let scenario = shop("{ post: /checkout, save: { order: order_id } }, { get: \"/orders/{order}\" }");
    let report = run(Config { scenario, ..config(&world) });
    assert_eq!((report.failures.save, report.ok), (200, 0));
    assert!(report.examples[0].detail.contains("has no `order_id`"), "{:?}", report.examples);
    assert_eq!(report.journeys[0].failed, 200);
}

#[test]
fn a_single_request_carries_method_headers_and_body() {
    let world = World::new(|request| {
        let right = request.head.starts_with("PUT /x?y=1 HTTP/1.1\r\n")
            && request.head.contains("\r\nx-key: {raw}\r\n")
            && request.body == "{\"a\":1}";
        if right { Reply::ok("") } else { Reply::status(400, request.head.clone()) }
    });
    let headers = [("x-key".to_owned(), "{raw}".to_owned())];
    let scenario = Scenario::request("put", &headers, Some("{\"a\":1}")).unwrap();
    let target = Target::parse(&format!("{}/x?y=1", world.url())).unwrap();
    let report = run(Config { scenario, target, ..config(&world) });
    assert_eq!(report.ok, 200, "{:?}", report.examples);
}

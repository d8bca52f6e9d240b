//! What is recorded of requests: one span for each, one for each try, and what the policies did.

use std::collections::BTreeMap;

use mesh::Recording;
use mesh::config::{Call, Fallback, LimitKey, Protocol, Role};
use policy::fault::{Effect, Scope, Share, Then};
use policy::{BreakerConfig, EjectionConfig, FaultConfig};
use telemetry::recorder::{Inbox, channel};
use telemetry::span::{Kind, Span, Status, Value};
use telemetry::{Record, Redactor};

use crate::crowds::at_most;
use crate::limits::limit;
use crate::retries::retries;
use crate::world::{Server, World, call, ms, sending, soon};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

/// Has spans recorded of what comes from now on.
async fn record(world: &World) -> Inbox {
    record_as(world, |_| {}).await
}

async fn record_as(world: &World, change: impl FnOnce(&mut Recording)) -> Inbox {
    let (recorder, inbox) = channel(1_000);
    let mut recording = Recording { recorder, redactor: Redactor::default(), unsampled: false };
    change(&mut recording);
    world.mesh.record(Some(recording));
    // Every core has done what it was asked before this.
    world.apply().await;
    inbox
}

/// The next spans, as soon as there are so many.
async fn spans(inbox: &Inbox, count: usize) -> Vec<Span> {
    let all = spans_until(inbox, |all| all.len() >= count).await;
    assert_eq!(all.len(), count, "{all:#?}");
    all
}

/// The next spans, as soon as these are enough.
async fn spans_until(inbox: &Inbox, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
    let mut all = Vec::new();
    soon("so many spans", async {
        while !enough(&all) {
            all.extend(inbox.take(100).map(|record| match record {
                Record::Span(span) => *span,
                Record::Log(log) => panic!("{log:?}"),
            }));
            tokio::time::sleep(ms(2)).await;
        }
    })
    .await;
    all
}

/// One of these spans says that `by` has waited from its beginning, for what and how long.
fn waits(all: &[Span], by: &Span, what: &'static str, ms: f64) {
    let waits: Vec<&Span> = all.iter().filter(|span| span.attribute("colony.wait").is_some()).collect();
    let [wait] = waits[..] else { panic!("{all:#?}") };
    is(wait, "colony.wait", what);
    assert_eq!((wait.parent, wait.trace_id, wait.start_ns), (Some(by.span_id), by.trace_id, by.start_ns));
    assert_eq!(
        (&*wait.name, wait.kind, wait.duration_ns),
        ("wait shop", Kind::Internal, (ms * 1e6).round() as u64)
    );
    assert!(all.iter().filter(|span| span.span_id == wait.span_id).count() == 1, "{all:#?}");
}

fn is(span: &Span, key: &str, wanted: impl Into<Value>) {
    assert_eq!(span.attribute(key), Some(&wanted.into()), "{key} of {span:#?}");
}

fn text(span: &Span, key: &str) -> String {
    match span.attribute(key) {
        Some(Value::Text(text)) => text.to_string(),
        other => panic!("{key} is {other:?} in {span:#?}"),
    }
}

fn millis(span: &Span, key: &str) -> f64 {
    match span.attribute(key) {
        Some(Value::Float(millis)) => *millis,
        other => panic!("{key} is {other:?} in {span:#?}"),
    }
}

fn failed(span: &Span, why: &'static str) {
    is(span, "error.type", why);
    assert!(span.is_error(), "{span:#?}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_nanos() as u64
}

#[tokio::test]
async fn a_request_is_a_span_and_its_try_another_below_it() {
    let echo = Server::echo().await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.route("/api/*/x/**", call("shop"));
    let world = world.start(&[&echo]).await;
    let inbox = record(&world).await;
    let before = now_ns();
    let ask = format!(
        "GET /api/7/x/y?token=secret HTTP/1.1\r\nHost: shop\r\ntraceparent: {PARENT}\r\ntracestate: a=1,b=2\r\n\
         baggage: k=v;p\r\n\r\n"
    );
    let answer = world.ask(&ask).await;
    let [request, tried] = spans(&inbox, 2).await.try_into().expect("two");
    assert_eq!(
        (&*request.name, request.kind, &*request.service),
        ("GET /api/*/x/**", Kind::Server, "gateway")
    );
    assert_eq!((&*tried.name, tried.kind, &*tried.service), ("try shop", Kind::Client, "gateway"));
    assert_eq!(hex(&request.trace_id), PARENT[3..35]);
    assert_eq!(request.parent.map(|parent| hex(&parent)).as_deref(), Some(&PARENT[36..52]));
    assert_eq!((tried.parent, tried.trace_id), (Some(request.span_id), request.trace_id));
    let told = answer.echoed("traceparent").join(",");
    assert_eq!(
        told,
        format!("00-{}-{}-01", hex(&tried.trace_id), hex(&tried.span_id)),
        "the try is the parent"
    );
    assert_eq!(
        (answer.echoed("tracestate").join(","), answer.echoed("baggage").join(",")),
        ("a=1,b=2".into(), "k=v;p".into())
    );
    assert_eq!(
        (&request.status, &*request.trace_state, &*request.scope),
        (&Status::Unset, "a=1,b=2", "colony")
    );
    for span in [&request, &tried] {
        is(span, "http.request.method", "GET");
        is(span, "http.response.status_code", 200);
        is(span, "url.path", "/api/7/x/y");
        is(span, "network.protocol.version", "1.1");
        assert!(!format!("{span:?}").contains("secret"), "no query");
        assert!(span.start_ns >= before - 1_000_000_000 && span.end_ns() <= now_ns() + 1_000_000_000);
    }
    is(&request, "http.route", "/api/*/x/**");
    is(&request, "url.scheme", "http");
    is(&request, "client.address", "127.0.0.1");
    is(&request, "colony.call", "shop");
    is(&tried, "server.port", i64::from(echo.address.port()));
    is(&tried, "server.address", "127.0.0.1");
    is(&tried, "colony.instance", echo.id.clone());
    is(&tried, "peer.service", "shop");
    assert_eq!((tried.attribute("http.request.resend_count"), tried.attribute("error.type")), (None, None));
    assert!(request.start_ns <= tried.start_ns && tried.end_ns() <= request.end_ns());
}

#[tokio::test]
async fn calls_of_services_are_theirs() {
    let server = Server::fixed("404 No", "").await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[&server]);
    world.listener("cart", Role::Call { caller: "cart".into(), call: call("shop") });
    let calls = BTreeMap::from([("shop".to_owned(), call("shop"))]);
    world.listener("sidecar", Role::Sidecar { caller: "cart".into(), calls, known: vec!["bank".into()] });
    let world = world.start(&[&server]).await;
    let inbox = record(&world).await;
    for listener in ["cart", "sidecar"] {
        let mut wire = crate::world::Wire::connect(world.mesh.address(listener).expect("it listens")).await;
        wire.ask("DELETE /items/7 HTTP/1.1\r\nHost: shop\r\n\r\n").await;
        let [request, tried] = spans(&inbox, 2).await.try_into().expect("two");
        assert_eq!((&*request.name, request.kind, &*request.service), ("DELETE shop", Kind::Client, "cart"));
        is(&request, "server.address", "shop");
        assert_eq!((request.parent, &*tried.service), (None, "cart"));
        failed(&tried, "404");
        failed(&request, "404");
        assert_eq!(request.attribute("client.address"), None);
    }
    let mut wire = crate::world::Wire::connect(world.mesh.address("sidecar").expect("it listens")).await;
    wire.ask("GET / HTTP/1.1\r\nHost: bank\r\n\r\n").await;
    let [refused] = spans(&inbox, 1).await.try_into().expect("one");
    failed(&refused, "undeclared-call");
    is(&refused, "colony.policy", "calls");
    assert_eq!(&*refused.name, "GET");
}

#[tokio::test]
async fn an_error_of_the_client_is_none_of_the_gateway() {
    let server = Server::fixed("404 No", "").await;
    let world = World::of(&server).await;
    let inbox = record(&world).await;
    world.get("/").await;
    let all = spans(&inbox, 2).await;
    assert!(!all[0].is_error() && all[1].is_error(), "{all:#?}");
    assert_eq!(all[0].attribute("error.type"), None);
}

#[tokio::test]
async fn each_retry_says_why_and_after_how_long() {
    let server = Server::playing(&["503 No", "reset", "200 OK"]).await;
    let world = World::with(&[&server], Call { retries: Some(retries()), ..call("shop") }).await;
    let inbox = record(&world).await;
    assert_eq!(world.get("/").await.status, 200);
    let all = spans(&inbox, 4).await;
    assert_eq!(all[0].status, Status::Unset);
    failed(&all[1], "503");
    failed(&all[2], "connection-lost");
    is(&all[2], "http.request.resend_count", 1);
    is(&all[3], "http.request.resend_count", 2);
    assert!(!all[3].is_error());
    let why: Vec<String> =
        all[0].events.iter().map(|event| format!("{} {:?}", event.name, event.attributes[0].1)).collect();
    assert_eq!(why, ["retry Text(\"503\")", "retry Text(\"connection-lost\")"]);
    assert!(all[0].events.iter().all(|event| &*event.attributes[1].0 == "colony.retry.wait_ms"));
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_told() {
    let server = Server::playing(&["503 No"]).await;
    let mut none = retries();
    (none.budget.ratio, none.budget.min_per_second) = (0.0, 0.0);
    let world = World::with(&[&server], Call { retries: Some(none), ..call("shop") }).await;
    let inbox = record(&world).await;
    world.get("/").await;
    let all = spans(&inbox, 2).await;
    is(&all[0], "colony.retries.denied", true);
    failed(&all[0], "503");
}

#[tokio::test]
async fn what_an_open_breaker_refuses_has_no_try() {
    let server = Server::fixed("500 No", "").await;
    let breaker = BreakerConfig { failures: 1, rate: 0.0, open_for: ms(60_000), ..BreakerConfig::default() };
    let world = World::with(&[&server], Call { breaker: Some(breaker), ..call("shop") }).await;
    let inbox = record(&world).await;
    world.get("/").await;
    spans(&inbox, 2).await;
    world.get("/").await.problem(503, "circuit-open");
    let [refused] = spans(&inbox, 1).await.try_into().expect("one");
    failed(&refused, "circuit-open");
    is(&refused, "colony.policy", "breaker");
    is(&refused, "http.response.status_code", 503);
    assert_eq!(refused.status, Status::Error("The circuit breaker is open".into()));
}

#[tokio::test]
async fn a_hedge_is_a_try_beside_the_one_that_is_let_go_of() {
    let slow = Server::slow(ms(60_000), "late").await;
    let quick = Server::fixed("200 OK", "well").await;
    let hedge = mesh::config::Hedge {
        hedge: policy::HedgeConfig { after: policy::After::Fixed(ms(20)), max: 1 },
        body_bytes: 0,
    };
    let budget = Some(retries());
    let world =
        World::with(&[&slow, &quick], Call { hedge: Some(hedge), retries: budget, ..call("shop") }).await;
    let inbox = record(&world).await;
    let all = loop {
        world.get("/").await;
        // Until the slow one is chosen first; on a busy machine the quick one may be hedged, too.
        let all = spans_of_one(&inbox).await;
        if text(&all[1], "colony.instance") == slow.id {
            break all;
        }
    };
    assert_eq!(all.len(), 3, "{all:#?}");
    is(&all[1], "colony.superseded", true);
    assert!(!all[1].is_error() && all[1].duration_ns < 60_000_000_000);
    is(&all[2], "colony.hedge", true);
    is(&all[2], "http.response.status_code", 200);
    is(&all[2], "colony.instance", quick.id.clone());
}

/// The spans of the one request that there was.
async fn spans_of_one(inbox: &Inbox) -> Vec<Span> {
    let mut all = Vec::new();
    soon("a request's spans", async {
        while all.is_empty() {
            tokio::time::sleep(ms(2)).await;
            all.extend(
                inbox.take(1).map(|record| if let Record::Span(span) = record { *span } else { panic!() }),
            );
        }
    })
    .await;
    all
}

#[tokio::test]
async fn a_fault_on_purpose_says_that_it_is_one() {
    let server = Server::fixed("200 OK", "").await;
    let world = World::of(&server).await;
    let inbox = record(&world).await;
    let effect = Effect::new(None, Then::Status(503)).expect("something");
    let fault = FaultConfig { effect, share: Share::ALL, scope: Scope::default() };
    let id = world.mesh.add_fault("shop", fault, HOUR).expect("there is a call").id;
    world.get("/").await;
    let all = spans(&inbox, 2).await;
    is(&all[1], "colony.fault", id as i64);
    failed(&all[1], "503");
}

#[tokio::test]
async fn a_timeout_says_whose_time_was_over() {
    let server = Server::slow(ms(60_000), "late").await;
    for (timeout, per_try, left, whose) in [
        (Some(ms(30)), None, "", "call"),
        (Some(ms(60_000)), Some(ms(30)), "", "try"),
        (Some(ms(60_000)), None, "X-Request-Deadline: 30\r\n", "caller"),
    ] {
        let world = World::with(&[&server], Call { timeout, per_try, ..call("shop") }).await;
        let inbox = record(&world).await;
        world.ask(&format!("GET / HTTP/1.1\r\nHost: shop\r\n{left}\r\n")).await.problem(504, "timeout");
        let all = spans(&inbox, 2).await;
        is(&all[1], "colony.timeout", whose);
        failed(&all[1], "timeout");
        failed(&all[0], "timeout");
        assert!(all[1].duration_ns >= 25_000_000, "{all:#?}");
    }
}

#[tokio::test]
async fn who_waits_for_a_place_is_seen_to_wait() {
    let server = Server::slow(ms(60), "").await;
    let world = World::with(&[&server], Call { concurrency: at_most(1, 8, 60_000), ..call("shop") }).await;
    let inbox = record(&world).await;
    futures_util::future::join(world.get("/"), world.get("/")).await;
    // Each core has its own share of the places, so both may be let in at once.
    let all = spans_until(&inbox, |all| all.iter().filter(|span| span.parent.is_none()).count() == 2).await;
    let waiting: Vec<&Span> =
        all.iter().filter(|span| span.attribute("colony.concurrency.wait_ms").is_some()).collect();
    assert!(waiting.len() <= 1, "{all:#?}");
    if let [request] = waiting[..] {
        let waited = millis(request, "colony.concurrency.wait_ms");
        assert!(waited > 0.0 && waited < 60_000.0, "{waited}");
        waits(&all, request, "concurrency", waited);
    }
    let world = World::with(&[&server], Call { concurrency: at_most(0, 0, 1), ..call("shop") }).await;
    let inbox = record(&world).await;
    world.get("/").await;
    let [refused] = spans(&inbox, 1).await.try_into().expect("one");
    failed(&refused, "overloaded");
    is(&refused, "colony.policy", "concurrency");
}

#[tokio::test]
async fn a_rate_limit_and_a_missing_route_are_refusals_of_the_gateway() {
    let server = Server::fixed("200 OK", "").await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.route("/", Call { limits: vec![limit(1, LimitKey::All)], ..call("shop") });
    let world = world.start(&[&server]).await;
    let inbox = record(&world).await;
    world.get("/").await;
    spans(&inbox, 2).await;
    world.get("/").await.problem(429, "rate-limited");
    let [refused] = spans(&inbox, 1).await.try_into().expect("one");
    is(&refused, "colony.policy", "limit");
    is(&refused, "error.type", "rate-limited");
    assert!(!refused.is_error(), "the client's doing");
    assert_eq!(&*refused.name, "GET /");
    world.get("/nothing").await.problem(404, "no-route");
    let [lost] = spans(&inbox, 1).await.try_into().expect("one");
    assert_eq!((&*lost.name, lost.attribute("http.route")), ("GET", None));
    is(&lost, "error.type", "no-route");
}

#[tokio::test]
async fn who_is_ejected_and_how_long_a_request_was_held_are_told() {
    let ill = Server::fixed("500 No", "").await;
    let well = Server::fixed("200 OK", "").await;
    let ejection = EjectionConfig { failures: 1, ..EjectionConfig::default() };
    let world = World::with(&[&ill, &well], Call { ejection: Some(ejection), ..call("shop") }).await;
    while world.get("/").await.status == 200 {}
    let inbox = record(&world).await;
    world.get("/").await;
    let all = spans(&inbox, 2).await;
    is(&all[1], "colony.ejected", 1);

    let world = World::with(&[], call("shop")).await;
    let inbox = record(&world).await;
    let held = async {
        tokio::time::sleep(ms(30)).await;
        world.publish("shop", &[&well]);
    };
    futures_util::future::join(world.get("/"), held).await;
    let all = spans(&inbox, 3).await;
    let held = millis(&all[1], "colony.held_ms");
    assert!(held > 0.0 && all[1].duration_ns as f64 >= held * 1e6, "{all:#?}");
    waits(&all, &all[1], "instance", held);
}

#[tokio::test]
async fn who_was_held_in_vain_is_told_for_how_long() {
    let world = World::with(&[], call("shop")).await;
    let inbox = record(&world).await;
    world.get("/").await.problem(503, "no-instance");
    let all = spans(&inbox, 3).await;
    let held = millis(&all[1], "colony.held_ms");
    assert!(held > 1_000.0 && all[1].is_error(), "{all:#?}");
    waits(&all, &all[1], "instance", held);
}

#[tokio::test]
async fn a_fallback_is_told_and_what_it_stood_in_for_is_a_failed_try() {
    let server = Server::fixed("500 No", "").await;
    let fallback =
        Fallback::Static { status: 200, body: "[]".into(), content_type: "application/json".into() };
    let world = World::with(&[&server], Call { fallback: Some(fallback), ..call("shop") }).await;
    let inbox = record(&world).await;
    assert_eq!(world.get("/").await.status, 200);
    let all = spans(&inbox, 2).await;
    is(&all[0], "colony.fallback", true);
    assert!(!all[0].is_error());
    failed(&all[1], "500");
}

#[tokio::test]
async fn a_stream_is_over_with_its_last_byte() {
    let server = Server::scripted(|mut served| async move {
        while let Some(seen) = served.request().await {
            served.wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n").await;
            tokio::time::sleep(ms(80)).await;
            let end = if seen.target == "/breaks" { "zzz\r\n" } else { "1\r\nb\r\n0\r\n\r\n" };
            served.wire.send(end).await;
        }
    })
    .await;
    let world = World::of(&server).await;
    let inbox = record(&world).await;
    assert_eq!(world.get("/").await.text(), "ab");
    let all = spans(&inbox, 2).await;
    assert!(all.iter().all(|span| span.duration_ns >= 70_000_000 && !span.is_error()), "{all:#?}");
    let mut wire = world.wire().await;
    wire.send("GET /breaks HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    wire.rest().await;
    for span in spans(&inbox, 2).await {
        failed(&span, "broken-answer");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_is_seen_to_leave() {
    let server = Server::slow(ms(60_000), "late").await;
    let world = World::of(&server).await;
    let inbox = record(&world).await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    crate::world::until("the request to get there", || server.requests() == 1).await;
    drop(wire);
    for span in spans(&inbox, 2).await {
        is(&span, "colony.caller.gone", true);
        assert!(!span.is_error() && span.attribute("http.response.status_code").is_none(), "{span:#?}");
    }
}

#[tokio::test]
async fn a_websocket_is_a_request_until_it_is_closed() {
    let parrot = crate::websocket::parrot().await;
    let world = World::of(&parrot).await;
    let inbox = record(&world).await;
    let url = format!("ws://{}/chat", world.address());
    let stream = tokio::net::TcpStream::connect(world.address()).await.expect("it listens");
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.expect("a handshake");
    tokio::time::sleep(ms(60)).await;
    assert_eq!(inbox.take(10).count(), 0, "it goes on");
    socket.close(None).await.expect("it closes");
    drop(socket);
    let all = spans(&inbox, 2).await;
    is(&all[0], "http.response.status_code", 101);
    assert!(all.iter().all(|span| span.duration_ns >= 50_000_000), "{all:#?}");
}

#[tokio::test]
async fn a_call_of_grpc_is_named_for_its_method_and_ends_with_its_status() {
    let server = Server::http2(|_| async {
        let frames = [
            Ok::<_, std::convert::Infallible>(hyper::body::Frame::data(bytes::Bytes::from("\0\0\0\0\0"))),
            Ok(hyper::body::Frame::trailers(http::HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-status"),
                http::HeaderValue::from_static("14"),
            )]))),
        ];
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
        http::Response::builder().header("content-type", "application/grpc").body(body).expect("an answer")
    })
    .await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http2, &[]);
    world.route("/**", call("shop"));
    let world = world.start(&[&server]).await;
    let inbox = record(&world).await;
    let request = http::Request::post("http://shop/shop.Cart/Add").header("content-type", "application/grpc");
    let (sending, body) = sending();
    drop(sending);
    let answer = world.h2().await.stream(request.body(body).expect("a request")).await;
    assert_eq!(crate::world::whole(answer).await.trailer("grpc-status"), Some("14"));
    let all = spans(&inbox, 2).await;
    assert_eq!(&*all[0].name, "shop.Cart/Add");
    for span in &all {
        is(span, "rpc.system", "grpc");
        is(span, "rpc.service", "shop.Cart");
        is(span, "rpc.method", "Add");
        is(span, "rpc.grpc.status_code", 14);
        failed(span, "14");
        is(span, "network.protocol.version", "2");
    }
}

#[tokio::test]
async fn a_trace_that_its_sender_does_not_record_is_recorded_only_where_that_is_said() {
    let echo = Server::echo().await;
    let world = World::of(&echo).await;
    let inbox = record(&world).await;
    let unsampled = format!("{}-02", PARENT.trim_end_matches("-01"));
    let ask = format!("GET / HTTP/1.1\r\nHost: shop\r\ntraceparent: {unsampled}\r\n\r\n");
    let answer = world.ask(&ask).await;
    assert!(answer.echoed("traceparent")[0].ends_with("-02"), "the flags go on as they came");
    world.get("/after").await;
    let all = spans(&inbox, 2).await;
    is(&all[0], "url.path", "/after");
    let inbox = record_as(&world, |recording| recording.unsampled = true).await;
    world.ask(&ask).await;
    assert_eq!(hex(&spans(&inbox, 2).await[0].trace_id), PARENT[3..35]);
    world.mesh.record(None);
    world.apply().await;
    world.get("/").await;
    assert_eq!(inbox.take(10).count(), 0, "nothing is recorded any more");
}

#[tokio::test]
async fn a_secret_in_a_path_is_taken_out() {
    let echo = Server::echo().await;
    let world = World::of(&echo).await;
    let inbox =
        record_as(&world, |recording| recording.redactor = Redactor::new(["hunter22".to_owned()])).await;
    world.get("/hooks/hunter22/x").await;
    for span in spans(&inbox, 2).await {
        is(&span, "url.path", "/hooks/[secret]/x");
    }
}

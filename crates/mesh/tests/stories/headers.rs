//! What passes, what is taken out and what is added on the way through.

use crate::world::{Server, World};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn echoing() -> (World, Server) {
    let echo = Server::echo().await;
    (World::of(&echo).await, echo)
}

#[tokio::test]
async fn what_is_for_one_hop_does_not_reach_the_server() {
    let (world, _echo) = echoing().await;
    let answer = world
        .ask(
            "GET / HTTP/1.1\r\nHost: shop\r\nConnection: keep-alive, X-Secret\r\nConnection: x-other\r\n\
             X-Secret: 1\r\nX-Other: 2\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
             Upgrade: h2c\r\nTE: gzip, trailers;q=0.5\r\nX-Kept: 3\r\n\r\n",
        )
        .await;
    for gone in ["x-secret", "x-other", "keep-alive", "proxy-connection", "upgrade"] {
        assert!(answer.echoed(gone).is_empty(), "{gone}: {}", answer.text());
    }
    assert_eq!(answer.echoed("x-kept"), ["3"]);
    assert_eq!(answer.echoed("te"), ["trailers"]);
}

#[tokio::test]
async fn naming_the_host_or_the_length_in_connection_takes_neither_away() {
    let (world, _echo) = echoing().await;
    let answer = world.post("/", "Connection: host, content-length\r\n", "body").await;
    assert_eq!(answer.echoed("host"), ["shop"]);
    assert_eq!(answer.json()["body"], "body");
}

#[tokio::test]
async fn what_is_for_one_hop_does_not_reach_the_client() {
    let server = Server::answering(|_, _, _| async {
        Some(
            "HTTP/1.1 200 OK\r\nConnection: X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n\
             Proxy-Connection: close\r\nUpgrade: h2c\r\nX-Public: 2\r\nContent-Length: 2\r\n\r\nok"
                .to_owned(),
        )
    })
    .await;
    let world = World::of(&server).await;
    let answer = world.get("/").await;
    for gone in ["x-private", "keep-alive", "proxy-connection", "upgrade", "connection"] {
        assert_eq!(answer.header(gone), None);
    }
    assert_eq!((answer.header("x-public"), answer.text().as_str()), (Some("2"), "ok"));
}

#[tokio::test]
async fn the_edge_says_for_whom_it_forwards() {
    let (world, _echo) = echoing().await;
    let answer = world.get("/").await;
    assert_eq!(answer.echoed("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(answer.echoed("x-forwarded-proto"), ["http"]);
    assert_eq!(answer.echoed("x-forwarded-host"), ["shop"]);
    assert_eq!(answer.echoed("forwarded"), ["for=127.0.0.1;host=\"shop\";proto=http"]);
    let forged = "GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\n\
                  X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\n\r\n";
    let answer = world.ask(forged).await;
    assert_eq!(answer.echoed("x-forwarded-for"), ["6.6.6.6, 7.7.7.7, 127.0.0.1"]);
    assert_eq!(answer.echoed("x-forwarded-proto"), ["http"]);
    assert_eq!(answer.echoed("x-forwarded-host"), ["shop"]);
    let forwarded = answer.echoed("forwarded");
    assert_eq!(forwarded, ["for=6.6.6.6, for=127.0.0.1;host=\"shop\";proto=http"]);
}

#[tokio::test]
async fn a_trace_begins_here_if_none_came() {
    let (world, _echo) = echoing().await;
    let (one, two) = (world.get("/").await.echoed("traceparent"), world.get("/").await.echoed("traceparent"));
    assert!(one[0].len() == 55 && one[0].starts_with("00-"), "{one:?}");
    assert_ne!(one, two);
    let lonely = "GET / HTTP/1.1\r\nHost: shop\r\ntraceparent: nonsense\r\ntracestate: a=1\r\n\r\n";
    let answer = world.ask(lonely).await;
    assert_eq!(answer.echoed("traceparent")[0].len(), 55);
    assert!(answer.echoed("tracestate").is_empty(), "a state belongs to its trace");
}

#[tokio::test]
async fn a_trace_that_came_goes_on_with_its_state() {
    let (world, _echo) = echoing().await;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: shop\r\nTraceparent: {PARENT}\r\nTracestate: a=1\r\nTracestate: b=2\r\n\r\n"
    );
    let answer = world.ask(&request).await;
    let parent = answer.echoed("traceparent");
    assert_eq!(parent.len(), 1);
    assert_eq!(parent[0][..36], PARENT[..36]);
    assert_ne!(parent[0], PARENT, "the hop has a span of its own");
    assert!(parent[0].ends_with("-01"));
    assert_eq!(answer.echoed("tracestate").join(","), "a=1,b=2");
}

#[tokio::test]
async fn a_request_has_an_id_that_both_sides_see() {
    let (world, _echo) = echoing().await;
    let answer = world.get("/").await;
    let id = answer.echoed("x-request-id");
    assert_eq!(id[0].len(), 32);
    assert_eq!(answer.header("x-request-id"), Some(id[0].as_str()));
    let named = world.ask("GET / HTTP/1.1\r\nHost: shop\r\nX-Request-Id: mine-7\r\n\r\n").await;
    assert_eq!(named.echoed("x-request-id"), ["mine-7"]);
    assert_eq!(named.header("x-request-id"), Some("mine-7"));
    let long = "a".repeat(500);
    let replaced = world.ask(&format!("GET / HTTP/1.1\r\nHost: shop\r\nX-Request-Id: {long}\r\n\r\n")).await;
    assert_eq!(replaced.echoed("x-request-id")[0].len(), 32);
}

#[tokio::test]
async fn a_problem_names_the_request_it_is_about() {
    let server = Server::dead().await;
    let world = World::of(&server).await;
    let answer = world.ask("GET / HTTP/1.1\r\nHost: shop\r\nX-Request-Id: mine-8\r\n\r\n").await;
    let problem = answer.problem(503, "connect-failed");
    assert_eq!(problem["request_id"], "mine-8");
    assert_eq!(answer.header("x-request-id"), Some("mine-8"));
    assert_eq!(problem["upstream"], "shop");
    assert_eq!(problem["call"], "shop");
}

#[tokio::test]
async fn repeated_headers_stay_apart_and_in_order() {
    let server = Server::answering(|_, _, _| async {
        Some("HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n".to_owned())
    })
    .await;
    let world = World::of(&server).await;
    let answer = world.get("/").await;
    let cookies = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    assert_eq!(cookies.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["a=1", "b=2"]);
}

#[tokio::test]
async fn what_was_forwarded_often_enough_goes_no_further() {
    let server = Server::echo().await;
    let world = World::of(&server).await;
    let ask = async |line: &str, extra: &str| {
        world.ask(&format!("{line} HTTP/1.1\r\nHost: shop\r\n{extra}\r\n")).await
    };
    let ours = ask("OPTIONS /x", "Max-Forwards: 0\r\n").await;
    assert_eq!((ours.status, ours.text().as_str()), (200, ""));
    assert!(ours.header("allow").is_some_and(|methods| methods.contains("GET")));
    let all = ask("OPTIONS *", "").await;
    assert_eq!((all.status, all.text().as_str(), all.header("content-length")), (200, "", Some("0")));
    ask("OPTIONS *", "Host: other\r\n").await.problem(400, "bad-request");
    let refused = ask("TRACE /x", "Max-Forwards: 0\r\n").await;
    refused.problem(405, "method-not-allowed");
    assert!(refused.header("allow").is_some());
    assert_eq!(server.requests(), 0);
    for (line, sent, arrived) in
        [("OPTIONS /x", "5", "4"), ("TRACE /x", "1", "0"), ("GET /x", "0", "0"), ("OPTIONS /x", "few", "few")]
    {
        let answer = ask(line, &format!("Max-Forwards: {sent}\r\n")).await;
        assert_eq!(answer.echoed("max-forwards"), [arrived], "{line}");
    }
}

#[tokio::test]
async fn http10_knows_no_upgrade() {
    let (world, _echo) = echoing().await;
    for (version, upgrade) in [("1.0", &[][..]), ("1.1", &["websocket"])] {
        let asked = format!(
            "GET / HTTP/{version}\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
        assert_eq!(world.ask(&asked).await.echoed("upgrade"), upgrade, "{version}");
    }
}

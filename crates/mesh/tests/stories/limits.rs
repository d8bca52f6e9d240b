//! Clients that are too eager, and what they are told.

use std::time::Duration;

use mesh::config::{Call, Fallback, LimitKey, RateLimit, Role};
use policy::Gcra;

use crate::world::{EDGE, Server, World, answer, call, gateway};

pub fn limit(requests: u32, key: LimitKey) -> RateLimit {
    let per = Duration::from_secs(60);
    RateLimit {
        name: format!("{requests}/m"),
        requests,
        per,
        burst: requests,
        gcra: Gcra::new(requests, per, requests),
        key,
        shadow: false,
        headers: true,
    }
}

#[tokio::test]
async fn who_is_too_eager_is_told_when_to_come_back() {
    let server = Server::fixed("200 OK", "").await;
    let world =
        World::with(&[&server], Call { limits: vec![limit(3, LimitKey::Client)], ..call("shop") }).await;
    for _ in 0..3 {
        assert_eq!(world.get("/").await.status, 200);
    }
    let answer = world.get("/").await;
    let problem = answer.problem(429, "rate-limited");
    assert!(problem["detail"].as_str().unwrap().contains("3/m"), "{problem}");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((19..=20).contains(&wait), "{wait}");
    assert_eq!((server.requests(), world.status("shop").limited), (3, 1));
}

#[tokio::test]
async fn each_value_of_a_header_has_a_limit_of_its_own() {
    let server = Server::fixed("200 OK", "").await;
    let limits = vec![limit(2, LimitKey::Header("x-tenant".into()))];
    let world = World::with(&[&server], Call { limits, ..call("shop") }).await;
    let ask = |tenant: &str| format!("GET / HTTP/1.1\r\nHost: shop\r\nX-Tenant: {tenant}\r\n\r\n");
    for tenant in ["a", "b", "a", "b"] {
        assert_eq!(world.ask(&ask(tenant)).await.status, 200);
    }
    assert_eq!(world.ask(&ask("a")).await.status, 429);
    assert_eq!(world.ask(&ask("c")).await.status, 200);
    assert_eq!(world.get("/").await.status, 200, "those without the header share a limit");
    assert_eq!(world.get("/").await.status, 200);
    assert_eq!(world.get("/").await.status, 429);
}

#[tokio::test]
async fn a_limit_over_all_counts_all_cores_together() {
    let server = Server::fixed("200 OK", "").await;
    let world =
        World::with(&[&server], Call { limits: vec![limit(10, LimitKey::All)], ..call("shop") }).await;
    let mut passed = 0;
    for _ in 0..30 {
        passed += usize::from(world.get("/").await.status == 200);
    }
    assert_eq!((passed, server.requests()), (10, 10));
}

/// The limits that an answer tells of, as name and what is left.
fn told(answer: &crate::world::Answer) -> Option<(&str, &str)> {
    answer.header("ratelimit-policy").zip(answer.header("ratelimit"))
}

#[tokio::test]
async fn a_client_can_keep_to_the_limits_by_what_answers_tell() {
    let server = Server::fixed("404 Not Found", "").await;
    let limits = vec![limit(2, LimitKey::Client), limit(90, LimitKey::All)];
    let world = World::with(&[&server], Call { limits, ..call("shop") }).await;
    let policy = r#""2/m";q=2;w=60, "90/m";q=90;w=60"#;
    for left in [r#""2/m";r=1;t=30, "90/m";r=89;t=60"#, r#""2/m";r=0;t=30, "90/m";r=88;t=59"#] {
        let answer = world.get("/").await;
        assert_eq!((answer.status, told(&answer)), (404, Some((policy, left))));
    }
    let refused = world.get("/").await;
    assert_eq!((refused.status, told(&refused).map(|told| told.0)), (429, Some(policy)));
    let left = told(&refused).expect("a refusal tells, too").1;
    let wait = refused.header("retry-after").expect("it says when to come back");
    assert!(left.starts_with(&format!("\"2/m\";r=0;t={wait}, \"90/m\";r=8")), "{left} and {wait}");
}

#[tokio::test]
async fn the_limits_of_a_service_stand_beside_those_of_the_gateway() {
    let server = Server::answering(|_, _, _| async move {
        Some(answer("200 OK\r\nRateLimit-Policy: \"own\";q=5;w=1\r\nRateLimit: \"own\";r=4;t=1", ""))
    })
    .await;
    let world = World::with(&[&server], Call { limits: vec![limit(2, LimitKey::All)], ..call("shop") }).await;
    let answer = world.get("/").await;
    let lines = |name: &str| {
        let all = answer.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        all.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(lines("ratelimit-policy"), [r#""own";q=5;w=1"#, r#""2/m";q=2;w=60"#]);
    assert_eq!(lines("ratelimit"), [r#""own";r=4;t=1"#, r#""2/m";r=1;t=30"#]);
}

#[tokio::test]
async fn a_limit_in_the_shadow_counts_and_lets_everybody_in() {
    let server = Server::fixed("200 OK", "").await;
    let shadow = RateLimit { shadow: true, ..limit(1, LimitKey::Client) };
    let limits = vec![shadow, limit(4, LimitKey::Client)];
    let world = World::with(&[&server], Call { limits, ..call("shop") }).await;
    for _ in 0..4 {
        let answer = world.get("/").await;
        assert_eq!(answer.status, 200);
        assert_eq!(told(&answer).map(|told| told.0), Some(r#""4/m";q=4;w=60"#));
    }
    assert_eq!(world.get("/").await.status, 429);
    let status = world.status("shop");
    assert_eq!((status.limited, status.limited_shadow, server.requests()), (1, 4, 4));
}

#[tokio::test]
async fn limits_without_headers_are_not_told_of_and_no_fallback_stands_in_for_the_refused() {
    let server = Server::fixed("200 OK", "").await;
    let silent = RateLimit { headers: false, ..limit(1, LimitKey::All) };
    let fallback = Fallback::Static { status: 200, body: String::new(), content_type: "text/plain".into() };
    let policies = Call { limits: vec![silent], fallback: Some(fallback), ..call("shop") };
    let world = World::with(&[&server], policies).await;
    for status in [200, 429] {
        let answer = world.get("/").await;
        assert_eq!((answer.status, told(&answer)), (status, None));
    }
}

#[tokio::test]
async fn a_service_is_told_the_limits_of_its_calls_over_http2_too() {
    let server = Server::fixed("200 OK", "").await;
    let mut world = World::new();
    world.upstream("shop", mesh::config::Protocol::Http1, &[]);
    let call = Call { limits: vec![limit(1, LimitKey::All)], ..call("shop") };
    world.config.listeners.insert(
        EDGE.to_owned(),
        mesh::config::Listener { role: Role::Call { caller: "cart".into(), call }, ..gateway(Vec::new()) },
    );
    let world = world.start(&[&server]).await;
    let client = world.h2().await;
    for (status, left) in [(200, r#""1/m";r=0;t=60"#), (429, r#""1/m";r=0;t=60"#)] {
        let answer = client.get("http://shop/").await;
        assert_eq!((answer.status, answer.header("ratelimit")), (status, Some(left)));
    }
}

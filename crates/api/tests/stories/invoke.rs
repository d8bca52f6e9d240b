//! Calls from one application to another over HTTP.

use std::sync::Arc;
use std::time::Duration;

use api::config::Endpoint;
use bytes::Bytes;
use futures_util::StreamExt;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::app::{App, said};
use crate::world::{Answer, World};

/// A caller, and beside it `orders`, whose application is this.
async fn calling(app: &App) -> (World, World) {
    let caller = World::new().await;
    let port = app.port;
    let callee = caller.beside("orders", |config| config.app.port = Some(port)).await;
    (caller, callee)
}

#[tokio::test]
async fn a_call_arrives_as_it_was_made() {
    let app = App::echo().await;
    let (caller, _callee) = calling(&app).await;
    let headers =
        [("x-own", "1"), ("cookie", "c=d"), ("keep-alive", "5"), ("te", "trailers"), ("user-agent", "me")];
    for (path, extra) in [
        ("/v1.0/invoke/orders/method/a/b%20c?x=1&y=%2F", None),
        ("/v1.0//invoke/orders.default/method/a/../a/b%20c/?x=1&y=%2F", None),
        ("/a/b%20c?x=1&y=%2F", Some(("dapr-app-id", "orders"))),
        ("/a/b%20c?x=1&y=%2F", Some(("authorization", "Basic ZGFwci1hcHAtaWQ6b3JkZXJz"))),
    ] {
        let headers: Vec<_> = headers.into_iter().chain(extra).collect();
        let answer = caller.ask_with("PATCH", path, &headers, b"what is to be done").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.starts_with("PATCH /a/b%20c?x=1&y=%2F\n"), "{path}: {answer:?}");
        assert!(answer.body.ends_with("\n\nwhat is to be done"), "{answer:?}");
        for line in ["x-own: 1\n", "cookie: c=d\n", "user-agent: me\n", "content-length: 18\n"] {
            assert!(answer.body.contains(line), "{line}: {answer:?}");
        }
        for gone in ["connection:", "keep-alive:", "\nte:"] {
            assert!(!answer.body.contains(gone), "{gone}: {answer:?}");
        }
        assert!(answer.body.contains(&format!("host: 127.0.0.1:{}\n", app.port)));
    }
}

#[tokio::test]
async fn the_called_one_is_told_who_calls() {
    let app = App::echo().await;
    let (caller, _callee) = calling(&app).await;
    let answer =
        caller.ask_with("GET", "/v1.0/invoke/orders/method/x", &[("x-forwarded-for", "10.0.0.1")], b"").await;
    for line in [
        "dapr-caller-app-id: shop\n",
        "dapr-caller-namespace: default\n",
        "dapr-callee-app-id: orders\n",
        "x-forwarded-for: 10.0.0.1\n",
        "x-forwarded-for: 127.0.0.1\n",
        "x-forwarded-host: localhost\n",
        "forwarded: for=127.0.0.1;by=127.0.0.1;host=localhost\n",
    ] {
        assert!(answer.body.contains(line), "{line}: {answer:?}");
    }
    assert!(!answer.body.contains("traceparent") && answer.header("traceparent").is_none(), "{answer:?}");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = caller.ask_with("GET", "/v1.0/invoke/orders/method/x", &[("traceparent", trace)], b"").await;
    assert!(answer.body.contains(&format!("traceparent: {trace}\n")));
    assert_eq!(answer.header("traceparent"), Some(trace));
}

#[tokio::test]
async fn an_application_may_call_itself() {
    let app = App::echo().await;
    let port = app.port;
    let world = World::with(|config| {
        config.app.port = Some(port);
        config.app.token = Some("of the app".to_owned());
        config.token = Some("of the api".to_owned());
    })
    .await;
    let headers = [("dapr-api-token", "of the api")];
    let answer = world.ask_with("GET", "/v1.0/invoke/shop/method/x", &headers, b"").await;
    assert!(answer.body.starts_with("GET /x\n"), "{answer:?}");
    assert!(answer.body.contains("dapr-api-token: of the app\n"), "{answer:?}");
    assert!(!answer.body.contains("dapr-caller-app-id") && !answer.body.contains("forwarded"), "{answer:?}");
}

#[tokio::test]
async fn an_answer_is_passed_on_as_it_is() {
    let app = App::new(|request| async move {
        let status = request.uri().path().trim_start_matches('/').parse().unwrap();
        let mut response = said(status, if status == 204 || status == 304 { "" } else { "so it is" });
        let headers = response.headers_mut();
        headers.insert("x-own", "1".parse().unwrap());
        headers.insert("keep-alive", "timeout=5".parse().unwrap());
        headers.insert("location", "/elsewhere".parse().unwrap());
        headers.append("set-cookie", "a=b".parse().unwrap());
        headers.append("set-cookie", "c=d".parse().unwrap());
        response
    })
    .await;
    let (caller, _callee) = calling(&app).await;
    for status in [200, 201, 204, 302, 304, 400, 404, 418, 500, 503] {
        let answer = caller.get(&format!("/v1.0/invoke/orders/method/{status}")).await;
        assert_eq!(answer.status, status);
        let body = if status == 204 || status == 304 { "" } else { "so it is" };
        assert_eq!((answer.body.as_str(), answer.header("x-own")), (body, Some("1")));
        assert_eq!((answer.header("location"), answer.header("keep-alive")), (Some("/elsewhere"), None));
        assert_eq!(answer.head.matches("set-cookie").count(), 2);
    }
    let head = caller.ask("HEAD", "/v1.0/invoke/orders/method/200", "").await;
    assert_eq!((head.status, head.body.as_str(), head.header("content-length")), (200, "", Some("8")));
}

#[tokio::test]
async fn bodies_come_and_go_piece_by_piece() {
    let app = App::new(|request| async move {
        let pieces = request.into_body().into_data_stream().map(|piece| {
            let mut text = b"heard ".to_vec();
            text.extend_from_slice(&piece.unwrap());
            Ok(Frame::data(Bytes::from(text)))
        });
        Response::new(StreamBody::new(pieces).boxed_unsync())
    })
    .await;
    let (caller, _callee) = calling(&app).await;
    let mut stream = TcpStream::connect(&caller.http).await.unwrap();
    let head =
        "POST /v1.0/invoke/orders/method/talk HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for word in ["one", "two", "six"] {
        stream.write_all(format!("3\r\n{word}\r\n").as_bytes()).await.unwrap();
        let mut heard = String::new();
        while !heard.ends_with(&format!("heard {word}\r\n")) {
            let mut bytes = [0; 1_000];
            let read = stream.read(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "{heard}");
            heard.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
}

#[tokio::test]
async fn events_are_passed_on_when_they_happen() {
    let (tell, told) = mpsc::unbounded_channel::<Bytes>();
    let told = std::sync::Arc::new(std::sync::Mutex::new(Some(told)));
    let app = App::new(move |_| {
        let told = std::sync::Arc::clone(&told);
        async move {
            let mut told = told.lock().unwrap().take().unwrap();
            let events = futures_util::stream::poll_fn(move |context| told.poll_recv(context));
            let body = StreamBody::new(events.map(|event| Ok(Frame::data(event)))).boxed_unsync();
            Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
        }
    })
    .await;
    let (caller, _callee) = calling(&app).await;
    let mut stream = TcpStream::connect(&caller.http).await.unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\nhost: x\r\ndapr-app-id: orders\r\n\r\n").await.unwrap();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        tell.send(Bytes::from_static(event.as_bytes())).unwrap();
        let mut heard = String::new();
        while !heard.contains(event) {
            let mut bytes = [0; 1_000];
            let read = stream.read(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "{heard}");
            heard.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
    }
    drop(stream);
    // The application hears that nobody listens any more.
    tokio::time::timeout(Duration::from_secs(20), tell.closed()).await.unwrap();
}

#[tokio::test]
async fn calls_go_to_each_instance_in_turn() {
    let apps =
        [App::new(|_| async { said(200, "one") }).await, App::new(|_| async { said(200, "two") }).await];
    let caller = World::new().await;
    let ports = [apps[0].port, apps[1].port];
    let one = caller.beside("orders", |config| config.app.port = Some(ports[0])).await;
    let two = caller.beside("orders", |config| config.app.port = Some(ports[1])).await;
    for world in [&one, &two] {
        while world.get("/v1.0/healthz").await.status != 204 {}
    }
    let mut heard = Vec::new();
    for _ in 0..6 {
        heard.push(caller.get("/v1.0/invoke/orders/method/x").await.body);
    }
    assert_eq!(heard.iter().filter(|body| *body == "one").count(), 3, "{heard:?}");
    assert!(heard.windows(2).all(|pair| pair[0] != pair[1]), "{heard:?}");
}

#[tokio::test]
async fn what_does_not_come_to_an_answer_is_an_error() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = gone.local_addr().unwrap().port();
    drop(gone);
    let caller = World::with(|config| config.body_bytes_max = 1_000).await;
    let _down = caller.beside("down", |config| config.app.port = Some(port)).await;
    let _portless = caller.beside("portless", |_| {}).await;
    let app = App::echo().await;
    let up = app.port;
    let _up = caller.beside("up", |config| config.app.port = Some(up)).await;
    for (id, why) in [
        ("nobody", "couldn't find service: nobody"),
        ("down", "onnection refused"),
        ("portless", "--app-port"),
    ] {
        let answer = caller.get(&format!("/v1.0/invoke/{id}/method/x")).await;
        assert_eq!(answer.refused(), (500, "ERR_DIRECT_INVOKE".into()));
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(
            message.starts_with(&format!("failed to invoke, id: {id}, err: ")) && message.contains(why),
            "{message}"
        );
    }
    for nowhere in ["/v1.0/invoke/up", "/v1.0/invoke//method/x", "/v1.0/invoke", "/v2.0/invoke/up/method/x"] {
        assert_eq!(caller.get(nowhere).await.refused(), (404, "ERR_DIRECT_INVOKE".into()), "{nowhere}");
    }
    let large = caller.post("/v1.0/invoke/up/method/x", &"x".repeat(1_001)).await;
    assert_eq!(large.refused(), (500, "ERR_DIRECT_INVOKE".into()));
    assert!(large.body.contains("stream too large"), "{large:?}");
    let chunked = "3e9\r\n".to_owned() + &"x".repeat(1001) + "\r\n0\r\n\r\n";
    let mut stream = TcpStream::connect(&caller.http).await.unwrap();
    let head = "POST /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\ndapr-app-id: up\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all((head.to_owned() + &chunked).as_bytes()).await.unwrap();
    let large = Answer::read(&mut stream).await;
    assert_eq!(large.refused(), (500, "ERR_DIRECT_INVOKE".into()));
    assert!(large.body.contains("stream too large"), "{large:?}");
}

#[tokio::test]
async fn an_endpoint_goes_before_a_header() {
    let app = App::echo().await;
    let (caller, _callee) = calling(&app).await;
    let header = [("dapr-app-id", "orders")];
    assert_eq!(caller.ask_with("GET", "/v1.0/healthz/outbound", &header, b"").await.status, 204);
    let answer = caller.ask_with("GET", "/v1.0/state/s/k/more", &header, b"").await;
    assert!(answer.body.starts_with("GET /v1.0/state/s/k/more\n"), "{answer:?}");
    let answer = caller.ask_with("GET", "/v1.0/invoke/shop/method/x", &header, b"").await;
    assert!(answer.body.starts_with("GET /v1.0/invoke/shop/method/x\n"), "{answer:?}");
}

#[tokio::test]
async fn most_calls_at_a_time_are_the_called_ones() {
    let (entered, mut inside) = mpsc::unbounded_channel();
    let (leave, left) = tokio::sync::watch::channel(false);
    let app = App::new(move |_| {
        let (entered, mut left) = (entered.clone(), left.clone());
        async move {
            entered.send(()).unwrap();
            left.wait_for(|left| *left).await.unwrap();
            said(200, "done")
        }
    })
    .await;
    let caller = World::new().await;
    let port = app.port;
    let _callee = caller
        .beside("orders", |config| {
            config.app.port = Some(port);
            config.app.max_concurrency = 1;
        })
        .await;
    let ask = || caller.get("/v1.0/invoke/orders/method/x");
    let both = async { tokio::join!(ask(), ask()) };
    let watch = async {
        inside.recv().await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(50), inside.recv()).await.is_err());
        leave.send(true).unwrap();
    };
    let ((one, two), ()) = tokio::join!(both, watch);
    assert_eq!((one.status, two.status), (200, 200));
}

#[tokio::test]
async fn who_is_outside_is_called_by_a_name_or_a_url() {
    let app = App::echo().await;
    let url = format!("http://127.0.0.1:{}", app.port);
    let endpoint = Endpoint {
        name: "partner".to_owned(),
        url: format!("{url}/base/").parse().unwrap(),
        headers: vec![("x-key".parse().unwrap(), "secret".parse().unwrap())],
        tls: Arc::new(components::tls::client(components::tls::Set::default()).unwrap()),
    };
    let world = World::with(|config| config.endpoints = vec![endpoint]).await;
    let answer = world.post("/v1.0/invoke/partner/method/a/b?q=1", "to it").await;
    assert!(
        answer.body.starts_with("POST /base/a/b?q=1\n") && answer.body.ends_with("\n\nto it"),
        "{answer:?}"
    );
    assert!(answer.body.contains("x-key: secret\n"), "{answer:?}");
    assert!(!answer.body.contains("dapr-caller-app-id") && !answer.body.contains("forwarded"), "{answer:?}");
    for path in
        [format!("/v1.0/invoke/{url}/method/a"), format!("/v1.0/invoke/{}/method/a", url.replace('/', "%2F"))]
    {
        let answer = world.get(&path).await;
        assert!(answer.body.starts_with("GET /a\n"), "{path}: {answer:?}");
        assert!(answer.body.contains(&format!("host: 127.0.0.1:{}\n", app.port)), "{answer:?}");
    }
    let answer = world.ask_with("GET", "/a", &[("dapr-app-id", &url)], b"").await;
    assert!(answer.body.starts_with("GET /a\n"), "{answer:?}");
    let secret = App::with_tls(&["http/1.1"], |_| async { said(200, "") }).await;
    let refused = world.get(&format!("/v1.0/invoke/https://localhost:{}/method/a", secret.port)).await;
    assert_eq!(refused.refused(), (500, "ERR_DIRECT_INVOKE".into()));
    assert!(refused.body.contains("certificate"), "nobody vouches for it: {refused:?}");
    let odd = world.get("/v1.0/invoke/http:/:1/method/a").await;
    assert_eq!(odd.refused(), (500, "ERR_DIRECT_INVOKE".into()));
}

//! Calls from one application to another over gRPC, and between what speaks HTTP and what speaks gRPC.

use api::proto::dapr::common::v1::http_extension::Verb;
use api::proto::dapr::common::v1::{HttpExtension, InvokeRequest, InvokeResponse};
use api::proto::dapr::runtime::v1::InvokeServiceRequest;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use prost_types::Any;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::app::{App, Body, said};
use crate::world::{PATIENCE, Refused, World};

const SERVICE: &str = "dapr.proto.runtime.v1.Dapr/InvokeService";

async fn calling(app: &App, protocol: &str) -> (World, World) {
    let caller = World::new().await;
    let port = app.port;
    let callee = caller
        .beside("orders", |config| {
            config.app.port = Some(port);
            config.app.protocol = protocol.to_owned();
        })
        .await;
    (caller, callee)
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

/// Messages, and how it ends.
fn messages(messages: Vec<Bytes>, end: &[(&'static str, &'static str)]) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    for (name, value) in end {
        trailers.insert(*name, HeaderValue::from_static(value));
    }
    let frames =
        messages.into_iter().map(|message| Ok(Frame::data(message))).chain([Ok(Frame::trailers(trailers))]);
    let body = StreamBody::new(stream::iter(frames.collect::<Vec<_>>())).boxed_unsync();
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

async fn whole(request: Request<Incoming>) -> Bytes {
    request.into_body().collect().await.unwrap().to_bytes()
}

fn metadata(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    pairs.iter().map(pair).collect()
}

/// Opens a call whose messages are sent through a channel.
async fn open(
    world: &World,
    path: &str,
    said: &HeaderMap,
) -> (mpsc::UnboundedSender<Bytes>, Response<Incoming>) {
    let stream = TokioIo::new(TcpStream::connect(&world.grpc).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let (send, mut sent) = mpsc::unbounded_channel();
    let frames = stream::poll_fn(move |context| sent.poll_recv(context));
    let body =
        StreamBody::new(frames.map(|message: Bytes| Ok::<_, std::convert::Infallible>(Frame::data(message))));
    let mut request = Request::post(format!("http://{}/{path}", world.grpc))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap();
    request.headers_mut().extend(said.clone());
    (send, timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap())
}

#[tokio::test]
async fn any_method_is_passed_on_as_it_is() {
    let app = App::new(|request| async move {
        assert_eq!(request.uri().path(), "/shop.Orders/Place");
        let headers = request.headers();
        assert_eq!(
            (headers.get("dapr-app-id"), &headers["dapr-caller-app-id"]),
            (None, &"shop".parse().unwrap())
        );
        assert_eq!(
            (&headers["dapr-callee-app-id"], &headers["x-own"]),
            (&"orders".parse().unwrap(), &"1".parse().unwrap())
        );
        assert_eq!(headers["te"], "trailers");
        let mut response = messages(vec![framed(b"placed")], &[("grpc-status", "0"), ("x-trailer", "last")]);
        response.headers_mut().insert("x-initial", "first".parse().unwrap());
        response
    })
    .await;
    let (caller, _callee) = calling(&app, "grpc").await;
    for name in ["dapr-app-id", "dapr-callee-app-id"] {
        let (_send, response) =
            open(&caller, "shop.Orders/Place", &metadata(&[(name, "orders"), ("x-own", "1")])).await;
        assert_eq!(response.headers()["x-initial"], "first");
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["x-trailer"], "last");
        assert_eq!(body.to_bytes(), framed(b"placed"));
    }
}

#[tokio::test]
async fn all_four_kinds_of_streams_are_passed_on() {
    let app = App::new(|request| async move {
        let echoed = request.into_body().into_data_stream().map(|piece| Ok(Frame::data(piece.unwrap())));
        let end = stream::once(async { Ok(Frame::trailers(metadata(&[("grpc-status", "0")]))) });
        let body = StreamBody::new(echoed.chain(end)).boxed_unsync();
        Response::builder().header("content-type", "application/grpc").body(body).unwrap()
    })
    .await;
    let (caller, _callee) = calling(&app, "grpc").await;
    let (send, response) = open(&caller, "a.B/Talk", &metadata(&[("dapr-app-id", "orders")])).await;
    let mut body = response.into_body();
    for text in ["one", "two", "three"] {
        send.send(framed(text.as_bytes())).unwrap();
        let frame = timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), framed(text.as_bytes()));
    }
    drop(send);
    let end = timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap();
    assert_eq!(end.into_trailers().unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn an_applications_error_comes_back_as_it_is() {
    let app = App::new(|_| async {
        let end = [
            ("grpc-status", "9"),
            ("grpc-message", "not%20now"),
            ("grpc-status-details-bin", "CAkSB25vdCBub3c"),
        ];
        messages(Vec::new(), &end)
    })
    .await;
    let (caller, _callee) = calling(&app, "grpc").await;
    let refused =
        caller.call_with::<()>("a.B/C", &(), metadata(&[("dapr-app-id", "orders")])).await.unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (9, "not now"));
    assert_eq!(refused.details.unwrap().message, "not now");
}

#[tokio::test]
async fn what_cannot_be_passed_on_has_a_status() {
    let app =
        App::new(|request| async { messages(vec![whole(request).await], &[("grpc-status", "0")]) }).await;
    let caller = World::with(|config| config.body_bytes_max = 1_000).await;
    let port = app.port;
    let grpc = |port: u16| {
        move |config: &mut api::Config| {
            config.app.port = Some(port);
            config.app.protocol = "grpc".to_owned();
        }
    };
    let _up = caller.beside("up", grpc(port)).await;
    let _http = caller.beside("http", |config| config.app.port = Some(port)).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone_port = gone.local_addr().unwrap().port();
    drop(gone);
    let _down = caller.beside("down", grpc(gone_port)).await;
    for (id, code, why) in [
        ("nobody", 2, "no host found"),
        ("http", 9, "--app-protocol grpc"),
        ("down", 14, "onnection refused"),
    ] {
        let said =
            HeaderMap::from_iter([(HeaderName::from_static("dapr-app-id"), HeaderValue::from_static(id))]);
        let refused = caller.call_with::<()>("a.B/C", &(), said).await.unwrap_err();
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(refused.message.contains(why), "{refused:?}");
    }
    let of = |bytes: usize| InvokeRequest { method: "x".repeat(bytes), ..InvokeRequest::default() };
    let said = || metadata(&[("dapr-app-id", "up")]);
    assert_eq!(caller.call_with::<InvokeRequest>("a.B/C", &of(900), said()).await.unwrap(), of(900));
    let refused = caller.call_with::<InvokeRequest>("a.B/C", &of(1_001), said()).await.unwrap_err();
    assert_eq!(refused.code, 8, "{refused:?}");
    let refused = caller.call::<()>("a.B/C", &()).await.unwrap_err();
    assert_eq!(refused.code, 12, "nobody is named: {refused:?}");
}

#[tokio::test]
async fn an_application_that_goes_in_the_middle_is_unavailable() {
    let app = App::new(|_| async {
        let frames = stream::iter([Ok(Frame::data(framed(b"one")))]).chain(stream::pending());
        let body = StreamBody::new(frames).boxed_unsync();
        Response::builder().header("content-type", "application/grpc").body(body).unwrap()
    })
    .await;
    let (caller, _callee) = calling(&app, "grpc").await;
    let (_send, response) = open(&caller, "a.B/Talk", &metadata(&[("dapr-app-id", "orders")])).await;
    let mut body = response.into_body();
    assert!(timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap().is_data());
    drop(app);
    let end = timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap();
    assert_eq!(end.into_trailers().unwrap()["grpc-status"], "14");
}

/// A call with `InvokeService`.
async fn invoke(
    world: &World,
    id: &str,
    message: InvokeRequest,
    said: HeaderMap,
) -> Result<InvokeResponse, Refused> {
    let request = InvokeServiceRequest { id: id.to_owned(), message: Some(message) };
    world.call_with(SERVICE, &request, said).await
}

fn message(method: &str, verb: Verb, data: &str) -> InvokeRequest {
    InvokeRequest {
        method: method.to_owned(),
        data: Some(Any { type_url: String::new(), value: data.into() }),
        content_type: "text/own".to_owned(),
        http_extension: Some(HttpExtension { verb: verb.into(), querystring: "q=1".to_owned() }),
    }
}

fn data(response: &InvokeResponse) -> &str {
    std::str::from_utf8(&response.data.as_ref().unwrap().value).unwrap()
}

#[tokio::test]
async fn an_application_that_speaks_http_is_called_from_grpc() {
    let app = App::echo().await;
    let (caller, _callee) = calling(&app, "http").await;
    let said = metadata(&[("x-own", "1")]);
    let response =
        invoke(&caller, "orders", message("a/b c", Verb::Put, "do it"), said.clone()).await.unwrap();
    let heard = data(&response);
    assert!(heard.starts_with("PUT /a/b%20c?q=1\n") && heard.ends_with("\n\ndo it"), "{heard}");
    for line in
        ["x-own: 1\n", "content-type: text/own\n", "content-length: 5\n", "dapr-caller-app-id: shop\n"]
    {
        assert!(heard.contains(line), "{line}: {heard}");
    }
    assert!(!heard.contains("grpc-") && !heard.contains("te: "), "{heard}");
    for (id, message, why) in [
        ("nobody", message("x", Verb::Get, ""), "couldn't find service: nobody"),
        ("", message("x", Verb::Get, ""), "couldn't find service"),
        ("orders", message("x", Verb::None, ""), "no verb"),
        ("orders", message("x?y=1", Verb::Get, ""), "querystring"),
    ] {
        let refused = invoke(&caller, id, message, HeaderMap::new()).await.unwrap_err();
        assert_eq!(refused.code, 13);
        assert!(refused.message.starts_with(&format!("failed to invoke, id: {id}, err: ")), "{refused:?}");
        assert!(refused.message.contains(why), "{refused:?}");
    }
}

#[tokio::test]
async fn a_status_of_http_is_one_of_grpc() {
    let app = App::new(|request| async move {
        said(request.uri().path().trim_start_matches('/').parse().unwrap(), "because")
    })
    .await;
    let (caller, _callee) = calling(&app, "http").await;
    for (status, code, phrase) in [
        (302, 2, "Found"),
        (400, 13, "Bad Request"),
        (401, 16, "Unauthorized"),
        (403, 7, "Forbidden"),
        (404, 5, "Not Found"),
        (408, 1, "Request Timeout"),
        (409, 6, "Conflict"),
        (429, 8, "Too Many Requests"),
        (500, 2, "Internal Server Error"),
        (501, 12, "Not Implemented"),
        (503, 14, "Service Unavailable"),
        (504, 4, "Gateway Timeout"),
    ] {
        let refused =
            invoke(&caller, "orders", message(&status.to_string(), Verb::Get, ""), HeaderMap::new())
                .await
                .unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (code, phrase), "{status}");
        let info = &refused.details.unwrap().details[0];
        let info = api::proto::rpc::ErrorInfo::decode(&info.value[..]).unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (phrase, "dapr.io"));
        assert_eq!(
            (info.metadata["http.code"].as_str(), info.metadata["http.error_message"].as_str()),
            (&*status.to_string(), "because")
        );
    }
}

/// An application that speaks gRPC and answers by `OnInvoke` what it was told.
async fn on_invoke(tls: bool) -> App {
    let answer = |request: Request<Incoming>| async {
        assert_eq!(request.uri().path(), "/dapr.proto.runtime.v1.AppCallback/OnInvoke");
        let headers: Vec<String> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or_default()))
            .collect();
        let request = InvokeRequest::decode(&whole(request).await[5..]).unwrap();
        if request.method == "fail" {
            return messages(Vec::new(), &[("grpc-status", "5"), ("grpc-message", "no%20such%20thing")]);
        }
        let extension = request.http_extension.unwrap();
        let heard = format!(
            "{} {} {}\n{}\n{}",
            extension.verb().as_str_name(),
            request.method,
            extension.querystring,
            headers.join("\n"),
            String::from_utf8_lossy(&request.data.unwrap().value)
        );
        let data = Some(Any { type_url: String::new(), value: heard.into_bytes() });
        let message = InvokeResponse { data, content_type: "text/heard".to_owned() };
        messages(vec![framed(&message.encode_to_vec())], &[("grpc-status", "0")])
    };
    match tls {
        true => App::with_tls(&["h2"], answer).await,
        false => App::new(answer).await,
    }
}

#[tokio::test]
async fn an_application_that_speaks_grpc_is_called_from_http() {
    for (tls, protocol) in [(false, "grpc"), (true, "grpcs")] {
        let app = on_invoke(tls).await;
        let (caller, callee) = calling(&app, protocol).await;
        let headers = [("x-own", "1"), ("accept", "text/heard"), ("content-type", "text/own")];
        let answer = caller.ask_with("PUT", "/v1.0/invoke/orders/method/a/b?q=1", &headers, b"do it").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/heard")), "{answer:?}");
        assert!(answer.body.starts_with("PUT a/b q=1\n") && answer.body.ends_with("\ndo it"), "{answer:?}");
        for line in [
            "x-own: 1\n",
            "dapr-accept: text/heard\n",
            "dapr-content-type: text/own\n",
            "dapr-caller-app-id: shop\n",
        ] {
            assert!(answer.body.contains(line), "{line}: {answer:?}");
        }
        let failed = caller.get("/v1.0/invoke/orders/method/fail").await;
        assert_eq!((failed.status, failed.json()), (404, json!({ "code": 5, "message": "no such thing" })));
        assert!(failed.header("content-type").unwrap().starts_with("text/plain"));
        let own = callee.get("/v1.0/invoke/orders/method/x").await;
        assert!(own.status == 200 && !own.body.contains("dapr-caller-app-id"), "{own:?}");
        drop(app);
        let gone = caller.get("/v1.0/invoke/orders/method/x").await;
        assert_eq!(gone.refused(), (500, "ERR_DIRECT_INVOKE".into()));
    }
}

#[tokio::test]
async fn who_is_behind_a_data_plane_is_called_by_way_of_it() {
    for (protocol, path) in
        [("grpc", "/v1.0/invoke/orders/method/a/b?q=1"), ("http", "/v1.0/invoke/orders/method/heard")]
    {
        let app = match protocol {
            "grpc" => on_invoke(false).await,
            _ => {
                App::new(|request| async move {
                    let caller = request.headers()["dapr-caller-app-id"].to_str().unwrap().to_owned();
                    said(200, format!("{} dapr-caller-app-id: {caller}", request.uri().path()))
                })
                .await
            }
        };
        let way = api::config::App {
            port: Some(app.port),
            protocol: protocol.to_owned(),
            ..api::config::App::default()
        };
        let world = World::with(|config| config.by_way = [("orders".to_owned(), way)].into()).await;
        let answer = world.get(path).await;
        assert_eq!(answer.status, 200, "{protocol}: {answer:?}");
        assert!(answer.body.contains("dapr-caller-app-id: shop"), "{protocol}: {answer:?}");
        drop(app);
        assert_eq!(world.get(path).await.refused(), (500, "ERR_DIRECT_INVOKE".into()));
    }
}

#[tokio::test]
async fn applications_that_speak_grpc_call_each_other_by_name() {
    let app = on_invoke(false).await;
    let (caller, _callee) = calling(&app, "grpc").await;
    let said = metadata(&[("x-own", "1")]);
    let response = invoke(&caller, "orders", message("a/b", Verb::Post, "do it"), said).await.unwrap();
    assert!(data(&response).starts_with("POST a/b q=1\n") && data(&response).contains("x-own: 1\n"));
    let refused =
        invoke(&caller, "orders", message("fail", Verb::Post, ""), HeaderMap::new()).await.unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (5, "no such thing"));
    drop(app);
    let refused =
        invoke(&caller, "orders", message("x", Verb::Post, ""), HeaderMap::new()).await.unwrap_err();
    assert_eq!(refused.code, 13);
    assert!(refused.message.starts_with("failed to invoke, id: orders, err: "), "{refused:?}");
}

#[tokio::test]
async fn applications_may_speak_tls_or_http2() {
    let answer = |request: Request<Incoming>| async move { said(200, format!("{:?}", request.version())) };
    let (https, h2c) = (App::with_tls(&["http/1.1"], answer).await, App::new(answer).await);
    for (app, protocol, version) in [(&https, "https", "HTTP/1.1"), (&h2c, "h2c", "HTTP/2.0")] {
        let (caller, _callee) = calling(app, protocol).await;
        for _ in 0..2 {
            assert_eq!(caller.get("/v1.0/invoke/orders/method/x").await.body, version);
        }
    }
}

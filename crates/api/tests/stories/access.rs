//! What of an API is closed: groups of endpoints, calls of other applications, pages of other origins.

use api::access::{Access, Apis, Calls, Group, Open, Operation, Origins, Policy};
use api::proto::dapr::common::v1::http_extension::Verb;
use api::proto::dapr::common::v1::{HttpExtension, InvokeRequest, InvokeResponse};
use api::proto::dapr::runtime::v1::{
    GetMetadataRequest, GetMetadataResponse, GetStateRequest, GetStateResponse, InvokeServiceRequest,
};
use http::HeaderMap;

use crate::app::{App, said};
use crate::world::World;

const DAPR: &str = "dapr.proto.runtime.v1.Dapr";

fn groups(all: &[&str]) -> std::collections::BTreeSet<Group> {
    all.iter().map(|name| Group::new(name, "v1")).collect()
}

fn not_there(answer: (u16, String)) {
    assert_eq!(answer, (404, "ERR_DIRECT_INVOKE".to_owned()));
}

#[tokio::test]
async fn groups_that_are_denied_are_not_there() {
    let closed = Open { denied: groups(&["state", "metadata"]), ..Open::default() };
    let world = World::with(|config| config.apis = Apis { http: closed.clone(), grpc: closed }).await;
    not_there(world.get("/v1.0/state/s/k").await.refused());
    not_there(world.get("/v1.0/metadata").await.refused());
    assert_eq!(world.get("/v1.0/healthz/outbound").await.status, 204);
    assert_eq!(world.post("/v1.0/publish/p/t", "1").await.status, 204);
    let request = GetStateRequest { store_name: "s".into(), key: "k".into(), ..GetStateRequest::default() };
    let refused = world.call::<GetStateResponse>(&format!("{DAPR}/GetState"), &request).await.unwrap_err();
    assert_eq!(refused.code, 12, "{refused:?}");
}

#[tokio::test]
async fn groups_that_are_allowed_are_all_there_is() {
    let http = Open { allowed: groups(&["state", "publish"]), denied: groups(&["publish"]) };
    let grpc = Open { allowed: groups(&["metadata"]), ..Open::default() };
    let world = World::with(|config| config.apis = Apis { http, grpc }).await;
    assert_eq!(world.get("/v1.0/state/s/k").await.status, 204);
    not_there(world.post("/v1.0/publish/p/t", "1").await.refused());
    not_there(world.get("/v1.0/queues").await.refused());
    not_there(world.get("/v1.0/invoke/orders/method/x").await.refused());
    not_there(world.ask_with("GET", "/x", &[("dapr-app-id", "orders")], b"").await.refused());
    let told =
        world.call::<GetMetadataResponse>(&format!("{DAPR}/GetMetadata"), &GetMetadataRequest {}).await;
    assert_eq!(told.unwrap().id, "shop");
    for method in [format!("{DAPR}/GetState"), "colony.v1.Queues/Send".to_owned()] {
        let refused = world.call::<GetStateResponse>(&method, &GetStateRequest::default()).await.unwrap_err();
        assert_eq!(refused.code, 12, "{method}: {refused:?}");
    }
}

/// Only `shop` may call, and only what is open.
fn access() -> Access {
    let operations = vec![
        Operation::new("/open/**", vec!["GET".to_owned()], true),
        Operation::new("/shop.Orders/Get", Vec::new(), true),
    ];
    let policy = Policy {
        namespace: "default".to_owned(),
        trust_domain: "public".to_owned(),
        allow: Some(false),
        operations,
    };
    let policies = [("shop".to_owned(), vec![policy])].into();
    Access { calls: Some(Calls { allow: false, policies }), ..Access::default() }
}

async fn calling(protocol: &str) -> (World, World, App) {
    let app = App::new(|_| async {
        let mut response = said(200, "yes");
        // By which it is known over gRPC that it got there.
        response.headers_mut().insert("grpc-status", 5.into());
        response
    })
    .await;
    let caller = World::new().await;
    let port = app.port;
    let callee = caller
        .beside("orders", |config| {
            config.app.port = Some(port);
            config.app.protocol = protocol.to_owned();
            config.access = access();
        })
        .await;
    (caller, callee, app)
}

#[tokio::test]
async fn calls_that_are_not_allowed_are_denied() {
    let (shop, orders, _app) = calling("http").await;
    assert_eq!(shop.get("/v1.0/invoke/orders/method/open/x").await.status, 200);
    let refused = shop.post("/v1.0/invoke/orders/method/open/x", "1").await;
    assert_eq!(refused.status, 403);
    let message = "failed to invoke, id: orders, err: rpc error: code = PermissionDenied desc = access control policy \
                   has denied access to id: spiffe://public/ns/default/shop operation: open/x verb: POST";
    assert!(refused.body.contains(message) && refused.body.contains("ERR_DIRECT_INVOKE"), "{}", refused.body);
    for path in ["closed", "open/..%2fclosed", "open%2Fx"] {
        assert_eq!(shop.get(&format!("/v1.0/invoke/orders/method/{path}")).await.status, 403, "{path}");
    }
    let by_header = shop.ask_with("GET", "/open/x", &[("dapr-app-id", "orders")], b"").await;
    assert_eq!(by_header.status, 200);
    let other = shop.beside("other", |_| {}).await;
    let pretending = [("dapr-caller-app-id", "shop")];
    let refused = other.ask_with("GET", "/v1.0/invoke/orders/method/open/x", &pretending, b"").await;
    assert_eq!(refused.status, 403);
    assert_eq!(orders.get("/v1.0/invoke/orders/method/closed").await.status, 200, "its own");
}

#[tokio::test]
async fn calls_that_are_not_allowed_are_denied_over_grpc() {
    let (shop, _orders, _app) = calling("http").await;
    let call = async |method: &str, verb: Verb| {
        let http_extension = Some(HttpExtension { verb: verb.into(), ..HttpExtension::default() });
        let message = InvokeRequest { method: method.to_owned(), http_extension, ..InvokeRequest::default() };
        let request = InvokeServiceRequest { id: "orders".to_owned(), message: Some(message) };
        shop.call::<InvokeResponse>(&format!("{DAPR}/InvokeService"), &request).await.map_err(|no| no.code)
    };
    assert!(call("open/x", Verb::Get).await.is_ok());
    assert_eq!(call("open/x", Verb::Post).await.unwrap_err(), 7);
    assert_eq!(call("closed", Verb::Get).await.unwrap_err(), 7);
    let (shop, _orders, _app) = calling("grpc").await;
    let mut metadata = HeaderMap::new();
    metadata.insert("dapr-app-id", "orders".parse().unwrap());
    let proxied = async |method: &str| {
        let request = GetMetadataRequest {};
        shop.call_with::<GetMetadataResponse>(method, &request, metadata.clone()).await.unwrap_err()
    };
    let denied = proxied("shop.Orders/Put").await;
    assert!(
        denied.code == 7 && denied.message.contains("operation: shop.Orders/Put verb: NONE"),
        "{denied:?}"
    );
    assert_eq!(proxied("shop.Orders/Get").await.code, 5);
}

#[tokio::test]
async fn pages_of_origins_that_are_allowed_may_ask() {
    let world = World::with(|config| {
        config.origins = Origins::new("http://shop.example");
        config.token = Some("secret".to_owned());
    })
    .await;
    let asking = [
        ("origin", "http://shop.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,dapr-api-token"),
    ];
    let may = world.ask_with("OPTIONS", "/v1.0/state/s", &asking, b"").await;
    let header = |name: &str| may.header(name).map(str::to_owned);
    assert_eq!((may.status, may.body.as_str()), (200, ""));
    assert_eq!(header("access-control-allow-origin").as_deref(), Some("http://shop.example"));
    assert_eq!(header("access-control-allow-methods").as_deref(), Some("POST"));
    assert_eq!(header("access-control-allow-headers").as_deref(), Some("content-type,dapr-api-token"));
    let from = |origin: &'static str| [("origin", origin), ("access-control-request-method", "POST")];
    let no = world.ask_with("OPTIONS", "/v1.0/state/s", &from("http://other.example"), b"").await;
    assert_eq!((no.status, no.header("access-control-allow-origin")), (200, None));
    let method = [("origin", "http://shop.example"), ("access-control-request-method", "TRACE")];
    let no = world.ask_with("OPTIONS", "/v1.0/state/s", &method, b"").await;
    assert_eq!((no.status, no.header("access-control-allow-origin")), (200, None));
    let got = [("origin", "http://shop.example"), ("dapr-api-token", "secret")];
    let got = world.ask_with("GET", "/v1.0/state/s/k", &got, b"").await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (204, Some("http://shop.example")));
    assert_eq!(got.header("vary"), Some("origin"));
    let refused = world.ask_with("GET", "/v1.0/state/s/k", &[("origin", "http://shop.example")], b"").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin").is_some()), (401, true));
    let silent = World::new().await;
    let no = silent.ask_with("GET", "/v1.0/state/s/k", &[("origin", "http://shop.example")], b"").await;
    assert_eq!((no.status, no.header("vary"), no.header("access-control-allow-origin")), (204, None, None));
    let all = World::with(|config| config.origins = Origins::new("*")).await;
    let any = all.ask_with("GET", "/v1.0/state/s/k", &[("origin", "null")], b"").await;
    assert_eq!(any.header("access-control-allow-origin"), Some("*"));
}

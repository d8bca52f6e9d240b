//! The API over gRPC.

use api::proto::dapr::common::v1::state_options::{StateConcurrency, StateConsistency};
use api::proto::dapr::common::v1::{Etag, StateItem, StateOptions};
use api::proto::dapr::runtime::v1::{
    DeleteBulkStateRequest, DeleteStateRequest, ExecuteStateTransactionRequest, GetBulkStateRequest,
    GetBulkStateResponse, GetMetadataRequest, GetMetadataResponse, GetStateRequest, GetStateResponse,
    SaveStateRequest, SetMetadataRequest, TransactionalStateOperation,
};
use api::proto::health::{HealthCheckRequest, HealthCheckResponse};
use api::proto::rpc::ErrorInfo;
use http::HeaderMap;
use prost::Message;

use crate::world::{Refused, World};

fn dapr(method: &str) -> String {
    format!("dapr.proto.runtime.v1.Dapr/{method}")
}

fn item(key: &str, value: &'static str) -> StateItem {
    StateItem { key: key.to_owned(), value: value.into(), ..StateItem::default() }
}

fn etag(value: &str) -> Option<Etag> {
    Some(Etag { value: value.to_owned() })
}

fn concurrency(concurrency: StateConcurrency) -> Option<StateOptions> {
    Some(StateOptions {
        concurrency: concurrency.into(),
        consistency: StateConsistency::ConsistencyStrong.into(),
    })
}

async fn get(world: &World, key: &str) -> GetStateResponse {
    let request =
        GetStateRequest { store_name: "s".to_owned(), key: key.to_owned(), ..GetStateRequest::default() };
    world.call(&dapr("GetState"), &request).await.unwrap()
}

async fn save(world: &World, states: Vec<StateItem>) -> Result<(), Refused> {
    world.call(&dapr("SaveState"), &SaveStateRequest { store_name: "s".to_owned(), states }).await
}

#[tokio::test]
async fn values_are_bytes() {
    let world = World::new().await;
    assert_eq!(get(&world, "k").await, GetStateResponse::default());
    let json = StateItem {
        metadata: [("contentType".to_owned(), "application/json".to_owned())].into(),
        ..item("json", "{\"a\": 1}")
    };
    save(&world, vec![item("k", "no { json"), json.clone(), item("empty", "")]).await.unwrap();
    let got = get(&world, "k").await;
    assert_eq!(&got.data[..], b"no { json");
    assert!(got.etag.parse::<u64>().is_ok());
    assert_eq!(&get(&world, "json").await.data[..], b"{\"a\":1}");
    let told = world.post("/v1.0/state/s/bulk", r#"{"keys":["k","json","empty"]}"#).await.json();
    assert!(told[0]["error"].is_string() && told[0].get("data").is_none(), "{told}");
    assert_eq!(told[1]["data"]["a"], 1);
    assert_eq!(world.get("/v1.0/state/s/empty").await.status, 204);
    assert_eq!(world.get("/v1.0/state/s/k").await.body, "no { json");
    let refused = save(&world, vec![StateItem { value: "{".into(), ..json }]).await.unwrap_err();
    assert_eq!(refused.code, 3, "{refused:?}");
}

#[tokio::test]
async fn etags_and_time_to_live_are_as_over_http() {
    let world = World::new().await;
    save(&world, vec![item("k", "1")]).await.unwrap();
    let first = get(&world, "k").await.etag;
    save(&world, vec![StateItem { etag: etag(&first), ..item("k", "2") }]).await.unwrap();
    let refused = save(&world, vec![StateItem { etag: etag(&first), ..item("k", "3") }]).await.unwrap_err();
    assert_eq!(refused.code, 10, "ABORTED: {refused:?}");
    assert!(
        refused.message.starts_with("failed saving state in state store s: possible etag mismatch."),
        "{refused:?}"
    );
    assert_eq!(
        save(&world, vec![StateItem { etag: etag("odd"), ..item("k", "3") }]).await.unwrap_err().code,
        3
    );
    let insert =
        StateItem { options: concurrency(StateConcurrency::ConcurrencyFirstWrite), ..item("k", "4") };
    assert_eq!(save(&world, vec![insert]).await.unwrap_err().code, 10);
    let last = concurrency(StateConcurrency::ConcurrencyLastWrite);
    save(&world, vec![StateItem { etag: etag(&first), options: last, ..item("k", "5") }]).await.unwrap();
    let ttl = |ttl: &str| StateItem {
        metadata: [("ttlInSeconds".to_owned(), ttl.to_owned())].into(),
        ..item("short", "1")
    };
    save(&world, vec![ttl("100")]).await.unwrap();
    assert!(get(&world, "short").await.metadata["ttlExpireTime"].ends_with('Z'));
    assert_eq!(save(&world, vec![ttl("soon")]).await.unwrap_err().code, 13);
    let delete = |key: &str, etag| DeleteStateRequest {
        store_name: "s".to_owned(),
        key: key.to_owned(),
        etag,
        ..DeleteStateRequest::default()
    };
    let refused = world.call::<()>(&dapr("DeleteState"), &delete("k", etag(&first))).await.unwrap_err();
    assert!(
        refused.code == 10 && refused.message.starts_with("failed deleting state with key k: "),
        "{refused:?}"
    );
    world.call::<()>(&dapr("DeleteState"), &delete("k", None)).await.unwrap();
    assert_eq!(get(&world, "k").await, GetStateResponse::default());
}

#[tokio::test]
async fn several_are_had_and_deleted_at_once() {
    let world = World::new().await;
    save(&world, vec![item("a", "1"), item("b", "2")]).await.unwrap();
    let keys = ["b", "none", "a"].map(str::to_owned).to_vec();
    let request = GetBulkStateRequest { store_name: "s".to_owned(), keys, ..GetBulkStateRequest::default() };
    let told: GetBulkStateResponse = world.call(&dapr("GetBulkState"), &request).await.unwrap();
    let told: Vec<(&str, &[u8])> =
        told.items.iter().map(|item| (item.key.as_str(), &item.data[..])).collect();
    assert_eq!(told, [("b", &b"2"[..]), ("none", b""), ("a", b"1")]);
    let states = vec![StateItem { etag: etag("99"), ..item("a", "") }, item("b", "")];
    let request = DeleteBulkStateRequest { store_name: "s".to_owned(), states };
    let refused = world.call::<()>(&dapr("DeleteBulkState"), &request).await.unwrap_err();
    assert!(refused.code == 10 && refused.message.contains("with key a: "), "{refused:?}");
    assert_eq!(get(&world, "b").await.data.len(), 0, "each by itself");
    let request = DeleteBulkStateRequest { store_name: "s".to_owned(), states: vec![item("a", "")] };
    world.call::<()>(&dapr("DeleteBulkState"), &request).await.unwrap();
    assert_eq!(get(&world, "a").await.data.len(), 0);
}

#[tokio::test]
async fn a_transaction_does_all_or_nothing() {
    let world = World::new().await;
    let step = |operation: &str, item| TransactionalStateOperation {
        operation_type: operation.to_owned(),
        request: Some(item),
    };
    let transact = |operations| {
        let world = &world;
        let request =
            ExecuteStateTransactionRequest { store_name: "s".to_owned(), operations, ..Default::default() };
        async move { world.call::<()>(&dapr("ExecuteStateTransaction"), &request).await }
    };
    save(&world, vec![item("old", "1")]).await.unwrap();
    transact(vec![step("upsert", item("k", "1")), step("delete", item("old", ""))]).await.unwrap();
    assert_eq!((get(&world, "k").await.data.len(), get(&world, "old").await.data.len()), (1, 0));
    let mismatch = StateItem { etag: etag("99"), ..item("k", "2") };
    let refused =
        transact(vec![step("upsert", item("new", "1")), step("upsert", mismatch)]).await.unwrap_err();
    assert_eq!(refused.code, 13, "{refused:?}");
    assert_eq!(get(&world, "new").await.data.len(), 0, "nothing was done");
    assert_eq!(transact(vec![step("odd", item("k", ""))]).await.unwrap_err().code, 12);
    transact(Vec::new()).await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_is_told_in_details() {
    let world = World::with(|config| config.foreign = vec!["theirs".to_owned()]).await;
    let request = GetStateRequest {
        store_name: "theirs".to_owned(),
        key: "k".to_owned(),
        ..GetStateRequest::default()
    };
    let refused = world.call::<GetStateResponse>(&dapr("GetState"), &request).await.unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (3, "state store theirs is not found"));
    let details = refused.details.expect("details");
    assert_eq!((details.code, details.details.len()), (3, 1));
    assert_eq!(details.details[0].type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    let info = ErrorInfo::decode(&details.details[0].value[..]).unwrap();
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str(), info.metadata["appID"].as_str()),
        ("DAPR_STATE_NOT_FOUND", "dapr.io", "shop")
    );
    let refused = save(&world, vec![item("a||b", "1")]).await.unwrap_err();
    let details: Vec<String> =
        refused.details.expect("details").details.into_iter().map(|any| any.type_url).collect();
    let names = ["BadRequest", "ResourceInfo", "ErrorInfo"]
        .map(|name| format!("type.googleapis.com/google.rpc.{name}"));
    assert_eq!((refused.code, details), (3, names.to_vec()));
    assert_eq!(save(&world, vec![item("", "1")]).await.unwrap_err().code, 3);
}

#[tokio::test]
async fn a_sidecar_says_what_it_is_and_keeps_notes() {
    let world = World::new().await;
    save(&world, vec![item("k", "1")]).await.unwrap();
    let note = |key: &str| SetMetadataRequest { key: key.to_owned(), value: "42".to_owned() };
    world.call::<()>(&dapr("SetMetadata"), &note("cliPID")).await.unwrap();
    let told: GetMetadataResponse = world.call(&dapr("GetMetadata"), &GetMetadataRequest {}).await.unwrap();
    assert_eq!((told.id.as_str(), told.extended_metadata["cliPID"].as_str()), ("shop", "42"));
    assert_eq!(told.extended_metadata["daprRuntimeVersion"], told.runtime_version);
    let store = &told.registered_components[0];
    assert_eq!(
        (store.name.as_str(), store.r#type.as_str(), store.capabilities.len()),
        ("s", "state.colony", 3)
    );
    assert_eq!(told.app_connection_properties.expect("told").max_concurrency, -1);
    assert_eq!(world.call::<()>(&dapr("SetMetadata"), &note("")).await.unwrap_err().code, 3);
}

#[tokio::test]
async fn what_holds_for_every_call_holds() {
    let world = World::with(|config| {
        config.token = Some("secret".to_owned());
        config.body_bytes_max = 1_000;
    })
    .await;
    let headers = |pairs: &[(&'static str, &str)]| -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    };
    let refused =
        world.call::<GetMetadataResponse>(&dapr("GetMetadata"), &GetMetadataRequest {}).await.unwrap_err();
    assert_eq!(refused.code, 16, "UNAUTHENTICATED: {refused:?}");
    assert_eq!(refused.details.expect("details").details.len(), 1);
    let known = [("dapr-api-token", "secret")];
    let call = |method: &'static str, pairs: Vec<(&'static str, &'static str)>, bytes: usize| {
        let world = &world;
        let states = vec![StateItem { value: vec![b'x'; bytes].into(), ..item("k", "") }];
        let request = SaveStateRequest { store_name: "s".to_owned(), states };
        async move { world.call_with::<()>(method, &request, headers(&pairs)).await }
    };
    let method = "dapr.proto.runtime.v1.Dapr/SaveState";
    call(method, known.to_vec(), 10).await.unwrap();
    assert_eq!(
        call(method, known.to_vec(), 2_000).await.unwrap_err().code,
        11,
        "OUT_OF_RANGE: larger than is taken"
    );
    assert_eq!(call("dapr.proto.runtime.v1.Dapr/Odd", known.to_vec(), 1).await.unwrap_err().code, 12);
    assert_eq!(call("other.Service/Odd", known.to_vec(), 1).await.unwrap_err().code, 12);
    let timed = |time| vec![known[0], ("grpc-timeout", time)];
    assert_eq!(call(method, timed("1n"), 1).await.unwrap_err().code, 4, "DEADLINE_EXCEEDED");
    assert_eq!(call(method, timed("soon"), 1).await.unwrap_err().code, 3);
    call(method, timed("20S"), 1).await.unwrap();
}

#[tokio::test]
async fn the_health_protocol_is_spoken() {
    let world = World::new().await;
    while world.get("/v1.0/healthz").await.status != 204 {}
    let ask = |service: &str| HealthCheckRequest { service: service.to_owned() };
    for service in ["", "dapr.proto.runtime.v1.Dapr"] {
        let told: HealthCheckResponse =
            world.call("grpc.health.v1.Health/Check", &ask(service)).await.unwrap();
        assert_eq!(told.status, 1, "SERVING");
    }
    let odd = world.call::<HealthCheckResponse>("grpc.health.v1.Health/Check", &ask("odd")).await;
    assert_eq!(odd.unwrap_err().code, 5);
    // What is watched is told until the end, and then no more.
    let ending = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        world.instance.end();
    };
    let (watched, ()) = tokio::join!(watch(&world), ending);
    assert_eq!(watched, [1, 2], "serving, then not");
}

/// All that `Watch` tells.
async fn watch(world: &World) -> Vec<i32> {
    use http_body_util::BodyExt;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let stream = TokioIo::new(tokio::net::TcpStream::connect(&world.grpc).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://{}/grpc.health.v1.Health/Watch", world.grpc))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(http_body_util::Full::new(bytes::Bytes::from_static(&[0; 5])));
    let body = sender.send_request(request.unwrap()).await.unwrap().into_body();
    let bytes = body.collect().await.unwrap().to_bytes();
    bytes.chunks(7).map(|frame| i32::from(frame[6])).collect()
}

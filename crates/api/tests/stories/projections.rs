//! Projections: a checkpoint that is saved with what came of the events up to there.

use std::collections::BTreeMap;

use api::proto::colony::v1::{GetProjectionRequest, Projection, SetProjectionRequest};
use api::proto::dapr::common::v1::StateItem;
use api::proto::dapr::runtime::v1::{ExecuteStateTransactionRequest, TransactionalStateOperation};
use serde_json::{Value, json};

use crate::world::{Answer, World};

const PROJECTION: &str = "/v1.0/streams/facts/projections/totals?state=views";

async fn world() -> World {
    let world = World::new().await;
    assert_eq!(world.ask("PUT", "/v1.0/streams/facts", "").await.status, 204);
    world
}

async fn position(world: &World) -> String {
    let told = world.get(PROJECTION).await;
    assert_eq!(told.status, 200, "{}", told.body);
    told.json()["position"].as_str().expect("a position").to_owned()
}

fn metadata(from: &str, to: &str) -> Value {
    json!({"projection.name": "totals", "projection.streams": "facts", "projection.from": from, "projection.to": to})
}

async fn save(world: &World, total: u64, from: &str, to: &str) -> Answer {
    let upsert = json!({"operation": "upsert", "request": {"key": "total", "value": total}});
    let body = json!({"operations": [upsert], "metadata": metadata(from, to)});
    world.post("/v1.0/state/views/transaction", &body.to_string()).await
}

#[tokio::test]
async fn a_checkpoint_is_saved_with_what_came_of_the_events() {
    let world = world().await;
    assert_eq!(position(&world).await, "");
    assert_eq!(save(&world, 1, "", "0:4,1:2").await.status, 204);
    assert_eq!(position(&world).await, "0:4,1:2");
    // Whoever got no answer, and another who runs the same projection, learn that it is elsewhere.
    let refused = save(&world, 9, "start", "0:5").await;
    assert_eq!(refused.refused(), (409, "ERR_STATE_TRANSACTION".to_owned()));
    assert!(
        refused.body.contains("has read shard 0 of \\\"facts\\\" up to position 4, not 0"),
        "{}",
        refused.body
    );
    assert_eq!(world.get("/v1.0/state/views/total").await.body, "1");
    assert_eq!(save(&world, 2, "0:4,1:2", "0:4,1:3").await.status, 204);
    assert_eq!(
        (position(&world).await.as_str(), world.get("/v1.0/state/views/total").await.body.as_str()),
        ("0:4,1:3", "2")
    );

    // A transaction that is refused moves nothing, and one that saves nothing may move it.
    let stale = json!({"operation": "upsert", "request": {"key": "total", "value": 3, "etag": "999999"}});
    let body = json!({"operations": [stale], "metadata": metadata("0:4,1:3", "0:9,1:3")});
    assert_eq!(world.post("/v1.0/state/views/transaction", &body.to_string()).await.status, 409);
    let body = json!({"operations": [], "metadata": metadata("0:4,1:3", "0:5,1:3")});
    assert_eq!(world.post("/v1.0/state/views/transaction", &body.to_string()).await.status, 204);
    assert_eq!(position(&world).await, "0:5,1:3");
    world.end().await;
}

#[tokio::test]
async fn a_projection_is_set_back_and_begins_anew() {
    let world = world().await;
    assert_eq!(save(&world, 1, "", "0:4,1:2").await.status, 204);
    assert_eq!(world.ask("PUT", PROJECTION, r#"{"position":"0:2"}"#).await.status, 204);
    assert_eq!(position(&world).await, "0:2");
    assert_eq!(save(&world, 1, "0:4,1:2", "0:5,1:2").await.status, 409);
    assert_eq!(world.ask("DELETE", PROJECTION, "").await.status, 204);
    assert_eq!(position(&world).await, "");
    assert_eq!(world.get("/v1.0/state/views/total").await.body, "1", "what it saved stays");
    let elsewhere = world.get("/v1.0/streams/facts/projections/totals?state=other").await;
    assert_eq!((elsewhere.status, elsewhere.json()), (200, json!({"position": ""})));
    world.end().await;
}

#[tokio::test]
async fn projections_are_the_same_over_grpc() {
    let world = world().await;
    let metadata: BTreeMap<String, String> = serde_json::from_value(metadata("", "1:7")).unwrap();
    let item = StateItem { key: "total".to_owned(), value: "7".into(), ..StateItem::default() };
    let upsert = TransactionalStateOperation { operation_type: "upsert".to_owned(), request: Some(item) };
    let transact =
        ExecuteStateTransactionRequest { store_name: "views".to_owned(), operations: vec![upsert], metadata };
    let method = "dapr.proto.runtime.v1.Dapr/ExecuteStateTransaction";
    world.call::<()>(method, &transact).await.unwrap();
    assert_eq!(world.call::<()>(method, &transact).await.unwrap_err().code, 10);
    let get = GetProjectionRequest {
        store: "facts".to_owned(),
        projection: "totals".to_owned(),
        state: "views".to_owned(),
    };
    let told: Projection = world.call("colony.v1.Streams/GetProjection", &get).await.unwrap();
    assert_eq!(told.position, "1:7");
    let GetProjectionRequest { store, projection, state } = get.clone();
    let set = SetProjectionRequest { store, projection, state, position: String::new() };
    world.call::<()>("colony.v1.Streams/SetProjection", &set).await.unwrap();
    let told: Projection = world.call("colony.v1.Streams/GetProjection", &get).await.unwrap();
    assert_eq!(told.position, "");
    world.end().await;
}

#[tokio::test]
async fn what_is_no_projection_is_refused() {
    let world = world().await;
    let transact = async |metadata: Value| {
        let body = json!({"operations": [], "metadata": metadata});
        world.post("/v1.0/state/views/transaction", &body.to_string()).await.refused()
    };
    let refused = |status: u16, code: &str| (status, code.to_owned());
    for odd in [
        json!({"projection.name": "totals"}),
        json!({"projection.name": "totals", "projection.streams": "facts", "projection.to": "soon"}),
        json!({"projection.name": "totals", "projection.streams": "facts", "projection.too": "0:1"}),
        json!({"projection.name": "totals", "projection.streams": "facts", "projection.to": "99999:1"}),
        metadata("0:4", "0:4"),
        metadata("0:4", "0:3"),
        metadata("0:4,1:1", "0:5"),
    ] {
        assert_eq!(transact(odd.clone()).await, refused(400, "ERR_STATE_TRANSACTION"), "{odd}");
    }
    let nothing =
        json!({"projection.name": "totals", "projection.streams": "nothing", "projection.to": "0:1"});
    assert_eq!(transact(nothing).await, refused(404, "ERR_STREAM_NOT_FOUND"));
    for (method, path, body, status, code) in [
        ("GET", "/v1.0/streams/facts/projections/totals", "", 400, "ERR_STREAM_INVALID"),
        ("GET", "/v1.0/streams/nothing/projections/totals?state=views", "", 404, "ERR_STREAM_NOT_FOUND"),
        ("PUT", PROJECTION, r#"{"position":"soon"}"#, 400, "ERR_STREAM_INVALID"),
        ("PUT", PROJECTION, r#"{"position":"99999:1"}"#, 400, "ERR_STREAM_INVALID"),
        ("PUT", PROJECTION, "[]", 400, "ERR_MALFORMED_REQUEST"),
    ] {
        assert_eq!(
            world.ask(method, path, body).await.refused(),
            refused(status, code),
            "{method} {path} {body}"
        );
    }
    world.end().await;
}

//! Locks over both transports.

use api::config::{Block, Component, Place, Prefix};
use api::proto::dapr::runtime::v1::{TryLockRequest, TryLockResponse, UnlockRequest, UnlockResponse};
use serde_json::json;

use crate::world::{Answer, Refused, World};

fn store(name: &str, kind: &str, block: Block) -> Component {
    Component { name: name.to_owned(), kind: kind.to_owned(), version: "v1".to_owned(), block }
}

async fn lock(world: &World, store: &str, owner: &str) -> Answer {
    let body = json!({ "resourceId": "stock", "lockOwner": owner, "expiryInSeconds": 60 });
    world.post(&format!("/v1.0-alpha1/lock/{store}"), &body.to_string()).await
}

async fn unlock(world: &World, store: &str, owner: &str) -> Answer {
    let body = json!({ "resource_id": "stock", "lock_owner": owner });
    world.post(&format!("/v1.0-alpha1/unlock/{store}"), &body.to_string()).await
}

async fn call_lock(world: &World, store: &str, owner: &str, seconds: i32) -> Result<bool, Refused> {
    let request = TryLockRequest {
        store_name: store.to_owned(),
        resource_id: "stock".to_owned(),
        lock_owner: owner.to_owned(),
        expiry_in_seconds: seconds,
    };
    let told = world.call::<TryLockResponse>("dapr.proto.runtime.v1.Dapr/TryLockAlpha1", &request).await;
    told.map(|told| told.success)
}

async fn call_unlock(world: &World, store: &str, owner: &str) -> Result<i32, Refused> {
    let request = UnlockRequest {
        store_name: store.to_owned(),
        resource_id: "stock".to_owned(),
        lock_owner: owner.to_owned(),
    };
    let told = world.call::<UnlockResponse>("dapr.proto.runtime.v1.Dapr/UnlockAlpha1", &request).await;
    told.map(|told| told.status)
}

#[tokio::test]
async fn a_lock_is_held_by_one_over_whichever_transport() {
    let world = World::new().await;
    let taken = lock(&world, "l", "ada").await;
    assert_eq!((taken.status, taken.body.as_str()), (200, r#"{"success":true}"#));
    assert_eq!(lock(&world, "l", "ada").await.body, r#"{"success":false}"#, "not even by its holder");
    assert!(!call_lock(&world, "l", "bob", 60).await.unwrap());
    assert_eq!(unlock(&world, "l", "bob").await.body, r#"{"status":2}"#);
    assert_eq!(call_unlock(&world, "l", "bob").await.unwrap(), 2);
    assert_eq!(unlock(&world, "l", "ada").await.body, r#"{"status":0}"#);
    assert_eq!(unlock(&world, "l", "ada").await.body, r#"{"status":1}"#);
    assert!(call_lock(&world, "l", "bob", 60).await.unwrap());
    assert_eq!(call_unlock(&world, "l", "bob").await.unwrap(), 0);
    assert_eq!(call_unlock(&world, "l", "bob").await.unwrap(), 1);
    let said = world.said.lock().unwrap().clone();
    assert_eq!(said.len(), 1, "the store is declared nowhere, which is said once: {said:?}");
    let told = world.get("/v1.0/metadata").await.json();
    assert_eq!(told["components"][0]["type"], "lock.colony");
}

#[tokio::test]
async fn a_lock_ends_with_its_lease() {
    let world = World::new().await;
    assert!(call_lock(&world, "l", "ada", 1).await.unwrap());
    let begun = std::time::Instant::now();
    while !call_lock(&world, "l", "bob", 60).await.unwrap() {
        assert!(begun.elapsed() < crate::world::PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(call_unlock(&world, "l", "ada").await.unwrap(), 2, "it is another's by now");
}

#[tokio::test]
async fn stores_of_locks_are_apart_and_may_be_in_memory() {
    let world = World::with(|config| {
        let disk = Block::Locks { place: Place::Disk, prefix: Prefix::default() };
        let memory = Block::Locks { place: Place::Memory, prefix: Prefix::Name };
        config.components.push(store("disk", "lock.colony", disk));
        config.components.push(store("memory", "lock.in-memory", memory));
        config.foreign.push("theirs".to_owned());
    })
    .await;
    for store in ["disk", "memory", "undeclared"] {
        assert!(call_lock(&world, store, "ada", 60).await.unwrap(), "{store}");
        assert_eq!(lock(&world, store, "bob").await.body, r#"{"success":false}"#);
    }
    assert_eq!(lock(&world, "theirs", "ada").await.refused(), (400, "ERR_LOCK_STORE_NOT_FOUND".to_owned()));
    let refused = call_unlock(&world, "theirs", "ada").await.unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (3, "lock store theirs not found"));
}

#[tokio::test]
async fn what_is_no_lock_is_refused() {
    let world = World::with(|config| config.body_bytes_max = 1_000).await;
    let lock = |body: &'static str| {
        let world = &world;
        async move { world.post("/v1.0-alpha1/lock/l", body).await }
    };
    for (body, message) in [
        (r#"{"resourceId":"r","lockOwner":"o"}"#, "ExpiryInSeconds is not positive in lock store l"),
        (
            r#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":-1}"#,
            "ExpiryInSeconds is not positive in lock store l",
        ),
        (r#"{"lockOwner":"o","expiryInSeconds":5}"#, "ResourceId is empty in lock store l"),
        (r#"{"resourceId":"r","expiryInSeconds":"5"}"#, "LockOwner is empty in lock store l"),
    ] {
        let refused = lock(body).await;
        assert_eq!(refused.refused(), (400, "ERR_MALFORMED_REQUEST".to_owned()), "{body}");
        assert_eq!(refused.json()["message"], message, "{body}");
    }
    for body in [
        "",
        "[]",
        "{",
        r#"{"resourceId":1}"#,
        r#"{"expiryInSeconds":1.5}"#,
        r#"{"expiryInSeconds":4294967296}"#,
    ] {
        assert_eq!(lock(body).await.refused(), (400, "ERR_MALFORMED_REQUEST".to_owned()), "{body}");
    }
    let parted = lock(r#"{"resourceId":"a||b","lockOwner":"o","expiryInSeconds":5}"#).await;
    assert_eq!(parted.refused(), (500, "ERR_TRY_LOCK".to_owned()));
    let parted = world.post("/v1.0-alpha1/unlock/l", r#"{"resourceId":"a||b","lockOwner":"o"}"#).await;
    assert_eq!(parted.refused(), (500, "ERR_UNLOCK".to_owned()));
    let long = format!(r#"{{"resourceId":"{}","lockOwner":"o","expiryInSeconds":5}}"#, "r".repeat(300));
    assert_eq!(world.post("/v1.0-alpha1/lock/l", &long).await.refused(), (400, "ERR_TRY_LOCK".to_owned()));
    let large = world.post("/v1.0-alpha1/lock/l", &" ".repeat(2_000)).await;
    assert_eq!(large.refused(), (400, "ERR_BODY_READ".to_owned()));
    assert!(large.json()["message"].as_str().unwrap().ends_with("stream too large"));
    assert_eq!(world.get("/v1.0-alpha1/lock/l").await.refused(), (404, "ERR_DIRECT_INVOKE".to_owned()));
    assert_eq!(call_lock(&world, "l", "", 5).await.unwrap_err().code, 3);
    assert_eq!(call_lock(&world, "l", "o", 0).await.unwrap_err().code, 3);
    assert_eq!(call_unlock(&world, "l", "").await.unwrap_err().code, 3);
}

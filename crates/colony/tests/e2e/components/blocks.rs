//! Locks through a sidecar, as a program uses them.

use serde_json::json;

use super::sidecar::{Sidecar, component, folder};

fn lock(sidecar: &Sidecar, store: &str, owner: &str) -> bool {
    let body = json!({ "resourceId": "stock", "lockOwner": owner, "expiryInSeconds": 600 }).to_string();
    let (status, told) = sidecar.json("POST", &format!("/v1.0-alpha1/lock/{store}"), &body);
    assert_eq!(status, 200, "{told}");
    told["success"].as_bool().expect("yes or no")
}

fn unlock(sidecar: &Sidecar, store: &str, owner: &str) -> i64 {
    let body = json!({ "resourceId": "stock", "lockOwner": owner }).to_string();
    let (status, told) = sidecar.json("POST", &format!("/v1.0-alpha1/unlock/{store}"), &body);
    assert_eq!(status, 200, "{told}");
    told["status"].as_i64().expect("a number")
}

#[test]
fn a_lock_is_held_after_a_crash() {
    let memory = component("memory", "lock.in-memory", &[], "");
    let folder = folder(&[("resources/memory.yaml", &memory)]);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
    assert!(lock(&sidecar, "kept", "ada") && lock(&sidecar, "memory", "ada"));
    drop(sidecar);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
    assert!(!lock(&sidecar, "kept", "bob") && lock(&sidecar, "memory", "bob"));
    assert_eq!((unlock(&sidecar, "kept", "bob"), unlock(&sidecar, "kept", "ada")), (2, 0));
}

#[cfg(feature = "conformance")]
#[test]
fn locks_in_a_redis_lie_where_dapr_looks_for_them() {
    let server = super::server::Server::start();
    let host = format!("127.0.0.1:{}", server.port);
    let locks = component("locks", "lock.redis", &[("redisHost", &host), ("poolSize", "5")], "");
    let folder = folder(&[("resources/locks.yaml", &locks)]);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
    assert!(lock(&sidecar, "locks", "ada") && !lock(&sidecar, "locks", "bob"));
    assert_eq!(server.ask(&["GET", "lock||shop||stock"]), "ada");
    assert_eq!((unlock(&sidecar, "locks", "bob"), unlock(&sidecar, "locks", "ada")), (2, 0));
    assert_eq!(unlock(&sidecar, "locks", "ada"), 1);
}

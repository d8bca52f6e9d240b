//! What a configuration and policies of components say, through the built binary.

use std::path::Path;

use tempfile::TempDir;

use crate::sidecar::Sidecar;
use crate::world::{binary, request, server};

/// Writes a file below a folder.
pub fn write(dir: &TempDir, name: &str, text: &str) {
    let path = dir.path().join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, text).expect("written");
}

/// A sidecar that was started in a folder.
pub fn start(dir: &TempDir, app_id: &str, flags: &[&str]) -> Sidecar {
    let flags = [&["--app-id", app_id], flags].concat();
    Sidecar::start_in(Path::new(binary()), dir.path(), &flags, &[])
}

const CONFIGURATION: &str = "\
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: { name: orders }
spec:
  api:
    denied:
    - { name: state, version: v1.0, protocol: http }
  accessControl:
    defaultAction: deny
    policies:
    - appId: shop
      trustDomain: public
      namespace: default
      defaultAction: deny
      operations:
      - { name: /list, httpVerb: ['*'], action: allow }
      - { name: /items/**, httpVerb: [GET], action: allow }
";

#[test]
fn a_configuration_closes_what_it_says() {
    let dir = tempfile::tempdir().expect("a folder");
    write(&dir, "orders.yaml", CONFIGURATION);
    let port = server("orders").port().to_string();
    let flags = ["--config", "orders.yaml", "--app-port", &port, "--allowed-origins", "http://shop.example"];
    let orders = start(&dir, "orders", &flags);
    let [shop, other] = ["shop", "other"].map(|app_id| start(&dir, app_id, &[]));
    let call = |from: &Sidecar, method: &str, path: &str| {
        from.ask(method, &format!("/v1.0/invoke/orders/method/{path}"), "")
    };
    for (method, path, status) in
        [("POST", "list", 200), ("GET", "items/1/a", 200), ("DELETE", "items/1", 403), ("GET", "rest", 403)]
    {
        assert_eq!(call(&shop, method, path).status, status, "{method} {path}");
    }
    let denied = call(&other, "GET", "list");
    let message = denied.json()["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!(denied.status, 403);
    assert!(message.ends_with("id: spiffe://public/ns/default/other operation: list verb: GET"), "{message}");
    assert_eq!(orders.ask("GET", "/v1.0/state/s/k", "").status, 404);
    assert_eq!(shop.ask("GET", "/v1.0/state/s/k", "").status, 204);
    let origin = [("origin", "http://shop.example")];
    let told = request(&orders.http, "GET", "/v1.0/healthz", &origin, None);
    assert_eq!(told.header("access-control-allow-origin"), Some("http://shop.example"));
}

const BINDING: &str = "\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: away }
spec:
  type: bindings.http
  version: v1
  metadata:
  - { name: url, value: 'http://127.0.0.1:1' }
---
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: { name: policies }
spec:
  policies:
    retries:
      again: { duration: 1ms, maxRetries: 9 }
    circuitBreakers:
      pause: { timeout: 10m, trip: consecutiveFailures >= 3 }
  targets:
    components:
      away:
        outbound: { retry: again, circuitBreaker: pause }
";

#[test]
fn a_component_that_fails_is_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    write(&dir, "resources/away.yaml", BINDING);
    let shop = start(&dir, "shop", &["--resources-path", "resources"]);
    let answer = shop.ask("POST", "/v1.0/bindings/away", r#"{"operation":"get"}"#);
    assert_eq!((answer.status, &answer.json()["errorCode"]), (500, &"ERR_INVOKE_OUTPUT_BINDING".into()));
    assert!(answer.body.contains("circuit breaker is open"), "{}", answer.body);
}

//! Bindings, as resource files declare them.

use serde_json::json;

use super::sidecar::{Sidecar, component, folder, refused};

#[test]
fn files_are_kept_below_the_folder_that_is_declared() {
    let files = component("files", "bindings.localstorage", &[("rootPath", "kept")], "");
    let folder = folder(&[("resources/files.yaml", &files)]);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
    let ask = |body| sidecar.ask("POST", "/v1.0/bindings/files", &json!(body).to_string());
    let made =
        ask(json!({ "operation": "create", "data": "Hello, World!", "metadata": { "fileName": "a/b.txt" } }));
    assert_eq!((made.status, made.body.as_str()), (200, r#"{"fileName":"a/b.txt"}"#));
    assert_eq!(
        std::fs::read_to_string(folder.path().join("kept/a/b.txt")).expect("it is there"),
        "Hello, World!"
    );
    let got = ask(json!({ "operation": "get", "metadata": { "fileName": "a/b.txt" } }));
    assert_eq!((got.status, got.body.as_str()), (200, "Hello, World!"));
    let out = ask(json!({ "operation": "get", "metadata": { "fileName": "../resources/files.yaml" } }));
    assert_eq!((out.status, out.json()["errorCode"].as_str()), (500, Some("ERR_INVOKE_OUTPUT_BINDING")));
    assert_eq!(ask(json!({ "operation": "delete", "metadata": { "fileName": "a/b.txt" } })).status, 204);
    let (_, told) = sidecar.json("GET", "/v1.0/metadata", "");
    assert_eq!(told["components"][0]["type"], "bindings.localstorage");
}

#[test]
fn a_binding_with_a_wrong_setting_is_refused_at_its_place() {
    let files = component("files", "bindings.localstorage", &[("rootPath", "/proc/x")], "");
    let folder = folder(&[("resources/files.yaml", &files)]);
    let said = refused(folder.path(), "shop", &[]);
    assert!(said.contains("C0040") && said.contains("files.yaml:10") && said.contains("rootPath"), "{said}");
}

//! Secrets: from a file and the environment, over both transports, as far as a configuration opens them; and by
//! reference, in what other components are set to.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use api::proto::dapr::runtime::v1::{
    GetBulkSecretRequest, GetBulkSecretResponse, GetSecretRequest, GetSecretResponse,
};
use serde_json::json;

use super::sidecar::{Sidecar, component, folder, refused};
use crate::world::binary;

const SECRETS: &str = r#"{"key": "1", "db": {"user": "ada", "password": "hush"}}"#;
const FILE: (&str, &str) = ("secretsFile", "secrets.json");

fn vault(settings: &[(&str, &str)]) -> String {
    let settings: Vec<_> = [FILE].into_iter().chain(settings.iter().copied()).collect();
    component("vault", "secretstores.local.file", &settings, "")
}

fn get(store: &str, key: &str) -> GetSecretRequest {
    GetSecretRequest { store_name: store.into(), key: key.into(), ..GetSecretRequest::default() }
}

#[test]
fn secrets_of_a_file_are_told_over_both_transports() {
    let folder = folder(&[("resources/vault.yaml", &vault(&[])), ("secrets.json", SECRETS)]);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);

    let answer = sidecar.ask("GET", "/v1.0/secrets/vault/db:user?metadata.version=1", "");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.body, "{\"db:user\":\"ada\"}\n");
    let all = json!({
        "db:password": { "db:password": "hush" }, "db:user": { "db:user": "ada" }, "key": { "key": "1" },
    });
    assert_eq!(sidecar.json("GET", "/v1.0/secrets/vault/bulk", ""), (200, all));

    let told: GetSecretResponse = sidecar.call("GetSecret", &get("vault", "key")).expect("told");
    assert_eq!(told.data, BTreeMap::from([("key".to_owned(), "1".to_owned())]));
    let bulk = GetBulkSecretRequest { store_name: "vault".into(), ..GetBulkSecretRequest::default() };
    let told: GetBulkSecretResponse = sidecar.call("GetBulkSecret", &bulk).expect("told");
    assert_eq!((told.data.len(), told.data["db:user"].secrets["db:user"].as_str()), (3, "ada"));

    std::fs::write(folder.path().join("secrets.json"), r#"{"new": "2"}"#).expect("written");
    assert_eq!(sidecar.json("GET", "/v1.0/secrets/vault/new", ""), (200, json!({ "new": "2" })));
    let components = sidecar.json("GET", "/v1.0/metadata", "").1["components"].clone();
    assert_eq!(components[0]["type"], "secretstores.local.file");
}

#[test]
fn several_values_are_told_together_under_the_separator() {
    let vault = vault(&[("multiValued", "true"), ("nestedSeparator", "/")]);
    let secrets = r#"{"db": {"user": "ada", "tls": {"key": "k"}}}"#;
    let folder = folder(&[("resources/vault.yaml", &vault), ("secrets.json", secrets)]);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
    let told = sidecar.json("GET", "/v1.0/secrets/vault/db", "");
    assert_eq!(told, (200, json!({ "user": "ada", "tls/key": "k" })));
}

#[test]
fn variables_are_secrets_but_for_the_tokens_of_the_api() {
    let env = component("env", "secretstores.local.env", &[], "");
    let folder = folder(&[("resources/env.yaml", &env)]);
    let more = [("SHOP_KEY", "1"), ("APP_API_TOKEN", "hush")];
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &more);
    for (name, value) in [("SHOP_KEY", "1"), ("SHOP_NONE", ""), ("APP_API_TOKEN", "")] {
        let told = sidecar.json("GET", &format!("/v1.0/secrets/env/{name}"), "");
        assert_eq!(told, (200, json!({ name: value })));
    }
    let all = sidecar.json("GET", "/v1.0/secrets/env/bulk", "").1;
    assert!(all["SHOP_KEY"]["SHOP_KEY"] == "1" && all["APP_API_TOKEN"].is_null(), "{all}");
}

#[test]
fn each_failure_has_its_code_and_status() {
    let folder = folder(&[
        ("resources/vault.yaml", &vault(&[])),
        ("secrets.json", SECRETS),
        (
            "config.yaml",
            "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: { name: c }\nspec:\n  secrets:\n    scopes:\n      \
             - storeName: vault\n        deniedSecrets: [\"db:password\"]\n",
        ),
    ]);
    let sidecar = Sidecar::start(folder.path(), "shop", &["--config", "config.yaml"], &[]);
    let told = |path: &str| {
        let (status, body) = sidecar.json("GET", path, "");
        (status, body["errorCode"].as_str().unwrap_or_default().to_owned(), body["message"].clone())
    };
    assert_eq!(
        told("/v1.0/secrets/vault/db:password"),
        (
            403,
            "ERR_PERMISSION_DENIED".into(),
            json!("access denied by policy to get \"db:password\" from \"vault\"")
        )
    );
    assert_eq!(
        told("/v1.0/secrets/other/key"),
        (401, "ERR_SECRET_STORE_NOT_FOUND".into(), json!("failed finding secret store with key other"))
    );
    assert_eq!(
        told("/v1.0/secrets/vault/none"),
        (
            500,
            "ERR_SECRET_GET".into(),
            json!("failed getting secret with key none from secret store vault: secret none not found")
        )
    );
    assert_eq!(told("/v1.0/secrets/vault").0, 404);
    assert_eq!(sidecar.ask("POST", "/v1.0/secrets/vault/key", "").status, 404);
    let call = |store, key| sidecar.call::<GetSecretResponse>("GetSecret", &get(store, key)).map(drop);
    let codes = [("vault", "db:password"), ("other", "key"), ("vault", "none")]
        .map(|(store, key)| call(store, key).expect_err("refused").0);
    assert_eq!(codes, [PERMISSION_DENIED, INVALID_ARGUMENT, INTERNAL]);
    let all = sidecar.json("GET", "/v1.0/secrets/vault/bulk", "").1;
    assert!(all["db:password"].is_null() && !all["db:user"].is_null(), "{all}");

    std::fs::remove_file(folder.path().join("secrets.json")).expect("removed");
    assert_eq!(told("/v1.0/secrets/vault/bulk").0, 500);
}

#[test]
fn without_a_store_no_store_is_configured() {
    let folder = folder(&[("resources/keep", "")]);
    let sidecar = Sidecar::start(folder.path(), "shop", &[], &[]);
    let (status, body) = sidecar.json("GET", "/v1.0/secrets/vault/key", "");
    assert_eq!((status, &body["errorCode"]), (500, &json!("ERR_SECRET_STORES_NOT_CONFIGURED")));
    let refused = sidecar.call::<GetSecretResponse>("GetSecret", &get("vault", "key")).expect_err("refused");
    assert_eq!(refused.0, FAILED_PRECONDITION);
}

#[test]
fn only_what_is_allowed_is_told_where_something_is() {
    let config = "kind: Configuration\nspec:\n  metric: { enabled: true }\n  secrets:\n    scopes:\n      \
                  - { storeName: vault, defaultAccess: deny, allowedSecrets: [key] }\n";
    let folder =
        folder(&[("resources/vault.yaml", &vault(&[])), ("secrets.json", SECRETS), ("config.yaml", config)]);
    let sidecar = Sidecar::start(folder.path(), "shop", &["--config", "config.yaml"], &[]);
    assert_eq!(sidecar.ask("GET", "/v1.0/secrets/vault/key", "").status, 200);
    assert_eq!(sidecar.ask("GET", "/v1.0/secrets/vault/db:user", "").status, 403);
    assert_eq!(sidecar.json("GET", "/v1.0/secrets/vault/bulk", ""), (200, json!({ "key": { "key": "1" } })));
    let warned =
        sidecar.said.iter().any(|line| line["msg"].as_str().is_some_and(|text| text.contains("`metric`")));
    assert!(warned, "{:?}", sidecar.said);
}

#[test]
fn what_cannot_be_had_is_told_where_it_is_declared() {
    let missing = folder(&[("resources/vault.yaml", &vault(&[]))]);
    let text = refused(missing.path(), "shop", &[]);
    for part in ["C0040", "resources/vault.yaml:10", "`secretsFile`", "secrets.json"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let odd = folder(&[("resources/vault.yaml", &vault(&[])), ("secrets.json", "{\"a\": hush}")]);
    let text = refused(odd.path(), "shop", &[]);
    assert!(text.contains("line 1 column") && !text.contains("hush"), "{text}");
    let config = "kind: Configuration\nspec: { secrets: { scopes: [{ storeName: vault, defaultAccess: perhaps }] } }\n";
    let odd =
        folder(&[("resources/vault.yaml", &vault(&[])), ("secrets.json", "{}"), ("config.yaml", config)]);
    let text = refused(odd.path(), "shop", &["--config", "config.yaml"]);
    assert!(text.contains("config.yaml:2") && text.contains("`allow` or `deny`"), "{text}");
}

const INVALID_ARGUMENT: u32 = 3;
const PERMISSION_DENIED: u32 = 7;
const FAILED_PRECONDITION: u32 = 9;
const INTERNAL: u32 = 13;

/// `colony secret` in a folder, with this on its standard input.
fn secret(folder: &Path, words: &[&str], input: &str) -> Output {
    let mut child = Command::new(binary())
        .arg("secret")
        .args(words)
        .current_dir(folder)
        .env("COLONY_DATA", folder.join("data"))
        .env_remove("COLONY_SECRETS_KEY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // Who reads nothing may be gone already.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn secrets_of_the_data_folder_are_set_and_told() {
    let folder = folder(&[("resources/vault.yaml", &component("vault", "secretstores.colony", &[], ""))]);
    let ask = |words: &[&str], input: &str| said(&secret(folder.path(), words, input));
    assert_eq!(ask(&["set", "db-password"], "hush\n"), "");
    let data = folder.path().join("data").display().to_string();
    let sidecar = Sidecar::start(folder.path(), "shop", &["--data", &data], &[]);
    let told = sidecar.json("GET", "/v1.0/secrets/vault/db-password", "");
    assert_eq!(told, (200, json!({ "db-password": "hush" })));
    assert_eq!(ask(&["set", "db", "--key", "user"], "ada"), "");
    assert_eq!(ask(&["set", "db", "--key", "port"], "5432\r\n"), "");
    let all = json!({ "db": { "user": "ada", "port": "5432" }, "db-password": { "db-password": "hush" } });
    assert_eq!(sidecar.json("GET", "/v1.0/secrets/vault/bulk", ""), (200, all));
    assert_eq!(ask(&["list"], ""), "db  (port, user)\ndb-password\n");
    assert_eq!(
        (ask(&["get", "db-password"], ""), ask(&["get", "db", "--key", "user"], "")),
        ("hush\n".into(), "ada\n".into())
    );
    assert!(ask(&["get", "db"], "").contains("--key port, --key user"));
    assert_eq!(
        ask(&["delete", "db-password", "--json"], ""),
        "{\"deleted\":true,\"key\":null,\"name\":\"db-password\"}\n"
    );
    assert_eq!(sidecar.json("GET", "/v1.0/secrets/vault/db-password", "").0, 500);
    for (words, why) in [
        (&["get", "db-password"][..], "there is no such secret"),
        (&["delete", "none"], "there is no such secret"),
        (&["set", "empty"], "nothing was given"),
        (&["set", "a\nb"], "no control character"),
    ] {
        let refused = secret(folder.path(), words, "");
        assert!(refused.status.code() == Some(1) && said(&refused).contains(why), "{refused:?}");
    }
    let sealed = std::fs::read(folder.path().join("data/secrets/sealed")).expect("there");
    assert!(!sealed.windows(3).any(|part| part == b"ada"));
    drop(sidecar);
    std::fs::write(folder.path().join("data/secrets/key"), "bm90IHRoaXMgb25lLCBub3QgdGhpcyBvbmUsIG5vdC4=\n")
        .expect("written");
    let why = refused(folder.path(), "shop", &["--data", &data]);
    assert!(why.contains("C0040") && why.contains("changed since"), "{why}");
}

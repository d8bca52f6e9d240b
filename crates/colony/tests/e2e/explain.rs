//! `colony explain` of requests and calls: what people read, what scripts get, and that it is what happens.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{World, binary, request, run_in, server};

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    dir
}

fn marketplace() -> TempDir {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/marketplace");
    let dir = folder(&[("colony.yaml", &std::fs::read_to_string(source.join("colony.yaml")).expect("read"))]);
    std::fs::create_dir(dir.path().join("resources")).expect("made");
    std::fs::copy(source.join("resources/shop.yaml"), dir.path().join("resources/shop.yaml"))
        .expect("copied");
    dir
}

fn text(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn json(dir: &Path, args: &[&str]) -> (Value, Option<i32>) {
    let output = run_in(dir, &[&["explain", "--json"], args].concat());
    let object = serde_json::from_str(&text(&output)).expect("JSON");
    (object, output.status.code())
}

const SHOP: &str = "name: shop
gateway:
  listen: 127.0.0.1:8080
  routes:
    - path: /api/{kind}/items
      host: \"*.shop.example\"
      methods: [GET, HEAD]
      headers: { x-key: \"${API_TOKEN}\" }
      to: items
      timeout: ${ITEMS_TIMEOUT:3s}
    - { path: /pay/**, to: bank, rewrite: /charges/**, timeout: none, retries: none }
services:
  items:
    run: ./items
    calls: { bank: { fallback: { status: 503, body: \"${API_TOKEN}\" } } }
  front:
    run: ./front
    calls: [items]
externals:
  bank: https://bank.example/v1
";

const OVERLAY: &str = "services:
  items:
    calls:
      bank: { per-try: 800ms, retries: { max: 1, backoff: 0s } }
";

/// The shop, whose secret is `hunter2-hunter2`.
fn shop(args: &[&str]) -> Output {
    let dir = folder(&[("colony.yaml", SHOP), ("prod.yaml", OVERLAY)]);
    let mut command = std::process::Command::new(binary());
    command.arg("explain").args(args).current_dir(dir.path());
    command.env("API_TOKEN", "hunter2-hunter2").env_remove("ITEMS_TIMEOUT").env_remove("COLUMNS");
    command.output().expect("colony runs")
}

#[test]
fn a_request_to_the_marketplace() {
    insta::assert_snapshot!(text(&run_in(marketplace().path(), &["explain", "POST", "/api/checkout"])));
}

#[test]
fn a_call_of_the_marketplace() {
    insta::assert_snapshot!(text(&run_in(marketplace().path(), &["explain", "checkout -> payments"])));
}

#[test]
fn a_request_that_no_route_takes() {
    let output =
        shop(&["POST", "/api/cart/items", "--host", "a.shop.example", "-H", "x-key: hunter2-hunter2"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(text(&output));
}

#[test]
fn a_request_that_has_not_what_is_wanted() {
    let output = shop(&["/api/cart/items", "--host", "a.shop.example", "-H", "x-key: guessed"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(text(&output));
}

#[test]
fn a_request_to_an_external() {
    let output = shop(&["POST", "http://shop.example/pay/7?now", "-H", "X-Request-Deadline: 200"]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(text(&output));
}

#[test]
fn a_call_through_an_overlay() {
    let output = shop(&["items", "bank", "--overlay", "prod.yaml"]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(text(&output));
}

#[test]
fn a_call_that_is_not_declared() {
    let output = shop(&["front", "bank"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(text(&output));
}

#[test]
fn a_request_that_is_none() {
    let output = shop(&["GET", "/a/../b"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(text(&output));
}

const SHARED: &str = "name: shop
gateway:
  routes:
    - to:
        catalog: 90%
        catalog-v2: { weight: 10%, when: { x-beta: \"yes\" } }
      sticky: { header: x-user }
      retries: none
services:
  catalog: { run: ./catalog, concurrency: 64 }
  catalog-v2: { run: ./catalog-v2, concurrency: 8, calls: [store] }
externals:
  store: http://store.example
";

#[test]
fn a_request_that_is_sent_to_a_side() {
    let dir = folder(&[("colony.yaml", SHARED)]);
    insta::assert_snapshot!(text(&run_in(dir.path(), &["explain", "GET", "/", "-H", "x-beta: yes"])));
    let (beta, _) = json(dir.path(), &["GET", "/", "-H", "x-beta: yes"]);
    assert_eq!((&beta["side"]["by"], &beta["side"]["to"]), (&"header".into(), &"catalog-v2".into()));
    assert_eq!(beta["attempts"]["way"][1]["to"], "store");
    let (named, code) = json(dir.path(), &["gateway /** (catalog-v2)"]);
    assert_eq!((&named["call"], &named["attempts"], code), (&beta["call"], &beta["attempts"], Some(0)));
    let (anna, _) = json(dir.path(), &["GET", "/", "-H", "x-user: anna"]);
    assert_eq!(anna["side"]["by"], "user");
    let (nobody, _) = json(dir.path(), &["GET", "/"]);
    assert_eq!((&nobody["side"]["by"], &nobody["call"]), (&"share".into(), &"gateway /**".into()));
    let bulkheads = nobody["policies"].as_array().expect("policies").iter();
    let bulkheads =
        bulkheads.filter(|one| one["name"].as_str().is_some_and(|name| name.starts_with("bulkhead of")));
    assert_eq!(bulkheads.count(), 2, "whichever side it is");
}

#[test]
fn no_secret_is_told() {
    for args in [
        &["GET", "/api/cart/items"][..],
        &["GET", "/api/cart/items", "--json"],
        &["GET", "/api/cart/items", "--host", "a.shop.example", "--json"],
        &["GET", "/api/cart/items", "--host", "a.shop.example"],
        &["items", "bank"],
        &["items", "bank", "--json"],
    ] {
        let output = shop(args);
        let told =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!told.contains("hunter2") && told.contains("bank"), "{args:?}: {told}");
    }
    let key =
        ["GET", "/api/cart/items", "--host", "a.shop.example", "-H", "x-key: hunter2-hunter2", "--json"];
    let told: Value = serde_json::from_str(&text(&shop(&key))).expect("JSON");
    assert_eq!(told["taken"], 1);
    assert!(told["call"].as_str().is_some_and(|call| !call.contains("hunter2")), "{told}");
}

#[test]
fn programs_get_everything() {
    let dir = marketplace();
    let (request, code) =
        json(dir.path(), &["GET", "/api/catalog/products?q=mug", "-H", "accept: text/html"]);
    assert_eq!(code, Some(0));
    assert_eq!(request["kind"], "request");
    assert_eq!(request["call"], "gateway /api/catalog/**");
    assert_eq!(request["sent"]["target"], "/products?q=mug");
    assert_eq!(request["sent"]["rewrite"]["file"], "colony.yaml");
    let taken = request["taken"].as_u64().expect("taken") as usize;
    assert_eq!(request["routes"][taken - 1]["fit"], "taken");
    assert_eq!(request["routes"][taken]["misfit"]["part"], "path");
    let retries =
        request["policies"].as_array().expect("policies").iter().find(|one| one["key"] == "retries");
    let retries = retries.expect("retries are a policy");
    assert_eq!((&retries["value"], &retries["place"]), (&"2".into(), &Value::Null));
    assert_eq!(retries["options"]["backoff"]["value"], "25ms");
    assert!(request["worst"]["ms"].is_u64() && request["attempts"]["most"].is_u64(), "{request:#}");

    let (call, code) = json(dir.path(), &["checkout", "payments"]);
    assert_eq!((call["kind"].as_str(), call["carried"].as_bool(), code), (Some("call"), Some(true), Some(0)));
    assert_eq!(call["worst"]["tries"], 4);

    let (route, code) = json(dir.path(), &["gateway /api/catalog/**"]);
    assert_eq!((&route["call"], &route["policies"], code), (&request["call"], &request["policies"], Some(0)));
    let (typo, code) = json(dir.path(), &["gateway", "/api/catalo/**"]);
    assert_eq!((typo["undeclared"]["nearest"].as_str(), code), (Some("gateway /api/catalog/**"), Some(1)));

    let (typo, code) = json(dir.path(), &["checkout", "paymnets"]);
    assert_eq!((typo["undeclared"]["nearest"].as_str(), code), (Some("payments"), Some(1)));
    let (none, code) = json(dir.path(), &["CONNECT", "/x"]);
    assert_eq!((none["refused"]["status"].as_u64(), code), (Some(400), Some(1)));
    let (page, code) = json(dir.path(), &["C0007"]);
    assert!(page["page"].as_str().is_some_and(|page| page.contains("C0007")) && code == Some(0));
}

#[test]
fn what_cannot_be_explained_says_so() {
    let dir =
        folder(&[("colony.yaml", "name: x\nservices:\n  a: { run: ./a }\n  b: { run: ./b, clals: [a] }\n")]);
    let refused = |args: &[&str]| {
        let output = run_in(dir.path(), &[&["explain"], args].concat());
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    };
    let (code, said) = refused(&["GET", "/"]);
    assert!(code == Some(1) && said.contains("colony.yaml:4:") && said.contains("has errors"), "{said}");
    std::fs::write(
        dir.path().join("colony.yaml"),
        "name: x\nservices:\n  a: { run: ./a }\n  b: { run: ./b }\n",
    )
    .expect("written");
    let (code, said) = refused(&["GET", "/"]);
    assert!(code == Some(1) && said.contains("declares no gateway"), "{said}");
    let (code, said) = refused(&["a", "b", "--host", "x"]);
    assert!(code == Some(2) && said.contains("belong to a request"), "{said}");
    let (code, said) = refused(&["nonsense"]);
    assert!(code == Some(1) && said.contains("colony explain GET"), "{said}");
}

#[test]
fn a_caller_who_waits_no_more_is_sent_nowhere() {
    let late = ["/pay/7", "-H", "X-Request-Deadline: 0"];
    insta::assert_snapshot!(text(&shop(&late)));
    let output = shop(&[&late[..], &["--json"]].concat());
    let (told, code): (Value, _) =
        (serde_json::from_str(&text(&output)).expect("JSON"), output.status.code());
    assert_eq!((told["attempts"]["most"].as_u64(), told["worst"]["tries"].as_u64()), (Some(0), Some(0)));
    assert_eq!((told["carried"].as_bool(), code), (Some(true), Some(0)));
}

#[test]
fn a_request_without_its_path_is_told_how_it_is_written() {
    let dir = marketplace();
    for (args, form) in [
        (&["explain", "GET", "api/cart"][..], "`colony explain GET /api/cart`"),
        (&["explain", "GET", "."], "`colony explain GET / .`"),
        (&["explain", "C9999", "."], "`colony explain C9999`"),
    ] {
        let output = run_in(dir.path(), args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(form), "{args:?}: {said}");
    }
}

#[test]
fn retries_of_nothing_are_no_tries() {
    let dir = folder(&[(
        "colony.yaml",
        "name: x\nservices: { a: { run: ./a } }\ngateway: { routes: [{ to: a, retries: { on: [] } }] }\n",
    )]);
    let (told, code) = json(dir.path(), &["GET", "/"]);
    assert_eq!((told["attempts"]["most"].as_u64(), told["worst"]["tries"].as_u64()), (Some(1), Some(1)));
    assert_eq!(code, Some(0));
    assert!(text(&run_in(dir.path(), &["explain", "GET", "/"])).contains("at most   1 try at a"));
}

#[test]
fn what_a_running_system_has_otherwise_is_said() {
    let address = server("hello");
    let world = World::up(&format!(
        "name: live\ngateway: {{ listen: 127.0.0.1:0, routes: [{{ to: app, timeout: 3s }}] }}\n\
         services: {{ app: {{ url: \"http://{address}\" }} }}\n"
    ));
    let overlay = "gateway: { routes: [{ to: app, timeout: 7s, retries: { max: 1 } }] }\n";
    std::fs::write(world.dir.path().join("prod.yaml"), overlay).expect("written");
    std::fs::write(world.dir.path().join("same.yaml"), "name: live\n").expect("written");
    let live = ["explain", "GET", "/", "--live"];
    let told = world.json(&[&live[..], &["--json"]].concat());
    assert_eq!((&told["live"]["differs"], &told["live"]["same_files"]), (&json!([]), &true.into()));
    let told = world.json(&[&live[..], &["--overlay", "prod.yaml", "--json"]].concat());
    let differs = json!([
        { "key": "retries", "explained": "1", "running": "2" },
        { "key": "timeout", "explained": "7s", "running": "3s" },
    ]);
    assert_eq!((&told["live"]["differs"], &told["live"]["same_files"]), (&differs, &false.into()));
    let said = text(&world.run(&[&live[..], &["--overlay", "prod.yaml"]].concat()));
    let warning = "other values than those above:\n            \x20 retries 2, not 1\n            \x20 timeout 3s, not 7s\n";
    assert!(said.contains(warning) && said.contains("it runs /"), "{said}");
    let said = text(&world.run(&[&live[..], &["--overlay", "same.yaml"]].concat()));
    assert!(!said.contains("other values") && said.contains("comes to the same here"), "{said}");
    let said = text(&world.run(&live));
    assert!(!said.contains("it runs"), "{said}");
}

#[test]
fn a_running_system_says_how_the_call_is_now() {
    let address = server("hello");
    let world = World::up(&format!(
        "name: live\ngateway: {{ listen: 127.0.0.1:0, routes: [{{ to: app, concurrency: 5, rewrite: /x }}] }}\n\
         services: {{ app: {{ url: \"http://{address}\" }} }}\n"
    ));
    assert_eq!(request(&world.gateway(), "GET", "/a", &[], None).status, 200);
    let told = world.json(&["explain", "GET", "/a", "--live", "--json"]);
    assert_eq!(told["live"]["call"]["breaker"], "closed");
    assert_eq!(told["live"]["call"]["requests"], 1);
    assert_eq!(told["live"]["upstream"]["name"], "app");
    let said = text(&world.run(&["explain", "GET", "/a", "--live"]));
    assert!(said.contains("now       breaker closed; 1 ready, 0 ejected; 0 of 5 in flight"), "{said}");
    world.json(&["fault", "add", "app", "--abort", "503", "--json"]);
    let told = world.json(&["explain", "gateway", "/**", "--live", "--json"]);
    assert_eq!(told["live"]["faults"][0]["on"], "app");
    assert!(text(&world.run(&["explain", "GET", "/a", "--live"])).contains("it fails on purpose"));
    let elsewhere = run_in(marketplace().path(), &["explain", "GET", "/", "--live"]);
    assert_eq!(elsewhere.status.code(), Some(1), "that one does not run");
}

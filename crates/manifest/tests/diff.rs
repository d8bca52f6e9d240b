//! What a reload says it did.

use std::collections::BTreeMap;

use manifest::{Input, Kind, Source, check, diff, valid};

fn manifest(text: &str, token: &str) -> valid::Manifest {
    let base = Source { name: "colony.yaml".to_owned(), text: text.to_owned() };
    let env = BTreeMap::from([("API_TOKEN".to_owned(), token.to_owned())]);
    let checked = check(&Input { root: "/srv".into(), base, overlays: Vec::new(), env, zone: None });
    checked.manifest.unwrap_or_else(|| panic!("{}", checked.diagnostics.render(100, false)))
}

fn told(old: &str, new: &str) -> Vec<String> {
    let changes = diff(&manifest(old, "old-token-value"), &manifest(new, "new-token-value"));
    changes
        .iter()
        .map(|one| format!("{:?} {} {}", one.kind, one.what, one.detail).trim().to_owned())
        .collect()
}

const OLD: &str = r#"
name: shop
gateway: { routes: [{ path: /api/**, methods: GET, to: app, headers: { x-key: "${API_TOKEN}" } }, { to: app }] }
services:
  app:
    run: ./app --token ${API_TOKEN}
    env: { TOKEN: "${API_TOKEN}", MODE: slow }
    calls: { payments: { timeout: 2s }, mail: {} }
  gone: { run: ./gone }
externals: { payments: https://payments.example, mail: https://mail.example }
"#;

#[test]
fn what_is_the_same_is_not_told() {
    let same = manifest(OLD, "t");
    assert_eq!(diff(&same, &same), []);
}

#[test]
fn a_gateway_that_turns_to_tls_is_told() {
    let plain = "name: shop\nservices: { app: { url: http://127.0.0.1:1 } }\ngateway: { listen: 8080 }\n";
    let dev = plain.replace("8080", "8080, tls: dev");
    let files = plain.replace("8080", "8080, tls: { cert: a.pem, key: a.key }");
    assert_eq!(told(plain, &dev), ["Changed gateway tls added: dev"]);
    assert_eq!(told(&dev, &files), ["Changed gateway tls dev -> a.pem (a.key)"]);
}

#[test]
fn a_change_of_zones_is_told() {
    let shop = |zone: &str, there: &str, policy: &str| {
        format!(
            "name: shop\nzone: {zone}\nservices:\n  app: {{ run: ./app, calls: {{ shop: {{ zone-preference: {policy} }}, pay: {{}} }} }}\n  \
             shop: {{ url: [{{ url: \"http://10.0.0.1:80\", zone: {there} }}, \"http://10.0.0.2:80\"] }}\n\
             externals: {{ pay: {{ url: {{ url: https://pay.example, zone: {there} }} }} }}\n"
        )
    };
    assert_eq!(
        told(&shop("a", "a", "{}"), &shop("b", "b", "{ factor: 2.25 }")),
        [
            "Changed external pay url https://pay.example:443 in a -> https://pay.example:443 in b",
            "Changed service app calls.shop.zone-preference factor 1.4 -> factor 2.25",
            "Changed service shop url 10.0.0.1:80 in a, 10.0.0.2:80 -> 10.0.0.1:80 in b, 10.0.0.2:80",
            "Changed system zone a -> b",
        ]
    );
    assert_eq!(
        told(&shop("a", "a", "{}"), &shop("a", "a", "none")),
        ["Changed service app calls.shop.zone-preference factor 1.4 -> none"]
    );
}

#[test]
fn how_an_instance_is_chosen_is_told() {
    let route = |policies: &str| {
        format!(
            "name: shop\nservices: {{ app: {{ url: http://127.0.0.1:1 }} }}\ngateway: {{ routes: [{{ to: app{policies} }}] }}\n"
        )
    };
    let keyed = route(", balance: { cookie: id, ttl: 1h }, slow-start: none");
    assert_eq!(
        told(&route(""), &keyed),
        ["Changed route /** balance p2c-ewma -> maglev by cookie id, given for 1h"]
    );
    let slow = route(", balance: least-request, slow-start: 30s");
    assert_eq!(
        told(&route(", balance: { policy: least-request, choices: 3 }"), &slow),
        [
            "Changed route /** balance least-request of 3 -> least-request of 2",
            "Changed route /** slow-start none -> 30s from 10%, aggression 1"
        ]
    );
}

#[test]
fn each_difference_is_told_in_words() {
    let new = OLD
        .replace("timeout: 2s", "timeout: 1s, breaker: none")
        .replace(", mail: {}", "")
        .replace("MODE: slow", "MODE: fast")
        .replace("gone: { run: ./gone }", "come: { url: http://127.0.0.1:1 }")
        .replace("https://mail.example", "https://mail.example/v2")
        .replace("{ to: app }]", "{ to: come }]");
    let told = told(OLD, &new);
    for line in [
        "Added service come",
        "Removed service gone",
        "Changed service app calls.payments.timeout 2s -> 1s",
        "Changed service app calls.payments.breaker default -> none",
        "Changed service app calls.mail removed",
        "Changed service app env.MODE slow -> fast",
        "Changed external mail url https://mail.example:443 -> https://mail.example:443/v2",
        "Changed route /** to app -> come",
    ] {
        assert!(told.iter().any(|one| one == line), "no {line:?} in {told:#?}");
    }
}

#[test]
fn a_changed_secret_is_told_without_its_value() {
    let told = told(OLD, OLD);
    assert!(told.contains(&"Changed service app env.TOKEN changed (secret)".to_owned()), "{told:#?}");
    assert!(told.contains(&"Changed service app run changed (secret)".to_owned()), "{told:#?}");
    assert!(told.iter().all(|line| !line.contains("token-value")), "{told:#?}");
}

#[test]
fn kinds_are_for_programs_too() {
    let changes = diff(&manifest(OLD, "t"), &manifest(&OLD.replace("  gone: { run: ./gone }\n", ""), "t"));
    assert_eq!(changes[0].kind, Kind::Removed);
    assert_eq!(changes[0].what, "service gone");
}

/// What is told of a call's policies when they change from `old` to `new`.
fn policies(old: &str, new: &str) -> Vec<String> {
    let with = |policies: &str| OLD.replace("timeout: 2s", policies);
    let (old, new) = (manifest(&with(old), "token-value"), manifest(&with(new), "token-value"));
    diff(&old, &new).into_iter().map(|one| one.detail.replace("calls.payments.", "")).collect()
}

#[test]
fn a_policy_that_comes_or_goes_is_one_line() {
    assert_eq!(policies("", "breaker: none"), ["breaker default -> none"]);
    assert_eq!(policies("breaker: none", ""), ["breaker none -> default"]);
    let own = "breaker: { probes: 3, rate: 10% }";
    assert_eq!(policies(own, "breaker: none"), ["breaker { probes: 3, rate: 10% } -> none"]);
    assert_eq!(policies("", own), ["breaker.probes 1 -> 3", "breaker.rate 50% -> 10%"]);
    assert_eq!(
        policies("", "ejection: none, retries: none"),
        ["ejection default -> none", "retries 2 -> none"]
    );
}

#[test]
fn a_limit_that_goes_is_told() {
    assert_eq!(policies("limit: 5/s per client", ""), ["limit 5/s per client -> none"]);
    assert_eq!(policies("limit: [5/s, 9/m]", "limit: 9/m"), ["limit 5/s, 9/m -> 9/m"]);
    let shadow =
        policies("limit: { rate: 5/s per segment 2, shadow: true }", "limit: { rate: 5/s, headers: false }");
    assert_eq!(shadow, ["limit 5/s per segment 2 (shadow) -> 5/s (without headers)"]);
}

#[test]
fn a_priority_is_told_with_what_it_keeps_free_of_others() {
    assert_eq!(policies("priority: low", ""), ["priority low -> inherited"]);
    let all = policies("concurrency: 9", "concurrency: { max: 9, shares: { low: 30% } }");
    assert_eq!(all, ["concurrency 9 -> 9, low up to 30%, normal 100%, high 100%"]);
    let gone = |policies: &str| {
        let with = OLD.replace("gone: {", "gone: { concurrency: 9,").replace("timeout: 2s", policies);
        manifest(&with, "token-value")
    };
    let told = |policies: &str| {
        let changes = diff(&gone("timeout: 2s"), &gone(policies)).into_iter();
        changes.map(|one| one.detail).filter(|detail| !detail.contains("timeout")).collect::<Vec<_>>()
    };
    assert_eq!(
        told("priority: high"),
        [
            "calls.payments.priority inherited -> high",
            "concurrency 9 -> 9, low up to 50%, normal 80%, high 100%"
        ]
    );
    let nothing_is_kept_free_for_nobody = ["calls.payments.priority inherited -> low"];
    assert_eq!(told("priority: low"), nothing_is_kept_free_for_nobody);
}

#[test]
fn a_call_that_comes_or_goes_is_one_line() {
    let without = OLD.replace(", mail: {}", "");
    assert_eq!(told(OLD, &without).iter().filter(|line| line.contains("calls.mail")).count(), 1);
    assert_eq!(told(&without, OLD).iter().filter(|line| line.contains("calls.mail added")).count(), 1);
}

#[test]
fn a_service_that_colony_starts_from_now_on_is_told_without_what_all_have() {
    let url = "name: x\nservices: { a: { url: http://127.0.0.1:1 } }\n";
    let run = "name: x\nservices: { a: { run: ./a, scale: 2 } }\n";
    assert_eq!(
        told(url, run),
        [
            "Changed service a run added: ./a",
            "Changed service a scale.min added: 2",
            "Changed service a url removed, was 127.0.0.1:1"
        ]
    );
}

#[test]
fn hedges_are_told_as_they_are_written() {
    let with = |hedge: &str| OLD.replace("timeout: 2s", &format!("timeout: 2s, hedge: {hedge}"));
    let off = with("none");
    for (hedge, told_as) in [
        ("p95", "after p95, 1 at most"),
        ("{ after: p99.9, max: 2 }", "after p99.9, 2 at most"),
        ("{ after: 50ms }", "after 50ms, 1 at most"),
    ] {
        let line = format!("Changed service app calls.payments.hedge none -> {told_as}");
        assert!(told(&off, &with(hedge)).contains(&line), "{line}");
    }
}

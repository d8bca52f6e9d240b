//! Resource files: what is taken from them, and what is said about bad ones, drawn.

#![allow(clippy::disallowed_methods, reason = "the crate reads no files; its tests do")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use manifest::resources::resiliency::{Components, Family};
use manifest::resources::{BindingKind, Block, BulkSubscribe, Given, Keeper, KeyPrefix, SecretSource};
use manifest::{Resources, Source, resources};

fn read(case: &str) -> Resources {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/resources/{case}.yaml"));
    let file = Source { name: format!("{case}.yaml"), text: std::fs::read_to_string(path).unwrap() };
    resources(&[file], &BTreeMap::from([("PREFIX".to_owned(), "shared".to_owned())]), false)
}

fn drawn(case: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("golden/resources");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    insta::assert_snapshot!(case, read(case).diagnostics.render(100, false));
}

#[test]
fn bad_resources_are_explained() {
    drawn("wrong");
    drawn("syntax");
    drawn("outbox");
    assert!(read("outbox").has_errors() && read("wrong").has_errors() && read("syntax").has_errors());
}

#[test]
fn good_resources_are_taken_and_what_has_no_effect_is_named() {
    drawn("good");
    let found = read("good");
    assert!(!found.has_errors());
    let [carts, redis, vault, memory, files, messages, orders] = &found.components[..] else {
        panic!("{found:?}")
    };
    let prefix = KeyPrefix::Literal("shared".to_owned());
    assert_eq!(carts.block, Block::State { keeper: Keeper::Disk, prefix });
    assert_eq!((carts.name.as_str(), carts.version.as_str(), carts.scopes.len()), ("carts", "v1", 2));
    assert_eq!(redis.block, Block::State { keeper: Keeper::Redis, prefix: KeyPrefix::Name });
    let secret = |name: &str, key: &str| Given::Secret {
        store: "vault".to_owned(),
        name: name.to_owned(),
        key: key.to_owned(),
    };
    let values: Vec<_> = redis.settings.iter().map(|one| (one.name.as_str(), one.value.clone())).collect();
    let expected = [
        ("redisHost", Given::Text("localhost:6379".to_owned())),
        ("redisPassword", secret("passwords", "redis")),
        ("redisUsername", secret("user", "user")),
    ];
    assert_eq!(values, expected);
    assert!(redis.optional && redis.is_for("any"));
    assert_eq!(vault.block, Block::Secrets(SecretSource::Env));
    assert!(vault.is_for("shop") && !vault.is_for("any") && !vault.optional);
    assert_eq!(memory.block, Block::State { keeper: Keeper::Memory, prefix: KeyPrefix::None });
    assert_eq!(
        (memory.name.as_str(), memory.kind.as_str(), memory.version.as_str()),
        ("memory", "state.in-memory", "v2")
    );
    assert_eq!((&messages.block, messages.settings.len()), (&Block::PubSub(Keeper::Disk), 1));
    let outbox = orders.outbox.as_ref().map(|outbox| (outbox.pubsub.as_str(), outbox.topic.as_str()));
    assert_eq!((outbox, orders.settings.len()), (Some(("messages", "saved")), 0));
    assert_eq!((&files.block, files.settings.len()), (&Block::Binding(BindingKind::LocalStorage), 1));
}

#[test]
fn bad_subscriptions_are_explained() {
    drawn("subscriptions-wrong");
    assert!(read("subscriptions-wrong").subscriptions.is_empty());
}

#[test]
fn good_subscriptions_are_taken() {
    drawn("subscriptions");
    let mut found = read("subscriptions");
    let [first, second] = &found.subscriptions[..] else { panic!("{found:?}") };
    assert_eq!((first.pubsub.as_str(), first.topic.as_str()), ("pubsub", "orders"));
    assert_eq!((first.default.as_deref(), first.dead_letter.as_deref()), (Some("orders"), Some("dead")));
    assert_eq!(first.bulk, Some(BulkSubscribe { messages_max: Some(10), wait_max_ms: Some(20) }));
    let metadata: Vec<_> =
        first.metadata.iter().map(|(key, value, _)| (key.as_str(), value.as_str())).collect();
    assert_eq!(metadata, [("rawPayload", "true"), ("concurrency", "4")]);
    assert!(first.is_for("shop") && !first.is_for("other") && second.is_for("other"));
    let rules: Vec<_> =
        second.rules.iter().map(|rule| (rule.condition.as_str(), rule.path.as_str())).collect();
    assert_eq!(rules, [("event.type == \"a\"", "/a"), ("", "/b")]);
    assert_eq!((second.default.as_deref(), second.bulk), (Some("/c"), None));
    let place = second.rules[0].span;
    found.wrong_value(place, "it is no condition".to_owned(), "here", "write another");
    assert!(found.has_errors());
}

#[test]
fn what_only_shows_when_it_is_opened_is_told_in_its_place() {
    let mut found = read("good");
    let place = |name: &str| found.components.iter().find(|one| one.name == name).expect("declared").span;
    let (redis, vault) = (place("redis"), place("vault"));
    found.unopened(
        Some("left out, for `ignoreErrors` is set"),
        vault,
        "it is not there".to_owned(),
        "do something",
    );
    found.no_effect(redis, "it does nothing".to_owned());
    assert!(!found.has_errors());
    found.unopened(None, redis, "it does not answer".to_owned(), "start it");
    assert!(found.has_errors());
    let told: Vec<_> = found.diagnostics.iter().map(|one| (one.code, one.message.as_str())).collect();
    let ours = [("C0040", "it does not answer"), ("C0037", "it does nothing"), ("C0040", "it is not there")];
    assert_eq!(told[told.len() - 3..], ours);
}

#[test]
fn no_file_is_as_good_as_an_empty_one() {
    let empty = Source { name: "empty.yaml".to_owned(), text: String::new() };
    for files in [&[][..], &[empty]] {
        let found = resources(files, &BTreeMap::new(), false);
        assert!(found.components.is_empty() && found.diagnostics.iter().next().is_none());
    }
}

#[test]
fn policies_are_taken_by_their_names() {
    drawn("resiliency");
    let calls = read("resiliency").resiliency.of("shop");
    let orders = &calls.apps["orders"];
    assert_eq!(orders.timeout, Some(Duration::from_millis(500)));
    let retry = orders.retry.as_ref().unwrap();
    assert_eq!((retry.constant, retry.longest, retry.max), (None, Duration::from_secs(15), None));
    assert_eq!(retry.http.as_deref(), Some(&[(429, 429), (500, 599)][..]));
    assert_eq!(retry.grpc.as_deref(), Some(&[(1, 4), (8, 8)][..]));
    let breaker = orders.breaker.as_ref().unwrap();
    assert_eq!(
        (breaker.probes, breaker.trip.as_str(), breaker.methods_max),
        (2, "consecutiveFailures >= 3", 10)
    );
    assert_eq!((breaker.interval, breaker.open_for), (Duration::from_secs(8), Duration::from_secs(45)));
    assert_eq!(calls.apps["payments"].retry.as_ref().unwrap().max, Some(3));
    let others = calls.other_apps.retry.unwrap();
    assert_eq!((others.constant, others.max), (Some(Duration::from_secs(1)), Some(2)));
    assert_eq!(calls.other_apps.timeout, None);
    let (outbound, inbound) = (&calls.outbound, &calls.inbound);
    assert_eq!(outbound.named["carts"].retry.as_ref().unwrap().constant, None);
    assert!(outbound.named["carts"].breaker.is_some() && outbound.named["carts"].timeout.is_none());
    assert_eq!(inbound.named["carts"].timeout, Some(Duration::from_millis(500)));
    let max = |components: &Components, family| {
        components.others.get(&family).and_then(|one| one.retry.as_ref()?.max)
    };
    assert_eq!((max(inbound, Family::PubSub), max(inbound, Family::Binding)), (Some(4), None));
    assert_eq!((max(outbound, Family::PubSub), max(outbound, Family::State)), (Some(5), Some(5)));
    let [partner] = &read("resiliency").endpoints[..] else { panic!("one endpoint") };
    assert!(partner.is_for("shop") && !partner.is_for("any"));
    assert_eq!((partner.name.as_str(), partner.url.as_str()), ("partner", "https://partner.example/base"));
    assert!(matches!(partner.headers[0].value, Given::Secret { .. }) && partner.key.is_none());
    assert_eq!(partner.root.as_ref().unwrap().value, Given::Text("PEM".to_owned()));
    let elsewhere = read("resiliency").resiliency.of("elsewhere");
    assert!(elsewhere.apps.is_empty() && elsewhere.other_apps.retry.is_none());
    assert_eq!(elsewhere.other_apps.timeout, Some(Duration::from_secs(3)));
    assert_eq!(elsewhere.inbound.others[&Family::Lock].timeout, Some(Duration::from_secs(3)));
    assert_eq!(elsewhere.other_apps.breaker.unwrap().trip, "consecutiveFailures > 5");
}

#[test]
fn bad_policies_are_explained() {
    drawn("resiliency-wrong");
    assert!(read("resiliency-wrong").has_errors());
}

#[test]
fn what_would_be_in_servers_is_kept_by_colony_if_that_is_wished() {
    let component = |name: &str, kind: &str, settings: &[(&str, &str)]| {
        let settings: String = settings
            .iter()
            .map(|(name, value)| format!("  - {{ name: {name}, value: {value} }}\n"))
            .collect();
        format!(
            "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{ name: {name} }}\nspec:\n  type: {kind}\n  \
             version: v1\n  metadata:\n{settings}---\n"
        )
    };
    let text = [
        component("carts", "state.mongodb", &[("host", "there"), ("keyPrefix", "name")]),
        component("orders", "pubsub.kafka", &[("brokers", "there"), ("consumerID", "shop")]),
        component("flags", "configuration.redis", &[("redisHost", "there")]),
        component("locks", "lock.redis", &[("redisHost", "there")]),
        component("own", "state.in-memory", &[("keyPrefix", "none")]),
        component("ticks", "bindings.cron", &[("schedule", "\"@every 1s\"")]),
    ];
    let file = Source { name: "all.yaml".to_owned(), text: text.concat() };
    let found = resources(&[file], &BTreeMap::new(), true);
    assert_eq!(found.diagnostics.iter().count(), 0, "{}", found.diagnostics.render(100, false));
    let embedded: Vec<_> = found.embedded.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
    assert_eq!(
        embedded,
        ["carts state.mongodb", "orders pubsub.kafka", "flags configuration.redis", "locks lock.redis"]
    );
    let blocks: Vec<_> = found.components.iter().map(|one| one.block.clone()).collect();
    assert_eq!(blocks[0], Block::State { keeper: Keeper::Disk, prefix: KeyPrefix::Name });
    assert_eq!(blocks[1], Block::PubSub(Keeper::Disk));
    assert_eq!(found.components[1].settings.len(), 1);
    assert_eq!(blocks[2], Block::Configuration { keeper: Keeper::Disk });
    assert_eq!(blocks[4], Block::State { keeper: Keeper::Memory, prefix: KeyPrefix::None });
}

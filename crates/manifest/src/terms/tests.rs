//! Where values come from, in which order policies stand, and what tries and waits add up to.

use std::collections::BTreeMap;
use std::time::Duration;

use super::policies::ORDER;
use super::{Places, Policy, Terms, call, route};
use crate::typed::{Keys, Policies};
use crate::{Input, Source, check, valid};

struct World {
    manifest: valid::Manifest,
    places: Places,
}

fn world(texts: &[&str], env: &[(&str, &str)]) -> World {
    let source = |at: usize, text: &str| Source { name: format!("{at}.yaml"), text: text.to_owned() };
    let mut sources = texts.iter().enumerate().map(|(at, text)| source(at, text));
    let base = sources.next().unwrap();
    let env: BTreeMap<String, String> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let input = Input { root: "/srv".into(), base, overlays: sources.collect(), env, zone: None };
    let checked = check(&input);
    let drawn = checked.diagnostics.render(100, false);
    World { manifest: checked.manifest.unwrap_or_else(|| panic!("{drawn}")), places: Places::of(&input) }
}

impl World {
    fn call(&self, caller: &str, callee: &str) -> Terms {
        call(&self.manifest, &self.places, caller, callee).unwrap()
    }

    fn route(&self, at: usize) -> Terms {
        route(&self.manifest, &self.places, at, None).unwrap()
    }
}

impl Terms {
    fn policy(&self, key: &str) -> &Policy {
        self.policies.iter().find(|policy| policy.key == key).unwrap()
    }

    /// Value and place of a policy, or of its option.
    fn told(&self, key: &str) -> String {
        let (policy, option) = key.split_once('.').unwrap_or((key, ""));
        let policy = self.policy(policy);
        let (value, place) = match policy.options.iter().find(|setting| setting.key == option) {
            Some(setting) => (&setting.value, &setting.place),
            None => (&policy.value, &policy.place),
        };
        match place {
            None => format!("{value} by default"),
            Some(place) => {
                let variables: String = place.variables.iter().map(|name| format!(" ${name}")).collect();
                format!("{value} at {}:{}:{}{variables}", place.file, place.line, place.column)
            }
        }
    }
}

const BASE: &str = "name: shop
gateway:
  routes:
    - to: front
      timeout: ${FRONT_TIMEOUT:4s}
    - { path: /api/**, to: api, retries: 3, limit: [50/s, 5/s per client] }
services:
  front:
    run: ./front
    calls: [api]
  api:
    run: ./api
    calls:
      db:
        retries: { backoff: 50ms }
        breaker: none
        fallback: { status: 503, body: \"${DB_PASSWORD}\" }
      mail:
externals: { db: http://db.example, mail: http://mail.example }
";

#[test]
fn values_are_where_they_were_written() {
    let world = world(&[BASE], &[("DB_PASSWORD", "hunter2")]);
    let (api, front) = (world.route(0), world.route(1));
    assert_eq!(
        api.place.as_ref().map(|place| (place.line, place.column)),
        Some((6, 7)),
        "most specific first"
    );
    assert_eq!(api.told("limit"), "50/s, 5/s per client at 0.yaml:6:52");
    assert_eq!(api.told("retries"), "3 at 0.yaml:6:42");
    assert_eq!(api.told("retries.backoff"), "25ms by default");
    assert_eq!(front.told("timeout"), "4s at 0.yaml:5:16 $FRONT_TIMEOUT");
    assert_eq!(front.told("per-try"), "none by default");
    let db = world.call("api", "db");
    assert_eq!(db.place.as_ref().map(|place| place.line), Some(14));
    assert_eq!(db.told("retries"), "2 by default", "the map says nothing of how many");
    assert_eq!(db.told("retries.backoff"), "50ms at 0.yaml:15:29");
    assert_eq!(db.told("breaker"), "none at 0.yaml:16:18");
    assert_eq!(db.told("fallback"), "(secret) at 0.yaml:17:19 $DB_PASSWORD");
}

#[test]
fn a_call_may_be_declared_by_its_name_alone() {
    let world = world(&[BASE], &[("DB_PASSWORD", "hunter2")]);
    for (caller, callee, line) in [("front", "api", 10), ("api", "mail", 18)] {
        let terms = world.call(caller, callee);
        assert_eq!(terms.place.as_ref().map(|place| place.line), Some(line));
        assert!(terms.policies.iter().all(|policy| policy.place.is_none()), "{terms:#?}");
    }
    let only = "name: x\nservices: { app: { url: http://127.0.0.1:1 } }\n";
    assert_eq!(self::world(&[only], &[]).route(0).place, None, "nobody wrote that route");
}

#[test]
fn overlays_are_named_where_they_say_it() {
    let over = "services:\n  api:\n    calls:\n      db: { breaker: { rate: 40% }, retries: null }\n";
    let top = "gateway:\n  routes: [{ to: front, timeout: 1s }]\n";
    let world = world(&[BASE, over, top], &[("DB_PASSWORD", "hunter2")]);
    let db = world.call("api", "db");
    assert_eq!(db.told("breaker"), "on at 1.yaml:4:22");
    assert_eq!(db.told("breaker.rate"), "40% at 1.yaml:4:30");
    assert_eq!(db.told("breaker.window"), "10s by default");
    assert_eq!(db.told("retries.backoff"), "25ms by default", "taken out by the overlay");
    assert_eq!(world.route(0).told("timeout"), "1s at 2.yaml:2:34");
}

#[test]
fn every_policy_has_its_place_in_the_order() {
    let mut keys = Vec::new();
    Policies::keys(&mut keys);
    let named: Vec<&str> = ORDER.iter().map(|(key, _)| *key).collect();
    for key in &keys {
        assert!(named.contains(key), "`{key}` is a policy: say in ORDER where a request meets it");
    }
    for key in named {
        assert!(keys.contains(&key), "`{key}` of ORDER is no policy any more");
    }
}

#[test]
fn policies_stand_in_their_order() {
    let shown = world(&[BASE], &[("DB_PASSWORD", "hunter2")]).route(0);
    let mut keys = Vec::new();
    Policies::keys(&mut keys);
    // Told only where there are zones.
    keys.retain(|key| *key != "zone-preference");
    let order: Vec<&str> = ORDER.iter().map(|(key, _)| *key).filter(|key| keys.contains(key)).collect();
    assert_eq!(shown.policies.iter().map(|policy| policy.key.as_str()).collect::<Vec<_>>(), order);
}

/// Worst time in ms, tries, sum and the time with `Retry-After` of a call with these policies.
#[test]
fn zones_are_told_with_what_their_preference_comes_to() {
    let manifest = |zone: &str, policy: &str| {
        let url = |at: u32, zone: &str| format!("{{ url: \"http://10.0.0.{at}:80\", zone: {zone} }}");
        let urls = [url(1, "a"), url(2, "a"), url(3, "b"), "http://10.0.0.4:80".to_owned()].join(", ");
        format!(
            "name: x\n{zone}\nservices:\n  app: {{ run: ./app, calls: {{ shop: {policy} }} }}\n  shop:\n    url: [{urls}]\n"
        )
    };
    let told = |zone: &str, policy: &str| {
        let terms = world(&[&manifest(zone, policy)], &[]).call("app", "shop");
        let at = terms.policies.iter().position(|one| one.key == "services.shop.url").expect("its zones");
        let zones = &terms.policies[at];
        assert_eq!(terms.policies[at - 1].key, "zone-preference");
        assert_eq!(zones.place.as_ref().map(|place| place.line), Some(6));
        [&terms.policies[at - 1].value, &zones.value, &zones.options[0].value].map(String::clone)
    };
    assert_eq!(
        told("zone: a", "{ zone-preference: { factor: 2 } }"),
        [
            "factor 2",
            "1 elsewhere, 2 in a, which is near, 1 in b",
            "all while 1 of 2 are well, none without one that is"
        ]
    );
    assert_eq!(told("zone: b", "{}")[1], "1 elsewhere, 2 in a, 1 in b, which is near");
    assert_eq!(told("zone: c", "{}")[2], "none in particular: nothing is near");
    assert_eq!(told("zone: a", "{ zone-preference: none }")[2], "none in particular");
}

fn worst(policies: &str) -> (Option<u128>, u32, String, Option<u128>) {
    let text = format!(
        "name: x\nservices:\n  a: {{ run: ./a, calls: {{ b: {policies} }} }}\n  b: {{ run: ./b }}\n  c: {{ run: ./c }}\n"
    );
    let worst = world(&[&text], &[]).call("a", "b").worst;
    let ms = |time: Option<Duration>| time.map(|time| time.as_millis());
    (ms(worst.time), worst.tries, worst.sum, ms(worst.asked_to_wait))
}

#[test]
fn the_worst_time_is_the_sum_or_the_timeout() {
    let of = |time: u128, tries, sum: &str, asked| (Some(time), tries, sum.to_owned(), asked);
    assert_eq!(worst("{}"), of(10_000, 3, "the timeout, for all 3 tries together", None));
    assert_eq!(worst("{ retries: none, timeout: 2s }"), of(2000, 1, "the timeout", None));
    assert_eq!(
        worst("{ per-try: 1s }"),
        of(3075, 3, "3 tries of 1s + 25ms + 50ms between them", Some(10_000))
    );
    assert_eq!(
        worst("{ per-try: 1s, retries: { on: reset } }"),
        of(3075, 3, "3 tries of 1s + 25ms + 50ms between them", None)
    );
    assert_eq!(
        worst(
            "{ timeout: 3s, per-try: 800ms, retries: { max: 3, backoff: 50ms }, concurrency: { max: 9, queue: 9, wait: 500ms } }"
        ),
        of(
            3000,
            4,
            "the timeout; 500ms for a place + 4 tries of 800ms + 50ms + 100ms + 200ms between them would be 4s50ms",
            None
        )
    );
    assert_eq!(
        worst(
            "{ timeout: none, per-try: 1s, retries: { max: 6, backoff: 100ms, backoff-max: 1s, jitter: decorrelated } }"
        ),
        of(11_300, 7, "7 tries of 1s + 4s300ms between them", Some(187_000))
    );
    assert_eq!(
        worst("{ per-try: 1s, retries: { max: 1, on: reset }, hedge: { max: 2 } }"),
        of(4025, 4, "4 tries of 1s + 25ms between them", None),
        "one beside another may begin when that is about to end"
    );
    assert_eq!(
        worst("{ timeout: none }"),
        (None, 3, "neither `timeout` nor `per-try` is set".to_owned(), None)
    );
    assert_eq!(
        worst("{ timeout: 1s, retries: none, fallback: { to: c } }"),
        of(2000, 1, "the timeout; as long again for the fallback to c", None)
    );
}

#[test]
fn what_can_never_be_retried_is_no_try() {
    for (policies, tries) in [
        ("{ per-try: 1s, retries: { on: [] } }", 1),
        ("{ retries: { on: statuses, statuses: [] } }", 1),
        ("{ retries: { on: statuses, statuses: [], grpc-statuses: aborted } }", 3),
        ("{ retries: { on: timeout } }", 1),
        ("{ per-try: 10s, retries: { on: timeout } }", 1),
        ("{ per-try: 1s, retries: { on: timeout } }", 3),
        ("{ timeout: none, per-try: 1s, retries: { on: timeout } }", 3),
        ("{ retries: { on: reset } }", 3),
        ("{ retries: { budget: 0%, budget-min: 0 }, hedge: p95 }", 1),
        ("{ retries: { on: [] }, hedge: p95 }", 2),
        ("{ retries: { max: 0 } }", 1),
    ] {
        assert_eq!(worst(policies).1, tries, "{policies}");
    }
    let (time, _, sum, asked) = worst("{ per-try: 1s, retries: { on: [] } }");
    assert_eq!((time, sum.as_str(), asked), (Some(1000), "1 try of 1s", None));
}

#[test]
fn a_place_at_the_callee_is_waited_for_too() {
    let text = "name: x
services:
  a: { run: ./a, calls: { b: { per-try: 1s, retries: none, concurrency: { max: 1, queue: 1, wait: 200ms } } } }
  b: { run: ./b, concurrency: { max: 9, queue: 9, wait: 300ms } }
";
    let terms = world(&[text], &[]).call("a", "b");
    assert_eq!(terms.worst.time, Some(Duration::from_millis(1500)));
    assert_eq!(terms.worst.sum, "500ms for a place + 1 try of 1s");
    let keys: Vec<&str> = terms.policies.iter().map(|policy| policy.key.as_str()).collect();
    assert_eq!(keys[3..5], ["concurrency", "services.b.concurrency"]);
    assert_eq!(terms.policies[4].name, "bulkhead of b");
    assert_eq!(terms.policies[4].place.as_ref().map(|place| place.line), Some(4));
}

fn way(terms: &Terms) -> (u64, Vec<String>) {
    let hops = terms.attempts.way.iter().map(|hop| format!("{} x{}", hop.call, hop.tries));
    (terms.attempts.most, hops.collect())
}

#[test]
fn tries_multiply_along_the_calls() {
    let text = "name: x
gateway: { routes: [{ to: a }, { path: /b/**, to: b, retries: none }] }
services:
  a: { run: ./a, calls: { b: {}, c: { retries: none } } }
  b: { run: ./b, calls: { d: { retries: 4 }, a: { wait: false, retries: 1 } } }
  c: { run: ./c, calls: { d: { retries: 9 } } }
  d: { run: ./d }
";
    let world = world(&[text], &[]);
    let a = world.route(1);
    assert_eq!(way(&a), (45, ["gateway /** x3", "a -> b x3", "b -> d x5"].map(str::to_owned).to_vec()));
    assert!(a.attempts.storm);
    let b = world.call("b", "d");
    assert_eq!(way(&b), (45, ["gateway /** x3", "a -> b x3", "b -> d x5"].map(str::to_owned).to_vec()));
    let c = world.call("c", "d");
    let over_the_circle = ["gateway /** x3", "a -> c x1", "c -> d x10"];
    assert_eq!(way(&c), (30, over_the_circle.map(str::to_owned).to_vec()), "each service once");
}

#[test]
fn what_fails_below_is_not_tried_again_where_only_connections_are() {
    let with = |per_try: &str| {
        let text = format!(
            "name: x
gateway: {{ routes: [{{ to: a, per-try: {per_try}, retries: {{ max: 4, on: [reset, timeout] }} }}] }}
services:
  a: {{ run: ./a, calls: {{ b: {{}} }} }}
  b: {{ run: ./b, calls: {{ c: {{ retries: none }} }} }}
  c: {{ run: ./c }}
"
        );
        world(&[&text], &[])
    };
    let patient = with("none");
    assert_eq!(way(&patient.route(0)), (5, vec!["gateway /** x5".to_owned()]), "more than the three below");
    assert_eq!(way(&patient.call("a", "b")), (3, vec!["a -> b x3".to_owned()]));
    assert_eq!(way(&with("1s").route(0)).0, 15, "a slow answer from below is tried again");
}

#[test]
fn circles_within_circles_end() {
    let names: Vec<String> = (0..14).map(|at| format!("s{at}")).collect();
    let mut text = "name: x\nservices:\n".to_owned();
    for name in &names {
        let calls: Vec<String> = names
            .iter()
            .filter(|other| *other != name)
            .map(|other| format!("{other}: {{ wait: false }}"))
            .collect();
        text += &format!("  {name}: {{ run: ./x, calls: {{ {} }} }}\n", calls.join(", "));
    }
    assert!(world(&[&text], &[]).call("s0", "s1").attempts.most >= 3_u64.pow(13));
}

#[test]
fn what_is_not_declared_says_what_is() {
    let world = world(&[BASE], &[("DB_PASSWORD", "hunter2")]);
    let refused =
        |caller: &str, callee: &str| call(&world.manifest, &world.places, caller, callee).unwrap_err();
    let undeclared = refused("front", "db");
    assert_eq!(undeclared.add.as_deref(), Some("services:\n  front:\n    calls:\n      db: {}\n"));
    assert_eq!(undeclared.declared, ["api"]);
    assert_eq!(refused("frnot", "api").nearest.as_deref(), Some("front"));
    assert_eq!(refused("front", "apo").nearest.as_deref(), Some("api"));
    assert_eq!(refused("front", "nothing-like-it").nearest, None);
    assert!(refused("db", "api").why.contains("external"));
    assert!(refused("gateway", "api").hint.contains("GET /path"));
    assert!(refused("api", "api").why.contains("itself"));
}

//! Good manifests: accepted without a word, by the decoder and by the schema.

use std::collections::BTreeMap;

use manifest::{Checked, Input, Source, check, valid};

fn checked(text: &str) -> Checked {
    let base = Source { name: "colony.yaml".to_owned(), text: text.to_owned() };
    check(&Input { root: "/srv".into(), base, overlays: Vec::new(), env: BTreeMap::new(), zone: None })
}

/// The manifest of a text that must be without fault.
fn good(text: &str) -> valid::Manifest {
    let checked = checked(text);
    let drawn = checked.diagnostics.render(100, false);
    assert_eq!(drawn, "", "{drawn}");
    checked.manifest.unwrap()
}

const MARKETPLACE: &str = include_str!("good/marketplace.yaml");

#[test]
fn every_key_is_accepted() {
    let manifest = good(MARKETPLACE);
    assert_eq!(manifest.name, "marketplace");
    assert_eq!(manifest.start_order, ["app", "catalog", "recommendations", "storefront"]);
}

#[test]
fn five_lines_serve_a_monolith_at_the_default_address() {
    let manifest = good("name: shop\nservices:\n  app:\n    url: http://127.0.0.1:3000\n");
    let gateway = manifest.gateway.unwrap();
    assert_eq!(gateway.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(gateway.routes.len(), 1);
    assert_eq!(gateway.routes[0].to, "app");
    assert!(gateway.routes[0].path.rest && gateway.routes[0].path.segments.is_empty());
    assert_eq!(
        manifest.services["app"].source,
        valid::Source::Url { authorities: vec!["127.0.0.1:3000".into()], zones: BTreeMap::new() }
    );
}

#[test]
fn several_services_have_no_gateway_unless_declared() {
    let manifest = good("name: shop\nservices:\n  a: { run: ./a }\n  b: { run: ./b }\n");
    assert_eq!(manifest.gateway, None);
}

#[test]
fn a_gateway_without_routes_serves_the_only_service() {
    let manifest = good("name: shop\ngateway: { listen: 0.0.0.0:80 }\nservices:\n  a: { run: ./a }\n");
    let gateway = manifest.gateway.unwrap();
    assert_eq!((gateway.listen.to_string().as_str(), gateway.routes.len()), ("0.0.0.0:80", 1));
}

#[test]
fn a_gateway_takes_one_certificate_several_or_that_of_the_development_ca() {
    let tls = |tls: &str| {
        let text = format!("name: shop\ngateway: {{ tls: {tls} }}\nservices: {{ a: {{ run: ./a }} }}\n");
        good(&text).gateway.unwrap().tls.unwrap()
    };
    let pair = |name: &str| valid::TlsFiles {
        cert: format!("{name}.pem").into(),
        key: format!("{name}.key").into(),
    };
    assert_eq!(tls("dev"), valid::Tls::Dev);
    assert_eq!(tls("{ cert: a.pem, key: a.key }"), valid::Tls::Files(vec![pair("a")]));
    let both = tls("[{ cert: a.pem, key: a.key }, { cert: b.pem, key: b.key }]");
    assert_eq!(both, valid::Tls::Files(vec![pair("a"), pair("b")]));
}

#[test]
fn listen_takes_a_port_and_every_form_of_address() {
    for (given, meant) in [
        ("8081", "127.0.0.1:8081"),
        (":8081", "0.0.0.0:8081"),
        ("localhost:8081", "127.0.0.1:8081"),
        ("\"[::1]:8081\"", "[::1]:8081"),
        ("127.0.0.1:0", "127.0.0.1:0"),
    ] {
        let manifest =
            good(&format!("name: a\ngateway: {{ listen: {given} }}\nservices: {{ a: {{ run: ./a }} }}"));
        assert_eq!(manifest.gateway.unwrap().listen.to_string(), meant, "{given}");
    }
}

#[test]
fn defaults_are_filled_in() {
    let manifest = good("name: a\nservices:\n  a: { run: ./a, calls: [b] }\n  b: { run: ./b }\n");
    let valid::Source::Run(run) = &manifest.services["a"].source else { panic!("not run") };
    assert_eq!((run.min, run.max, run.port, run.grace.as_secs()), (1, 16, None, 10));
    let policies = &manifest.services["a"].calls["b"].policies;
    assert_eq!(policies.timeout.unwrap().as_secs(), 10);
    assert_eq!(policies.per_try, None);
    let retries = policies.retries.as_ref().unwrap();
    assert_eq!((retries.max, retries.budget, retries.statuses.as_slice()), (2, 0.2, &[502, 503, 504][..]));
    assert!(policies.breaker.is_some() && policies.ejection.is_some() && policies.fallback.is_none());
    let ready = &manifest.services["a"].ready;
    assert_eq!((&ready.check, ready.every.as_secs()), (&valid::Check::Tcp, 1));
    assert_eq!(manifest.services["a"].live, None);
}

#[test]
fn policies_are_switched_off_by_none() {
    let text = "name: a\nservices:\n  a:\n    run: ./a\n    calls:\n      b: { timeout: none, retries: none, breaker: none, ejection: none, fallback: none, limit: none, zone-preference: none }\n  b: { run: ./b }\n";
    let policies = good(text).services["a"].calls["b"].policies.clone();
    let off = valid::CallPolicies {
        timeout: None,
        per_try: None,
        deadline_header: None,
        concurrency: None,
        priority: None,
        retries: None,
        hedge: None,
        breaker: None,
        ejection: None,
        balance: valid::Balance::P2cEwma,
        zone_preference: None,
        slow_start: None,
        fallback: None,
    };
    assert_eq!(policies, off);
}

#[test]
fn zones_are_those_of_places_and_the_node_s_is_the_one_it_was_told() {
    let text = "name: a\nzone: eu-1a\nservices:\n  a: { run: ./a, calls: { b: {}, c: {} } }\n  b: { url: [{ url: \"http://127.0.0.1:1\", zone: eu-1b }, \"http://127.0.0.1:2\"] }\nexternals: { c: [{ url: http+srv://_http._tcp.c.example, zone: eu-1a }, { url: http://c.example, zone: 3 }] }\n";
    let manifest = good(text);
    assert_eq!(manifest.zone.as_deref(), Some("eu-1a"));
    assert_eq!(manifest.zones("b"), [Some("eu-1b"), None]);
    assert_eq!(manifest.zones("c"), [Some("eu-1a"), Some("3")]);
    assert_eq!(manifest.zones("a"), []);
    let percent = manifest.services["a"].calls["b"].policies.zone_preference.map(|given| given.percent);
    assert_eq!(percent, Some(140));
    let base = Source { name: "colony.yaml".to_owned(), text: text.to_owned() };
    let zone = Some("eu-1b".to_owned());
    let told = check(&Input { root: "/srv".into(), base, overlays: Vec::new(), env: BTreeMap::new(), zone });
    assert_eq!(told.manifest.and_then(|manifest| manifest.zone).as_deref(), Some("eu-1b"));
}

#[test]
fn scale_leaves_room_to_grow() {
    let scale = |text: &str| {
        let manifest = good(&format!("name: a\nservices: {{ a: {{ run: ./a, {text} }} }}"));
        let valid::Source::Run(run) = &manifest.services["a"].source else { panic!("not run") };
        (run.min, run.max)
    };
    assert_eq!(scale("scale: 2"), (2, 16));
    assert_eq!(scale("scale: 20"), (20, 20));
    assert_eq!(scale("scale: { min: 2 }"), (2, 16));
    assert_eq!(scale("scale: { max: 3 }"), (1, 3));
    assert_eq!(scale("port: 3000"), (1, 1));
}

#[test]
fn a_fallback_body_tells_its_content_type() {
    let content_type = |body: &str| {
        let text = format!(
            "name: a\nservices:\n  a:\n    run: ./a\n    calls: {{ b: {{ fallback: {{ body: '{body}' }} }} }}\n  b: {{ run: ./b }}\n"
        );
        match good(&text).services["a"].calls["b"].policies.fallback.clone() {
            Some(valid::Fallback::Static { status: 200, content_type, .. }) => content_type,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(content_type("[]"), "application/json");
    assert_eq!(content_type("sorry"), "text/plain; charset=utf-8");
}

#[test]
fn routes_are_tried_from_the_most_specific() {
    let text = r#"
name: shop
services: { a: { run: ./a } }
gateway:
  routes:
    - { to: a }
    - { to: a, path: /x/** }
    - { to: a, path: /x/*/z }
    - { to: a, path: /x/y/z }
    - { to: a, path: /x }
    - { to: a, path: /x, methods: GET }
    - { to: a, path: /x, headers: { a: 1 } }
    - { to: a, path: /x, headers: { a: 1, b: 2 } }
    - { to: a, path: /x/y, host: "*.example" }
    - { to: a, path: /x/y, host: "*.shop.example" }
    - { to: a, host: shop.example }
    - { to: a, path: / }
"#;
    let gateway = good(text).gateway.unwrap();
    let shown: Vec<String> = gateway
        .routes
        .iter()
        .map(|route| {
            let segments: String = route
                .path
                .segments
                .iter()
                .map(|segment| match segment {
                    valid::Segment::Literal(text) => format!("/{text}"),
                    valid::Segment::Any => "/*".to_owned(),
                })
                .collect();
            let rest = if route.path.rest { "/**" } else { "" };
            let host = route.host.clone().unwrap_or_default();
            format!("{host}{segments}{rest} {}{}", route.methods.join(","), route.headers.len())
        })
        .collect();
    assert_eq!(
        shown,
        [
            "shop.example/** 0",
            "*.shop.example/x/y 0",
            "*.example/x/y 0",
            "/x/y/z 0",
            "/x/*/z 0",
            "/x GET0",
            "/x 2",
            "/x 1",
            "/x 0",
            "/x/** 0",
            " 0",
            "/** 0",
        ]
    );
}

#[test]
fn calls_and_after_order_the_start_unless_told_not_to_wait() {
    let manifest = good(
        "name: a\nservices:\n  a: { run: ./a, calls: [b, x] }\n  b: { run: ./b, calls: { a: { wait: false } }, after: c }\n  c: { run: ./c }\nexternals: { x: https://x.example }\n",
    );
    assert_eq!(manifest.start_order, ["c", "b", "a"]);
    assert_eq!(manifest.services["a"].after, ["b"]);
    assert_eq!(manifest.services["b"].after, ["c"]);
}

#[test]
fn a_service_that_runs_already_waits_for_nothing() {
    let manifest = good(
        "name: a\ngateway: { routes: [{ to: a }] }\nservices:\n  a: { url: http://127.0.0.1:1, calls: [b] }\n  b: { run: ./b, calls: [a] }\n",
    );
    assert_eq!(manifest.start_order, ["a", "b"]);
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    let manifest = good(
        "name: a\nservices:\n  a: &base { run: ./a, grace: 3s, env: { A: 1 } }\n  b:\n    <<: *base\n    grace: 5s\n",
    );
    let valid::Source::Run(run) = &manifest.services["b"].source else { panic!("not run") };
    assert_eq!((run.command.as_str(), run.grace.as_secs(), run.env["A"].as_str()), ("./a", 5, "1"));
}

#[test]
fn environment_values_are_taken_as_written() {
    let manifest =
        good("name: a\nservices:\n  a: { run: ./a, env: { N: 007, B: True, T: \"x\", F: 1.50, E: '' } }\n");
    let valid::Source::Run(run) = &manifest.services["a"].source else { panic!("not run") };
    let values: Vec<&str> = run.env.values().map(String::as_str).collect();
    assert_eq!(values, ["True", "", "1.50", "007", "x"]);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "how long the machine took is the point here")]
fn five_thousand_lines_are_quick() {
    let mut text = "name: big\ngateway:\n  routes:\n    - { to: s0 }\n".to_owned();
    for n in 0..500 {
        text += &format!("    - {{ path: /s{n}/**, to: s{n}, limit: 50/s per client }}\n");
    }
    text += "services:\n";
    for n in 0..500 {
        text += &format!(
            "  s{n}:\n    run: ./s {n}\n    env:\n      KEY: value\n      OTHER: \"${{X:1}}\"\n    ready: /healthz\n    calls:\n"
        );
        text += &format!("      s{}: {{ timeout: 2s }}\n", n + 1);
        text += "      t: { retries: 3 }\n";
    }
    text += "  s500: { run: ./s }\n  t: { run: ./t }\n";
    assert!(text.lines().count() > 5000);
    let start = std::time::Instant::now();
    good(&text);
    let took = start.elapsed();
    assert!(took.as_secs() < 2, "{took:?}: without optimisation it should be near 0.1 s");
}

const REFERENCE: &str = include_str!("../../../docs/manifest.md");

#[test]
fn the_examples_of_the_reference_are_good() {
    let examples: Vec<&str> =
        REFERENCE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 5);
    for example in examples {
        good(example);
    }
}

#[test]
fn the_reference_names_every_key() {
    fn keys(schema: &serde_json::Value, out: &mut Vec<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            out.extend(properties.keys().cloned());
        }
        for (_, child) in schema.as_object().into_iter().flatten() {
            keys(child, out);
        }
    }
    let mut known = Vec::new();
    keys(&manifest::schema(), &mut known);
    assert!(known.len() > 50, "{known:?}");
    for key in known {
        assert!(REFERENCE.contains(&format!("\n| `{key}` |")), "{key} has no row");
    }
}

#[test]
fn the_marketplace_is_good() {
    let split = good(include_str!("../../../examples/marketplace/colony.yaml"));
    assert_eq!(split.services.len(), 8);
    assert_eq!(good(include_str!("../../../examples/marketplace/monolith.yaml")).services.len(), 1);
}

//! Configuration files: what is known of them, and what is told of the rest.

use std::time::Duration;

use manifest::configuration::{Apis, Group, Operation, Policy, SecretScope};
use manifest::{Configuration, Source};

fn read(texts: &[&str]) -> Configuration {
    let files: Vec<Source> = texts
        .iter()
        .enumerate()
        .map(|(number, text)| Source { name: format!("{number}.yaml"), text: (*text).to_owned() })
        .collect();
    manifest::configuration(&files)
}

/// Severity, line and message of each finding.
fn told(configuration: &Configuration) -> Vec<String> {
    let diagnostics = &configuration.diagnostics;
    let line = |one: &manifest::Diagnostic| {
        let (line, _) = diagnostics.position(one.span);
        format!("{} {line}: {}", one.severity.as_str(), one.message)
    };
    diagnostics.iter().map(line).collect()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const SCOPES: &str = "\
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: { name: c }
spec:
  secrets:
    scopes:
      - storeName: vault
        defaultAccess: Deny
        allowedSecrets: [a, b]
      - storeName: env
        deniedSecrets: [c]
";

#[test]
fn scopes_of_secrets_are_known_by_their_store() {
    let found = read(&[SCOPES]);
    assert_eq!(told(&found), Vec::<String>::new());
    let vault = SecretScope { closed: true, allowed: names(&["a", "b"]), denied: Vec::new() };
    let env = SecretScope { closed: false, allowed: Vec::new(), denied: names(&["c"]) };
    assert_eq!((&found.secrets["vault"], &found.secrets["env"], found.secrets.len()), (&vault, &env, 2));
}

#[test]
fn a_later_file_goes_before() {
    let later = "kind: Configuration\nspec: { secrets: { scopes: [{ storeName: vault }] } }";
    assert_eq!(read(&[SCOPES, later]).secrets["vault"], SecretScope::default());
    assert!(read(&[]).secrets.is_empty() && read(&[""]).secrets.is_empty());
}

#[test]
fn what_has_no_effect_is_told_and_does_no_harm() {
    let other = "kind: Configuration\nspec:\n  metric: { enabled: true }\n  features: []\n";
    assert_eq!(
        told(&read(&[other])),
        [
            "warning 3: `metric` of a configuration has no effect here",
            "warning 4: `features` of a configuration has no effect here",
        ]
    );
    assert_eq!(told(&read(&["kind: Component\n"])), ["warning 1: this is no `Configuration`"]);
}

fn tracing(spec: &str) -> Configuration {
    read(&[&format!("kind: Configuration\nspec:\n  tracing: {spec}\n")])
}

#[test]
fn where_spans_are_sent_is_as_dapr_says_it() {
    let collector = |otel: &str| {
        let found = tracing(&format!("{{ otel: {otel} }}"));
        assert_eq!(told(&found), Vec::<String>::new());
        found.tracing.expect("it is said").collector
    };
    let plain = collector("{ endpointAddress: 'localhost:4317', isSecure: false, protocol: grpc }").unwrap();
    assert_eq!(
        (plain.url.as_str(), plain.grpc, plain.timeout),
        ("http://localhost:4317", true, Duration::from_secs(10))
    );
    let full = "{ endpointAddress: 'c:4318', protocol: http, headers: 'X-Key=a%20b, t=1', timeout: 500 }";
    let full = collector(full).unwrap();
    assert_eq!(
        (full.url.as_str(), full.grpc, full.timeout),
        ("https://c:4318", false, Duration::from_millis(500))
    );
    let headers = [("x-key", "a%20b"), ("t", "1")];
    assert_eq!(full.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let url = collector("{ endpointAddress: 'http://c:1/in' }").unwrap();
    assert_eq!(url.url, "http://c:1/in", "a scheme says it, too");
    assert_eq!(collector("{ endpointAddress: '' }"), None);
}

#[test]
fn how_much_is_recorded_is_a_share_and_what_is_sent_otherwise_is_told() {
    for (written, rate) in [("'1'", Some(1.0)), ("0.25", Some(0.25)), ("'0'", Some(0.0)), ("''", None)] {
        assert_eq!(
            tracing(&format!("{{ samplingRate: {written} }}")).tracing.unwrap().rate,
            rate,
            "{written}"
        );
    }
    for wrong in ["2", "-1", "much", "NaN"] {
        let found = tracing(&format!("{{ samplingRate: '{wrong}' }}"));
        assert_eq!(
            (told(&found), found.tracing.is_none()),
            (vec![format!("error 3: `samplingRate` is `{wrong}`")], true)
        );
    }
    let wrong = |otel: &str| told(&tracing(&format!("{{ otel: {otel} }}"))).remove(0);
    assert!(wrong("{ endpointAddress: 'a b' }").contains("`endpointAddress` is `a b`"));
    assert!(wrong("{ endpointAddress: 'a:1', protocol: udp }").contains("`protocol` is `udp`"));
    assert!(!wrong("{ endpointAddress: 'a:1', headers: secret }").contains("secret"));
    let other =
        tracing("{ stdout: true, zipkin: { endpointAddress: 'http://localhost:9411/api/v2/spans' } }");
    assert_eq!(
        told(&other),
        ["warning 3: spans are not printed here", "warning 3: spans are not sent to Zipkin here"]
    );
    let none = tracing("{ stdout: false, zipkin: { endpointAddress: '' } }");
    assert_eq!(told(&none), Vec::<String>::new());
    let of_a_node = none.of_a_node();
    assert_eq!(told(&of_a_node), ["warning 3: `tracing` has no effect for a service of a node"]);
    assert!(of_a_node.tracing.is_none());
}

#[test]
fn what_is_wrong_is_told_where_it_is() {
    let odd = "kind: Configuration\nspec:\n  secrets:\n    scopes:\n      - defaultAccess: deny\n      \
               - { storeName: v, defaultAccess: maybe }\n      - { storeName: w, allowed: [a] }\n";
    let found = told(&read(&[odd]));
    let is = |at: usize, parts: [&str; 2]| parts.iter().all(|part| found[at].contains(part));
    assert!(
        is(0, ["error 5", "storeName"]) && is(1, ["error 6", "`maybe`"]) && is(2, ["error 7", "allowed"]),
        "{found:?}"
    );
}

#[test]
fn groups_of_endpoints_are_open_or_not() {
    let text = "kind: Configuration\nspec:\n  api:\n    allowed:\n      - { name: state, version: v1.0, protocol: http }\n    \
                denied:\n      - { name: state, version: v1, protocol: gRPC }\n      - { name: stat, version: v1, protocol: http }\n      \
                - { name: jobs, version: v1, protocol: quic }\n      - { name: jobs, version: v1 }\n";
    let found = read(&[text]);
    let group = |grpc, version: &str| Group { name: "state".to_owned(), version: version.to_owned(), grpc };
    assert_eq!(found.apis, Apis { allowed: vec![group(false, "v1.0")], denied: vec![group(true, "v1")] });
    let told = told(&found);
    let messages = ["8: there is no group of endpoints `stat`", "9: `protocol` is `quic`"];
    assert_eq!(told[..2], messages.map(|message| format!("error {message}")));
    assert!(told[2].contains("error 10") && told[2].contains("protocol"), "{told:?}");
}

const ACCESS: &str = "\
kind: Configuration
spec:
  accessControl:
    defaultAction: deny
    trustDomain: shops
    policies:
    - appId: shop
      defaultAction: allow
      trustDomain: public
      namespace: default
      operations:
      - { name: /orders/**, httpVerb: [GET, '*'], action: Deny }
";

#[test]
fn who_may_call_is_said() {
    let found = read(&[ACCESS]);
    assert_eq!(told(&found), Vec::<String>::new());
    let access = found.access.unwrap();
    let operation = Operation { path: "/orders/**".to_owned(), verbs: names(&["GET", "*"]), allow: false };
    let policy = Policy {
        namespace: "default".to_owned(),
        trust_domain: "public".to_owned(),
        allow: Some(true),
        operations: vec![operation],
    };
    assert_eq!((access.allow, access.trust_domain.as_deref()), (false, Some("shops")));
    assert_eq!(access.policies, [("shop".to_owned(), vec![policy])].into());
    let open = |spec: &str| {
        read(&[&format!("kind: Configuration\nspec: {{ accessControl: {spec} }}")]).access.unwrap().allow
    };
    let policy = "policies: [{ appId: a, trustDomain: b, namespace: c }]";
    assert!(open("{ trustDomain: shops }") && !open(&format!("{{ {policy} }}")));
    assert!(open(&format!("{{ defaultAction: Allow, {policy} }}")));
}

#[test]
fn what_is_wrong_with_who_may_call_is_told() {
    let odd = |part: &str, by: &str| told(&read(&[&ACCESS.replace(part, by)]));
    assert!(odd("      namespace: default\n", "")[0].contains("namespace"));
    assert_eq!(odd("defaultAction: deny", "defaultAction: no"), ["error 4: `defaultAction` is `no`"]);
    assert_eq!(odd("action: Deny", "action: '-'"), ["error 12: `action` is `-`"]);
    for path in ["/a/**/b", "/a*b", "/a***", "/a**"] {
        assert_eq!(odd("/orders/**", path), [format!("error 12: `{path}` is no operation")]);
    }
    let pipes = "kind: Configuration\nspec: { httpPipeline: { handlers: [] } }";
    assert!(told(&read(&[pipes]))[0].contains("does not run here"));
}

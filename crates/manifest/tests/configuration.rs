//! Configuration files: what is known of them, and what is told of the rest.

use manifest::configuration::SecretScope;
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
    let other = "kind: Configuration\nspec:\n  tracing: { samplingRate: \"1\" }\n  features: []\n";
    assert_eq!(
        told(&read(&[other])),
        [
            "warning 3: `tracing` of a configuration has no effect here",
            "warning 4: `features` of a configuration has no effect here",
        ]
    );
    assert_eq!(told(&read(&["kind: Component\n"])), ["warning 1: this is no `Configuration`"]);
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

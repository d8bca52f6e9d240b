//! Overlays and the environment: what merges, what replaces, where errors are drawn.

use std::collections::BTreeMap;

use manifest::{Checked, Input, Source, check, valid};

fn layered(texts: &[&str], env: &[(&str, &str)]) -> Checked {
    let mut sources = texts
        .iter()
        .enumerate()
        .map(|(at, text)| Source { name: format!("{at}.yaml"), text: (*text).to_owned() });
    let base = sources.next().unwrap();
    let env: BTreeMap<String, String> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    check(&Input { root: "/srv".into(), base, overlays: sources.collect(), env, zone: None })
}

fn run(checked: &Checked, name: &str) -> valid::Run {
    let drawn = checked.diagnostics.render(100, false);
    let manifest = checked.manifest.as_ref().unwrap_or_else(|| panic!("{drawn}"));
    match &manifest.services[name].source {
        valid::Source::Run(run) => run.clone(),
        valid::Source::Url { .. } => panic!("{name} has a url"),
    }
}

const BASE: &str = "
name: shop
services:
  app:
    run: ./app
    port: 3000
    env: { A: 1, B: 2 }
    calls: { cart: { timeout: 1s, retries: 3 } }
  cart: { run: ./cart }
";

#[test]
fn maps_merge_and_scalars_replace() {
    let checked =
        layered(&[BASE, "services: { app: { env: { B: 3, C: 4 }, calls: { cart: { timeout: 5s } } } }"], &[]);
    let env = run(&checked, "app").env;
    assert_eq!(
        env.into_iter().map(|(name, value)| name + "=" + &value).collect::<Vec<_>>(),
        ["A=1", "B=3", "C=4"]
    );
    let policies = &checked.manifest.unwrap().services["app"].calls["cart"].policies;
    assert_eq!(policies.timeout.unwrap().as_secs(), 5);
    assert_eq!(policies.retries.as_ref().unwrap().max, 3);
}

#[test]
fn null_removes_a_key() {
    let checked = layered(&[BASE, "services:\n  app:\n    port:\n    scale: 2\n    env: { A: null }\n"], &[]);
    let run = run(&checked, "app");
    assert_eq!((run.port, run.min, run.env.len()), (None, 2, 1));
    assert_eq!(checked.diagnostics.warnings(), 0);
}

#[test]
fn the_last_overlay_is_on_top() {
    let over = |grace: &str| format!("services: {{ app: {{ grace: {grace} }} }}");
    let checked = layered(&[BASE, &over("1s"), &over("2s")], &[]);
    assert_eq!(run(&checked, "app").grace.as_secs(), 2);
}

#[test]
fn an_error_is_placed_in_the_file_it_came_from() {
    let checked = layered(&[BASE, "services:\n  app:\n    grace: 5 sec\n"], &[]);
    let json = checked.diagnostics.to_json();
    assert_eq!(json[0]["file"], "1.yaml");
    assert_eq!((&json[0]["line"], &json[0]["column"]), (&3.into(), &12.into()));
    assert_eq!((&json[0]["end_line"], &json[0]["end_column"]), (&3.into(), &17.into()));
    assert_eq!((&json[0]["code"], &json[0]["severity"]), (&"C0007".into(), &"error".into()));
    assert_eq!(json[0]["page"], "docs/errors/C0007.md");
}

#[test]
fn an_overlay_may_replace_a_variable_that_is_not_set() {
    let checked = layered(
        &["name: a\nservices: { a: { run: \"./a ${MISSING}\" } }", "services: { a: { run: ./a } }"],
        &[],
    );
    assert_eq!(run(&checked, "a").command, "./a");
}

#[test]
fn variables_are_substituted_and_typed_again() {
    let text = "
name: ${NAME:shop}
services:
  app:
    run: ./app ${ARGS} $${ARGS} $HOME ${EMPTY:}.
    port: ${PORT:3000}
    scale: { max: \"${MAX}\" }
    grace: \"${GRACE:3}s\"
";
    let checked = layered(&[text], &[("ARGS", "-v"), ("MAX", "1")]);
    let run = run(&checked, "app");
    assert_eq!(run.command, "./app -v ${ARGS} $HOME .");
    assert_eq!((run.port, run.max, run.grace.as_secs()), (Some(3000), 1, 3));
}

#[test]
fn a_variable_that_is_set_but_empty_is_set() {
    let checked = layered(&["name: a\nservices: { a: { run: \"./a [${X:default}]\" } }"], &[("X", "")]);
    assert_eq!(run(&checked, "a").command, "./a []");
}

#[test]
fn columns_count_characters() {
    let checked = layered(&["name: a\nservices:\n  a: { run: \"./größe ü\", grace: 5 sec }\n"], &[]);
    let json = checked.diagnostics.to_json();
    assert_eq!((&json[0]["line"], &json[0]["column"]), (&3.into(), &33.into()));
}

#[test]
fn labels_in_other_files_are_named() {
    let checked = layered(&[BASE, "services: { cart: { port: 3000 } }"], &[]);
    let drawn = checked.diagnostics.render(100, false);
    assert!(drawn.contains("0.yaml:6:11: the service `app` listens here"), "{drawn}");
}

#[test]
fn secret_values_are_known_to_the_manifest() {
    let text = "
name: a
secrets: [STRIPE]
services:
  a: { run: ./a, env: { A: \"${API_TOKEN}\", B: \"${STRIPE}\", C: \"${PLAIN}\", D: \"x-${MY_SECRET:dflt}\" } }
";
    let checked = layered(&[text], &[("API_TOKEN", "t1"), ("STRIPE", "s1"), ("PLAIN", "p1")]);
    assert_eq!(checked.manifest.unwrap().secrets, ["dflt", "s1", "t1"]);
}

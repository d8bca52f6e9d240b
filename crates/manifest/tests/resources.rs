//! Resource files: what is taken from them, and what is said about bad ones, drawn.

#![allow(clippy::disallowed_methods, reason = "the crate reads no files; its tests do")]

use std::collections::BTreeMap;
use std::path::Path;

use manifest::resources::{Block, KeyPrefix};
use manifest::{Resources, Source, resources};

fn read(case: &str) -> Resources {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/resources/{case}.yaml"));
    let file = Source { name: format!("{case}.yaml"), text: std::fs::read_to_string(path).unwrap() };
    resources(&[file], &BTreeMap::from([("PREFIX".to_owned(), "shared".to_owned())]))
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
    assert!(read("wrong").has_errors() && read("syntax").has_errors());
}

#[test]
fn good_resources_are_taken_and_what_has_no_effect_is_named() {
    drawn("good");
    let found = read("good");
    assert!(!found.has_errors());
    let [carts, memory] = &found.components[..] else { panic!("{found:?}") };
    let prefix = KeyPrefix::Literal("shared".to_owned());
    assert_eq!(carts.block, Block::State { in_memory: false, prefix });
    assert_eq!((carts.name.as_str(), carts.version.as_str(), carts.scopes.len()), ("carts", "v1", 2));
    assert_eq!(memory.block, Block::State { in_memory: true, prefix: KeyPrefix::None });
    assert_eq!(
        (memory.name.as_str(), memory.kind.as_str(), memory.version.as_str()),
        ("memory", "state.in-memory", "v2")
    );
}

#[test]
fn no_file_is_as_good_as_an_empty_one() {
    let empty = Source { name: "empty.yaml".to_owned(), text: String::new() };
    for files in [&[][..], &[empty]] {
        let found = resources(files, &BTreeMap::new());
        assert!(found.components.is_empty() && found.diagnostics.iter().next().is_none());
    }
}

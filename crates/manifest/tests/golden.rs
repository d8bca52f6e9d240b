//! Bad manifests and what is said about them, drawn: every `golden/*.yaml` against its snapshot.
//! A file `NAME.overlay.yaml` beside one is laid over it.

#![allow(clippy::disallowed_methods, reason = "the crate reads no files; its tests do")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use manifest::{Input, Source, check};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn source(path: &Path, name: &str) -> Source {
    let text = std::fs::read_to_string(path).unwrap();
    Source { name: name.to_owned(), text }
}

/// What a case is checked with.
fn input(path: &Path) -> Input {
    let overlay = path.with_extension("overlay.yaml");
    let overlays = if overlay.exists() { vec![source(&overlay, "colony.prod.yaml")] } else { Vec::new() };
    let env =
        [("PAYMENT_TOKEN", "tk-51-very-secret"), ("STRIPE", "sk-77-very-secret"), ("WORDS", "many words")];
    let env: BTreeMap<String, String> =
        env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Input { root: "/srv".into(), base: source(path, "colony.yaml"), overlays, env, zone: None }
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(golden())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".yaml"))
        .filter(|path| !path.to_string_lossy().ends_with(".overlay.yaml"))
        .collect();
    cases.sort();
    cases
}

#[test]
fn bad_manifests_are_explained() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(golden());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    let cases = cases();
    assert!(cases.len() >= 30, "only {} cases", cases.len());
    for path in cases {
        let checked = check(&input(&path));
        assert_eq!(checked.manifest.is_none(), checked.diagnostics.errors() > 0, "{}", path.display());
        let drawn = checked.diagnostics.render(100, false);
        assert!(!drawn.is_empty(), "{} has nothing wrong", path.display());
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        insta::assert_snapshot!(name, drawn);
    }
}

#[test]
fn every_code_has_a_bad_manifest() {
    let mut seen: Vec<&str> = Vec::new();
    for path in cases() {
        seen.extend(check(&input(&path)).diagnostics.iter().map(|one| one.code));
    }
    let resources = source(&golden().join("resources/wrong.yaml"), "wrong.yaml");
    let mut found = manifest::resources(&[resources], &BTreeMap::new(), false);
    // Only who opens a component finds that it cannot be opened.
    found.unopened(None, manifest::Span::default(), String::new(), "");
    seen.extend(found.diagnostics.iter().map(|one| one.code));
    let missing: Vec<&str> = manifest::codes().filter(|code| !seen.contains(code)).collect();
    assert!(missing.is_empty(), "no golden case for {missing:?}");
}

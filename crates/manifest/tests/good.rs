//! Good manifests: accepted without a word, by the decoder and by the schema.

use std::collections::BTreeMap;

use manifest::{Checked, Input, Source, check, valid};

fn checked(text: &str) -> Checked {
    let base = Source { name: "colony.yaml".to_owned(), text: text.to_owned() };
    check(&Input { root: "/srv".into(), base, overlays: Vec::new(), env: BTreeMap::new() })
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

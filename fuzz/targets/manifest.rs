//! Fuzzes the way of a manifest from text to its valid form: it ends, and either in a manifest or in
//! diagnostics that can be drawn.
#![no_main]

use manifest::{Input, Source, check};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let base = Source { name: "colony.yaml".to_owned(), text: text.to_owned() };
    let input =
        Input { root: "/srv".into(), base, overlays: Vec::new(), env: Default::default(), zone: None };
    let checked = check(&input);
    let drawn = checked.diagnostics.render(80, false);
    assert!(checked.manifest.is_some() || !drawn.is_empty(), "refused without a word");
});

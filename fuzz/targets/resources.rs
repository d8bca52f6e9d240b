//! Fuzzes resource files and configurations: reading ends, and what is wrong is said in diagnostics that can be drawn.
#![no_main]

use std::collections::BTreeMap;

use manifest::{Diagnostics, Source};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let files = [Source { name: "resource.yaml".to_owned(), text: text.to_owned() }];
    let env = BTreeMap::from([("NAME".to_owned(), "value".to_owned())]);
    for embedded in [false, true] {
        drawn(&manifest::resources(&files, &env, embedded).diagnostics);
    }
    drawn(&manifest::configuration(&files).diagnostics);
});

fn drawn(diagnostics: &Diagnostics) {
    let drawn = diagnostics.render(80, false);
    assert!(diagnostics.errors() == 0 || !drawn.is_empty(), "refused without a word");
}

//! Fuzzes run files: reading ends, and what is wrong is said in diagnostics that can be drawn.
#![no_main]

use manifest::{Source, run_file};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let diagnostics = run_file(&Source { name: "dapr.yaml".to_owned(), text: text.to_owned() }).diagnostics;
    let drawn = diagnostics.render(80, false);
    assert!(diagnostics.errors() == 0 || !drawn.is_empty(), "refused without a word");
});

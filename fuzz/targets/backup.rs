//! Fuzzes `engine::fuzz::backup`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| engine::fuzz::backup(bytes));

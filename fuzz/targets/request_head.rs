//! Fuzzes `mesh::fuzz::request_head`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh::fuzz::request_head(bytes));

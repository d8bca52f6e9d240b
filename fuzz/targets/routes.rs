//! Fuzzes `mesh::fuzz::routes`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh::fuzz::routes(bytes));

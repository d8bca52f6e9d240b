//! Fuzzes `mesh::fuzz::passage`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh::fuzz::passage(bytes));

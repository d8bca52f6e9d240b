//! Fuzzes `api::fuzz::call`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| api::fuzz::call(bytes));

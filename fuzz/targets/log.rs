//! Fuzzes `log::fuzz::log`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| log::fuzz::log(bytes));

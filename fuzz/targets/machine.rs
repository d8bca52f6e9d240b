//! Fuzzes `machine::fuzz::machine`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| machine::fuzz::machine(bytes));

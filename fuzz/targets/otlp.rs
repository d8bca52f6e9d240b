//! Fuzzes `telemetry::fuzz::otlp`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| telemetry::fuzz::otlp(bytes));

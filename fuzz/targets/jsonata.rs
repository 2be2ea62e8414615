//! An expression of JSONata, evaluated over a value.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::jsonata(data));

//! The name of a type of Trino.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::trino_type(data));

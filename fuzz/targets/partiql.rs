//! A statement of PartiQL.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::partiql(data));

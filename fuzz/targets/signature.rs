//! The Authorization header or the query of a signed request.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::signature(data));

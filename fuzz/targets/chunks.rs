//! A body in chunks with a trailer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::chunks(data));

//! A path of JSONPath in Jayway's dialect, read from a value.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::jsonpath(data));

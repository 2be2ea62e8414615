//! The policy document of a browser's form.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::form_policy(data));

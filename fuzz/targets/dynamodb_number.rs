//! Numbers of DynamoDB's.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dynamodb_number(data));

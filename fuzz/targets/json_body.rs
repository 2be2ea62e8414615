//! A body of a JSON protocol, read and checked as DynamoDB's PutItem.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::json_body(data));

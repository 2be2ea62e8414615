//! An expression of DynamoDB's, as all four kinds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dynamodb_expression(data));

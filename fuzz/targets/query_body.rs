//! A body of the query protocol, read as SQS's, SNS's and CloudFormation's inputs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::query_body(data));

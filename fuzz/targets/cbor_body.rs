//! A body of rpc-v2-cbor, read as CloudWatch's PutMetricData.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::cbor_body(data));

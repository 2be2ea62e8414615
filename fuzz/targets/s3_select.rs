//! An expression of S3 Select, and the object that it reads.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::s3_select(data));

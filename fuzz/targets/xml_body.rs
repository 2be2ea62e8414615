//! A body of XML, read as S3's DeleteObjects and PutBucketLifecycleConfiguration.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::xml_body(data));

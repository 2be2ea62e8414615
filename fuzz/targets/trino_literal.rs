//! Text of a date, time, timestamp, decimal or interval as Trino reads it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::trino_literal(data));

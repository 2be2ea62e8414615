//! An event pattern of EventBridge, held against an event.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::event_pattern(data));

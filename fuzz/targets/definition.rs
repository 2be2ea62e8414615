//! A definition of a state machine, as CreateStateMachine gets it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::definition(data));

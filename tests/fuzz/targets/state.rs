#![no_main]
#[path = "../../corpus/targets.rs"]
mod targets;
libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::state_file(data));

//! See `breakpoint::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| breakpoint::fuzz::Target::Multipart.run(data));

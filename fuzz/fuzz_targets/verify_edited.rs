//! See `zkernel_fuzz::verify_edited`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zkernel_fuzz::verify_edited(bytes));

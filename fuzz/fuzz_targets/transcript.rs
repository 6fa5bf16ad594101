//! libFuzzer target of [`zkernel_fuzz::transcript`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zkernel_fuzz::transcript(bytes));

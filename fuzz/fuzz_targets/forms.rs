//! libFuzzer target of [`zkernel_fuzz::forms`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zkernel_fuzz::forms(bytes));

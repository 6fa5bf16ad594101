//! libFuzzer target of [`zkernel_fuzz::samples`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zkernel_fuzz::samples(bytes));

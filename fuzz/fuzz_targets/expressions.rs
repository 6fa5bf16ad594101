//! libFuzzer target of [`zkernel_fuzz::expressions`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zkernel_fuzz::expressions(bytes));

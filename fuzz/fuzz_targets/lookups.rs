//! libFuzzer target of [`zkernel_fuzz::lookups`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zkernel_fuzz::lookups(bytes));

//! libFuzzer target of [`zkernel_fuzz::file_decode`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zkernel_fuzz::file_decode(bytes));

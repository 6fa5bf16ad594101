//! libFuzzer target of [`zkernel_fuzz::model_decode`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zkernel_fuzz::model_decode(bytes));

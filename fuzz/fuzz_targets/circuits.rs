//! libFuzzer target of [`zkernel_fuzz::circuits`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zkernel_fuzz::circuits(bytes));

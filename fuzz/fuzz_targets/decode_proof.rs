//! See `zkernel_fuzz::decode_proof`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zkernel_fuzz::decode_proof(bytes));

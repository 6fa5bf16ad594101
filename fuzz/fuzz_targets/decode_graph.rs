//! See `zkernel_fuzz::decode_graph`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zkernel_fuzz::decode_graph(bytes));

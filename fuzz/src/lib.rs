//! Invariants of zkernel as plain functions of bytes: each panics where it is violated, and never else.
//!
//! The fuzz targets in `fuzz_targets` are one line each, and `tests/replay.rs` runs every invariant over the seeds and
//! deterministic mutations of them on stable Rust.

mod circuits;
mod decoding;
mod files;
mod source;
mod verifying;

pub use circuits::{circuits, lookups};
pub use decoding::{expressions, forms, graph_decode, proof_decode, transcript};
pub use files::{file_decode, model_decode, samples};
pub use verifying::proof_verify;

/// An invariant: any bytes are an input.
pub type Invariant = fn(&[u8]);

/// Every invariant with the name of its target and its directory of seeds.
pub const INVARIANTS: [(&str, Invariant); 11] = [
    ("proof_decode", proof_decode),
    ("proof_verify", proof_verify),
    ("graph_decode", graph_decode),
    ("transcript", transcript),
    ("forms", forms),
    ("expressions", expressions),
    ("lookups", lookups),
    ("circuits", circuits),
    ("file_decode", file_decode),
    ("samples", samples),
    ("model_decode", model_decode),
];

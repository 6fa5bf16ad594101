//! zkernel-verifier: everything prover and verifier must agree on, and the verifier.
#![no_std]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::string_slice,
    clippy::unreachable
)]

extern crate alloc;

pub mod builder;
pub mod challenge;
pub mod curve;
pub mod expression;
pub mod form;
pub mod system;
pub mod validate;

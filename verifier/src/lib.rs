//! zkernel-verifier: everything prover and verifier must agree on, and [`verify::verify`].
//!
//! * [`system`]: the constraint system as data, made with [`builder::SystemBuilder`] and checked by [`validate`].
//! * [`form`]: linear forms; [`expression`]: gates and the programs they compile to.
//! * [`transcript`], [`rounds`]: Fiat-Shamir; a challenge exists only after what it must follow.
//! * [`key`], [`proof`], [`encoding`]: what is exchanged.
//! * [`claims`], [`fold`], [`verify`]: all claims as one, folded, one MSM.
//!
//! No `std`, no device, no panic: the verifier is total, its time and memory are bounded from the key alone.
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

pub mod batch;
pub mod builder;
pub mod challenge;
pub mod claims;
pub mod curve;
pub mod digest;
pub mod domain;
pub mod encoding;
pub mod expression;
pub mod fold;
pub mod form;
pub mod key;
pub mod layout;
pub mod msm;
pub mod plonk;
pub mod proof;
mod rotation;
pub mod rounds;
pub mod soundness;
pub mod system;
pub mod transcript;
pub mod validate;
pub mod verify;

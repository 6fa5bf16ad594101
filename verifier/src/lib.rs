//! zkernel-verifier: everything prover and verifier must agree on, and [`verify::verify`].
//!
//! * [`system`]: the constraint system as data, made with [`builder::SystemBuilder`] and checked by [`validate`].
//! * [`form`]: linear forms; [`expression`]: gates and the programs they compile to.
//! * [`transcript`], [`rounds`]: Fiat-Shamir; a challenge exists only after what it must follow.
//! * [`key`], [`proof`], [`encoding`]: what is exchanged.
//! * [`claims`], [`fold`], [`verify`]: all claims as one, folded, one MSM.
//!
//! ```
//! use pasta_curves::{EqAffine, Fp};
//! use zkernel_verifier::builder::SystemBuilder;
//! use zkernel_verifier::{challenge::Coefficient, expression::Expression};
//! use zkernel_verifier::{curve::Generators, key::VerifyingKey, msm::msm, proof::Proof};
//! use zkernel_verifier::{system::Phase, verify::{Rejection, verify}};
//!
//! // "I know fifteen signs."
//! let mut builder = SystemBuilder::<Fp>::new(4, 1);
//! let signs = builder.advice("signs", Phase::One, 1);
//! builder.region(signs, 15);
//! let sign = builder.plain(signs);
//! let one = Coefficient::constant(Fp::one());
//! builder.gate("x^2 = 1", Expression::from(sign) * sign - one);
//! let system = builder.finish()?;
//! let key = VerifyingKey::<EqAffine>::new(system, Generators::derive(4), vec![], b"signs", &msm)?;
//!
//! // A proof has one length, known from the key. Zeros decode, as points at infinity, and zeros are no signs.
//! let bytes = vec![0; key.shape.bytes()];
//! let proof = Proof::decode(&bytes, &key.shape)?;
//! assert_eq!(verify(&key, &[], &proof, &msm), Err(Rejection::Invalid));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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

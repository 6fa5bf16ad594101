//! Attacks on the proof system: each check of the verifier has a forger here that wins when the check is left out.
//!
//! [`prover`] is a second prover, by the definitions and on the host, every step of which a [`Cheat`] can change;
//! [`circuit`] a small network with every kind of constraint, [`rotating`] an ordinary circuit with rotations, [`tables`] one
//! with secret tables, [`grouped`] lookups that share helpers; [`forgery`] the false statements, one per constraint and per
//! challenge, [`cheats`] what they change; [`trial`] tries them. The tests show that each forgery is refused, and accepted when what refuses it is taken away.

pub mod algebra;
pub mod case;
pub mod cheats;
pub mod circuit;
pub mod forgery;
pub mod grouped;
pub mod prover;
pub mod rotating;
pub mod tables;
pub mod trial;

pub use case::Case;
pub use prover::{Cheat, Model, Outcome, Secrets, prove};

/// The commitment curve attacked.
pub type C = pasta_curves::EqAffine;
/// Its scalar field.
pub type F = pasta_curves::Fp;

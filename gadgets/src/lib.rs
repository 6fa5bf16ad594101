//! Quantized neural-network gadgets: what a network computes on integers, and the constraints that say so.
//!
//! Each gadget has four parts: `float` (the real function it stands for), the integer function (which is also the
//! witness generator, in [`model::run`]), its constraints ([`model::lower`]) and the assignment of its cells
//! ([`model::lower::Lowered::witness`]). The lowering needs no prover: a verifier links this crate without one.

pub mod files;
pub mod model;
pub mod table;

//! zkernel-engine: the prover.
//!
//! The protocol in one page is [`prover::prove`]; the verifier that mirrors it is `zkernel_verifier::verify`.

pub mod cost;
pub mod error;
pub mod keys;
pub mod mock;
pub mod prover;
pub mod randomness;
pub mod witness;

pub use error::{Error, Result};
pub use keys::{ProvingKey, Tensors, executor};
pub use prover::prove;
pub use witness::{Boundary, Witness};

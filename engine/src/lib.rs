//! zkernel-engine: the prover.
//!
//! The protocol in one page is [`prover::prove`]; the verifier that mirrors it is `zkernel_verifier::verify`.
//!
//! ```
//! use pasta_curves::{EqAffine, Fp};
//! use zkernel_backend_cpu::Cpu;
//! use zkernel_engine::{ProvingKey, Tensors, Witness, executor, prove};
//! use zkernel_verifier::curve::Generators;
//! use zkernel_verifier::plonk::Plonk;
//! use zkernel_verifier::verify::verify;
//!
//! // "I know two factors of a public number."
//! let mut plonk = Plonk::<Fp>::new(4);
//! let [a, b, c] = ["a", "b", "c"].map(|name| plonk.advice(name));
//! let product = plonk.read(a, 0) * plonk.read(b, 0) - plonk.read(c, 0);
//! plonk.gate("a b = c", product);
//! let mut rows = plonk.rows();
//! let output = rows.instance("product", 1);
//! let row = rows.region(1)?;
//! rows.public(c.cell(row), output, 0);
//! let system = rows.finish()?;
//!
//! let backend = Cpu::new();
//! let none = Tensors { values: vec![], blinders: vec![] };
//! let generators = Generators::<EqAffine>::derive(4);
//! let key = ProvingKey::new(&backend, system, generators, &none, b"factors")?;
//! let mut witness = Witness::default();
//! for (column, cell) in [(a, 641), (b, 6_700_417), (c, 641 * 6_700_417)] {
//!     witness.assign(column.track(), vec![cell]);
//! }
//! let public = [vec![Fp::from((1 << 32) + 1)]];
//! let proof = prove(&backend, &key, &public, &witness)?;
//! assert_eq!(verify(&key.verifying, &public, &proof, &executor(&backend)), Ok(()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cost;
pub mod error;
pub mod keys;
pub mod mock;
pub mod product_chain;
pub mod prover;
pub mod randomness;
pub mod witness;
pub mod workers;

pub use error::{Error, Result};
pub use keys::{ProvingKey, Tensors, executor};
pub use prover::prove;
pub use witness::{Boundary, Witness};

//! Our prover and verifier on the product chain, keys made once.

use crate::device::{self, Device};
use pasta_curves::{EqAffine, Fp};
use zkernel_engine::product_chain::{ProductChain, Wiring};
use zkernel_engine::{ProvingKey, Tensors, Witness, executor};
use zkernel_verifier::curve::Generators;
use zkernel_verifier::proof::Proof;

/// As many odd bytes as halo2_proofs can place on 2^k rows beside its blinding rows, with room to spare: 2^k - 64.
#[must_use]
pub fn factors(k: u32) -> Vec<u8> {
    (0..(1u32 << k).saturating_sub(64))
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 1)
        .collect()
}

/// A chain with its keys and witness.
pub struct Chain {
    backend: Device,
    key: ProvingKey<EqAffine, Device>,
    witness: Witness<Fp>,
    public: Vec<Vec<Fp>>,
}

impl Chain {
    /// The keys for 2^k - 64 factors, on lanes of 2^(k/2 + 3) rows: wide and short is faster than long.
    ///
    /// # Errors
    /// If the circuit or its key is refused, in words.
    pub fn new(k: u32, wiring: Wiring) -> Result<Self, String> {
        let (backend, factors, log_n) = (device::open(), factors(k), k / 2 + 3);
        let chain = ProductChain::new(log_n, factors.len(), wiring).map_err(|e| e.to_string())?;
        let (witness, product) = chain.witness(&factors);
        let none = Tensors {
            values: Vec::new(),
            blinders: Vec::new(),
        };
        let generators = Generators::<EqAffine>::derive(log_n);
        let key = ProvingKey::new(&backend, chain.system, generators, &none, b"product chain")
            .map_err(|e| e.to_string())?;
        Ok(Self {
            backend,
            key,
            witness,
            public: vec![vec![product]],
        })
    }

    /// The public value.
    #[must_use]
    pub fn product(&self) -> Fp {
        self.public[0][0]
    }

    /// A fresh proof, verified by the prover itself before it is given out.
    ///
    /// # Errors
    /// The prover's, in words.
    pub fn prove(&self) -> Result<Proof<EqAffine>, String> {
        zkernel_engine::prove(&self.backend, &self.key, &self.public, &self.witness)
            .map_err(|e| e.to_string())
    }

    /// Checks a proof.
    ///
    /// # Errors
    /// Why it is refused, in words.
    pub fn verify(&self, proof: &Proof<EqAffine>) -> Result<(), String> {
        let execute = executor::<EqAffine, _>(&self.backend);
        zkernel_verifier::verify::verify(&self.key.verifying, &self.public, proof, &execute)
            .map_err(|e| e.to_string())
    }
}

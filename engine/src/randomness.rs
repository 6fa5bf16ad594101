//! The prover's randomness: from the operating system, hedged with a hash of the witness, so that a broken generator
//! does not repeat blinding across different witnesses.

use blake2b_simd::Params;
use blake2b_simd::blake2bp::blake2bp;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zkernel_verifier::curve::Field;

use crate::error::{Error, Result};

/// A stream of field elements.
pub struct Randomness(ChaCha20Rng);

impl Randomness {
    /// Seeds from the operating system and `secret`, the bytes of the witness.
    ///
    /// # Errors
    /// [`Error::Randomness`] if the operating system has none.
    pub fn hedged(secret: &[u8]) -> Result<Self> {
        let mut entropy = [0u8; 32];
        getrandom::fill(&mut entropy).map_err(|e| Error::Randomness(e.to_string()))?;
        // Of megabytes, so by the quicker function.
        Ok(Self::from_parts(&entropy, blake2bp(secret).as_bytes()))
    }

    /// A fixed stream: the same seed gives the same proof bytes. For tests that compare backends only.
    #[cfg(any(test, feature = "attack"))]
    #[must_use]
    pub fn deterministic(seed: u64) -> Self {
        Self::from_parts(&seed.to_le_bytes(), &[])
    }

    fn from_parts(entropy: &[u8], secret: &[u8]) -> Self {
        let mut state = Params::new()
            .hash_length(32)
            .personal(b"zkernel-v1-rng\0\0")
            .to_state();
        state
            .update(&(entropy.len() as u64).to_le_bytes())
            .update(entropy)
            .update(secret);
        let mut seed = [0u8; 32];
        seed.copy_from_slice(state.finalize().as_bytes());
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// A uniform field element.
    pub fn scalar<F: Field>(&mut self) -> F {
        let mut bytes = [0u8; 64];
        self.0.fill_bytes(&mut bytes);
        F::from_uniform_bytes(&bytes)
    }

    /// `count` uniform field elements.
    pub fn scalars<F: Field>(&mut self, count: usize) -> Vec<F> {
        (0..count).map(|_| self.scalar()).collect()
    }
}

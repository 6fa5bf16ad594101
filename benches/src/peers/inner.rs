//! The inner-product argument of halo2_proofs on one polynomial, the only public one over these curves.

use halo2_proofs::poly::EvaluationDomain;
use halo2_proofs::poly::commitment::{Blind, Params, create_proof};
use halo2_proofs::transcript::{Blake2bWrite, Challenge255};
use pasta_curves::{EpAffine, Fq};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// Opens a polynomial of those `2^log_n` coefficients at a point; gives the proof. Making the generators is not part of it.
#[must_use]
pub fn open(values: &[Fq], log_n: u32) -> Box<dyn FnMut() -> Vec<u8>> {
    let params = Params::<EpAffine>::new(log_n);
    let domain = EvaluationDomain::new(1, log_n);
    let polynomial = domain.coeff_from_vec(values.to_vec());
    Box::new(move || {
        let mut transcript = Blake2bWrite::<_, EpAffine, Challenge255<_>>::init(Vec::new());
        let rng = ChaCha20Rng::from_seed([7; 32]);
        let (blind, point) = (Blind(Fq::from(3)), Fq::from(5));
        create_proof(&params, rng, &mut transcript, &polynomial, blind, point)
            .expect("a transcript in memory");
        transcript.finalize()
    })
}

//! The two provers agree: what the definitions give, the engine gives, and the verifier accepts both.

use zkernel_attacks::Cheat;
use zkernel_attacks::circuit::{Circuit, Lie};
use zkernel_verifier::msm::msm;
use zkernel_verifier::transcript::Attack;
use zkernel_verifier::verify::verify;

#[test]
fn honest_proofs_are_accepted() {
    let circuit = Circuit::new();
    for seed in 0..5 {
        let case = circuit.case(seed, Lie::Nothing);
        let outcome = case.attempt(&mut Cheat::default(), &Attack::default(), seed);
        assert_eq!(outcome.model.gap(), pasta_curves::Fp::zero());
        assert_eq!(
            verify(&case.key, &case.instances, &outcome.proof, &msm),
            Ok(())
        );
    }
}

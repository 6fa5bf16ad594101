//! Batches: one MSM, independent weights, shared boundaries.

use zkernel_attacks::circuit::{Circuit, Lie};
use zkernel_attacks::rotating::{self, Rotating};
use zkernel_attacks::tables::{self, Tables};
use zkernel_attacks::trial::Fixture as _;
use zkernel_attacks::{C, Case, F};
use zkernel_verifier::batch::{BatchRejection, Claim, Link, verify_batch};
use zkernel_verifier::msm::{DeferredMsm, msm};
use zkernel_verifier::proof::Proof;
use zkernel_verifier::system::TrackKind;
use zkernel_verifier::transcript::Transcript;
use zkernel_verifier::verify::{Rejection, reduce};

fn claims<'a>(cases: &'a [Case], proofs: &'a [Proof<C>]) -> Vec<Claim<'a, C>> {
    let claim = |(case, proof): (&'a Case, &'a Proof<C>)| Claim {
        key: &case.key,
        instances: &case.instances,
        proof,
    };
    cases.iter().zip(proofs).map(claim).collect()
}

fn cases() -> Vec<Case> {
    vec![
        Circuit::new().case(1, Lie::Nothing),
        Rotating::new().case(rotating::Slip::Nothing, |_| {}),
        Tables::new().case(tables::Slip::Nothing, |_| {}),
        Circuit::new().case(2, Lie::Nothing),
    ]
}

#[test]
fn one_bad_proof_is_named() {
    let cases = cases();
    let proofs: Vec<_> = cases
        .iter()
        .zip(0..)
        .map(|(case, seed)| case.proof(seed))
        .collect();
    assert_eq!(verify_batch(&claims(&cases, &proofs), &[], &msm), Ok(()));
    assert_eq!(verify_batch::<C>(&[], &[], &msm), Ok(()));
    for index in 0..proofs.len() {
        let mut changed = proofs.clone();
        changed[index].response[0] += F::one();
        let rejected = verify_batch(&claims(&cases, &changed), &[], &msm);
        assert_eq!(
            rejected,
            Err(BatchRejection::Proof {
                index,
                reason: Rejection::Invalid
            })
        );
    }
}

/// Two invalid proofs whose errors cancel: accepted if both had the same weight, rejected with independent ones.
#[test]
fn errors_do_not_cancel() {
    let case = Circuit::new().case(1, Lie::Nothing);
    let (mut one, mut two) = (case.proof(1), case.proof(2));
    one.response[1] += F::one();
    two.response[1] -= F::one();
    let sum = |proof| reduce(&case.key, &case.instances, proof, Transcript::new()).unwrap();
    let sums = [sum(&one), sum(&two)];
    let shared = DeferredMsm::weighted_sum(&sums, &[F::one(), F::one()]);
    assert!(shared.is_identity(&case.key.generators, &msm));
    let claim = |proof| Claim {
        key: &case.key,
        instances: &case.instances,
        proof,
    };
    let rejected = verify_batch(&[claim(&one), claim(&two)], &[], &msm);
    assert_eq!(
        rejected,
        Err(BatchRejection::Proof {
            index: 0,
            reason: Rejection::Invalid
        })
    );
}

/// Errors chosen to cancel under the weights that would be drawn if proofs were not absorbed.
#[test]
fn weights_are_drawn_after_the_proofs() {
    let case = Circuit::new().case(1, Lie::Nothing);
    let mut early = Transcript::<F>::new();
    for _ in 0..2 {
        early.absorb("batch key", &case.key.digest);
        early.absorb_points("batch tensors", &case.key.tensors);
        for instance in &case.instances {
            early.absorb_scalars("batch instance", instance);
        }
    }
    let weights = [0, 1].map(|index| early.round_challenge("batch weight ", index));
    let (mut one, mut two) = (case.proof(1), case.proof(2));
    one.response[1] += weights[1];
    two.response[1] -= weights[0];
    let sum = |proof| reduce(&case.key, &case.instances, proof, Transcript::new()).unwrap();
    let known = DeferredMsm::weighted_sum(&[sum(&one), sum(&two)], &weights);
    assert!(known.is_identity(&case.key.generators, &msm));
    let claim = |proof| Claim {
        key: &case.key,
        instances: &case.instances,
        proof,
    };
    assert!(verify_batch(&[claim(&one), claim(&two)], &[], &msm).is_err());
}

#[test]
fn links_compare_commitments() {
    let case = Tables::new().case(tables::Slip::Nothing, |_| {});
    let mut other = Tables::new().case(tables::Slip::Nothing, |_| {});
    other.secrets.boundary_blinders[0] += F::one();
    let (id, _) = case
        .key
        .system
        .tracks_of(TrackKind::Boundary)
        .next()
        .unwrap();
    let link = Link {
        from: (0, id),
        to: (1, id),
    };
    let (one, two, three) = (case.proof(1), case.proof(2), other.proof(3));
    let claim = |proof| Claim {
        key: &case.key,
        instances: &case.instances,
        proof,
    };
    assert_eq!(
        verify_batch(&[claim(&one), claim(&two)], &[link], &msm),
        Ok(())
    );
    let batch = [claim(&one), claim(&three)];
    assert_eq!(verify_batch(&batch, &[], &msm), Ok(()));
    assert_eq!(
        verify_batch(&batch, &[link], &msm),
        Err(BatchRejection::Link(0))
    );
    let nowhere = Link {
        from: (0, id),
        to: (2, id),
    };
    assert_eq!(
        verify_batch(&batch, &[nowhere], &msm),
        Err(BatchRejection::Link(0))
    );
}

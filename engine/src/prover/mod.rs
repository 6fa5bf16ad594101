//! The prover, round by round as in PROTOCOL.
//!
//! 1. Commit the witness and the multiplicities.
//! 2. With rho, tau, alpha: commit the contractions V, Z and products P.
//! 3. With sigma, theta, beta: commit the helpers of the lookups.
//! 4. With y: commit the quotient, as its values on cosets.
//! 5. With zeta: send the evaluations of the virtual columns.
//! 6. With lambda: all claims are one linear form; fold columns, merge with x, fold rows, end with a Schnorr proof.

mod column_rounds;
mod committed;
mod dense;
mod evaluations;
mod inner_rounds;
mod lookups;
mod phase_two;
mod quotient;

use tracing::info_span;
use zkernel_backend::{Backend, Body};
use zkernel_verifier::curve::{Curve, Scalar};
use zkernel_verifier::msm::Executor;
use zkernel_verifier::proof::Proof;
use zkernel_verifier::rounds::PhaseOne;
use zkernel_verifier::transcript::Transcript;
use zkernel_verifier::verify::verify;

use crate::error::{Error, Result};
use crate::keys::{ProvingKey, with_executor};
use crate::randomness::Randomness;
use crate::witness::{Assignment, Witness};
use crate::workers::awake;
use committed::Committed;

/// A bad challenge has probability about n/p: more than a few in a row is not chance.
const ATTEMPTS: usize = 4;

/// Proves that the witness satisfies the key's constraints for the public values. The proof has been accepted by the
/// verifier before it is returned.
///
/// # Errors
/// [`Error`]: the witness does not fit or does not satisfy the constraints, or the device failed.
pub fn prove<C: Curve, B: Backend<C>>(
    backend: &B,
    key: &ProvingKey<C, B>,
    instances: &[Vec<Scalar<C>>],
    witness: &Witness<Scalar<C>>,
) -> Result<Proof<C>> {
    awake(|| prove_checked(backend, key, instances, witness))
}

fn prove_checked<C: Curve, B: Backend<C>>(
    backend: &B,
    key: &ProvingKey<C, B>,
    instances: &[Vec<Scalar<C>>],
    witness: &Witness<Scalar<C>>,
) -> Result<Proof<C>> {
    let assignment = info_span!("witness").in_scope(|| witness.complete(&key.verifying.system))?;
    let mut randomness = Randomness::hedged(&assignment_bytes(&assignment))?;
    let mut attempt = 1;
    let proof = loop {
        match prove_once(
            backend,
            key,
            instances,
            &assignment,
            &mut randomness,
            Transcript::new(),
        ) {
            Err(Error::Challenge(_)) if attempt < ATTEMPTS => attempt += 1,
            other => break other?,
        }
    };
    let span = info_span!("self check");
    let check = |executor: Executor<'_, C>| verify(&key.verifying, instances, &proof, executor);
    span.in_scope(|| with_executor(backend, check))?
        .map_err(Error::Unsatisfied)?;
    Ok(proof)
}

/// One run with a given stream of randomness and a transcript whose challenges may be foreseen; the proof is not checked.
/// For tests that compare backends or fix challenges.
///
/// # Errors
/// As [`prove`]; [`Error::Challenge`] asks for another run.
#[cfg(feature = "attack")]
pub fn prove_unchecked<C: Curve, B: Backend<C>>(
    backend: &B,
    key: &ProvingKey<C, B>,
    instances: &[Vec<Scalar<C>>],
    witness: &Witness<Scalar<C>>,
    mut randomness: Randomness,
    transcript: Transcript<Scalar<C>>,
) -> Result<Proof<C>> {
    let assignment = witness.complete(&key.verifying.system)?;
    prove_once(
        backend,
        key,
        instances,
        &assignment,
        &mut randomness,
        transcript,
    )
}

/// One run of the protocol.
///
/// # Errors
/// As [`prove`]; [`Error::Challenge`] asks for another run.
pub(crate) fn prove_once<C: Curve, B: Backend<C>>(
    backend: &B,
    key: &ProvingKey<C, B>,
    instances: &[Vec<Scalar<C>>],
    assignment: &Assignment<Scalar<C>>,
    randomness: &mut Randomness,
    transcript: Transcript<Scalar<C>>,
) -> Result<Proof<C>> {
    let mut state = Committed::new(backend, key, randomness);
    let boundaries = info_span!("boundaries").in_scope(|| state.commit_boundaries(assignment))?;
    let rounds = PhaseOne::start(&key.verifying, instances, &boundaries, transcript);

    let one = info_span!("phase 1").in_scope(|| state.commit_witness(assignment))?;
    let rounds = rounds.commit(&one)?;

    let two = info_span!("phase 2").in_scope(|| state.commit_contractions(rounds.challenges()))?;
    let rounds = rounds.commit(&two)?;

    let three =
        info_span!("phase 3").in_scope(|| state.commit_helpers(assignment, rounds.challenges()))?;
    let rounds = rounds.commit(&three)?;

    let quotient =
        info_span!("quotient").in_scope(|| state.commit_quotient(rounds.challenges()))?;
    let rounds = rounds.commit(&quotient)?;

    let evaluations = info_span!("evaluations").in_scope(|| state.evaluate(rounds.challenges()))?;
    let mut rounds = rounds.send(&evaluations)?;

    let challenges = rounds.challenges().clone();
    let claim = key
        .verifying
        .batch(&challenges, &evaluations, instances)
        .ok_or_else(inconsistent)?;
    let (column_rounds, folded) = info_span!("column rounds")
        .in_scope(|| state.fold_columns(&challenges, &claim, &mut rounds))?;

    let (x, mut rounds) = rounds.merge()?;
    let (inner_rounds, schnorr, response) =
        info_span!("inner rounds").in_scope(|| state.fold_rows(folded, x, &mut rounds))?;

    let commitments = [one, two, three, quotient];
    Ok(Proof {
        boundaries,
        commitments,
        evaluations,
        column_rounds,
        inner_rounds,
        schnorr,
        response,
    })
}

/// The key was validated, so its parts fit; this names the impossible case instead of panicking.
fn inconsistent() -> Error {
    Error::Witness {
        track: "instances".into(),
        problem: "the public values do not fit the key".into(),
    }
}

pub(crate) fn assignment_bytes<F: zkernel_verifier::curve::Field>(
    assignment: &Assignment<F>,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut push = |value: &[u8]| bytes.extend_from_slice(value);
    let boundaries = assignment.boundaries.iter().flat_map(|b| &b.values);
    boundaries.for_each(|v| push(&v.to_le_bytes()));
    for (_, body) in &assignment.tracks {
        match body {
            Body::Small { values, .. } => values.iter().for_each(|v| push(&v.to_le_bytes())),
            Body::Full(values) => values.iter().for_each(|v| push(&v.to_repr())),
        }
    }
    bytes
}

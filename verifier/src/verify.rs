//! The verifier, line for line as in PROTOCOL: replay the transcript, combine all claims, fold, one MSM.

use alloc::vec::Vec;

use ff::Field as _;

use crate::challenge::{Challenge, Challenges};
use crate::claims::{BatchedClaim, fold_weights};
use crate::curve::{Curve, Scalar, evaluate};
use crate::domain::batch_invert;
use crate::fold::{Folded, RowMajor, Tails, cell_weight, fold_cells};
use crate::form::{LinearForm, Source};
use crate::key::VerifyingKey;
use crate::msm::{DeferredMsm, Executor};
use crate::proof::Proof;
use crate::rounds::{BadChallenge, PhaseOne};
use crate::system::{Phase, TrackKind};
use crate::transcript::Transcript;

/// Why a proof was rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The proof has parts of other lengths than the key says.
    #[error("the proof does not have the shape that the key asks for")]
    Shape,
    /// The public values have other lengths than the key says.
    #[error("public vector {index} has {found} values, the key asks for {expected}")]
    Instance {
        /// Which vector.
        index: usize,
        /// Length in the key.
        expected: usize,
        /// Length given.
        found: usize,
    },
    /// A challenge is zero or in a domain.
    #[error(transparent)]
    Challenge(#[from] BadChallenge),
    /// The final equation does not hold: the statement is not proven.
    #[error("the proof is invalid for this key and these public values")]
    Invalid,
}

/// Verifies one proof: [`reduce`] and the MSM.
///
/// What comes from a prover is data: whatever it is, the answer is a [`Rejection`] and never a panic.
///
/// ```
/// use pasta_curves::{EqAffine, Fp};
/// use zkernel_verifier::builder::SystemBuilder;
/// use zkernel_verifier::{curve::Generators, key::VerifyingKey, msm::msm, proof::Proof};
/// use zkernel_verifier::verify::{Rejection, verify};
///
/// let mut builder = SystemBuilder::<Fp>::new(3, 1);
/// builder.instance("output", 2);
/// let system = builder.finish()?;
/// let key = VerifyingKey::<EqAffine>::new(system, Generators::derive(3), vec![], b"", &msm)?;
/// let proof = Proof::decode(&vec![0; key.shape.bytes()], &key.shape)?;
///
/// let short = [vec![Fp::one()]];
/// let found = verify(&key, &short, &proof, &msm);
/// assert_eq!(found, Err(Rejection::Instance { index: 0, expected: 2, found: 1 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Rejection`] says why the proof does not prove the statement.
pub fn verify<C: Curve>(
    key: &VerifyingKey<C>,
    instances: &[Vec<Scalar<C>>],
    proof: &Proof<C>,
    execute: Executor<'_, C>,
) -> Result<(), Rejection> {
    let msm = reduce(key, instances, proof, Transcript::new())?;
    if msm.is_identity(&key.generators, execute) {
        Ok(())
    } else {
        Err(Rejection::Invalid)
    }
}

/// Reduces a proof to one MSM that is the identity exactly if the proof is valid.
///
/// # Errors
/// [`Rejection`] for everything that fails before the MSM.
pub fn reduce<C: Curve>(
    key: &VerifyingKey<C>,
    instances: &[Vec<Scalar<C>>],
    proof: &Proof<C>,
    transcript: Transcript<Scalar<C>>,
) -> Result<DeferredMsm<C>, Rejection> {
    check_lengths(key, instances, proof)?;
    let [one, two, three, quotient] = &proof.commitments;

    let rounds = PhaseOne::start(key, instances, &proof.boundaries, transcript);
    let rounds = rounds
        .commit(one)?
        .commit(two)?
        .commit(three)?
        .commit(quotient)?;
    let mut rounds = rounds.send(&proof.evaluations)?;
    let challenges = rounds.challenges().clone();
    let claim = key
        .batch(&challenges, &proof.evaluations, instances)
        .ok_or(Rejection::Shape)?;

    let us = proof
        .column_rounds
        .iter()
        .map(|cross| rounds.round(cross))
        .collect::<Result<Vec<_>, _>>()?;
    let (x, mut rounds) = rounds.merge()?;
    let vs = proof
        .inner_rounds
        .iter()
        .map(|cross| rounds.round(cross))
        .collect::<Result<Vec<_>, _>>()?;
    let e = rounds.schnorr(&proof.schnorr)?;

    let columns = Folded::new(&inverses(&us)?);
    let rows = Folded::new(&inverses(&vs)?);
    let folded = fold_claim(key, &challenges, &claim, &columns, &rows).ok_or(Rejection::Shape)?;
    let last = Last {
        us,
        vs,
        x,
        e,
        folded,
        target: claim.target,
    };
    Ok(final_equation(key, proof, &last, &columns, &rows))
}

fn check_lengths<C: Curve>(
    key: &VerifyingKey<C>,
    instances: &[Vec<Scalar<C>>],
    proof: &Proof<C>,
) -> Result<(), Rejection> {
    if !proof.has_shape(&key.shape) || instances.len() != key.system.instances.len() {
        return Err(Rejection::Shape);
    }
    for (index, (values, instance)) in instances.iter().zip(&key.system.instances).enumerate() {
        if values.len() != instance.len {
            return Err(Rejection::Instance {
                index,
                expected: instance.len,
                found: values.len(),
            });
        }
    }
    Ok(())
}

/// `a*`: all forms of the one claim folded.
fn fold_claim<C: Curve>(
    key: &VerifyingKey<C>,
    challenges: &Challenges<Scalar<C>>,
    claim: &BatchedClaim<'_, Scalar<C>>,
    columns: &Folded<Scalar<C>>,
    rows: &Folded<Scalar<C>>,
) -> Option<Scalar<C>> {
    let zeta = challenges.get(Challenge::Zeta);
    // sum_i R_i L_i(x) at all points x of the openings and the quotient is one polynomial's values.
    let polynomial = key.domain.interpolate_product(&rows.challenges());
    let opened = claim.openings.iter().map(|opening| {
        let point = key.domain.rotation(opening.rotation) * zeta;
        (columns.dot(&opening.coefficients), point)
    });
    let divided = claim.quotient.iter().zip(key.layout.quotient..);
    let divided = divided.map(|(coefficient, position)| *coefficient * columns.weight(position));
    let points: Vec<_> = opened
        .chain(divided.zip(key.domain.quotient_points(zeta)))
        .collect();
    let opened = parallel_sum(&points, 1, |points| {
        let values = points
            .iter()
            .map(|(weight, x)| *weight * evaluate(&polynomial, *x));
        Some(values.sum::<Scalar<C>>())
    })?;
    let mut masked = Scalar::<C>::ZERO;
    if let Some(masks) = &key.system.masks {
        let track = key.system.track(masks.track)?;
        let first = key.layout.first(masks.track);
        for (cell, coefficient) in &claim.masks {
            masked += *coefficient * cell_weight(*cell, track, first, columns, rows);
        }
    }
    let formed = parallel_sum(&claim.forms, FORMS_TOGETHER, |forms| {
        let mut tails = Tails::new(rows);
        forms.iter().try_fold(Scalar::<C>::ZERO, |sum, weighted| {
            let rows = (rows, &mut tails);
            let own = fold_form(key, challenges, claim, weighted.form, columns, rows)?;
            Some(sum + weighted.weight * own)
        })
    })?;
    Some(opened + masked + formed)
}

/// Forms that one thread sums at least: with fewer, others would make the same tails for little.
const FORMS_TOGETHER: usize = 32;

/// The sum of what the parts of a slice sum to: one part a thread with feature `parallel`, of at least so many items.
fn parallel_sum<T: Sync, F: crate::curve::Field>(
    items: &[T],
    least: usize,
    sum: impl Fn(&[T]) -> Option<F> + Send + Sync,
) -> Option<F> {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        let share = items.len().div_ceil(rayon::current_num_threads());
        let parts = items.par_chunks(share.max(least).max(1));
        parts.map(sum).try_reduce(|| F::ZERO, |a, b| Some(a + b))
    }
    #[cfg(not(feature = "parallel"))]
    {
        let _ = least;
        sum(items)
    }
}

fn fold_form<C: Curve>(
    key: &VerifyingKey<C>,
    challenges: &Challenges<Scalar<C>>,
    claim: &BatchedClaim<'_, Scalar<C>>,
    form: &LinearForm<Scalar<C>>,
    columns: &Folded<Scalar<C>>,
    (rows, tails): (&Folded<Scalar<C>>, &mut Tails<'_, Scalar<C>>),
) -> Option<Scalar<C>> {
    match form {
        LinearForm::Strided(strided) => {
            let Source::Track(id) = strided.source else {
                return None;
            };
            let track = key.system.track(id)?;
            let first = key.layout.first(id);
            Some(match RowMajor::recognise(strided, track, challenges) {
                Some(tensor) => tensor.fold(first, columns, tails),
                None => fold_cells(strided, challenges, track, first, columns, tails),
            })
        }
        LinearForm::Sparse(entries) => entries.iter().try_fold(Scalar::<C>::ZERO, |sum, entry| {
            let track = key.system.track(entry.cell.track)?;
            let first = key.layout.first(entry.cell.track);
            let weight = cell_weight(entry.cell.position, track, first, columns, rows);
            let power = claim
                .lambda_powers
                .get(usize::try_from(entry.claim).ok()?)?;
            Some(sum + entry.coefficient * power * weight)
        }),
    }
}

/// What the end of the argument needs.
struct Last<F> {
    us: Vec<F>,
    vs: Vec<F>,
    x: F,
    e: F,
    folded: F,
    target: F,
}

/// `A + e (C* + x sum_i (u_i L_i + L_i'/u_i) + x T U + sum_i (v_i L_i + R_i/v_i)) - z1 (G* + x a* U) - z2 B = 0`.
fn final_equation<C: Curve>(
    key: &VerifyingKey<C>,
    proof: &Proof<C>,
    last: &Last<Scalar<C>>,
    columns: &Folded<Scalar<C>>,
    rows: &Folded<Scalar<C>>,
) -> DeferredMsm<C> {
    let [z1, z2] = proof.response;
    let Last {
        us,
        vs,
        x,
        e,
        folded,
        target,
    } = last;
    let of_columns = fold_weights(us);
    let committed = committed_columns(key, proof);
    let mut terms: Vec<(Scalar<C>, C)> = committed
        .into_iter()
        .map(|(position, point)| {
            (
                *e * of_columns.get(position).copied().unwrap_or_default(),
                point,
            )
        })
        .collect();
    let column_inverse =
        (0u32..).map(|i| columns.weight(1usize.checked_shl(i).unwrap_or(usize::MAX)));
    let row_inverse = (0u32..).map(|i| rows.weight(1usize.checked_shl(i).unwrap_or(usize::MAX)));
    for ((cross, u), inverse) in proof.column_rounds.iter().zip(us).zip(column_inverse) {
        let [l, r] = *cross;
        terms.extend([(*e * x * u, l), (*e * x * inverse, r)]);
    }
    for ((cross, v), inverse) in proof.inner_rounds.iter().zip(vs).zip(row_inverse) {
        let [l, r] = *cross;
        terms.extend([(*e * v, l), (*e * inverse, r)]);
    }
    terms.push((Scalar::<C>::ONE, proof.schnorr));
    DeferredMsm {
        rows: rows.weights.iter().map(|weight| -z1 * weight).collect(),
        product: *x * (*e * target - z1 * folded),
        blinding: -z2,
        terms,
    }
}

/// Every committed column with its position in the list.
fn committed_columns<C: Curve>(key: &VerifyingKey<C>, proof: &Proof<C>) -> Vec<(usize, C)> {
    let [one, two, three, quotient] = &proof.commitments;
    let kinds = [
        (TrackKind::Fixed, &key.fixed),
        (TrackKind::Tensor, &key.tensors),
        (TrackKind::Boundary, &proof.boundaries),
        (TrackKind::Advice(Phase::One), one),
        (TrackKind::Advice(Phase::Two), two),
        (TrackKind::Advice(Phase::Three), three),
    ];
    let mut all = Vec::new();
    for (kind, commitments) in kinds {
        let tracks = key.system.tracks_of(kind);
        let positions = tracks.flat_map(|(id, track)| (key.layout.first(id)..).take(track.columns));
        all.extend(positions.zip(commitments.iter().copied()));
    }
    all.extend((key.layout.quotient..).zip(quotient.iter().copied()));
    all
}

fn inverses<F: crate::curve::Field>(values: &[F]) -> Result<Vec<F>, Rejection> {
    let mut inverses = values.to_vec();
    if !inverses.is_empty() {
        batch_invert(&mut inverses).ok_or(Rejection::Shape)?;
    }
    Ok(inverses)
}

//! Many proofs, one MSM: the deferred sums of all proofs are added with independent random weights, so that all
//! generators count once. Also: proofs that share boundaries.

use alloc::vec::Vec;

use crate::curve::{Curve, Generators, Scalar};
use crate::form::TrackId;
use crate::key::VerifyingKey;
use crate::msm::{DeferredMsm, Executor};
use crate::proof::Proof;
use crate::system::TrackKind;
use crate::transcript::Transcript;
use crate::verify::{Rejection, reduce};

/// A proof and what it claims.
#[derive(Clone, Copy)]
pub struct Claim<'a, C: Curve> {
    /// The key.
    pub key: &'a VerifyingKey<C>,
    /// The public values.
    pub instances: &'a [Vec<Scalar<C>>],
    /// The proof.
    pub proof: &'a Proof<C>,
}

/// Two boundaries that must be one: a track of one claim and a track of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Number of the claim, and its boundary.
    pub from: (usize, TrackId),
    /// Number of the claim, and its boundary.
    pub to: (usize, TrackId),
}

/// Why a batch was rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchRejection {
    /// A proof of the batch is invalid.
    #[error("proof {index}: {reason}")]
    Proof {
        /// Its number.
        index: usize,
        /// Why.
        reason: Rejection,
    },
    /// Two boundaries that must be shared differ in length or commitment, or do not exist.
    #[error("boundary link {0}: the two proofs do not share this boundary")]
    Link(usize),
}

/// Verifies all claims with one MSM, and that linked boundaries are the same commitments. If the sum is wrong, the proofs
/// are checked one by one to name the first invalid one.
///
/// The weights are drawn from a transcript that has absorbed every key, public value and proof of the batch: no proof can
/// be chosen after its weight is known.
///
/// ```
/// use pasta_curves::{EqAffine, Fp};
/// use zkernel_verifier::batch::{BatchRejection, Claim, verify_batch};
/// use zkernel_verifier::builder::SystemBuilder;
/// use zkernel_verifier::{curve::Generators, key::VerifyingKey, msm::msm, proof::Proof};
///
/// let system = SystemBuilder::<Fp>::new(3, 1).finish()?;
/// let key = VerifyingKey::<EqAffine>::new(system, Generators::derive(3), vec![], b"", &msm)?;
/// // Points at infinity and zeros satisfy a system without constraints: nothing is claimed.
/// let empty = Proof::decode(&vec![0; key.shape.bytes()], &key.shape)?;
/// let mut wrong = empty.clone();
/// wrong.response[0] = Fp::one();
/// let claim = |proof| Claim { key: &key, instances: &[], proof };
/// assert_eq!(verify_batch(&[claim(&empty), claim(&empty)], &[], &msm), Ok(()));
/// let found = verify_batch(&[claim(&empty), claim(&wrong)], &[], &msm);
/// assert!(matches!(found, Err(BatchRejection::Proof { index: 1, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`BatchRejection`].
pub fn verify_batch<C: Curve>(
    claims: &[Claim<'_, C>],
    links: &[Link],
    execute: Executor<'_, C>,
) -> Result<(), BatchRejection> {
    for (index, link) in links.iter().enumerate() {
        let (from, to) = (boundary(claims, link.from), boundary(claims, link.to));
        if from.is_none() || from != to {
            return Err(BatchRejection::Link(index));
        }
    }
    let mut deferred = Vec::new();
    for (index, claim) in claims.iter().enumerate() {
        let sum = reduce(claim.key, claim.instances, claim.proof, Transcript::new());
        deferred.push(sum.map_err(|reason| BatchRejection::Proof { index, reason })?);
    }
    let Some(generators) = largest(claims) else {
        return Ok(());
    };
    let total = DeferredMsm::weighted_sum(&deferred, &weights(claims));
    if total.is_identity(generators, execute) {
        return Ok(());
    }
    let bad = |(sum, claim): (&DeferredMsm<C>, &Claim<'_, C>)| {
        !sum.is_identity(&claim.key.generators, execute)
    };
    let index = deferred.iter().zip(claims).position(bad);
    Err(BatchRejection::Proof {
        index: index.unwrap_or(claims.len()),
        reason: Rejection::Invalid,
    })
}

/// Length and commitments of a claim's boundary.
fn boundary<'a, C: Curve>(
    claims: &[Claim<'a, C>],
    (index, track): (usize, TrackId),
) -> Option<(usize, &'a [C])> {
    let claim = claims.get(index)?;
    let mut start = 0usize;
    for (id, candidate) in claim.key.system.tracks_of(TrackKind::Boundary) {
        let end = start.checked_add(candidate.columns)?;
        if id == track {
            return Some((candidate.len, claim.proof.boundaries.get(start..end)?));
        }
        start = end;
    }
    None
}

/// The longest generators of the batch: those of smaller keys are their prefixes.
fn largest<'a, C: Curve>(claims: &[Claim<'a, C>]) -> Option<&'a Generators<C>> {
    let generators = claims.iter().map(|claim| &claim.key.generators);
    generators.max_by_key(|generators| generators.rows.len())
}

fn weights<C: Curve>(claims: &[Claim<'_, C>]) -> Vec<Scalar<C>> {
    let mut transcript = Transcript::<Scalar<C>>::new();
    for claim in claims {
        transcript.absorb("batch key", &claim.key.digest);
        transcript.absorb_points("batch tensors", &claim.key.tensors);
        for instance in claim.instances {
            transcript.absorb_scalars("batch instance", instance);
        }
        transcript.absorb("batch proof", &claim.proof.encode());
    }
    (0..claims.len())
        .map(|index| transcript.round_challenge("batch weight ", index))
        .collect()
}

impl<C: Curve> DeferredMsm<C> {
    /// `sum_i weights[i] sums[i]`; sums over fewer generators count as zero on the others.
    #[must_use]
    pub fn weighted_sum(sums: &[Self], weights: &[Scalar<C>]) -> Self {
        let mut total = Self {
            rows: Vec::new(),
            product: Scalar::<C>::default(),
            blinding: Scalar::<C>::default(),
            terms: Vec::new(),
        };
        for (sum, weight) in sums.iter().zip(weights) {
            let rows = total.rows.len().max(sum.rows.len());
            total.rows.resize(rows, Scalar::<C>::default());
            for (into, row) in total.rows.iter_mut().zip(&sum.rows) {
                *into += *weight * row;
            }
            total.product += *weight * sum.product;
            total.blinding += *weight * sum.blinding;
            let terms = sum.terms.iter();
            total
                .terms
                .extend(terms.map(|(scalar, point)| (*weight * scalar, *point)));
        }
        total
    }
}

//! A proof, and its canonical encoding: nothing in it says how long it is, all lengths are known from the key.

use alloc::vec::Vec;

use crate::curve::{Curve, Scalar};
use crate::encoding::{DecodeError, Reader, Writer};
use crate::layout::Layout;
use crate::system::{ConstraintSystem, Phase, TrackKind};

/// How many elements each part of a proof has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofShape {
    /// Commitments of boundaries.
    pub boundaries: usize,
    /// Commitments of phases 1, 2, 3 and of the quotient.
    pub commitments: [usize; 4],
    /// Evaluations at zeta.
    pub evaluations: usize,
    /// Column rounds.
    pub column_rounds: usize,
    /// Inner rounds.
    pub inner_rounds: usize,
}

/// A proof for one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof<C: Curve> {
    /// Commitments of the boundary columns, which are part of the statement: the caller compares them with those of other
    /// proofs, or with commitments it knows.
    pub boundaries: Vec<C>,
    /// Commitments of phases 1, 2, 3 and of the quotient.
    pub commitments: [Vec<C>; 4],
    /// Value at zeta of each lane of each virtual column.
    pub evaluations: Vec<Scalar<C>>,
    /// L and R of the column rounds.
    pub column_rounds: Vec<[C; 2]>,
    /// L and R of the inner rounds.
    pub inner_rounds: Vec<[C; 2]>,
    /// A of the final Schnorr proof.
    pub schnorr: C,
    /// z1 and z2 of the final Schnorr proof.
    pub response: [Scalar<C>; 2],
}

impl ProofShape {
    /// The shape of proofs for a system.
    #[must_use]
    pub fn new<F: ff::PrimeField>(system: &ConstraintSystem<F>, layout: &Layout) -> Self {
        let advice = |phase| system.columns_of(TrackKind::Advice(phase));
        Self {
            boundaries: system.columns_of(TrackKind::Boundary),
            commitments: [
                advice(Phase::One),
                advice(Phase::Two),
                advice(Phase::Three),
                system.quotient_columns(),
            ],
            evaluations: system.evaluations().count(),
            column_rounds: usize::try_from(layout.log_columns).unwrap_or(usize::MAX),
            inner_rounds: usize::try_from(system.log_n).unwrap_or(usize::MAX),
        }
    }

    /// Bytes of an encoded proof.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let rounds = self.column_rounds.saturating_add(self.inner_rounds);
        let commitments = self
            .commitments
            .iter()
            .fold(self.boundaries, |n, c| n.saturating_add(*c));
        let elements = commitments
            .saturating_add(self.evaluations)
            .saturating_add(rounds.saturating_mul(2));
        elements.saturating_add(3).saturating_mul(32)
    }
}

impl<C: Curve> Proof<C> {
    /// Whether every part has as many elements as the key says.
    #[must_use]
    pub fn has_shape(&self, shape: &ProofShape) -> bool {
        self.boundaries.len() == shape.boundaries
            && self.commitments.iter().map(Vec::len).eq(shape.commitments)
            && self.evaluations.len() == shape.evaluations
            && self.column_rounds.len() == shape.column_rounds
            && self.inner_rounds.len() == shape.inner_rounds
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        let Self {
            boundaries,
            commitments,
            evaluations,
            column_rounds,
            inner_rounds,
            schnorr,
            response,
        } = self;
        w.points(boundaries);
        commitments.iter().for_each(|points| w.points(points));
        evaluations.iter().for_each(|value| w.scalar(value));
        column_rounds
            .iter()
            .chain(inner_rounds)
            .for_each(|cross| w.points(cross));
        w.point(schnorr);
        response.iter().for_each(|value| w.scalar(value));
        w.0
    }

    /// Decodes a proof of that shape, and nothing else.
    ///
    /// ```
    /// use pasta_curves::{EqAffine, Fp};
    /// use zkernel_verifier::encoding::DecodeError;
    /// use zkernel_verifier::{builder::SystemBuilder, layout::Layout, proof::{Proof, ProofShape}};
    ///
    /// let system = SystemBuilder::<Fp>::new(3, 1).finish()?;
    /// let shape = ProofShape::new(&system, &Layout::new(&system));
    /// let mut bytes = vec![0; shape.bytes()];
    /// assert_eq!(Proof::<EqAffine>::decode(&bytes, &shape)?.encode(), bytes);
    /// bytes.push(0);
    /// assert_eq!(Proof::<EqAffine>::decode(&bytes, &shape), Err(DecodeError::Trailing(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DecodeError`] for any other length or any element that is not canonical.
    pub fn decode(bytes: &[u8], shape: &ProofShape) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let boundaries = r.points(shape.boundaries)?;
        let [one, two, three, quotient] = shape.commitments;
        let commitments = [
            r.points(one)?,
            r.points(two)?,
            r.points(three)?,
            r.points(quotient)?,
        ];
        let evaluations = r.scalars(shape.evaluations)?;
        let column_rounds = cross_terms(&mut r, shape.column_rounds)?;
        let inner_rounds = cross_terms(&mut r, shape.inner_rounds)?;
        let schnorr = r.point()?;
        let response = [r.scalar()?, r.scalar()?];
        r.finish()?;
        Ok(Self {
            boundaries,
            commitments,
            evaluations,
            column_rounds,
            inner_rounds,
            schnorr,
            response,
        })
    }
}

fn cross_terms<C: Curve>(r: &mut Reader<'_>, rounds: usize) -> Result<Vec<[C; 2]>, DecodeError> {
    (0..rounds).map(|_| Ok([r.point()?, r.point()?])).collect()
}

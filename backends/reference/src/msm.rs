//! Sums of points times scalars.

use group::{Curve as _, Group};
use zkernel_backend::{Curve, Result, Scalar, shape};
use zkernel_verifier::curve::Point;

use crate::columns::Columns;

/// `sum scalar * point`: doubling and adding, all points together, bits from the top.
///
/// A scalar s above p/2 is taken as -(p - s), so that small negative integers are as cheap as small positive ones.
pub(crate) fn sum<'a, C: Curve>(terms: impl Iterator<Item = (&'a C, &'a Scalar<C>)>) -> C {
    let magnitude = |(point, scalar): (&C, &Scalar<C>)| {
        let negated = -*scalar;
        if negated < *scalar {
            (-*point, ff::PrimeField::to_repr(&negated))
        } else {
            (*point, ff::PrimeField::to_repr(scalar))
        }
    };
    let terms: Vec<(C, [u8; 32])> = terms.map(magnitude).collect();
    let mut total = Point::<C>::identity();
    for bit in (0..256).rev() {
        total = total.double();
        for (point, scalar) in &terms {
            if scalar[bit / 8] >> (bit % 8) & 1 == 1 {
                total += *point;
            }
        }
    }
    total.to_affine()
}

pub(crate) fn commit<C: Curve>(
    bases: &[C],
    batches: &[&Columns<Scalar<C>>],
    extra: &[Vec<Scalar<C>>],
) -> Result<Vec<C>> {
    let shapes: Vec<shape::Shape> = batches.iter().map(|b| b.shape()).collect();
    shape::commit(bases.len(), &shapes, extra)?;
    let columns = batches.iter().flat_map(|batch| batch.iter());
    let commitment = |(column, extra): (&[Scalar<C>], &Vec<Scalar<C>>)| {
        sum(bases.iter().zip(column.iter().chain(extra)))
    };
    Ok(columns.zip(extra).map(commitment).collect())
}

pub(crate) fn fold_bases<C: Curve>(
    bases: &[C],
    rows: usize,
    weights: &[Scalar<C>],
) -> Result<Vec<C>> {
    shape::fold_bases(bases.len(), rows, weights.len())?;
    let (folded, kept) = bases.split_at(rows);
    let folded = folded
        .chunks(weights.len())
        .map(|points| sum(points.iter().zip(weights)));
    Ok(folded.chain(kept.iter().copied()).collect())
}

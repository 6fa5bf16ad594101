//! Small vectors of field elements.

use ff::Field as _;

use crate::F;

/// `sum a_i b_i`.
#[must_use]
pub fn dot(a: &[F], b: &[F]) -> F {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Neighbours folded: `x_lo + u x_hi`.
#[must_use]
pub fn fold(values: &[F], u: F) -> Vec<F> {
    values.chunks(2).map(|pair| pair[0] + u * pair[1]).collect()
}

/// Neighbouring columns folded: `x_lo + u x_hi`, row by row.
#[must_use]
pub fn fold_columns(columns: &[Vec<F>], u: F) -> Vec<Vec<F>> {
    let row = |(lo, hi): (&F, &F)| lo + u * hi;
    columns
        .chunks(2)
        .map(|pair| pair[0].iter().zip(&pair[1]).map(row).collect())
        .collect()
}

/// The inverse of a value that is not zero.
///
/// # Panics
/// For zero.
#[must_use]
pub fn inverse(value: F) -> F {
    value.invert().expect("not zero")
}

/// Rank of a matrix.
#[must_use]
pub fn rank(matrix: &[Vec<F>]) -> usize {
    let mut rows = matrix.to_vec();
    let mut rank = 0;
    for column in 0..rows.first().map_or(0, Vec::len) {
        let Some(pivot) = (rank..rows.len()).find(|i| rows[*i][column] != F::ZERO) else {
            continue;
        };
        rows.swap(rank, pivot);
        let (done, rest) = rows.split_at_mut(rank + 1);
        let pivot = &done[rank];
        for row in rest {
            let factor = row[column] * inverse(pivot[column]);
            row.iter_mut()
                .zip(pivot)
                .for_each(|(x, p)| *x -= factor * p);
        }
        rank += 1;
    }
    rank
}

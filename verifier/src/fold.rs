//! The verifier's folds of linear forms: `a* = sum_q W_q sum_i R_i a_q[i]` with W the weights of the columns and R those
//! of the rows after all rounds.
//!
//! A form along a tensor's rows with geometric factors is one vector times a scalar per column and is summed in closed
//! form over dyadic blocks; everything else cell by cell.

use alloc::vec::Vec;

use ff::PrimeField;

use crate::challenge::Challenges;
use crate::claims::fold_weights;
use crate::form::{EvaluatedAxis, Factor, Strided};
use crate::system::{Track, TrackKind};

/// Weights of rows or columns after all their rounds.
#[derive(Clone, Debug)]
pub struct Folded<F> {
    /// The weight of item i.
    pub weights: Vec<F>,
    challenges: Vec<F>,
}

impl<F: PrimeField> Folded<F> {
    /// Folds with those challenges, bit 0 first: item i has weight `prod over bits b of i, challenge_b`.
    #[must_use]
    pub fn new(challenges: Vec<F>) -> Self {
        Self {
            weights: fold_weights(&challenges),
            challenges,
        }
    }

    /// The weight of item `index`, zero outside.
    #[must_use]
    pub fn weight(&self, index: usize) -> F {
        self.weights.get(index).copied().unwrap_or(F::ZERO)
    }

    /// `sum_i weight_i * values_i`.
    #[must_use]
    pub fn dot(&self, values: &[F]) -> F {
        self.weights.iter().zip(values).map(|(w, v)| *w * v).sum()
    }

    /// `products[b] = prod_{c < b} (1 + challenge_c ratio^(2^c))`: the sum over an aligned block of 2^b items, relative to
    /// its first.
    fn block_sums(&self, ratio: F) -> Vec<F> {
        let mut power = ratio;
        let mut sums = alloc::vec![F::ONE];
        let mut last = F::ONE;
        for challenge in &self.challenges {
            last *= F::ONE + *challenge * power;
            sums.push(last);
            power = power.square();
        }
        sums
    }

    /// `sum_{i < len} weight_{start + i} ratio^i`, over dyadic blocks.
    fn geometric(&self, start: usize, len: usize, ratio: F, blocks: &[F]) -> F {
        let mut sum = F::ZERO;
        let (mut position, mut left, mut offset) = (start, len, F::ONE);
        while left > 0 {
            let aligned = if position == 0 {
                usize::BITS
            } else {
                position.trailing_zeros()
            };
            let bits = aligned.min(left.ilog2());
            let block = usize::try_from(bits)
                .ok()
                .and_then(|b| blocks.get(b))
                .copied()
                .unwrap_or(F::ZERO);
            sum += offset * self.weight(position) * block;
            let size = 1usize << bits;
            offset *= ratio.pow_vartime([u64::try_from(size).unwrap_or(0)]);
            position = position.saturating_add(size);
            left = left.saturating_sub(size);
        }
        sum
    }
}

/// A form over a tensor that is one vector over the rows of a column times a geometric scalar per column.
#[derive(Clone, Debug)]
pub struct RowMajor<F> {
    /// Matrix rows in a column.
    pub rows_per_column: usize,
    /// First column of the track that the form touches.
    pub first_column: usize,
    /// Number of columns it touches.
    pub columns: usize,
    /// Coefficient of the form in the first cell.
    pub scale: F,
    /// Ratio from one matrix row to the next.
    pub row_ratio: F,
    /// Distance of matrix rows in a column.
    pub row_stride: usize,
    /// The dimension within a matrix row.
    pub inner: EvaluatedAxis<F>,
    /// Ratio within a matrix row, if that is geometric too.
    pub inner_ratio: Option<F>,
}

impl<F: PrimeField> RowMajor<F> {
    /// Recognises a two-dimensional form over whole columns of whole matrix rows of a tensor.
    #[must_use]
    pub fn recognise(form: &Strided<F>, track: &Track, challenges: &Challenges<F>) -> Option<Self> {
        let [rows, inner] = form.axes.as_slice() else {
            return None;
        };
        let per_column = track.width.checked_div(rows.stride)?;
        let whole = track.kind == TrackKind::Tensor
            && per_column > 0
            && track.width.checked_rem(rows.stride)? == 0
            && rows.len.checked_rem(per_column)? == 0
            && form.start.checked_rem(track.width)? == 0
            && inner.stride.checked_mul(inner.len.checked_sub(1)?)? < rows.stride;
        if !whole {
            return None;
        }
        let first = rows.factor.evaluate(1, challenges).first().copied()?;
        let geometric = inner.stride == 1 && !matches!(inner.factor, Factor::Values(_));
        Some(Self {
            rows_per_column: per_column,
            first_column: form.start.checked_div(track.width)?,
            columns: rows.len.checked_div(per_column)?,
            scale: form.scale.evaluate(challenges) * first,
            row_ratio: rows.factor.ratio(challenges)?,
            row_stride: rows.stride,
            inner: EvaluatedAxis {
                stride: inner.stride,
                factor: inner.factor.evaluate(inner.len, challenges),
            },
            inner_ratio: if geometric {
                inner.factor.ratio(challenges)
            } else {
                None
            },
        })
    }

    /// The scalar of each column, from the first it touches.
    #[must_use]
    pub fn column_scalars(&self) -> Vec<F> {
        let ratio = self
            .row_ratio
            .pow_vartime([u64::try_from(self.rows_per_column).unwrap_or(0)]);
        core::iter::successors(Some(self.scale), |s| Some(*s * ratio))
            .take(self.columns)
            .collect()
    }

    /// The vector over the rows of a column, of length `rows`.
    #[must_use]
    pub fn vector(&self, rows: usize) -> Vec<F> {
        let mut vector = alloc::vec![F::ZERO; rows];
        let mut row_factor = F::ONE;
        for row in 0..self.rows_per_column {
            let mut position = row.saturating_mul(self.row_stride);
            for factor in &self.inner.factor {
                if let Some(cell) = vector.get_mut(position) {
                    *cell += row_factor * factor;
                }
                position = position.saturating_add(self.inner.stride);
            }
            row_factor *= self.row_ratio;
        }
        vector
    }

    /// The fold: (sum over columns of weight times scalar) times (sum over rows of weight times vector).
    #[must_use]
    pub fn fold(&self, first_position: usize, columns: &Folded<F>, rows: &Folded<F>) -> F {
        let start = first_position.saturating_add(self.first_column);
        let weights = columns.weights.iter().skip(start);
        let over_columns: F = weights
            .zip(self.column_scalars())
            .map(|(w, s)| *w * s)
            .sum();
        over_columns * self.fold_rows(rows)
    }

    fn fold_rows(&self, rows: &Folded<F>) -> F {
        let blocks = self
            .inner_ratio
            .map(|ratio| (ratio, rows.block_sums(ratio)));
        let first = self.inner.factor.first().copied().unwrap_or(F::ZERO);
        let mut row_factor = F::ONE;
        let mut sum = F::ZERO;
        for row in 0..self.rows_per_column {
            let start = row.saturating_mul(self.row_stride);
            let of_row = match &blocks {
                Some((ratio, blocks)) => {
                    first * rows.geometric(start, self.inner.factor.len(), *ratio, blocks)
                }
                None => cell_by_cell(&self.inner, start, rows),
            };
            sum += row_factor * of_row;
            row_factor *= self.row_ratio;
        }
        sum
    }
}

fn cell_by_cell<F: PrimeField>(axis: &EvaluatedAxis<F>, start: usize, rows: &Folded<F>) -> F {
    let positions = (0usize..).map(|i| start.saturating_add(i.saturating_mul(axis.stride)));
    axis.factor
        .iter()
        .zip(positions)
        .map(|(factor, position)| *factor * rows.weight(position))
        .sum()
}

/// Folds a form cell by cell: position p of the track has weight `W_{first + p / width} R_{p mod width}`. One product a cell.
#[must_use]
pub fn fold_cells<F: PrimeField>(
    form: &Strided<F>,
    challenges: &Challenges<F>,
    track: &Track,
    first_position: usize,
    columns: &Folded<F>,
    rows: &Folded<F>,
) -> F {
    let view = form.evaluate(challenges);
    let weights = Weights {
        width: track.width,
        first_position,
        columns,
        rows,
    };
    view.scale * weights.fold(&view.axes, view.start)
}

/// The weights of a track's cells.
struct Weights<'a, F> {
    width: usize,
    first_position: usize,
    columns: &'a Folded<F>,
    rows: &'a Folded<F>,
}

impl<F: PrimeField> Weights<'_, F> {
    /// `sum_{i_1..i_d} prod_k factor_k[i_k] weight(start + sum_k i_k stride_k)`.
    fn fold(&self, axes: &[EvaluatedAxis<F>], start: usize) -> F {
        let Some((axis, inner)) = axes.split_first() else {
            return self.run(&[F::ONE], start);
        };
        if inner.is_empty() && axis.stride == 1 {
            return self.run(&axis.factor, start);
        }
        let mut position = start;
        let mut sum = F::ZERO;
        for factor in &axis.factor {
            sum += *factor * self.fold(inner, position);
            position = position.saturating_add(axis.stride);
        }
        sum
    }

    /// Neighbouring cells: one stretch of rows in each column that they reach.
    fn run(&self, mut factors: &[F], mut position: usize) -> F {
        let mut sum = F::ZERO;
        while !factors.is_empty() {
            let (Some(column), Some(row)) = (
                position.checked_div(self.width),
                position.checked_rem(self.width),
            ) else {
                return F::ZERO;
            };
            let stretch = factors.len().min(self.width.saturating_sub(row));
            let (here, rest) = factors.split_at(stretch);
            let rows = self.rows.weights.iter().skip(row);
            let of_rows: F = here.iter().zip(rows).map(|(f, w)| *f * w).sum();
            sum += self
                .columns
                .weight(self.first_position.saturating_add(column))
                * of_rows;
            position = position.saturating_add(stretch);
            factors = rest;
        }
        sum
    }
}

/// The weight of one cell.
#[must_use]
pub fn cell_weight<F: PrimeField>(
    position: usize,
    track: &Track,
    first_position: usize,
    columns: &Folded<F>,
    rows: &Folded<F>,
) -> F {
    let (Some(column), Some(row)) = (
        position.checked_div(track.width),
        position.checked_rem(track.width),
    ) else {
        return F::ZERO;
    };
    columns.weight(first_position.saturating_add(column)) * rows.weight(row)
}

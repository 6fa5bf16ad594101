//! The verifier's folds of linear forms: `a* = sum_q W_q sum_i R_i a_q[i]` with W the weights of the columns and R those
//! of the rows after all rounds.
//!
//! A form along a tensor's rows with geometric factors is one vector times a scalar per column; everything else is summed
//! stretch by stretch of neighbouring cells. A stretch with geometric factors is a difference of two sums that are known
//! for all rows ([`Tails`]), whatever its length; others take one product a cell.

use alloc::vec::Vec;

use ff::PrimeField;

use crate::challenge::Challenges;
use crate::claims::fold_weights;
use crate::curve::power;
use crate::form::{EvaluatedAxis, Geometric, Strided};
use crate::system::{Track, TrackKind};

/// Weights of rows or columns after all their rounds.
#[derive(Clone, Debug)]
pub struct Folded<F> {
    /// The weight of item i.
    pub weights: Vec<F>,
}

impl<F: PrimeField> Folded<F> {
    /// Folds with those challenges, bit 0 first: item i has weight `prod over bits b of i, challenge_b`.
    #[must_use]
    pub fn new(challenges: &[F]) -> Self {
        Self {
            weights: fold_weights(challenges),
        }
    }

    /// The challenges that it was folded with.
    #[must_use]
    pub fn challenges(&self) -> Vec<F> {
        let bits = self.weights.len().checked_ilog2().unwrap_or(0);
        let items = (0..bits).map(|bit| 1usize.checked_shl(bit).unwrap_or(usize::MAX));
        items.map(|item| self.weight(item)).collect()
    }

    /// The weight of item `index`, zero outside.
    #[must_use]
    pub fn weight(&self, index: usize) -> F {
        self.weights.get(index).copied().unwrap_or(F::ZERO)
    }

    /// `sum_i weight_i * values_i`.
    #[must_use]
    pub fn dot<'v>(&self, values: impl IntoIterator<Item = &'v F>) -> F {
        self.weights.iter().zip(values).map(|(w, v)| *w * v).sum()
    }
}

/// Sums of row weights with geometric factors: `T_s = sum_{i >= s} R_i ratio^(i - s)` for all s, made for a ratio when so
/// many cells have asked for it that summing them would have cost as much.
#[derive(Debug)]
pub struct Tails<'a, F> {
    rows: &'a Folded<F>,
    known: Vec<Tail<F>>,
}

/// What is known of a ratio.
#[derive(Debug)]
struct Tail<F> {
    ratio: F,
    /// Cells summed one by one so far.
    cells: usize,
    /// `T_0 .. T_n`, none before they are worth it.
    sums: Vec<F>,
}

impl<'a, F: PrimeField> Tails<'a, F> {
    /// Of rows with those weights.
    #[must_use]
    pub const fn new(rows: &'a Folded<F>) -> Self {
        Self {
            rows,
            known: Vec::new(),
        }
    }

    /// `sum_{i < len} R_{row + i} ratio^i = T_row - ratio^len T_{row + len}`, `power` being `ratio^len`.
    fn stretch(&mut self, ratio: F, row: usize, len: usize, power: F) -> F {
        let weights = &self.rows.weights;
        let known = self.known.iter().position(|tail| tail.ratio == ratio);
        let index = known.unwrap_or(self.known.len());
        if known.is_none() {
            self.known.push(Tail {
                ratio,
                cells: 0,
                sums: Vec::new(),
            });
        }
        let Some(tail) = self.known.get_mut(index) else {
            return F::ZERO;
        };
        tail.cells = tail.cells.saturating_add(len);
        if tail.sums.is_empty() && tail.cells < weights.len() {
            let own = weights.get(row..).unwrap_or(&[]).iter().take(len);
            return own.rev().fold(F::ZERO, |sum, w| sum * ratio + w);
        }
        if tail.sums.is_empty() {
            tail.sums = tail_sums(weights, ratio);
        }
        let of = |row| tail.sums.get(row).copied().unwrap_or(F::ZERO);
        of(row) - power * of(row.saturating_add(len))
    }
}

fn power_of<F: PrimeField>(ratio: F, exponent: usize) -> F {
    power(ratio, u64::try_from(exponent).unwrap_or(0))
}

/// `T_0 .. T_n`, the last one zero.
fn tail_sums<F: PrimeField>(weights: &[F], ratio: F) -> Vec<F> {
    let mut sums = alloc::vec![F::ZERO; weights.len().saturating_add(1)];
    let mut sum = F::ZERO;
    let places = sums.iter_mut().rev().skip(1);
    for (place, weight) in places.zip(weights.iter().rev()) {
        sum = sum * ratio + weight;
        *place = sum;
    }
    sums
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
        let row_factor = rows.factor.geometric(challenges)?;
        let geometric = inner.factor.geometric(challenges);
        Some(Self {
            rows_per_column: per_column,
            first_column: form.start.checked_div(track.width)?,
            columns: rows.len.checked_div(per_column)?,
            scale: form.scale.evaluate(challenges) * row_factor.first,
            row_ratio: row_factor.ratio,
            row_stride: rows.stride,
            inner: EvaluatedAxis {
                stride: inner.stride,
                factor: inner.factor.evaluate(inner.len, challenges),
            },
            inner_ratio: geometric
                .filter(|_| inner.stride == 1)
                .map(|factor| factor.ratio),
        })
    }

    /// The scalar of each column, from the first it touches.
    #[must_use]
    pub fn column_scalars(&self) -> Vec<F> {
        let ratio = power_of(self.row_ratio, self.rows_per_column);
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
    pub fn fold(&self, first_position: usize, columns: &Folded<F>, rows: &mut Tails<'_, F>) -> F {
        let start = first_position.saturating_add(self.first_column);
        let weights = columns.weights.iter().skip(start);
        let over_columns: F = weights
            .zip(self.column_scalars())
            .map(|(w, s)| *w * s)
            .sum();
        over_columns * self.fold_rows(rows)
    }

    fn fold_rows(&self, rows: &mut Tails<'_, F>) -> F {
        let first = self.inner.factor.first().copied().unwrap_or(F::ZERO);
        let len = self.inner.factor.len();
        let inner = self.inner_ratio.map(|ratio| (ratio, power_of(ratio, len)));
        let mut row_factor = F::ONE;
        let mut sum = F::ZERO;
        for row in 0..self.rows_per_column {
            let start = row.saturating_mul(self.row_stride);
            let of_row = match inner {
                Some((ratio, power)) => first * rows.stretch(ratio, start, len, power),
                None => cell_by_cell(&self.inner, start, rows.rows),
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

/// Folds a form: position p of the track has weight `W_{first + p / width} R_{p mod width}`.
#[must_use]
pub fn fold_cells<F: PrimeField>(
    form: &Strided<F>,
    challenges: &Challenges<F>,
    track: &Track,
    first_position: usize,
    columns: &Folded<F>,
    rows: &mut Tails<'_, F>,
) -> F {
    let axis = form
        .neighbours()
        .and_then(|index| Some((index, form.axes.get(index)?)));
    let geometric = axis.and_then(|(_, axis)| axis.factor.geometric(challenges));
    let (view, neighbours) = match axis.zip(geometric) {
        Some(((index, axis), Geometric { first, ratio })) => {
            let mut view = form.evaluate_others(Some(index), challenges);
            view.scale *= first;
            let (len, power) = (axis.len, power_of(ratio, axis.len));
            (view, Some(Neighbours { len, ratio, power }))
        }
        None => (form.evaluate(challenges), None),
    };
    let mut weights = Weights {
        width: track.width,
        first_position,
        columns,
        rows,
        neighbours,
    };
    view.scale * weights.fold(&view.axes, view.start)
}

/// An innermost dimension of neighbouring cells with factors `ratio^i`.
#[derive(Clone, Copy)]
struct Neighbours<F> {
    len: usize,
    ratio: F,
    /// `ratio^len`.
    power: F,
}

/// The weights of a track's cells.
struct Weights<'a, 'r, F> {
    width: usize,
    first_position: usize,
    columns: &'a Folded<F>,
    rows: &'a mut Tails<'r, F>,
    neighbours: Option<Neighbours<F>>,
}

impl<F: PrimeField> Weights<'_, '_, F> {
    /// `sum_{i_1..i_d} prod_k factor_k[i_k] weight(start + sum_k i_k stride_k)`, the neighbours being one more dimension.
    fn fold(&mut self, axes: &[EvaluatedAxis<F>], start: usize) -> F {
        let Some((axis, inner)) = axes.split_first() else {
            return match self.neighbours {
                Some(neighbours) => self.geometric(neighbours, start),
                None => self.run(&[F::ONE], start),
            };
        };
        if inner.is_empty() && axis.stride == 1 && self.neighbours.is_none() {
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
            let Some((column, row, stretch)) = self.stretch(position, factors.len()) else {
                return F::ZERO;
            };
            let (here, rest) = factors.split_at(stretch);
            let rows = self.rows.rows.weights.iter().skip(row);
            let of_rows: F = here.iter().zip(rows).map(|(f, w)| *f * w).sum();
            sum += column * of_rows;
            position = position.saturating_add(stretch);
            factors = rest;
        }
        sum
    }

    /// As [`Weights::run`] with factors `ratio^i`.
    fn geometric(&mut self, neighbours: Neighbours<F>, mut position: usize) -> F {
        let Neighbours { len, ratio, power } = neighbours;
        let (mut sum, mut left, mut factor) = (F::ZERO, len, F::ONE);
        while left != 0 {
            let Some((column, row, stretch)) = self.stretch(position, left) else {
                return F::ZERO;
            };
            let whole = (stretch == len).then_some(power);
            let own = whole.unwrap_or_else(|| power_of(ratio, stretch));
            sum += factor * column * self.rows.stretch(ratio, row, stretch, own);
            factor *= own;
            position = position.saturating_add(stretch);
            left = left.saturating_sub(stretch);
        }
        sum
    }

    /// The weight of the column that a position is in, its row there, and how many of so many cells are in that column.
    fn stretch(&self, position: usize, left: usize) -> Option<(F, usize, usize)> {
        let column = position.checked_div(self.width)?;
        let row = position.checked_rem(self.width)?;
        let column = self.first_position.saturating_add(column);
        let stretch = left.min(self.width.saturating_sub(row));
        Some((self.columns.weight(column), row, stretch))
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

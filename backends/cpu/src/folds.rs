//! Cross products, folds and expansions of pairs of columns, or of rows.

use rayon::prelude::*;
use zkernel_backend::{Field, Result, shape};

use crate::columns::{Columns, by_column};
use crate::kernels;
use crate::level::Level;
use crate::linear::BLOCK;

#[tracing::instrument(skip_all, fields(shape = ?f.shape()))]
pub(crate) fn cross_columns<F: Field>(
    level: Level,
    f: &Columns<F>,
    a: &Columns<F>,
) -> Result<(F, F)> {
    shape::cross_columns(f.shape(), a.shape())?;
    let product = |i, j| kernels::dot(level, &f.full_column(level, i), &a.full_column(level, j));
    let pair = |q: usize| (product(2 * q + 1, 2 * q), product(2 * q, 2 * q + 1));
    let pairs = (0..f.shape().0 / 2).into_par_iter().map(pair);
    Ok(pairs.reduce(|| (F::ZERO, F::ZERO), |a, b| (a.0 + b.0, a.1 + b.1)))
}

#[tracing::instrument(skip_all, fields(shape = ?columns.shape()))]
pub(crate) fn fold_columns<F: Field>(
    level: Level,
    columns: &Columns<F>,
    u: F,
) -> Result<Columns<F>> {
    shape::fold_columns(columns.shape())?;
    let (count, rows) = columns.shape();
    let cells = by_column((count / 2, rows), |(q, cells)| {
        columns.fill(level, 2 * q, cells);
        let high = columns.full_column(level, 2 * q + 1);
        kernels::combine(level, cells, &[(&high, u)]);
    });
    Ok(Columns::new(count / 2, rows, cells))
}

#[tracing::instrument(skip_all, fields(shape = ?f.shape()))]
pub(crate) fn cross_rows<F: Field>(level: Level, f: &Columns<F>, a: &Columns<F>) -> Result<(F, F)> {
    shape::cross_rows(f.shape(), a.shape())?;
    let (f, a) = (f.full(level), a.full(level));
    let block = |(f, a): (&[F], &[F])| {
        let ((f0, f1), (a0, a1)) = (halves(f), halves(a));
        (kernels::dot(level, &f1, &a0), kernels::dot(level, &f0, &a1))
    };
    let blocks = f.par_chunks(BLOCK).zip(a.par_chunks(BLOCK)).map(block);
    Ok(blocks.reduce(|| (F::ZERO, F::ZERO), |a, b| (a.0 + b.0, a.1 + b.1)))
}

#[tracing::instrument(skip_all, fields(shape = ?columns.shape()))]
pub(crate) fn fold_rows<F: Field>(level: Level, columns: &Columns<F>, u: F) -> Result<Columns<F>> {
    shape::fold_rows(columns.shape())?;
    let (count, rows) = columns.shape();
    let cells = columns.full(level);
    let fold = |cells: &[F]| -> Vec<F> {
        let (mut even, odd) = halves(cells);
        kernels::combine(level, &mut even, &[(&odd, u)]);
        even
    };
    let folded: Vec<Vec<F>> = cells.par_chunks(BLOCK).map(fold).collect();
    let folded = folded.concat();
    Ok(Columns::new(count, rows / 2, folded))
}

#[tracing::instrument(skip_all, fields(rows = f.shape().1, weights = weights.len()))]
pub(crate) fn expand<F: Field>(level: Level, f: &Columns<F>, weights: &[F]) -> Result<Columns<F>> {
    shape::expand(f.shape(), weights.len())?;
    let (cells, rows) = (f.full(level), f.shape().1 * weights.len());
    let of_half = |half: usize| cells.iter().skip(half).step_by(2);
    let repeated = |half| of_half(half).flat_map(|cell| weights.iter().map(move |_| *cell));
    let product = |half| -> Vec<F> {
        let mut scalars: Vec<F> = repeated(half).collect();
        let tiled: Vec<F> = of_half(half).flat_map(|_| weights).copied().collect();
        kernels::multiply(level, &mut scalars, &tiled);
        scalars
    };
    let zeros = vec![F::ZERO; weights.len()];
    let (left, right) = rayon::join(|| product(1), || product(0));
    let (left, right) = (left.chunks(weights.len()), right.chunks(weights.len()));
    let mut expanded = Vec::with_capacity(2 * rows);
    left.for_each(|block| expanded.extend(block.iter().chain(&zeros)));
    right.for_each(|block| expanded.extend(zeros.iter().chain(block)));
    Ok(Columns::new(2, rows, expanded))
}

/// Cells at even and at odd positions.
fn halves<F: Field>(cells: &[F]) -> (Vec<F>, Vec<F>) {
    cells.chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip()
}

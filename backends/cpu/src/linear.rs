//! Inner products, combinations, linear forms and folds.

use std::borrow::Cow;

use rayon::prelude::*;
use zkernel_backend::{ColumnRef, Field, Result, Term, shape};
use zkernel_verifier::form::EvaluatedView;

use crate::columns::Columns;
use crate::kernels;
use crate::level::Level;

/// Cells below which one thread is enough.
const BLOCK: usize = 1024;

#[tracing::instrument(skip_all, fields(shape = ?columns.shape()))]
pub(crate) fn dot<F: Field>(
    level: Level,
    columns: &Columns<F>,
    vector: &Columns<F>,
) -> Result<Vec<F>> {
    shape::dot(columns.shape(), vector.shape())?;
    let vector = vector.full(level);
    let product = |column| kernels::dot(level, &columns.full_column(level, column), &vector);
    Ok((0..columns.shape().0)
        .into_par_iter()
        .map(product)
        .collect())
}

#[tracing::instrument(skip_all, fields(outputs = terms.len(), rows))]
pub(crate) fn combine<F: Field>(
    level: Level,
    sources: &[&Columns<F>],
    terms: &[Vec<Term<F>>],
    constants: &[F],
    rows: usize,
) -> Result<Columns<F>> {
    let shapes: Vec<shape::Shape> = sources.iter().map(|s| s.shape()).collect();
    shape::combine(&shapes, terms, constants.len(), rows)?;
    let partial = |start: F, terms: &[Term<F>]| {
        let mut sums = vec![start; rows];
        let column = |c: ColumnRef| sources[c.batch].full_column(level, c.column);
        let columns: Vec<_> = terms.iter().map(|t| column(t.column)).collect();
        let columns = columns.iter().map(|c| &**c);
        let terms: Vec<(&[F], F)> = columns.zip(terms.iter().map(|t| t.coefficient)).collect();
        kernels::combine(level, &mut sums, &terms);
        sums
    };
    // Few outputs are shared between threads by terms.
    let threads = rayon::current_num_threads().div_ceil(terms.len().max(1));
    let output = |(terms, constant): (&Vec<Term<F>>, &F)| {
        let share = terms
            .len()
            .div_ceil(threads)
            .max(BLOCK.div_ceil(rows.max(1)));
        let parts = terms.par_chunks(share).map(|part| partial(F::ZERO, part));
        parts.reduce_with(add).map_or_else(
            || partial(*constant, &[]),
            |sums| add(sums, vec![*constant; rows]),
        )
    };
    let outputs: Vec<Vec<F>> = terms.par_iter().zip(constants).map(output).collect();
    Ok(Columns::new(terms.len(), rows, outputs.concat()))
}

fn add<F: Field>(mut a: Vec<F>, b: Vec<F>) -> Vec<F> {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}

#[tracing::instrument(skip_all, fields(axes = view.axes.len()))]
pub(crate) fn accumulate<F: Field>(
    level: Level,
    target: &mut Columns<F>,
    width: usize,
    view: &EvaluatedView<F>,
) -> Result<()> {
    shape::accumulate(target.shape(), width, view)?;
    let rows = target.shape().1;
    let cells = target.full_mut(level);
    view.for_each(|p, coefficient| cells[p / width * rows + p % width] += coefficient);
    Ok(())
}

#[tracing::instrument(skip_all, fields(entries = entries.len()))]
pub(crate) fn accumulate_sparse<F: Field>(
    level: Level,
    target: &mut Columns<F>,
    width: usize,
    entries: &[(usize, F)],
) -> Result<()> {
    shape::accumulate_sparse(target.shape(), width, entries)?;
    let rows = target.shape().1;
    let cells = target.full_mut(level);
    for (p, coefficient) in entries {
        cells[p / width * rows + p % width] += *coefficient;
    }
    Ok(())
}

#[tracing::instrument(skip_all, fields(?outer, axes = inner.axes.len()))]
pub(crate) fn contract<F: Field>(
    level: Level,
    (source, source_width): (&Columns<F>, usize),
    outer: &[(usize, usize)],
    inner: &EvaluatedView<F>,
    (target, target_width): (&mut Columns<F>, usize),
    start: usize,
) -> Result<()> {
    let (from, to) = (source.shape(), target.shape());
    let outputs = shape::contract(from, source_width, outer, inner, to, target_width, start)?;
    if outputs == 0 {
        return Ok(());
    }
    let mut entries = Vec::new();
    inner.for_each(|position, coefficient| entries.push((position, coefficient)));
    let cells = source.full(level);
    let dense = dense(&cells, from.1, source_width);
    let offsets: Vec<usize> = (0..outputs).map(|j| offset(outer, j)).collect();
    let least = BLOCK.div_ceil(entries.len().max(1));
    let share = outputs.div_ceil(4 * rayon::current_num_threads());
    let least = least.max(share).next_multiple_of(8);
    let sums: Vec<Vec<F>> = offsets
        .par_chunks(least)
        .map(|offsets| kernels::contract(level, &dense, &entries, offsets))
        .collect();
    let sums = sums.into_iter().flatten();
    let written = target.full_mut(level);
    for (j, sum) in sums.enumerate() {
        let p = start + j;
        written[p / target_width * to.1 + p % target_width] += sum;
    }
    Ok(())
}

/// Cells in the order of positions: the first `width` rows of every column.
fn dense<F: Field>(cells: &[F], rows: usize, width: usize) -> Cow<'_, [F]> {
    if width == rows {
        return Cow::Borrowed(cells);
    }
    let columns = cells.chunks(rows.max(1));
    Cow::Owned(columns.flat_map(|c| &c[..width]).copied().collect())
}

/// `<j, outer>`, j row-major.
fn offset(outer: &[(usize, usize)], j: usize) -> usize {
    let step = |(offset, j): (usize, usize), (length, stride): &(usize, usize)| {
        (offset + j % length * stride, j / length)
    };
    outer.iter().rev().fold((0, j), step).0
}

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
    let fold = |q: usize| -> Vec<F> {
        let (low, high) = (
            columns.full_column(level, 2 * q),
            columns.full_column(level, 2 * q + 1),
        );
        let mut folded = low.into_owned();
        kernels::combine(level, &mut folded, &[(&high, u)]);
        folded
    };
    let folded: Vec<_> = (0..count / 2).into_par_iter().map(fold).collect();
    Ok(Columns::new(count / 2, rows, folded.concat()))
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

//! Inner products, combinations, linear forms and folds.

use zkernel_backend::{Field, Result, Term, shape};
use zkernel_verifier::form::EvaluatedView;

use crate::columns::Columns;

fn inner_product<'a, F: Field>(
    a: impl IntoIterator<Item = &'a F>,
    b: impl IntoIterator<Item = &'a F>,
) -> F {
    a.into_iter().zip(b).map(|(a, b)| *a * b).sum()
}

pub(crate) fn dot<F: Field>(columns: &Columns<F>, vector: &Columns<F>) -> Result<Vec<F>> {
    shape::dot(columns.shape(), vector.shape())?;
    let product = |column| inner_product(column, &vector.cells);
    Ok(columns.iter().map(product).collect())
}

pub(crate) fn combine<F: Field>(
    sources: &[&Columns<F>],
    terms: &[Vec<Term<F>>],
    constants: &[F],
    rows: usize,
) -> Result<Columns<F>> {
    let shapes: Vec<shape::Shape> = sources.iter().map(|s| s.shape()).collect();
    shape::combine(&shapes, terms, constants.len(), rows)?;
    let read = |term: &Term<F>, row: usize| {
        term.coefficient * sources[term.column.batch].column(term.column.column)[row]
    };
    let cells = terms.iter().zip(constants).flat_map(|(terms, constant)| {
        (0..rows).map(move |row| *constant + terms.iter().map(|t| read(t, row)).sum::<F>())
    });
    Ok(Columns::new((terms.len(), rows), cells))
}

pub(crate) fn accumulate<F: Field>(
    target: &mut Columns<F>,
    width: usize,
    view: &EvaluatedView<F>,
) -> Result<()> {
    shape::accumulate(target.shape(), width, view)?;
    view.for_each(|position, coefficient| *target.at_mut(position, width) += coefficient);
    Ok(())
}

pub(crate) fn accumulate_sparse<F: Field>(
    target: &mut Columns<F>,
    width: usize,
    entries: &[(usize, F)],
) -> Result<()> {
    shape::accumulate_sparse(target.shape(), width, entries)?;
    for (position, coefficient) in entries {
        *target.at_mut(*position, width) += *coefficient;
    }
    Ok(())
}

pub(crate) fn contract<F: Field>(
    (source, source_width): (&Columns<F>, usize),
    outer: &[(usize, usize)],
    inner: &EvaluatedView<F>,
    (target, target_width): (&mut Columns<F>, usize),
    start: usize,
) -> Result<()> {
    let shapes = (source.shape(), target.shape());
    let outputs = shape::contract(
        shapes.0,
        source_width,
        outer,
        inner,
        shapes.1,
        target_width,
        start,
    )?;
    for j in 0..outputs {
        let offset = outer_offset(outer, j);
        let mut sum = F::ZERO;
        inner.for_each(|position, coefficient| {
            sum += coefficient * source.at(position + offset, source_width);
        });
        *target.at_mut(start + j, target_width) += sum;
    }
    Ok(())
}

/// `<j, outer>`, j row-major.
fn outer_offset(outer: &[(usize, usize)], mut j: usize) -> usize {
    let mut offset = 0;
    for (length, stride) in outer.iter().rev() {
        offset += j % length * stride;
        j /= length;
    }
    offset
}

pub(crate) fn cross_columns<F: Field>(f: &Columns<F>, a: &Columns<F>) -> Result<(F, F)> {
    shape::cross_columns(f.shape(), a.shape())?;
    let pairs = || (0..f.columns).step_by(2);
    let product = |i, j| inner_product(f.column(i), a.column(j));
    Ok((
        pairs().map(|q| product(q + 1, q)).sum(),
        pairs().map(|q| product(q, q + 1)).sum(),
    ))
}

pub(crate) fn fold_columns<F: Field>(columns: &Columns<F>, u: F) -> Result<Columns<F>> {
    shape::fold_columns(columns.shape())?;
    let pair = |q| columns.column(q).iter().zip(columns.column(q + 1));
    let cells = (0..columns.columns).step_by(2).flat_map(pair);
    let cells = cells.map(|(low, high)| *low + u * high);
    Ok(Columns::new((columns.columns / 2, columns.rows), cells))
}

pub(crate) fn cross_rows<F: Field>(f: &Columns<F>, a: &Columns<F>) -> Result<(F, F)> {
    shape::cross_rows(f.shape(), a.shape())?;
    let half = |c: &Columns<F>, odd| c.cells.iter().skip(odd).step_by(2).copied().collect();
    let product = |i: Vec<F>, j: Vec<F>| inner_product(&i, &j);
    Ok((
        product(half(f, 1), half(a, 0)),
        product(half(f, 0), half(a, 1)),
    ))
}

pub(crate) fn fold_rows<F: Field>(columns: &Columns<F>, u: F) -> Result<Columns<F>> {
    shape::fold_rows(columns.shape())?;
    let pairs = columns.cells.chunks_exact(2);
    let cells = pairs.map(|pair| pair[0] + u * pair[1]);
    Ok(Columns::new((columns.columns, columns.rows / 2), cells))
}

pub(crate) fn expand<F: Field>(f: &Columns<F>, weights: &[F]) -> Result<Columns<F>> {
    shape::expand(f.shape(), weights.len())?;
    let block = |scalar: F| weights.iter().map(move |weight| scalar * weight);
    let left = f.cells.chunks_exact(2).flat_map(|pair| [pair[1], F::ZERO]);
    let right = f.cells.chunks_exact(2).flat_map(|pair| [F::ZERO, pair[0]]);
    let cells = left.chain(right).flat_map(block);
    Ok(Columns::new((2, f.rows * weights.len()), cells))
}

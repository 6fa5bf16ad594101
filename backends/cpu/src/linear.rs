//! Inner products, combinations and linear forms.

use core::ops::Range;
use std::borrow::Cow;

use rayon::prelude::*;
use zkernel_backend::{ColumnRef, Field, Result, Term, shape};
use zkernel_verifier::form::{EvaluatedAxis, EvaluatedView};

use crate::columns::{Cells, Columns, by_column};
use crate::kernels::{self, Factors, INTEGER_BITS};
use crate::level::Level;

/// Cells below which one thread is enough.
pub(crate) const BLOCK: usize = 1024;

#[tracing::instrument(skip_all, fields(shape = ?columns.shape()))]
pub(crate) fn dot<F: Field>(
    level: Level,
    columns: &Columns<F>,
    vector: &Columns<F>,
) -> Result<Vec<F>> {
    shape::dot(columns.shape(), vector.shape())?;
    let vector = vector.full(level);
    let body = match columns.shape().0 {
        0 => 0,
        _ => columns.column(0).0.len(),
    };
    let (above, below) = vector.split_at(body);
    let factors = Factors::new(level, above);
    let product = |column| match columns.column(column) {
        (Cells::Small(bits, values), tail) if bits <= INTEGER_BITS => {
            factors.dot(values) + kernels::dot(level, tail, below)
        }
        _ => kernels::dot(level, &columns.full_column(level, column), &vector),
    };
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
    let shape = (terms.len(), rows);
    let cells = by_column(shape, |(output, cells)| {
        cells.fill(constants[output]);
        add_terms(level, sources, &terms[output], cells);
    });
    Ok(Columns::new(terms.len(), rows, cells))
}

/// Products of terms from which rows are worth more than one thread.
const PARALLEL_PRODUCTS: usize = 1 << 14;

/// Adds the terms of an output, row by row.
fn add_terms<F: Field>(level: Level, sources: &[&Columns<F>], terms: &[Term<F>], cells: &mut [F]) {
    let (mut integers, mut full) = (Vec::new(), Vec::new());
    for term in terms {
        let ColumnRef { batch, column } = term.column;
        match sources[batch].column(column) {
            (Cells::Small(bits, values), tail) if bits <= INTEGER_BITS => {
                integers.push((values, tail, term.coefficient));
            }
            _ => full.push((sources[batch].full_column(level, column), term.coefficient)),
        }
    }
    // Columns with blinding cells below and those without: one after the other.
    integers.sort_by_key(|(values, ..)| values.len());
    let add = |(block, cells): (usize, &mut [F]), length: usize| {
        let rows = block * length..block * length + cells.len();
        let columns = full.iter().map(|(column, c)| (&column[rows.clone()], *c));
        kernels::combine(level, cells, &columns.collect::<Vec<(&[F], F)>>());
        for group in integers.chunk_by(|(a, ..), (b, ..)| a.len() == b.len()) {
            add_integers(level, group, rows.clone(), cells);
        }
    };
    let length = cells.len();
    if terms.len() * length < PARALLEL_PRODUCTS {
        return add((0, cells), length);
    }
    let share = length
        .div_ceil(rayon::current_num_threads())
        .next_multiple_of(8);
    let blocks = cells.par_chunks_mut(share).enumerate();
    blocks.for_each(|block| add(block, share));
}

/// Adds some rows of columns of integers, as many of each, above field elements.
fn add_integers<F: Field>(
    level: Level,
    terms: &[(&[i64], &[F], F)],
    rows: Range<usize>,
    cells: &mut [F],
) {
    let body = terms.first().map_or(0, |(values, ..)| values.len());
    let start = rows.start.min(body);
    let (above, below) = cells.split_at_mut(rows.end.min(body) - start);
    let of_body = terms.iter().map(|(values, _, c)| (&values[start..], *c));
    kernels::combine_integers(level, above, &of_body.collect::<Vec<_>>());
    if !below.is_empty() {
        let first = rows.start.max(body) - body;
        let of_tail = terms.iter().map(|(_, tail, c)| (&tail[first..], *c));
        kernels::combine(level, below, &of_tail.collect::<Vec<_>>());
    }
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
    if view.axes.last().is_some_and(|last| last.stride != 1) {
        let mut place = Places::new(width, rows);
        view.for_each(|p, coefficient| cells[place.of(p)] += coefficient);
        return Ok(());
    }
    let mut runs = Runs {
        width,
        rows,
        found: Vec::new(),
    };
    let factors = runs.find(&view.axes, view.start, view.scale);
    let total: usize = runs.found.iter().map(|run| run.len).sum();
    if total < PARALLEL_PRODUCTS {
        runs.add(level, 0, cells, factors);
        return Ok(());
    }
    let share = cells.len().div_ceil(rayon::current_num_threads()).max(1);
    let parts = cells.par_chunks_mut(share).enumerate();
    parts.for_each(|(part, cells)| runs.add(level, part * share, cells, factors));
    Ok(())
}

/// Neighbouring cells that get a stretch of the innermost factors, times a scale.
struct Run<F> {
    cell: usize,
    len: usize,
    /// First of the factors.
    factor: usize,
    scale: F,
}

/// A view as runs of neighbouring cells.
struct Runs<F> {
    width: usize,
    rows: usize,
    found: Vec<Run<F>>,
}

impl<F: Field> Runs<F> {
    /// Collects the runs of a view; returns the innermost factors.
    fn find<'a>(&mut self, axes: &'a [EvaluatedAxis<F>], start: usize, scale: F) -> &'a [F] {
        match axes {
            [] => {
                self.push(start, 0, 1, scale);
                &[]
            }
            [last] => {
                self.push(start, 0, last.factor.len(), scale);
                &last.factor
            }
            [axis, inner @ ..] => {
                let mut factors: &[F] = &[];
                for (i, factor) in axis.factor.iter().enumerate() {
                    factors = self.find(inner, start + i * axis.stride, scale * factor);
                }
                factors
            }
        }
    }

    /// Cuts neighbouring positions at the ends of columns.
    fn push(&mut self, mut position: usize, mut factor: usize, mut left: usize, scale: F) {
        while left > 0 {
            let (column, row) = (position / self.width, position % self.width);
            let len = left.min(self.width - row);
            self.found.push(Run {
                cell: column * self.rows + row,
                len,
                factor,
                scale,
            });
            position += len;
            factor += len;
            left -= len;
        }
    }

    /// Adds what falls into these cells, the first of which is that one. Without factors every cell gets the scale.
    fn add(&self, level: Level, first: usize, cells: &mut [F], factors: &[F]) {
        let end = first + cells.len();
        for run in &self.found {
            let (from, to) = (run.cell.max(first), (run.cell + run.len).min(end));
            if from >= to {
                continue;
            }
            let cells = &mut cells[from - first..to - first];
            let skipped = run.factor + from - run.cell;
            match factors.get(skipped..skipped + cells.len()) {
                Some(factors) => kernels::combine(level, cells, &[(factors, run.scale)]),
                None => cells.iter_mut().for_each(|cell| *cell += run.scale),
            }
        }
    }
}

/// Where positions are among the cells: neighbours are without a division.
struct Places {
    width: usize,
    rows: usize,
    /// First position of the last column, and its first cell.
    last: (usize, usize),
}

impl Places {
    const fn new(width: usize, rows: usize) -> Self {
        Self {
            width,
            rows,
            last: (0, 0),
        }
    }

    /// The cell at column `p / width`, row `p mod width`.
    #[inline]
    const fn of(&mut self, p: usize) -> usize {
        let row = p.wrapping_sub(self.last.0);
        if row < self.width {
            return self.last.1 + row;
        }
        let column = p / self.width;
        self.last = (column * self.width, column * self.rows);
        self.last.1 + p % self.width
    }
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
    let mut place = Places::new(width, rows);
    for (p, coefficient) in entries {
        cells[place.of(*p)] += *coefficient;
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
    let offsets: Vec<usize> = (0..outputs).map(|j| offset(outer, j)).collect();
    // Nothing but what is read is made dense: a track may be many times that.
    let positions = || entries.iter().map(|(position, _)| *position);
    let first = positions().min().unwrap_or(0);
    let end = positions().max().map_or(0, |last| last + 1) + offsets.iter().max().unwrap_or(&0);
    let positions = first..end.max(first);
    let integers = source.integers(source_width, positions.clone());
    let dense = match integers {
        Some(_) => Cow::default(),
        None => source.dense(level, source_width, positions),
    };
    entries
        .iter_mut()
        .for_each(|(position, _)| *position -= first);
    let least = BLOCK.div_ceil(entries.len().max(1));
    let share = outputs.div_ceil(4 * rayon::current_num_threads());
    let least = least.max(share).next_multiple_of(8);
    let sums: Vec<Vec<F>> = offsets
        .par_chunks(least)
        .map(|offsets| match &integers {
            Some(cells) => kernels::contract_integers(level, cells, &entries, offsets),
            None => kernels::contract(level, &dense, &entries, offsets),
        })
        .collect();
    let sums = sums.into_iter().flatten();
    let written = target.full_mut(level);
    let mut place = Places::new(target_width, to.1);
    for (j, sum) in sums.enumerate() {
        written[place.of(start + j)] += sum;
    }
    Ok(())
}

/// `<j, outer>`, j row-major.
fn offset(outer: &[(usize, usize)], j: usize) -> usize {
    let step = |(offset, j): (usize, usize), (length, stride): &(usize, usize)| {
        (offset + j % length * stride, j / length)
    };
    outer.iter().rev().fold((0, j), step).0
}

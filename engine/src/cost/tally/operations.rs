//! The operations of the counting backend: what each costs, and the shape of what it gives.

use std::collections::BTreeSet;

use ff::Field as _;
use group::{Curve as _, Group as _};
use zkernel_backend::{Backend, Body, ColumnRef, HostColumns, Result, Scalar, Term, shape};
use zkernel_verifier::curve::{Curve, Point};
use zkernel_verifier::expression::Program;
use zkernel_verifier::form::EvaluatedView;

use super::{Batch, FIELD_BYTES, POINT_BYTES, SMALL_BITS, TalliedBases, Tally, cell_bytes};
use crate::cost::unit::{FULL, HALF, Operation, SMALL, Unit};

impl<C: Curve> Backend<C> for Tally {
    type Columns = Batch;
    type Bases = TalliedBases;
    type Kernel = Program;

    fn name(&self) -> String {
        "tally".into()
    }

    fn upload(&self, host: &HostColumns<Scalar<C>>) -> Result<Batch> {
        shape::upload(host)?;
        let (width, density) = measure(&host.body);
        let shape = (host.columns, host.rows);
        self.cells(Operation::Copy, host.rows * host.columns, shape, width);
        let batch = self.batch(host.columns, host.rows, width);
        Ok(Batch { density, ..batch })
    }

    fn zeros(&self, columns: usize, rows: usize) -> Result<Batch> {
        let batch = self.batch(columns, rows, 0);
        Ok(Batch {
            density: 0.0,
            ..batch
        })
    }

    fn shape(&self, columns: &Batch) -> (usize, usize) {
        (columns.columns, columns.rows)
    }

    fn read(&self, columns: &Batch) -> Result<Vec<Scalar<C>>> {
        self.cells(Operation::Copy, columns.cells(), columns.shape(), FULL);
        Ok(vec![Scalar::<C>::ZERO; columns.cells()])
    }

    fn gather(&self, sources: &[&Batch], chosen: &[ColumnRef]) -> Result<Batch> {
        let width = chosen.iter().map(|c| sources[c.batch].width).max();
        let width = width.unwrap_or(0);
        let rows = sources.first().map_or(0, |s| s.rows);
        let widened = |c: &&ColumnRef| width >= HALF && sources[c.batch].width < HALF;
        let small = chosen.iter().filter(widened).count() * rows;
        let shape = (chosen.len(), rows);
        self.cells(Operation::Copy, chosen.len() * rows - small, shape, width);
        self.cells(Operation::Widen, small, shape, FULL);
        self.transient(chosen.len() * rows * cell_bytes(width));
        Ok(self.batch(chosen.len(), rows, width))
    }

    fn load_bases(&self, points: &[C]) -> Result<TalliedBases> {
        self.plain(Operation::LoadBase, points.len());
        Ok(self.bases(points.len(), true))
    }

    fn commit(
        &self,
        bases: &TalliedBases,
        batches: &[&Batch],
        extra: &[Vec<Scalar<C>>],
    ) -> Result<Vec<C>> {
        let operation = if bases.tabled {
            Operation::Commit
        } else {
            Operation::CommitFolded
        };
        let total = batches.iter().map(|b| b.columns).sum();
        for batch in batches {
            let unit = Unit {
                operation,
                log_rows: log_of(batch.rows),
                width: batch.width,
                lanes: 0,
            };
            let dense = batch.columns as f64 * share_of_dense(batch.density);
            self.shared_columns(unit, dense, total);
            // Every digit of every cell with its point, on each thread.
            let digits = 1 + batch.width.min(HALF) as usize / 12;
            self.transient(self.threads * batch.rows * digits * (POINT_BYTES + 8));
        }
        Ok(Self::points(extra.len()))
    }

    fn commit_dictionary(
        &self,
        _bases: &TalliedBases,
        indices: &[u32],
        _dictionary: &Batch,
        tails: &[Vec<Scalar<C>>],
        _extra: &[Vec<Scalar<C>>],
    ) -> Result<Vec<C>> {
        let rows = indices.len().checked_div(tails.len()).unwrap_or(0);
        for (column, tail) in indices.chunks(rows.max(1)).zip(tails) {
            let body = column.iter().take(rows - tail.len());
            let used: BTreeSet<&u32> = body.collect();
            for (width, share) in between(used.len()) {
                let unit = Unit {
                    operation: Operation::CommitDictionary,
                    log_rows: log_of(rows),
                    width,
                    lanes: 0,
                };
                self.shared_columns(unit, share, tails.len());
            }
        }
        Ok(Self::points(tails.len()))
    }

    /// Between two powers of two, a share of each.
    fn msm(&self, points: &[C], scalars: &[Scalar<C>]) -> Result<C> {
        let width = scalars.iter().map(bits_of).max().unwrap_or(0);
        for (log_rows, share) in between(points.len()) {
            let unit = Unit {
                log_rows,
                width: if width > SMALL_BITS { FULL } else { width },
                ..Unit::plain(Operation::Msm)
            };
            self.add(unit, share);
        }
        Ok(Point::<C>::generator().to_affine())
    }

    fn interpolate(&self, values: &Batch) -> Result<Batch> {
        Ok(self.transform(Operation::Interpolate, values))
    }

    fn coset_evaluate(&self, coefficients: &Batch, _shift: Scalar<C>) -> Result<Batch> {
        Ok(self.transform(Operation::CosetEvaluate, coefficients))
    }

    fn prepare(&self, program: &Program) -> Result<Program> {
        Ok(program.clone())
    }

    fn run(
        &self,
        kernel: &Program,
        inputs: &[&Batch],
        _constants: &[Scalar<C>],
        weights: &[Scalar<C>],
        accumulator: &mut Batch,
    ) -> Result<()> {
        inputs.iter().for_each(|input| self.widen(input));
        self.widen_target(accumulator, accumulator.cells());
        // The weighted sum is one more.
        let instructions = kernel.instructions.len() + 1;
        let cells = weights.len() * accumulator.rows;
        let shape = (weights.len(), accumulator.rows);
        self.cells(Operation::Instruction, instructions * cells, shape, FULL);
        Ok(())
    }

    fn multiply(&self, a: &Batch, b: &Batch) -> Result<Batch> {
        self.widen(a);
        self.widen(b);
        self.cells(Operation::Multiply, a.cells(), a.shape(), FULL);
        self.transient(a.cells() * FIELD_BYTES);
        let product = self.batch(a.columns, a.rows, FULL);
        let density = a.density.min(b.density);
        Ok(Batch { density, ..product })
    }

    fn invert(&self, columns: &Batch, _constant: Scalar<C>) -> Result<Batch> {
        self.widen(columns);
        self.cells(Operation::Invert, columns.cells(), columns.shape(), FULL);
        Ok(self.batch(columns.columns, columns.rows, FULL))
    }

    fn take(
        &self,
        indices: &[u32],
        _dictionary: &Batch,
        tails: &[Vec<Scalar<C>>],
        rows: usize,
    ) -> Result<Batch> {
        self.cells(Operation::Take, indices.len(), (tails.len(), rows), FULL);
        Ok(self.batch(tails.len(), rows, FULL))
    }

    fn dot(&self, columns: &Batch, _vector: &Batch) -> Result<Vec<Scalar<C>>> {
        let (shape, width) = (columns.shape(), columns.width);
        self.cells(Operation::Dot, columns.cells(), shape, width);
        Ok(vec![Scalar::<C>::ZERO; columns.columns])
    }

    fn combine(
        &self,
        sources: &[&Batch],
        terms: &[Vec<Term<Scalar<C>>>],
        constants: &[Scalar<C>],
        rows: usize,
    ) -> Result<Batch> {
        let all = || terms.iter().flatten();
        let small = |term: &&Term<Scalar<C>>| sources[term.column.batch].width < HALF;
        let integers = all().filter(small).count();
        for (count, width) in [(all().count() - integers, FULL), (integers, SMALL)] {
            self.cells(Operation::Combine, count * rows, (count, rows), width);
        }
        self.transient(terms.len() * rows * FIELD_BYTES);
        let combined = self.batch(terms.len(), rows, FULL);
        let sparse = constants.iter().all(|c| c.is_zero_vartime());
        let read = terms.iter().flatten().map(|t| &sources[t.column.batch]);
        let of_sources: f64 = read.map(|source| source.density).sum();
        let density = if sparse {
            (of_sources / terms.len().max(1) as f64).min(1.0)
        } else {
            1.0
        };
        Ok(Batch {
            density,
            ..combined
        })
    }

    fn accumulate(
        &self,
        target: &mut Batch,
        _width: usize,
        view: &EvaluatedView<Scalar<C>>,
    ) -> Result<()> {
        self.widen_target(target, terms(view));
        let last = view.axes.last();
        let length = last.map_or(1, |axis| axis.factor.len());
        let apart = last.is_some_and(|axis| axis.stride != 1);
        let count = terms(view);
        let columns = count.checked_div(length).unwrap_or(0);
        let width = if apart { 2 } else { 1 };
        let unit = Unit::of_cells(Operation::Accumulate, length, columns, width);
        self.add(unit, count as f64);
        Ok(())
    }

    fn accumulate_sparse(
        &self,
        target: &mut Batch,
        _width: usize,
        entries: &[(usize, Scalar<C>)],
    ) -> Result<()> {
        if !entries.is_empty() {
            self.widen_target(target, entries.len());
        }
        self.plain(Operation::AccumulateSparse, entries.len());
        Ok(())
    }

    fn contract(
        &self,
        source: &Batch,
        _source_width: usize,
        outer: &[(usize, usize)],
        inner: &EvaluatedView<Scalar<C>>,
        target: &mut Batch,
        _target_width: usize,
        _start: usize,
    ) -> Result<()> {
        let outputs: usize = outer.iter().map(|(length, _)| length).product();
        let entries = terms(inner);
        if outputs == 0 || entries == 0 {
            return Ok(());
        }
        self.widen_target(target, outputs);
        let shape = (entries, outputs);
        self.cells(Operation::Contract, outputs * entries, shape, source.width);
        self.transient(outputs * FIELD_BYTES + entries * (FIELD_BYTES + 8));
        Ok(())
    }

    fn cross_columns(&self, f: &Batch, a: &Batch) -> Result<(Scalar<C>, Scalar<C>)> {
        self.widen(f);
        self.widen(a);
        self.cells(Operation::Cross, f.cells() / 2, f.shape(), FULL);
        Ok((Scalar::<C>::ZERO, Scalar::<C>::ZERO))
    }

    fn fold_columns(&self, columns: &Batch, _u: Scalar<C>) -> Result<Batch> {
        self.widen(columns);
        self.cells(Operation::Fold, columns.cells() / 2, columns.shape(), FULL);
        self.transient(columns.cells() / 2 * FIELD_BYTES);
        Ok(self.batch(columns.columns / 2, columns.rows, FULL))
    }

    fn cross_rows(&self, f: &Batch, a: &Batch) -> Result<(Scalar<C>, Scalar<C>)> {
        self.widen(f);
        self.widen(a);
        self.cells(Operation::Cross, f.cells() / 2, f.shape(), FULL);
        Ok((Scalar::<C>::ZERO, Scalar::<C>::ZERO))
    }

    fn fold_rows(&self, columns: &Batch, _u: Scalar<C>) -> Result<Batch> {
        self.widen(columns);
        self.cells(Operation::Fold, columns.cells() / 2, columns.shape(), FULL);
        Ok(self.batch(columns.columns, columns.rows / 2, FULL))
    }

    fn expand(&self, f: &Batch, weights: &[Scalar<C>]) -> Result<Batch> {
        self.widen(f);
        let rows = f.rows * weights.len();
        self.cells(Operation::Expand, rows, (weights.len(), f.rows), FULL);
        Ok(self.batch(2, rows, HALF))
    }

    fn fold_bases(
        &self,
        bases: &TalliedBases,
        rows: usize,
        weights: &[Scalar<C>],
    ) -> Result<TalliedBases> {
        let unit = Unit {
            operation: Operation::FoldBase,
            log_rows: log_of(rows),
            width: log_of(weights.len()),
            lanes: 0,
        };
        self.add(unit, rows as f64);
        let kept = bases.len.saturating_sub(rows);
        // Eight multiples of every base.
        self.transient(rows * 8 * POINT_BYTES);
        Ok(self.bases(rows / weights.len().max(1) + kept, false))
    }
}

fn terms<F>(view: &EvaluatedView<F>) -> usize {
    view.axes.iter().map(|axis| axis.factor.len()).product()
}

/// Bits of twice the mean magnitude of the cells that are not zero, which is what uniform cells of the same cost would
/// have, and the share of these cells.
fn measure<F: zkernel_verifier::curve::Field>(body: &Body<F>) -> (u32, f64) {
    let share = |nonzero: usize| nonzero as f64 / body.len().max(1) as f64;
    match body {
        Body::Full(values) => {
            let nonzero = values.iter().filter(|v| !v.is_zero_vartime());
            (FULL, share(nonzero.count()))
        }
        Body::Small { values, .. } => {
            let sum: u128 = values.iter().map(|v| u128::from(v.unsigned_abs())).sum();
            let nonzero = values.iter().filter(|v| **v != 0).count();
            let mean = 2 * sum / (nonzero.max(1) as u128);
            (128 - mean.leading_zeros(), share(nonzero))
        }
    }
}

/// Bits of the magnitude of a field element.
fn bits_of<F: zkernel_verifier::curve::Field>(value: &F) -> u32 {
    let bits = |v: F| {
        let repr = v.to_repr();
        let top = repr.iter().rposition(|byte| *byte != 0);
        top.map_or(0, |i| 8 * (i as u32 + 1) - repr[i].leading_zeros())
    };
    bits(*value).min(bits(-*value))
}

/// The two powers of two around a number, each with its share of it.
fn between(number: usize) -> [(u32, f64); 2] {
    let below = number.max(1).ilog2();
    let above = number.max(1) as f64 / (1u64 << below) as f64 - 1.0;
    [(below, 1.0 - above), (below + 1, above)]
}

/// What columns of that density cost of what dense ones do: adding up buckets is always there.
fn share_of_dense(density: f64) -> f64 {
    0.1 + 0.9 * density
}

pub(super) fn log_of(rows: usize) -> u32 {
    rows.max(1).next_power_of_two().trailing_zeros()
}

//! Prices of linear algebra, gate programs and forms, at the shape of their columns.

use ff::Field as _;
use zkernel_backend::{Backend, Body, ColumnRef, Scalar, Term};
use zkernel_verifier::curve::Curve;
use zkernel_verifier::expression::{Instruction, Operand, Operation as Arithmetic, Program};
use zkernel_verifier::form::{EvaluatedAxis, EvaluatedView};

use super::{Bench, Elsewhere, FEWEST, shortest, shortest_of};
use crate::cost::unit::{FULL, HALF, Operation, SMALL, Unit};
use crate::error::Result;

/// Different cells of a batch: what linear algebra costs does not depend on them.
const DIFFERENT: usize = 1 << 10;
/// Cells below which a batch is hardly ever used but right after it is made.
const NEAR: usize = 1 << 13;
/// Cells of batches from which each that is made is kept until the last is, and how many of them there are room for. A backend may keep
/// the memory of a batch that is gone for the next one, but hardly so much: a prover that makes another large batch finds that
/// others have taken it.
const LARGE: usize = 1 << 16;
const KEPT: usize = 1 << 20;
/// Rows of the table that cells are taken from.
const DICTIONARY: usize = 1 << 8;

impl<C: Curve, B: Backend<C>> Bench<'_, C, B> {
    /// Seconds of one cell, product or term.
    pub(super) fn linear(&mut self, unit: &Unit) -> Result<f64> {
        let (rows, columns) = (1usize << unit.log_rows, 1usize << unit.lanes);
        let seconds = match unit.operation {
            Operation::Instruction => self.instructions(columns, rows)?,
            Operation::Accumulate => self.accumulate(columns, rows, unit.width as usize)?,
            Operation::AccumulateSparse => return self.accumulate_sparse(),
            Operation::Contract => self.contract(columns, rows, unit.width)?,
            Operation::Multiply | Operation::Cross => self.two_batches(unit, columns, rows)?,
            Operation::Expand => self.expand(columns, rows)?,
            Operation::Take => self.take(columns, rows)?,
            Operation::Widen => self.widen(columns, rows)?,
            Operation::Clear => self.clear(columns, rows)?,
            _ => self.one_batch(unit, columns, rows)?,
        };
        Ok(seconds / (columns * rows) as f64)
    }

    /// Columns of cells that repeat.
    fn cells(&mut self, columns: usize, rows: usize, width: u32) -> Result<B::Columns> {
        let cells = columns * rows;
        let body = if width >= HALF {
            let few: Vec<Scalar<C>> = (0..DIFFERENT).map(|_| self.noise.field()).collect();
            Body::Full(few.into_iter().cycle().take(cells).collect())
        } else {
            Body::small((0..cells).map(|_| self.noise.signed(width)).collect())
        };
        self.upload(columns, rows, body)
    }

    fn factors(&mut self, count: usize) -> Vec<Scalar<C>> {
        (0..count).map(|_| self.noise.field()).collect()
    }

    /// Memory that an operation on so many cells has left by the time that it is done again. Small batches stay in reach.
    fn elsewhere(&self, cells: usize) -> Elsewhere {
        match cells {
            0..NEAR => self.elsewhere.clone(),
            _ => self.elsewhere.beside(cells * size_of::<Scalar<C>>()),
        }
    }

    /// The shortest time to make a batch of so many cells.
    fn made<T, E>(
        &self,
        cells: usize,
        mut make: impl FnMut() -> std::result::Result<T, E>,
    ) -> Result<f64>
    where
        crate::Error: From<E>,
    {
        let elsewhere = self.elsewhere(cells);
        if cells < LARGE {
            return shortest(&elsewhere, || make().map(drop));
        }
        let mut kept = Vec::new();
        let most = (KEPT / cells).max(FEWEST);
        shortest_of(most, &elsewhere, || make().map(|batch| kept.push(batch)))
    }

    fn one_batch(&mut self, unit: &Unit, columns: usize, rows: usize) -> Result<f64> {
        let batch = self.cells(columns, rows, unit.width)?;
        let factor = self.noise.field();
        let backend = self.backend;
        match unit.operation {
            Operation::Invert => self.made(columns * rows, || backend.invert(&batch, factor)),
            Operation::Dot => {
                let vector = self.cells(1, rows, FULL)?;
                self.made(columns * rows, || backend.dot(&batch, &vector))
            }
            Operation::Combine => self.combine(&batch, columns, rows),
            // Of two cells one product.
            Operation::Fold if columns > 1 => {
                Ok(2.0 * self.made(columns * rows, || backend.fold_columns(&batch, factor))?)
            }
            Operation::Fold => {
                Ok(2.0 * self.made(columns * rows, || backend.fold_rows(&batch, factor))?)
            }
            _ => {
                let all = all_columns(0, columns);
                self.made(columns * rows, || backend.gather(&[&batch], &all))
            }
        }
    }

    fn two_batches(&mut self, unit: &Unit, columns: usize, rows: usize) -> Result<f64> {
        let [a, b] = [
            self.cells(columns, rows, FULL)?,
            self.cells(columns, rows, FULL)?,
        ];
        let backend = self.backend;
        Ok(match unit.operation {
            Operation::Multiply => self.made(columns * rows, || backend.multiply(&a, &b))?,
            // Of two cells of each batch two products.
            _ if columns > 1 => {
                2.0 * self.made(columns * rows, || backend.cross_columns(&a, &b))?
            }
            _ => 2.0 * self.made(columns * rows, || backend.cross_rows(&a, &b))?,
        })
    }

    fn combine(&mut self, source: &B::Columns, columns: usize, rows: usize) -> Result<f64> {
        let terms = all_columns(0, columns).into_iter().map(|column| {
            let coefficient = self.noise.field();
            vec![Term {
                column,
                coefficient,
            }]
        });
        let terms: Vec<_> = terms.collect();
        let zeros = vec![Scalar::<C>::ZERO; columns];
        let combine = || self.backend.combine(&[source], &terms, &zeros, rows);
        self.made(columns * rows, combine)
    }

    /// Small columns beside one of field elements, whose share is taken off.
    fn widen(&mut self, columns: usize, rows: usize) -> Result<f64> {
        let full = self.cells(1, rows, FULL)?;
        let small = self.cells(columns, rows, SMALL)?;
        let mut chosen = all_columns(1, columns);
        chosen.push(ColumnRef {
            batch: 0,
            column: 0,
        });
        let cells = columns * rows;
        let seconds = self.made(cells + rows, || {
            self.backend.gather(&[&full, &small], &chosen)
        })?;
        Ok(seconds * cells as f64 / (cells + rows) as f64)
    }

    /// A batch of zeros, and one cell of it written to.
    fn clear(&self, columns: usize, rows: usize) -> Result<f64> {
        let one = [(0, Scalar::<C>::ONE)];
        self.made(columns * rows, || {
            let mut zeros = self.backend.zeros(columns, rows)?;
            self.backend.accumulate_sparse(&mut zeros, rows, &one)?;
            Ok::<_, crate::Error>(zeros)
        })
    }

    fn take(&mut self, columns: usize, rows: usize) -> Result<f64> {
        let dictionary = self.cells(1, DICTIONARY, FULL)?;
        let cells = 0..columns * rows;
        let indices: Vec<u32> = cells.map(|i| (i * 31 % DICTIONARY) as u32).collect();
        let tails = vec![Vec::new(); columns];
        let take = || self.backend.take(&indices, &dictionary, &tails, rows);
        self.made(columns * rows, take)
    }

    fn expand(&mut self, weights: usize, rows: usize) -> Result<f64> {
        // Rows come in pairs.
        let column = self.cells(1, rows.max(2), FULL)?;
        let weights = self.factors(weights);
        self.made(weights.len() * rows, || {
            self.backend.expand(&column, &weights)
        })
    }

    /// The gate of a lookup, `h (beta + f) - 1`, and its sum with a weight: four instructions.
    fn instructions(&mut self, lanes: usize, rows: usize) -> Result<f64> {
        let step = |operation, a, b| Instruction { operation, a, b };
        let program = Program {
            inputs: 2,
            constants: 2,
            instructions: vec![
                step(Arithmetic::Add, Operand::Constant(0), Operand::Input(0)),
                step(Arithmetic::Mul, Operand::Input(1), Operand::Result(0)),
                step(Arithmetic::Sub, Operand::Result(1), Operand::Constant(1)),
            ],
            output: Operand::Result(2),
        };
        let kernel = self.backend.prepare(&program)?;
        let inputs = [
            self.cells(lanes, rows, FULL)?,
            self.cells(lanes, rows, FULL)?,
        ];
        let mut sum = self.cells(1, rows, FULL)?;
        let (constants, weights) = (self.factors(2), self.factors(lanes));
        let inputs = [&inputs[0], &inputs[1]];
        let (backend, elsewhere) = (self.backend, self.elsewhere(2 * lanes * rows));
        let mut run = || backend.run(&kernel, &inputs, &constants, &weights, &mut sum);
        Ok(shortest(&elsewhere, &mut run)? / 4.0)
    }

    fn axis(&mut self, stride: usize, length: usize) -> EvaluatedAxis<Scalar<C>> {
        EvaluatedAxis {
            stride,
            factor: self.factors(length),
        }
    }

    fn accumulate(&mut self, columns: usize, rows: usize, stride: usize) -> Result<f64> {
        let height = rows * stride;
        let mut target = self.cells(columns, height, FULL)?;
        let view = view(vec![self.axis(height, columns), self.axis(stride, rows)]);
        let elsewhere = self.elsewhere(columns * rows);
        shortest(&elsewhere, || {
            self.backend.accumulate(&mut target, height, &view)
        })
    }

    fn accumulate_sparse(&mut self) -> Result<f64> {
        let entries: Vec<_> = self.factors(DIFFERENT).into_iter().enumerate().collect();
        let mut target = self.cells(1, DIFFERENT, FULL)?;
        let add = || {
            self.backend
                .accumulate_sparse(&mut target, DIFFERENT, &entries)
        };
        Ok(shortest(&self.elsewhere, add)? / DIFFERENT as f64)
    }

    fn contract(&mut self, entries: usize, outputs: usize, width: u32) -> Result<f64> {
        let source = self.cells(entries, outputs, width)?;
        let mut target = self.cells(1, outputs, FULL)?;
        let view = view(vec![self.axis(outputs, entries)]);
        let outer = [(outputs, 1)];
        let (backend, elsewhere) = (self.backend, self.elsewhere(entries * outputs));
        shortest(&elsewhere, || {
            backend.contract(&source, outputs, &outer, &view, &mut target, outputs, 0)
        })
    }
}

const fn view<F: ff::Field>(axes: Vec<EvaluatedAxis<F>>) -> EvaluatedView<F> {
    EvaluatedView {
        start: 0,
        axes,
        scale: F::ONE,
    }
}

fn all_columns(batch: usize, columns: usize) -> Vec<ColumnRef> {
    (0..columns)
        .map(|column| ColumnRef { batch, column })
        .collect()
}

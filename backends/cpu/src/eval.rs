//! Gate programs over row blocks, and cell-by-cell arithmetic.

use rayon::prelude::*;
use std::borrow::Cow;
use zkernel_backend::{Field, Result, shape};
use zkernel_verifier::expression::{Operand, Operation, Program};

use crate::columns::Columns;
use crate::kernels::{self, Run};
use crate::level::Level;
#[cfg(target_arch = "x86_64")]
use crate::packed::program::Bounded;

/// Rows interpreted together, and cells below which one thread is enough.
const BLOCK: usize = 256;

/// A gate program, and how packed lanes run it.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub(crate) program: Program,
    #[cfg(target_arch = "x86_64")]
    pub(crate) bounded: Bounded,
}

impl Kernel {
    pub(crate) fn new(program: &Program) -> Self {
        Self {
            program: program.clone(),
            #[cfg(target_arch = "x86_64")]
            bounded: Bounded::new(program),
        }
    }
}

#[tracing::instrument(skip_all, fields(lanes = weights.len(), instructions = kernel.program.instructions.len()))]
pub(crate) fn run<F: Field>(
    level: Level,
    kernel: &Kernel,
    inputs: &[&Columns<F>],
    (constants, weights): (&[F], &[F]),
    accumulator: &mut Columns<F>,
) -> Result<()> {
    let shapes: Vec<shape::Shape> = inputs.iter().map(|i| i.shape()).collect();
    let target = accumulator.shape();
    shape::run(
        &kernel.program,
        &shapes,
        constants.len(),
        weights.len(),
        target,
    )?;
    let inputs: Vec<Cow<'_, [F]>> = inputs.iter().map(|i| i.full(level)).collect();
    let inputs: Vec<&[F]> = inputs.iter().map(|i| &**i).collect();
    let rows = target.1;
    let blocks = accumulator.full_mut(level).par_chunks_mut(BLOCK);
    blocks.enumerate().for_each(|(block, sums)| {
        let start = |lane: usize| lane * rows + block * BLOCK;
        let lanes: Vec<(F, usize)> = (0..)
            .map(start)
            .zip(weights)
            .map(|(s, w)| (*w, s))
            .collect();
        let run = Run {
            kernel,
            inputs: &inputs,
            constants,
            lanes: &lanes,
        };
        kernels::run(level, &run, sums);
    });
    Ok(())
}

/// A block of at most [`BLOCK`] rows of one lane.
pub(crate) struct Lane<'a, F> {
    pub(crate) run: &'a Run<'a, F>,
    pub(crate) start: usize,
    pub(crate) rows: usize,
}

impl<F: Field> Lane<'_, F> {
    /// The results of all instructions, [`BLOCK`] rows each.
    pub(crate) fn interpret(&self, results: &mut Vec<F>) {
        let instructions = &self.run.kernel.program.instructions;
        results.resize(instructions.len() * BLOCK, F::ZERO);
        for (index, instruction) in instructions.iter().enumerate() {
            let (known, fresh) = results.split_at_mut(index * BLOCK);
            for (row, cell) in fresh[..self.rows].iter_mut().enumerate() {
                let a = self.read(instruction.a, known, row);
                let b = self.read(instruction.b, known, row);
                *cell = match instruction.operation {
                    Operation::Add => a + b,
                    Operation::Sub => a - b,
                    Operation::Mul => a * b,
                };
            }
        }
    }

    pub(crate) fn read(&self, operand: Operand, results: &[F], row: usize) -> F {
        match operand {
            Operand::Input(i) => self.run.inputs[usize::from(i)][self.start + row],
            Operand::Constant(i) => self.run.constants[usize::from(i)],
            Operand::Result(i) => results[usize::from(i) * BLOCK + row],
        }
    }
}

#[tracing::instrument(skip_all, fields(shape = ?a.shape()))]
pub(crate) fn multiply<F: Field>(
    level: Level,
    a: &Columns<F>,
    b: &Columns<F>,
) -> Result<Columns<F>> {
    shape::same("multiply", a.shape(), b.shape())?;
    let (mut cells, other) = (a.copied(level), b.full(level));
    let blocks = cells.par_chunks_mut(BLOCK).zip(other.par_chunks(BLOCK));
    blocks.for_each(|(a, b)| kernels::multiply(level, a, b));
    Ok(Columns::new(a.shape().0, a.shape().1, cells))
}

#[tracing::instrument(skip_all, fields(shape = ?columns.shape()))]
pub(crate) fn invert<F: Field>(level: Level, columns: &Columns<F>, constant: F) -> Columns<F> {
    let mut cells = columns.copied(level);
    cells.par_chunks_mut(4 * BLOCK).for_each(|block| {
        kernels::invert(level, block, constant);
    });
    Columns::new(columns.shape().0, columns.shape().1, cells)
}

/// Inverts all but the zeros with one inversion.
pub(crate) fn invert_block<F: Field>(cells: &mut [F]) {
    let mut product = F::ONE;
    let mut before = Vec::with_capacity(cells.len());
    for cell in cells.iter() {
        before.push(product);
        if !cell.is_zero_vartime() {
            product *= cell;
        }
    }
    let mut inverse = product.invert().unwrap_or(F::ZERO);
    for (cell, before) in cells.iter_mut().zip(before).rev() {
        if !cell.is_zero_vartime() {
            let own = inverse * before;
            inverse *= *cell;
            *cell = own;
        }
    }
}

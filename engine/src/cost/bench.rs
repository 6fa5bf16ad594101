//! The price of one unit, measured with made-up cells of the right size and width.

use std::collections::BTreeMap;
use std::time::Instant;

use ff::Field as _;
use group::{Curve as _, Group as _};
use rayon::prelude::*;
use zkernel_backend::{Backend, Body, ColumnRef, HostColumns, Scalar, Term};
use zkernel_verifier::curve::{Curve, Generators, Point, signed};
use zkernel_verifier::expression::{Instruction, Operand, Operation as Arithmetic, Program};
use zkernel_verifier::form::{EvaluatedAxis, EvaluatedView};

use super::stand_in::Noise;
use super::unit::{CACHED, FULL, HALF, Operation, Unit};
use crate::error::Result;

/// A measurement is repeated this often, and the shortest time taken: what else the machine does is not the price.
const REPETITIONS: usize = 8;
/// After so many, no more if they have taken [`LONG`] seconds.
const FEWEST: usize = 2;
const LONG: f64 = 0.05;
/// Cells of the batches that forms are measured on.
const CELLS: usize = 1 << CACHED;
const ROWS: usize = 1 << 8;

/// A backend with bases to measure on.
pub(super) struct Bench<'b, C: Curve, B: Backend<C>> {
    backend: &'b B,
    noise: Noise,
    points: Vec<C>,
    tabled: BTreeMap<usize, B::Bases>,
}

impl<'b, C: Curve, B: Backend<C>> Bench<'b, C, B> {
    pub(super) const fn new(backend: &'b B) -> Self {
        Self {
            backend,
            noise: Noise(3),
            points: Vec::new(),
            tabled: BTreeMap::new(),
        }
    }

    pub(super) fn price(&mut self, unit: &Unit) -> Result<f64> {
        match unit.operation {
            Operation::Generator => generator::<C>(),
            Operation::LoadBase => self.load_base(),
            Operation::FoldBase => self.fold_base(unit),
            Operation::Commit | Operation::CommitFolded => self.commit(unit),
            Operation::CommitDictionary => self.commit_dictionary(unit),
            Operation::Msm => self.msm(unit),
            Operation::Interpolate | Operation::CosetEvaluate => self.transform(unit),
            Operation::Instruction => self.instruction(),
            Operation::Accumulate | Operation::AccumulateSparse | Operation::Contract => {
                self.forms(unit)
            }
            _ => self.cells(unit),
        }
    }

    /// Points nobody need know the logarithms of, that differ: `P_{i+1} = 2 P_i + G`.
    fn grow_points(&mut self, count: usize) {
        if self.points.len() < count {
            let generator = Point::<C>::generator();
            let next = |p: &Point<C>| Some(p.double() + generator);
            let points: Vec<_> = std::iter::successors(Some(generator), next)
                .take(count)
                .collect();
            self.points = vec![C::identity(); count];
            Point::<C>::batch_normalize(&points, &mut self.points);
        }
    }

    fn load_base(&mut self) -> Result<f64> {
        let count = 1 << 9;
        self.grow_points(count);
        let points = &self.points[..count];
        let seconds = shortest(|| self.backend.load_bases(points).map(drop))?;
        Ok(seconds / count as f64)
    }

    /// Bases for columns of that many rows, and two more.
    fn bases(&mut self, rows: usize) -> Result<&B::Bases> {
        self.grow_points(rows + 2);
        if !self.tabled.contains_key(&rows) {
            let bases = self.backend.load_bases(&self.points[..rows + 2])?;
            self.tabled.insert(rows, bases);
        }
        Ok(&self.tabled[&rows])
    }

    fn fold_base(&mut self, unit: &Unit) -> Result<f64> {
        let rows = 1usize << unit.log_rows;
        let weights: Vec<Scalar<C>> = (0..1 << unit.width).map(|_| self.noise.field()).collect();
        let backend = self.backend;
        let bases = self.bases(rows)?;
        let seconds = shortest(|| backend.fold_bases(bases, rows, &weights).map(drop))?;
        Ok(seconds / rows as f64)
    }

    /// How many columns a price is measured on, and how many columns it is the price of.
    fn lanes(unit: &Unit) -> (usize, f64) {
        match unit.lanes {
            0 => {
                let columns = rayon::current_num_threads();
                (columns, columns as f64)
            }
            few => (few as usize, 1.0),
        }
    }

    fn commit(&mut self, unit: &Unit) -> Result<f64> {
        let rows = 1usize << unit.log_rows;
        let (columns, share) = match Self::lanes(unit) {
            (columns, share) if unit.lanes == 0 && unit.width < HALF => (4 * columns, 4.0 * share),
            few => few,
        };
        let batch = self.batch(columns, rows, unit.width)?;
        let extra: Vec<Vec<Scalar<C>>> = (0..columns)
            .map(|_| vec![Scalar::<C>::ZERO, self.noise.field()])
            .collect();
        let backend = self.backend;
        let bases = self.bases(rows)?;
        let folded = match unit.operation {
            Operation::CommitFolded => {
                Some(backend.fold_bases(bases, rows, &[Scalar::<C>::ONE])?)
            }
            _ => None,
        };
        let bases = folded.as_ref().unwrap_or(bases);
        let seconds = shortest(|| backend.commit(bases, &[&batch], &extra).map(drop))?;
        Ok(seconds / share)
    }

    fn commit_dictionary(&mut self, unit: &Unit) -> Result<f64> {
        let rows = 1usize << unit.log_rows;
        let (columns, share) = Self::lanes(unit);
        let entries = 1usize << unit.width.min(unit.log_rows);
        let dictionary = self.batch(1, entries, FULL)?;
        let indices: Vec<u32> = (0..columns * rows)
            .map(|i| ((i * 0x9e37_79b1) >> 7) as u32 % entries as u32)
            .collect();
        let tails: Vec<Vec<Scalar<C>>> = (0..columns).map(|_| vec![self.noise.field()]).collect();
        let extra: Vec<Vec<Scalar<C>>> = (0..columns)
            .map(|_| vec![Scalar::<C>::ZERO, self.noise.field()])
            .collect();
        let backend = self.backend;
        let bases = self.bases(rows)?;
        let commit = || backend.commit_dictionary(bases, &indices, &dictionary, &tails, &extra);
        Ok(shortest(|| commit().map(drop))? / share)
    }

    fn msm(&mut self, unit: &Unit) -> Result<f64> {
        let count = 1usize << unit.log_rows;
        self.grow_points(count);
        let scalar = |_| match unit.width {
            FULL => self.noise.field(),
            bits => signed(self.noise.signed(bits)),
        };
        let scalars: Vec<Scalar<C>> = (0..count).map(scalar).collect();
        let points = &self.points[..count];
        shortest(|| self.backend.msm(points, &scalars).map(drop))
    }

    fn transform(&mut self, unit: &Unit) -> Result<f64> {
        let (columns, share) = Self::lanes(unit);
        let batch = self.batch(columns, 1 << unit.log_rows, FULL)?;
        let shift: Scalar<C> = self.noise.field();
        let seconds = shortest(|| match unit.operation {
            Operation::Interpolate => self.backend.interpolate(&batch).map(drop),
            _ => self.backend.coset_evaluate(&batch, shift).map(drop),
        })?;
        Ok(seconds / share)
    }

    /// The gate of a lookup, `h (beta + f) - 1`, and its sum with a weight.
    fn instruction(&mut self) -> Result<f64> {
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
        let (rows, lanes) = (1 << 12, 8);
        let kernel = self.backend.prepare(&program)?;
        let inputs = [
            self.batch(lanes, rows, FULL)?,
            self.batch(lanes, rows, FULL)?,
        ];
        let mut sum = self.batch(1, rows, FULL)?;
        let constants: Vec<Scalar<C>> = (0..2).map(|_| self.noise.field()).collect();
        let weights: Vec<Scalar<C>> = (0..lanes).map(|_| self.noise.field()).collect();
        let inputs = [&inputs[0], &inputs[1]];
        let backend = self.backend;
        let mut run = || backend.run(&kernel, &inputs, &constants, &weights, &mut sum);
        Ok(shortest(&mut run)? / (lanes * rows * 4) as f64)
    }

    fn forms(&mut self, unit: &Unit) -> Result<f64> {
        let columns = CELLS / ROWS;
        let mut target = self.batch(columns, ROWS, FULL)?;
        let backend = self.backend;
        let axis = |stride, length: usize, noise: &mut Noise| EvaluatedAxis {
            stride,
            factor: (0..length).map(|_| noise.field()).collect(),
        };
        let view = |axes| EvaluatedView {
            start: 0,
            axes,
            scale: Scalar::<C>::ONE,
        };
        let seconds = match unit.operation {
            Operation::Accumulate => {
                let axes = vec![
                    axis(ROWS, columns, &mut self.noise),
                    axis(1, ROWS, &mut self.noise),
                ];
                let view = view(axes);
                shortest(|| backend.accumulate(&mut target, ROWS, &view))?
            }
            Operation::AccumulateSparse => {
                let entry = |i| (i, self.noise.field());
                let entries: Vec<_> = (0..CELLS).map(entry).collect();
                shortest(|| backend.accumulate_sparse(&mut target, ROWS, &entries))?
            }
            _ => {
                let source = self.batch(columns, ROWS, FULL)?;
                let view = view(vec![axis(ROWS, columns, &mut self.noise)]);
                let outer = [(ROWS, 1)];
                let contract = |target: &mut B::Columns| {
                    backend.contract(&source, ROWS, &outer, &view, target, ROWS, 0)
                };
                shortest(|| contract(&mut target))?
            }
        };
        Ok(seconds / CELLS as f64)
    }

    /// Operations whose time is that of their cells.
    fn cells(&mut self, unit: &Unit) -> Result<f64> {
        let cells = 1usize << unit.log_rows.max(CACHED);
        let columns = cells / ROWS;
        let a = self.batch(columns, ROWS, FULL)?;
        let b = self.batch(columns, ROWS, FULL)?;
        let backend = self.backend;
        let seconds = match unit.operation {
            Operation::Multiply => shortest(|| backend.multiply(&a, &b).map(drop))?,
            Operation::Invert => {
                let constant = self.noise.field();
                shortest(|| backend.invert(&a, constant).map(drop))?
            }
            Operation::Take => {
                let indices: Vec<u32> = (0..cells as u32).rev().collect();
                let tails = vec![Vec::new(); columns];
                shortest(|| backend.take(&indices, &a, &tails, ROWS).map(drop))?
            }
            Operation::Widen => self.widen(columns)?,
            Operation::Dot => {
                let vector = self.batch(1, ROWS, FULL)?;
                shortest(|| backend.dot(&a, &vector).map(drop))?
            }
            Operation::Combine => self.combine(&a, columns)?,
            Operation::Cross => 2.0 * shortest(|| backend.cross_columns(&a, &b).map(drop))?,
            Operation::Fold => {
                let u = self.noise.field();
                2.0 * shortest(|| backend.fold_columns(&a, u).map(drop))?
            }
            Operation::Expand => {
                let f = self.batch(1, cells / 8, FULL)?;
                let weights: Vec<Scalar<C>> = (0..8).map(|_| self.noise.field()).collect();
                shortest(|| backend.expand(&f, &weights).map(drop))?
            }
            _ => {
                let all = (0..columns).map(|column| ColumnRef { batch: 0, column });
                let all: Vec<ColumnRef> = all.collect();
                shortest(|| backend.gather(&[&a], &all).map(drop))?
            }
        };
        Ok(seconds / cells as f64)
    }

    /// What reading small cells takes longer than reading field elements.
    fn widen(&mut self, columns: usize) -> Result<f64> {
        let vector = self.batch(1, ROWS, FULL)?;
        let [small, full] = [8, FULL].map(|width| self.batch(columns, ROWS, width));
        let (small, full) = (small?, full?);
        let small = shortest(|| self.backend.dot(&small, &vector).map(drop))?;
        let full = shortest(|| self.backend.dot(&full, &vector).map(drop))?;
        Ok((small - full).max(0.0))
    }

    fn combine(&mut self, source: &B::Columns, columns: usize) -> Result<f64> {
        let terms = (0..columns).map(|column| {
            let term = Term {
                column: ColumnRef { batch: 0, column },
                coefficient: self.noise.field(),
            };
            vec![term]
        });
        let terms: Vec<_> = terms.collect();
        let zeros = vec![Scalar::<C>::ZERO; columns];
        let combine = || self.backend.combine(&[source], &terms, &zeros, ROWS);
        shortest(|| combine().map(drop))
    }

    /// Columns of made-up cells of that width.
    fn batch(&mut self, columns: usize, rows: usize, width: u32) -> Result<B::Columns> {
        let cells = columns * rows;
        let body = match width {
            FULL => Body::Full((0..cells).map(|_| self.noise.field()).collect()),
            HALF => {
                let cell = |i: usize| match i & 1 {
                    0 => self.noise.field(),
                    _ => Scalar::<C>::ZERO,
                };
                Body::Full((0..cells).map(cell).collect())
            }
            bits => Body::small((0..cells).map(|_| self.noise.signed(bits)).collect()),
        };
        let host = HostColumns {
            rows,
            columns,
            body,
            tail: Vec::new(),
        };
        Ok(self.backend.upload(&host)?)
    }
}

fn generator<C: Curve>() -> Result<f64> {
    let count = 16 * rayon::current_num_threads() as u64;
    let derive = |i| Generators::<C>::row(i).to_affine();
    let all = || (0..count).into_par_iter().map(derive).collect::<Vec<C>>();
    let seconds = shortest(|| {
        std::hint::black_box(all());
        Ok::<_, crate::Error>(())
    })?;
    Ok(seconds / count as f64)
}

/// The shortest time of a few runs, of fewer if they are long.
fn shortest<E>(mut run: impl FnMut() -> std::result::Result<(), E>) -> Result<f64>
where
    crate::Error: From<E>,
{
    let (mut seconds, mut spent) = (f64::INFINITY, 0.0);
    for repetition in 0..REPETITIONS {
        if repetition >= FEWEST && spent > LONG {
            break;
        }
        let start = Instant::now();
        run()?;
        let elapsed = start.elapsed().as_secs_f64();
        (seconds, spent) = (seconds.min(elapsed), spent + elapsed);
    }
    Ok(seconds)
}

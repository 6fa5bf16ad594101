//! The operations of a backend that fails on request: each through the hook that can fail it.

use zkernel_backend::{Backend, ColumnRef, Curve, HostColumns, Result, Scalar, Term};
use zkernel_verifier::expression::Program;
use zkernel_verifier::form::EvaluatedView;

use super::{Failure, Faulty, Operation, another, another_program, flip};

impl<C: Curve, B: Backend<C>> Backend<C> for Faulty<B> {
    type Columns = B::Columns;
    type Bases = B::Bases;
    type Kernel = B::Kernel;

    fn name(&self) -> String {
        format!("faulty {}", self.inner.name())
    }

    fn upload(&self, columns: &HostColumns<Scalar<C>>) -> Result<B::Columns> {
        self.columns::<C>(Operation::Upload, |b| b.upload(columns))
    }

    fn zeros(&self, columns: usize, rows: usize) -> Result<B::Columns> {
        self.columns::<C>(Operation::Zeros, |b| b.zeros(columns, rows))
    }

    fn shape(&self, columns: &B::Columns) -> (usize, usize) {
        let shape = self.inner.shape(columns);
        match self.strikes(Operation::Shape) {
            Some(Failure::Flip(_)) => (shape.0, shape.1 + 1),
            _ => shape,
        }
    }

    fn read(&self, columns: &B::Columns) -> Result<Vec<Scalar<C>>> {
        self.values(Operation::Read, |b| b.read(columns))
    }

    fn gather(&self, sources: &[&B::Columns], chosen: &[ColumnRef]) -> Result<B::Columns> {
        self.columns::<C>(Operation::Gather, |b| b.gather(sources, chosen))
    }

    fn load_bases(&self, points: &[C]) -> Result<B::Bases> {
        let flip = |b: &B, bases: &mut B::Bases, i: usize| {
            let mut points = points.to_vec();
            points[i] = another(points[i]);
            *bases = b.load_bases(&points)?;
            Ok(())
        };
        let places = |_: &B, _: &B::Bases| points.len();
        self.inject(Operation::LoadBases, |b| b.load_bases(points), places, flip)
    }

    fn commit(
        &self,
        bases: &B::Bases,
        batches: &[&B::Columns],
        extra: &[Vec<Scalar<C>>],
    ) -> Result<Vec<C>> {
        self.points(Operation::Commit, |b| b.commit(bases, batches, extra))
    }

    fn commit_dictionary(
        &self,
        bases: &B::Bases,
        indices: &[u32],
        dictionary: &B::Columns,
        tails: &[Vec<Scalar<C>>],
        extra: &[Vec<Scalar<C>>],
    ) -> Result<Vec<C>> {
        self.points(Operation::CommitDictionary, |b| {
            b.commit_dictionary(bases, indices, dictionary, tails, extra)
        })
    }

    fn msm(&self, points: &[C], scalars: &[Scalar<C>]) -> Result<C> {
        let sum = self.points(Operation::Msm, |b| Ok(vec![b.msm(points, scalars)?]))?;
        Ok(sum[0])
    }

    fn interpolate(&self, values: &B::Columns) -> Result<B::Columns> {
        self.columns::<C>(Operation::Interpolate, |b| b.interpolate(values))
    }

    fn coset_evaluate(&self, coefficients: &B::Columns, shift: Scalar<C>) -> Result<B::Columns> {
        self.columns::<C>(Operation::CosetEvaluate, |b| {
            b.coset_evaluate(coefficients, shift)
        })
    }

    fn prepare(&self, program: &Program) -> Result<B::Kernel> {
        let flip = |b: &B, kernel: &mut B::Kernel, _| {
            *kernel = b.prepare(&another_program(program))?;
            Ok(())
        };
        let places = |_: &B, _: &B::Kernel| program.instructions.len();
        self.inject(Operation::Prepare, |b| b.prepare(program), places, flip)
    }

    fn run(
        &self,
        kernel: &B::Kernel,
        inputs: &[&B::Columns],
        constants: &[Scalar<C>],
        weights: &[Scalar<C>],
        accumulator: &mut B::Columns,
    ) -> Result<()> {
        self.adds::<C>(Operation::Run, accumulator, |b, sum| {
            b.run(kernel, inputs, constants, weights, sum)
        })
    }

    fn multiply(&self, x: &B::Columns, y: &B::Columns) -> Result<B::Columns> {
        self.columns::<C>(Operation::Multiply, |b| b.multiply(x, y))
    }

    fn invert(&self, columns: &B::Columns, constant: Scalar<C>) -> Result<B::Columns> {
        self.columns::<C>(Operation::Invert, |b| b.invert(columns, constant))
    }

    fn take(
        &self,
        indices: &[u32],
        dictionary: &B::Columns,
        tails: &[Vec<Scalar<C>>],
        rows: usize,
    ) -> Result<B::Columns> {
        self.columns::<C>(Operation::Take, |b| {
            b.take(indices, dictionary, tails, rows)
        })
    }

    fn dot(&self, columns: &B::Columns, vector: &B::Columns) -> Result<Vec<Scalar<C>>> {
        self.values(Operation::Dot, |b| b.dot(columns, vector))
    }

    fn combine(
        &self,
        sources: &[&B::Columns],
        terms: &[Vec<Term<Scalar<C>>>],
        constants: &[Scalar<C>],
        rows: usize,
    ) -> Result<B::Columns> {
        self.columns::<C>(Operation::Combine, |b| {
            b.combine(sources, terms, constants, rows)
        })
    }

    fn accumulate(
        &self,
        target: &mut B::Columns,
        width: usize,
        view: &EvaluatedView<Scalar<C>>,
    ) -> Result<()> {
        self.adds::<C>(Operation::Accumulate, target, |b, target| {
            b.accumulate(target, width, view)
        })
    }

    fn accumulate_sparse(
        &self,
        target: &mut B::Columns,
        width: usize,
        entries: &[(usize, Scalar<C>)],
    ) -> Result<()> {
        self.adds::<C>(Operation::AccumulateSparse, target, |b, target| {
            b.accumulate_sparse(target, width, entries)
        })
    }

    fn contract(
        &self,
        source: &B::Columns,
        source_width: usize,
        outer: &[(usize, usize)],
        inner: &EvaluatedView<Scalar<C>>,
        target: &mut B::Columns,
        target_width: usize,
        start: usize,
    ) -> Result<()> {
        self.adds::<C>(Operation::Contract, target, |b, target| {
            b.contract(
                source,
                source_width,
                outer,
                inner,
                target,
                target_width,
                start,
            )
        })
    }

    fn cross_columns(&self, f: &B::Columns, a: &B::Columns) -> Result<(Scalar<C>, Scalar<C>)> {
        self.pair(Operation::CrossColumns, |b| b.cross_columns(f, a))
    }

    fn fold_columns(&self, columns: &B::Columns, u: Scalar<C>) -> Result<B::Columns> {
        self.columns::<C>(Operation::FoldColumns, |b| b.fold_columns(columns, u))
    }

    fn cross_rows(&self, f: &B::Columns, a: &B::Columns) -> Result<(Scalar<C>, Scalar<C>)> {
        self.pair(Operation::CrossRows, |b| b.cross_rows(f, a))
    }

    fn fold_rows(&self, columns: &B::Columns, u: Scalar<C>) -> Result<B::Columns> {
        self.columns::<C>(Operation::FoldRows, |b| b.fold_rows(columns, u))
    }

    fn expand(&self, f: &B::Columns, weights: &[Scalar<C>]) -> Result<B::Columns> {
        self.columns::<C>(Operation::Expand, |b| b.expand(f, weights))
    }

    fn fold_bases(&self, bases: &B::Bases, rows: usize, weights: &[Scalar<C>]) -> Result<B::Bases> {
        let flip_weight = |b: &B, folded: &mut B::Bases, i: usize| {
            let mut weights = weights.to_vec();
            flip(&mut weights[i]);
            *folded = b.fold_bases(bases, rows, &weights)?;
            Ok(())
        };
        let places = |_: &B, _: &B::Bases| if rows == 0 { 0 } else { weights.len() };
        let run = |b: &B| b.fold_bases(bases, rows, weights);
        self.inject(Operation::FoldBases, run, places, flip_weight)
    }
}

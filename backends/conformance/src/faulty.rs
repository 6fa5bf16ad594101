//! A backend that fails on request: what the suite and the prover must notice.

use std::sync::{Mutex, MutexGuard, PoisonError};

use group::Curve as _;
use zkernel_backend::{
    Backend, BackendError, Body, ColumnRef, Curve, Field, HostColumns, Result, Scalar, Term,
};
use zkernel_verifier::expression::{Operation as Instruction, Program};
use zkernel_verifier::form::EvaluatedView;

use crate::operation::Operation;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Second limb of one field element, one point, one instruction of the result is another. The element is the one at
    /// this index, modulo their number.
    Flip(usize),
    /// [`BackendError::OutOfMemory`].
    OutOfMemory,
    /// [`BackendError::DeviceLost`], and so does every later operation.
    DeviceLost,
}

/// A failure of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The operation that fails.
    pub operation: Operation,
    /// Which of its calls that could fail, counted from 0: an empty result cannot be flipped.
    pub call: usize,
    /// How.
    pub failure: Failure,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    calls: [usize; Operation::ALL.len()],
    fired: bool,
}

/// A backend with at most one [`Fault`].
pub struct Faulty<B> {
    inner: B,
    state: Mutex<State>,
}

impl<B> Faulty<B> {
    /// The backend itself, until [`Faulty::arm`].
    pub fn new(inner: B) -> Self {
        let state = Mutex::new(State::default());
        Self { inner, state }
    }

    /// Sets the fault, or none, and starts counting calls again.
    pub fn arm(&self, fault: Option<Fault>) {
        *self.state() = State {
            fault,
            ..State::default()
        };
    }

    /// Whether the fault took place.
    pub fn fired(&self) -> bool {
        self.state().fired
    }

    /// Calls of an operation that a fault could have hit since [`Faulty::arm`].
    pub fn calls(&self, operation: Operation) -> usize {
        self.state().calls[operation as usize]
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call that can fail, and says whether it is the one.
    fn strikes(&self, operation: Operation) -> Option<Failure> {
        let mut state = self.state();
        let call = state.calls[operation as usize];
        state.calls[operation as usize] += 1;
        let fault = state.fault?;
        let lost = state.fired && fault.failure == Failure::DeviceLost;
        let hit = fault.operation == operation && fault.call == call;
        state.fired |= hit;
        (hit || lost).then_some(fault.failure)
    }

    /// Runs an operation of `places(result)` flippable places; `flip(result, place)` is the wrong result.
    fn inject<T>(
        &self,
        operation: Operation,
        run: impl FnOnce(&B) -> Result<T>,
        places: impl FnOnce(&B, &T) -> usize,
        flip: impl FnOnce(&B, &mut T, usize) -> Result<()>,
    ) -> Result<T> {
        let mut result = run(&self.inner)?;
        let places = places(&self.inner, &result);
        if places == 0 {
            return Ok(result);
        }
        match self.strikes(operation) {
            None => {}
            Some(Failure::Flip(place)) => flip(&self.inner, &mut result, place % places)?,
            Some(Failure::OutOfMemory) => return Err(out_of_memory(operation)),
            Some(Failure::DeviceLost) => return Err(device_lost(operation)),
        }
        Ok(result)
    }

    fn values<F: Field>(
        &self,
        operation: Operation,
        run: impl FnOnce(&B) -> Result<Vec<F>>,
    ) -> Result<Vec<F>> {
        let flip = |_: &B, values: &mut Vec<F>, i: usize| {
            flip(&mut values[i]);
            Ok(())
        };
        self.inject(operation, run, |_, values| values.len(), flip)
    }

    fn pair<F: Field>(
        &self,
        operation: Operation,
        run: impl FnOnce(&B) -> Result<(F, F)>,
    ) -> Result<(F, F)> {
        let pair = self.values(operation, |b| run(b).map(|(x, y)| vec![x, y]))?;
        Ok((pair[0], pair[1]))
    }

    fn points<C: Curve>(
        &self,
        operation: Operation,
        run: impl FnOnce(&B) -> Result<Vec<C>>,
    ) -> Result<Vec<C>> {
        let flip = |_: &B, points: &mut Vec<C>, i: usize| {
            points[i] = another(points[i]);
            Ok(())
        };
        self.inject(operation, run, |_, points| points.len(), flip)
    }

    fn columns<C: Curve>(
        &self,
        operation: Operation,
        run: impl FnOnce(&B) -> Result<B::Columns>,
    ) -> Result<B::Columns>
    where
        B: Backend<C>,
    {
        let flip = |b: &B, columns: &mut B::Columns, i| flip_cell::<C, B>(b, columns, i);
        self.inject(operation, run, cell_count::<C, B>, flip)
    }

    /// An operation that adds to `target`.
    fn adds<C: Curve>(
        &self,
        operation: Operation,
        target: &mut B::Columns,
        run: impl FnOnce(&B, &mut B::Columns) -> Result<()>,
    ) -> Result<()>
    where
        B: Backend<C>,
    {
        let run = |b: &B| run(b, target).map(|()| target);
        let flip = |b: &B, target: &mut &mut B::Columns, i| flip_cell::<C, B>(b, target, i);
        let places = |b: &B, target: &&mut B::Columns| cell_count::<C, B>(b, target);
        self.inject(operation, run, places, flip).map(|_| ())
    }
}

fn out_of_memory(operation: Operation) -> BackendError {
    BackendError::OutOfMemory {
        operation: operation.name(),
        need: 1 << 40,
        free: 0,
    }
}

fn device_lost(operation: Operation) -> BackendError {
    BackendError::DeviceLost {
        operation: operation.name(),
    }
}

/// Another value of the second limb.
fn flip<F: Field>(value: &mut F) {
    *value += F::from(1 << 32).square();
}

fn another<C: Curve>(point: C) -> C {
    (point.to_curve() + C::generator()).to_affine()
}

fn cell_count<C: Curve, B: Backend<C>>(backend: &B, columns: &B::Columns) -> usize {
    let (columns, rows) = backend.shape(columns);
    columns * rows
}

fn flip_cell<C: Curve, B: Backend<C>>(
    backend: &B,
    columns: &mut B::Columns,
    i: usize,
) -> Result<()> {
    let (count, rows) = backend.shape(columns);
    let mut cells = backend.read(columns)?;
    flip(&mut cells[i]);
    *columns = backend.upload(&HostColumns {
        rows,
        columns: count,
        body: Body::Full(cells),
        tail: Vec::new(),
    })?;
    Ok(())
}

/// The program with another last instruction, or another output if it has none.
fn another_program(program: &Program) -> Program {
    let mut program = program.clone();
    let other = |operation| match operation {
        Instruction::Add => Instruction::Sub,
        Instruction::Sub | Instruction::Mul => Instruction::Add,
    };
    if let Some(last) = program.instructions.last_mut() {
        last.operation = other(last.operation);
    }
    program
}

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

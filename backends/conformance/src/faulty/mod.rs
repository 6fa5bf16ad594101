//! A backend that fails on request: what the suite and the prover must notice.

mod operations;

use std::sync::{Mutex, MutexGuard, PoisonError};

use group::Curve as _;
use zkernel_backend::{Backend, BackendError, Body, Curve, Field, HostColumns, Result};
use zkernel_verifier::expression::{Operation as Instruction, Program};

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

//! Gate expressions over virtual columns, and the straight-line program they compile to.
//!
//! One [`Program`] serves prover, mock prover and verifier, so that they cannot diverge: CPUs interpret it over row
//! blocks, GPUs translate it, the verifier runs it once on the evaluations at zeta.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::{Add, Mul, Neg, Sub};

use ff::PrimeField;

use crate::challenge::Coefficient;

/// Index of a virtual column in [`crate::system::ConstraintSystem::virtuals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualId(pub u32);

/// A polynomial in virtual columns of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression<F> {
    /// A public constant, possibly a power of a challenge.
    Constant(Coefficient<F>),
    /// The value of a virtual column.
    Virtual(VirtualId),
    /// A sum.
    Sum(Box<Expression<F>>, Box<Expression<F>>),
    /// A difference.
    Difference(Box<Expression<F>>, Box<Expression<F>>),
    /// A product.
    Product(Box<Expression<F>>, Box<Expression<F>>),
}

impl<F: PrimeField> Expression<F> {
    /// Degree in the virtual columns.
    #[must_use]
    pub fn degree(&self) -> usize {
        match self {
            Self::Constant(_) => 0,
            Self::Virtual(_) => 1,
            Self::Sum(a, b) | Self::Difference(a, b) => a.degree().max(b.degree()),
            Self::Product(a, b) => a.degree().saturating_add(b.degree()),
        }
    }

    /// Visits every virtual column that occurs, in order of occurrence.
    pub fn virtuals(&self, visit: &mut impl FnMut(VirtualId)) {
        match self {
            Self::Constant(_) => {}
            Self::Virtual(id) => visit(*id),
            Self::Sum(a, b) | Self::Difference(a, b) | Self::Product(a, b) => {
                a.virtuals(visit);
                b.virtuals(visit);
            }
        }
    }
}

impl<F> From<VirtualId> for Expression<F> {
    fn from(id: VirtualId) -> Self {
        Self::Virtual(id)
    }
}

impl<F> From<Coefficient<F>> for Expression<F> {
    fn from(coefficient: Coefficient<F>) -> Self {
        Self::Constant(coefficient)
    }
}

impl<F, T: Into<Expression<F>>> Add<T> for Expression<F> {
    type Output = Self;
    fn add(self, other: T) -> Self {
        Self::Sum(Box::new(self), Box::new(other.into()))
    }
}

impl<F, T: Into<Expression<F>>> Sub<T> for Expression<F> {
    type Output = Self;
    fn sub(self, other: T) -> Self {
        Self::Difference(Box::new(self), Box::new(other.into()))
    }
}

impl<F, T: Into<Expression<F>>> Mul<T> for Expression<F> {
    type Output = Self;
    fn mul(self, other: T) -> Self {
        Self::Product(Box::new(self), Box::new(other.into()))
    }
}

impl<F: PrimeField> Neg for Expression<F> {
    type Output = Self;
    fn neg(self) -> Self {
        Self::Constant(Coefficient::constant(F::ZERO)) - self
    }
}

/// Where an instruction reads a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operand {
    /// The i-th input column of the run.
    Input(u16),
    /// The i-th constant of the run.
    Constant(u16),
    /// The result of the i-th instruction.
    Result(u16),
}

/// Arithmetic of one instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// a + b.
    Add,
    /// a - b.
    Sub,
    /// a * b.
    Mul,
}

/// `operation(a, b)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instruction {
    /// The arithmetic.
    pub operation: Operation,
    /// Left operand.
    pub a: Operand,
    /// Right operand.
    pub b: Operand,
}

/// A gate as a straight-line program (static single assignment): the field-free shape shared by all gates that differ
/// only in which columns and constants they read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Program {
    /// Number of input columns.
    pub inputs: u16,
    /// Number of constants.
    pub constants: u16,
    /// The instructions; an operand `Result(i)` always refers to an earlier one.
    pub instructions: Vec<Instruction>,
    /// The value of the program.
    pub output: Operand,
}

/// A gate compiled: its program, the virtual columns that are the inputs and the constants, in the program's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledGate<F> {
    /// The program.
    pub program: Program,
    /// Virtual column of each input.
    pub inputs: Vec<VirtualId>,
    /// Coefficient of each constant.
    pub constants: Vec<Coefficient<F>>,
}

impl Program {
    /// Runs the program on one row. `None` if an operand is out of range (never for a compiled program of that arity).
    #[must_use]
    pub fn evaluate<F: PrimeField>(&self, inputs: &[F], constants: &[F]) -> Option<F> {
        let mut results: Vec<F> = Vec::with_capacity(self.instructions.len());
        let read = |operand: Operand, results: &[F]| match operand {
            Operand::Input(i) => inputs.get(usize::from(i)).copied(),
            Operand::Constant(i) => constants.get(usize::from(i)).copied(),
            Operand::Result(i) => results.get(usize::from(i)).copied(),
        };
        for instruction in &self.instructions {
            let (a, b) = (
                read(instruction.a, &results)?,
                read(instruction.b, &results)?,
            );
            results.push(match instruction.operation {
                Operation::Add => a + b,
                Operation::Sub => a - b,
                Operation::Mul => a * b,
            });
        }
        read(self.output, &results)
    }
}

impl<F: PrimeField> Expression<F> {
    /// Compiles to a program with common subexpressions shared. `None` if it has 2^16 inputs, constants or operations.
    ///
    /// ```
    /// use pasta_curves::Fp;
    /// use zkernel_verifier::expression::{Expression, VirtualId};
    ///
    /// let [a, b] = [0, 1].map(VirtualId);
    /// let square = Expression::<Fp>::from(a) * a;
    /// let gate = (square.clone() * b - square).compile().expect("a small gate");
    /// assert_eq!(gate.inputs, [a, b]);
    /// assert_eq!(gate.program.instructions.len(), 3, "the square once");
    /// let row = [3, 5].map(Fp::from);
    /// assert_eq!(gate.program.evaluate(&row, &[]), Some(Fp::from(9 * 5 - 9)));
    /// ```
    #[must_use]
    pub fn compile(&self) -> Option<CompiledGate<F>> {
        let mut compiler = Compiler::default();
        let output = compiler.visit(self)?;
        let program = Program {
            inputs: u16::try_from(compiler.inputs.len()).ok()?,
            constants: u16::try_from(compiler.constants.len()).ok()?,
            instructions: compiler.instructions,
            output,
        };
        Some(CompiledGate {
            program,
            inputs: compiler.inputs,
            constants: compiler.constants,
        })
    }
}

struct Compiler<F> {
    inputs: Vec<VirtualId>,
    constants: Vec<Coefficient<F>>,
    instructions: Vec<Instruction>,
    known: BTreeMap<Instruction, u16>,
}

impl<F> Default for Compiler<F> {
    fn default() -> Self {
        Self {
            inputs: Vec::new(),
            constants: Vec::new(),
            instructions: Vec::new(),
            known: BTreeMap::new(),
        }
    }
}

impl<F: PrimeField> Compiler<F> {
    fn visit(&mut self, expression: &Expression<F>) -> Option<Operand> {
        match expression {
            Expression::Constant(c) => Some(Operand::Constant(position_or_push(
                &mut self.constants,
                *c,
            )?)),
            Expression::Virtual(id) => {
                Some(Operand::Input(position_or_push(&mut self.inputs, *id)?))
            }
            Expression::Sum(a, b) => self.binary(Operation::Add, a, b),
            Expression::Difference(a, b) => self.binary(Operation::Sub, a, b),
            Expression::Product(a, b) => self.binary(Operation::Mul, a, b),
        }
    }

    fn binary(
        &mut self,
        operation: Operation,
        a: &Expression<F>,
        b: &Expression<F>,
    ) -> Option<Operand> {
        let instruction = Instruction {
            operation,
            a: self.visit(a)?,
            b: self.visit(b)?,
        };
        if let Some(&index) = self.known.get(&instruction) {
            return Some(Operand::Result(index));
        }
        let index = u16::try_from(self.instructions.len()).ok()?;
        self.instructions.push(instruction);
        self.known.insert(instruction, index);
        Some(Operand::Result(index))
    }
}

fn position_or_push<T: PartialEq>(list: &mut Vec<T>, item: T) -> Option<u16> {
    let position = list.iter().position(|x| *x == item).unwrap_or_else(|| {
        list.push(item);
        list.len().saturating_sub(1)
    });
    u16::try_from(position).ok()
}

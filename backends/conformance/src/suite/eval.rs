//! Gate programs, products and inverses.
//!
//! Edges: lanes with weights 0, 1, -1; an accumulator that is small and not zero; programs without instructions, of a
//! constant only, reading an input twice, and a long one whose results stay alive, with its last result and an early one as output; `0^-1 = 0`, and a constant that makes
//! a cell zero.

use zkernel_backend::{Backend, Curve, HostColumns, Scalar};
use zkernel_verifier::expression::{Instruction, Operand, Operation, Program};

use super::{SHAPES, cells, program, same, up};
use crate::inputs::{batches, full, scalar, scalars, small};

/// Gate programs, products and inverses.
pub fn eval<C: Curve, B: Backend<C>>(backend: &B) {
    for (columns, rows) in SHAPES {
        for host in batches::<Scalar<C>>(columns, rows) {
            batch::<C, B>(backend, &host);
        }
    }
    for (columns, rows) in [(3, 17), (70, 2)] {
        for program in programs() {
            run::<C, B>(backend, &program, &full(columns, rows));
        }
    }
}

pub(super) fn batch<C: Curve, B: Backend<C>>(backend: &B, host: &HostColumns<Scalar<C>>) {
    run::<C, B>(backend, &program(), host);
    let other = full(host.columns, host.rows);
    same!(backend, "multiply", |b| {
        let (x, y) = (up::<C, _>(b, host), up::<C, _>(b, &other));
        cells::<C, _>(b, Backend::<C>::multiply(b, &x, &y))
    });
    for constant in [0, 1, 2, 9] {
        same!(backend, "invert", |b| {
            let columns = up::<C, _>(b, host);
            cells::<C, _>(b, Backend::<C>::invert(b, &columns, scalar(constant)))
        });
    }
}

/// Weights from zero up and from beyond the edge scalars, inputs of a full and a small batch.
fn run<C: Curve, B: Backend<C>>(backend: &B, program: &Program, host: &HostColumns<Scalar<C>>) {
    let (other, start) = (full(host.columns, host.rows), small(1, host.rows, 0, 7));
    let constants = scalars(9, usize::from(program.constants));
    for weights in [scalars(1, host.columns), scalars(9, host.columns)] {
        same!(backend, "run", |b| {
            let kernel = Backend::<C>::prepare(b, program).expect("a program");
            let (x, y) = (up::<C, _>(b, host), up::<C, _>(b, &other));
            let inputs = [&x, &y, &x].into_iter().cycle();
            let inputs: Vec<_> = inputs.take(usize::from(program.inputs)).collect();
            let mut sum = up::<C, _>(b, &start);
            let done = Backend::<C>::run(b, &kernel, &inputs, &constants, &weights, &mut sum);
            (done, cells::<C, _>(b, Ok(sum)))
        });
    }
}

fn programs() -> Vec<Program> {
    let new = |inputs, constants, instructions, output| Program {
        inputs,
        constants,
        instructions,
        output,
    };
    // x_{i+1} = x_i op x_{i/2}, from input 0: results of all ages are read.
    let instruction = |i: u16| {
        let operations = [Operation::Mul, Operation::Add, Operation::Sub];
        Instruction {
            operation: operations[usize::from(i) % 3],
            a: i.checked_sub(1).map_or(Operand::Input(0), Operand::Result),
            b: if i < 2 {
                Operand::Input(1)
            } else {
                Operand::Result(i / 2)
            },
        }
    };
    let long: Vec<_> = (0..200).map(instruction).collect();
    let square = Instruction {
        operation: Operation::Mul,
        a: Operand::Input(1),
        b: Operand::Input(1),
    };
    vec![
        new(1, 0, Vec::new(), Operand::Input(0)),
        new(0, 1, Vec::new(), Operand::Constant(0)),
        new(2, 1, vec![square], Operand::Result(0)),
        // Later results must not take the place of an early output.
        new(2, 0, long.clone(), Operand::Result(3)),
        new(2, 0, long, Operand::Result(199)),
    ]
}

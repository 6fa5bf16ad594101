//! Gate programs and cell-by-cell arithmetic.

use zkernel_backend::{BackendError, Field, Result, shape};
use zkernel_verifier::expression::Program;

use crate::columns::Columns;

pub(crate) fn run<F: Field>(
    program: &Program,
    inputs: &[&Columns<F>],
    constants: &[F],
    weights: &[F],
    accumulator: &mut Columns<F>,
) -> Result<()> {
    let shapes: Vec<shape::Shape> = inputs.iter().map(|i| i.shape()).collect();
    let sum = accumulator.shape();
    shape::run(program, &shapes, constants.len(), weights.len(), sum)?;
    for (row, cell) in accumulator.cells.iter_mut().enumerate() {
        for (lane, weight) in weights.iter().enumerate() {
            let read: Vec<F> = inputs.iter().map(|i| i.column(lane)[row]).collect();
            let value = program.evaluate(&read, constants);
            let missing = || BackendError::shape("run", "an operand is not there");
            *cell += *weight * value.ok_or_else(missing)?;
        }
    }
    Ok(())
}

pub(crate) fn multiply<F: Field>(a: &Columns<F>, b: &Columns<F>) -> Result<Columns<F>> {
    shape::same("multiply", a.shape(), b.shape())?;
    let cells = a.cells.iter().zip(&b.cells).map(|(a, b)| *a * b).collect();
    Ok(Columns { cells, ..*a })
}

pub(crate) fn invert<F: Field>(columns: &Columns<F>, constant: F) -> Columns<F> {
    let inverse = |cell: &F| (*cell + constant).invert().unwrap_or(F::ZERO);
    Columns {
        cells: columns.cells.iter().map(inverse).collect(),
        ..*columns
    }
}

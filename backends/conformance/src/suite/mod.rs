//! The checks: every operation of a backend against the reference, one family a file. They panic on the first
//! difference, naming the operation.

mod columns;
mod eval;
mod linear;
mod msm;
mod ntt;
mod random;
mod repeat;
mod shapes;

use zkernel_backend::{Backend, Curve, HostColumns, Result, Scalar};
use zkernel_verifier::expression::{Instruction, Operand, Operation, Program};

pub use self::columns::columns;
pub use self::eval::eval;
pub use self::linear::linear;
pub use self::msm::{bases, commit, large_commit, msm, small_widths};
pub use self::ntt::{ntt, ntt_by_definition};
pub use self::random::random;
pub use self::repeat::repeat;
pub use self::shapes::shapes;

/// Shapes of batches: single cells, single columns of even and odd rows, pairs, powers of two and their neighbours,
/// one longer than a thread's or a workgroup's share, none. Empty ones come last: no fault shows in them.
pub(crate) const SHAPES: [(usize, usize); 14] = [
    (1, 2),
    (1, 1),
    (2, 2),
    (3, 3),
    (1, 4),
    (2, 7),
    (4, 8),
    (1, 9),
    (1, 16),
    (2, 300),
    (1, 1025),
    (2, 1),
    (0, 4),
    (2, 0),
];

/// Runs the same closure body on the backend and on the reference and compares.
macro_rules! same {
    ($backend:expr, $what:expr, |$b:ident| $body:expr) => {{
        let ours = {
            let $b = $backend;
            $body
        };
        let reference = {
            let $b = &zkernel_backend_reference::Reference;
            $body
        };
        assert!(ours == reference, "{} differs from the reference", $what);
    }};
}
pub(crate) use same;

/// Shape and cells of a batch.
pub(crate) type Batch<C> = ((usize, usize), Vec<Scalar<C>>);

pub(crate) fn up<C: Curve, B: Backend<C>>(
    backend: &B,
    host: &HostColumns<Scalar<C>>,
) -> B::Columns {
    backend.upload(host).expect("a consistent batch")
}

pub(crate) fn cells<C: Curve, B: Backend<C>>(
    backend: &B,
    columns: Result<B::Columns>,
) -> Result<Batch<C>> {
    let columns = columns?;
    Ok((backend.shape(&columns), backend.read(&columns)?))
}

/// `(a b - c) k + a` over three inputs and a constant.
pub(crate) fn program() -> Program {
    use Operand::{Constant, Input, Result};
    let instruction = |operation, a, b| Instruction { operation, a, b };
    Program {
        inputs: 3,
        constants: 1,
        instructions: vec![
            instruction(Operation::Mul, Input(0), Input(1)),
            instruction(Operation::Sub, Result(0), Input(2)),
            instruction(Operation::Mul, Result(1), Constant(0)),
            instruction(Operation::Add, Result(2), Input(0)),
        ],
        output: Result(3),
    }
}

//! `Dual` sees a fault in every operation, on either side, and passes the suite otherwise.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pasta_curves::{EqAffine, Fp};
use zkernel_backend::{Backend, ColumnRef, Result, Term};
use zkernel_backend_conformance::inputs::{full, points, scalars};
use zkernel_backend_conformance::{Dual, Failure, Fault, Faulty, Operation, Reference, suite};
use zkernel_verifier::expression::Operation as Arithmetic;
use zkernel_verifier::expression::{Instruction, Operand, Program};
use zkernel_verifier::form::{EvaluatedAxis, EvaluatedView};

type C = EqAffine;

/// Every operation once.
fn story<B: Backend<C>>(b: &B) -> Result<()> {
    let (x, y) = (b.upload(&full(2, 4))?, b.upload(&full(2, 4))?);
    let column = b.upload(&full(1, 4))?;
    let mut sum = b.zeros(1, 4)?;
    b.shape(&x);
    b.read(&x)?;
    b.gather(
        &[&x, &y],
        &[ColumnRef {
            batch: 1,
            column: 0,
        }],
    )?;
    let bases = b.load_bases(&points::<C>(6))?;
    let extra = [scalars(8, 2), Vec::new()];
    b.commit(&bases, &[&x], &extra)?;
    let tails = [Vec::new(), scalars(1, 1)];
    b.commit_dictionary(&bases, &[0, 1, 2, 3, 3, 2, 1, 0], &x, &tails, &extra)?;
    b.msm(&points::<C>(5), &scalars(7, 5))?;
    let coefficients = b.interpolate(&x)?;
    b.coset_evaluate(&coefficients, Fp::from(7))?;
    let kernel = b.prepare(&Program {
        inputs: 2,
        constants: 1,
        instructions: vec![
            Instruction {
                operation: Arithmetic::Mul,
                a: Operand::Input(0),
                b: Operand::Input(1),
            },
            Instruction {
                operation: Arithmetic::Sub,
                a: Operand::Result(0),
                b: Operand::Constant(0),
            },
        ],
        output: Operand::Result(1),
    })?;
    b.run(&kernel, &[&x, &y], &scalars(9, 1), &scalars(9, 2), &mut sum)?;
    b.multiply(&x, &y)?;
    b.invert(&x, Fp::from(3))?;
    b.take(&[0, 1, 2, 3], &x, &[Vec::new()], 4)?;
    b.dot(&x, &column)?;
    let term = Term {
        column: ColumnRef {
            batch: 0,
            column: 1,
        },
        coefficient: Fp::from(5),
    };
    b.combine(&[&x], &[vec![term]], &scalars(2, 1), 4)?;
    let axes = vec![EvaluatedAxis {
        stride: 1,
        factor: scalars(9, 2),
    }];
    let view = EvaluatedView {
        start: 1,
        axes,
        scale: Fp::from(2),
    };
    b.accumulate(&mut sum, 4, &view)?;
    b.accumulate_sparse(&mut sum, 4, &[(2, Fp::from(3))])?;
    b.contract(&x, 4, &[(2, 1)], &view, &mut sum, 4, 0)?;
    b.cross_columns(&x, &y)?;
    b.fold_columns(&x, Fp::from(9))?;
    b.cross_rows(&column, &sum)?;
    b.fold_rows(&x, Fp::from(9))?;
    b.expand(&column, &scalars(9, 2))?;
    b.fold_bases(&bases, 4, &scalars(9, 2)).map(|_| ())
}

/// Names of operations a fault of `operation` may be noticed in: a kernel is opaque until it runs.
fn named(operation: Operation) -> &'static str {
    match operation {
        Operation::Prepare => "run",
        other => other.name(),
    }
}

#[test]
fn every_fault_is_seen_on_either_side() {
    for operation in Operation::ALL {
        for left in [true, false] {
            let dual = Dual {
                a: Faulty::new(Reference),
                b: Faulty::new(Reference),
            };
            let faulty = if left { &dual.a } else { &dual.b };
            faulty.arm(Some(Fault {
                operation,
                call: 0,
                failure: Failure::Flip(1),
            }));
            let outcome = catch_unwind(AssertUnwindSafe(|| story(&dual)));
            assert!(faulty.fired(), "{operation:?}");
            let panic = outcome.expect_err("a difference must be seen");
            let message = panic.downcast_ref::<String>().expect("a message");
            // `Dual` itself looks at results with these.
            let looks = matches!(
                operation,
                Operation::Shape | Operation::Read | Operation::Commit
            );
            assert!(
                looks || message.contains(named(operation)),
                "{operation:?}: {message}"
            );
        }
    }
}

#[test]
fn equal_backends_agree() {
    let dual = Dual {
        a: Reference,
        b: Reference,
    };
    assert_eq!(story(&dual), Ok(()));
    suite::shapes::<C, _>(&dual);
    suite::bases::<C, _>(&dual);
}

//! The suite sees a fault in every operation: one flipped limb, point or instruction, running out of memory, and loss.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pasta_curves::EqAffine;
use zkernel_backend_conformance::{Failure, Fault, Faulty, Operation, Reference, suite};

/// The family of checks that covers an operation.
fn check(operation: Operation, backend: &Faulty<Reference>) {
    use Operation as O;
    match operation {
        O::Upload | O::Zeros | O::Shape | O::Read | O::Gather | O::Take => {
            suite::columns::<EqAffine, _>(backend);
        }
        O::Msm => suite::msm::<EqAffine, _>(backend),
        O::Commit | O::CommitDictionary => suite::commit::<EqAffine, _>(backend),
        O::LoadBases | O::FoldBases => suite::bases::<EqAffine, _>(backend),
        O::Interpolate | O::CosetEvaluate => suite::ntt::<EqAffine, _>(backend),
        O::Prepare | O::Run | O::Multiply | O::Invert => suite::eval::<EqAffine, _>(backend),
        O::Dot
        | O::Combine
        | O::Accumulate
        | O::AccumulateSparse
        | O::Contract
        | O::CrossColumns
        | O::FoldColumns
        | O::CrossRows
        | O::FoldRows
        | O::Expand => suite::linear::<EqAffine, _>(backend),
    }
}

fn suite_fails(fault: Fault) {
    let backend = Faulty::new(Reference);
    backend.arm(Some(fault));
    let outcome = catch_unwind(AssertUnwindSafe(|| check(fault.operation, &backend)));
    assert!(backend.fired(), "{fault:?} never took place");
    assert!(outcome.is_err(), "the suite does not see {fault:?}");
}

/// An early and a later call; the first, a middle and the last of the result's places.
#[test]
fn every_flip_is_seen() {
    for operation in Operation::ALL {
        for call in [0, 3] {
            for place in [0, 5, usize::MAX] {
                let failure = Failure::Flip(place);
                suite_fails(Fault {
                    operation,
                    call,
                    failure,
                });
            }
        }
    }
}

/// An operation that fails where the reference does not. `shape` cannot fail.
#[test]
fn every_error_is_seen() {
    let fallible = Operation::ALL
        .into_iter()
        .filter(|o| *o != Operation::Shape);
    for operation in fallible {
        for failure in [Failure::OutOfMemory, Failure::DeviceLost] {
            suite_fails(Fault {
                operation,
                call: 1,
                failure,
            });
        }
    }
}

/// Without a fault the wrapper is the backend.
#[test]
fn no_fault_no_difference() {
    let backend = Faulty::new(Reference);
    for operation in [Operation::Upload, Operation::Prepare, Operation::FoldBases] {
        check(operation, &backend);
        assert!(backend.calls(operation) > 0);
        assert!(!backend.fired());
    }
}

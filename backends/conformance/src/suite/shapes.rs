//! Arguments that disagree in shape: every rule of [`zkernel_backend::shape`], a family at a time. The error names the
//! operation, and a target is as it was.

use zkernel_backend::{
    Backend, BackendError, Body, ColumnRef, Curve, HostColumns, Result, Scalar, Term,
};
use zkernel_verifier::expression::{Operand, Program};
use zkernel_verifier::form::{EvaluatedAxis, EvaluatedView};

use super::{program, up};
use crate::inputs::{full, points, scalar, scalars};

#[allow(clippy::needless_pass_by_value)]
fn rejected<T>(wanted: &str, result: Result<T>) {
    match result {
        Err(BackendError::Shape { operation, .. }) => assert_eq!(operation, wanted),
        Err(other) => panic!("{wanted}: a shape error is wanted, not {other}"),
        Ok(_) => panic!("{wanted}: a shape error is wanted"),
    }
}

/// Every shape error.
pub fn shapes<C: Curve, B: Backend<C>>(backend: &B) {
    uploads::<C, B>(backend);
    chosen_columns::<C, B>(backend);
    dictionaries::<C, B>(backend);
    sums::<C, B>(backend);
    transforms::<C, B>(backend);
    programs::<C, B>(backend);
    combinations::<C, B>(backend);
    forms::<C, B>(backend);
    rounds::<C, B>(backend);
}

/// Cells too few, too many, a tail that is no multiple of the columns; bounds of 63 bits; values at and beyond their bound,
/// the extremes of i64 among them; sizes that overflow.
fn uploads<C: Curve, B: Backend<C>>(backend: &B) {
    let host = |rows, columns, body, tail| HostColumns::<Scalar<C>> {
        rows,
        columns,
        body,
        tail: scalars(0, tail),
    };
    let of_bits = |bits, value| {
        host(
            1,
            1,
            Body::Small {
                bits,
                values: vec![value],
            },
            0,
        )
    };
    for wrong in [
        host(4, 2, Body::Full(scalars(0, 7)), 0),
        host(4, 2, Body::Full(scalars(0, 9)), 0),
        host(4, 2, Body::Full(scalars(0, 7)), 1),
        host(4, 2, Body::Full(scalars(0, 8)), 2),
        host(4, 0, Body::Full(scalars(0, 1)), 0),
        host(usize::MAX, 2, Body::Full(Vec::new()), 0),
        of_bits(63, 0),
        of_bits(64, 0),
        of_bits(u32::MAX, 0),
        of_bits(0, 1),
        of_bits(0, -1),
        of_bits(8, 256),
        of_bits(8, -256),
        of_bits(62, 1 << 62),
        of_bits(62, -(1 << 62)),
        of_bits(62, i64::MAX),
        of_bits(62, i64::MIN),
        host(1, 1, Body::small(vec![i64::MIN]), 0),
        host(1, 1, Body::small(vec![i64::MAX]), 0),
    ] {
        rejected("upload", backend.upload(&wrong));
    }
    for right in [of_bits(0, 0), of_bits(8, -255), of_bits(62, (1 << 62) - 1)] {
        assert!(backend.upload(&right).is_ok());
    }
    rejected("zeros", backend.zeros(usize::MAX, 2));
}

/// Sources of other rows, chosen batches and columns that are not there.
fn chosen_columns<C: Curve, B: Backend<C>>(backend: &B) {
    let (x, y) = (
        up::<C, B>(backend, &full(3, 3)),
        up::<C, B>(backend, &full(1, 4)),
    );
    let at = |batch, column| ColumnRef { batch, column };
    rejected("gather", backend.gather(&[&x, &y], &[]));
    for wrong in [at(0, 3), at(1, 0), at(usize::MAX, usize::MAX)] {
        rejected("gather", backend.gather(&[&x], &[at(0, 0), wrong]));
    }
    rejected("gather", backend.gather(&[], &[at(0, 0)]));
}

/// Indices beyond the dictionary, also below a tail; too few and too many; tails longer than the rows, tails and extra
/// scalars of other numbers, bases that do not reach.
fn dictionaries<C: Curve, B: Backend<C>>(backend: &B) {
    let none = Vec::<Scalar<C>>::new;
    let nine = up::<C, B>(backend, &full(3, 3));
    let empty = up::<C, B>(backend, &full(0, 3));
    let take = |indices: &[u32], dictionary, tails: &[Vec<_>], rows| {
        rejected("take", backend.take(indices, dictionary, tails, rows));
    };
    take(&[9], &nine, &[none()], 1);
    take(&[0, 9], &nine, &[scalars(0, 1)], 2);
    take(&[u32::MAX], &nine, &[none()], 1);
    take(&[0], &empty, &[none()], 1);
    take(&[0, 1, 2], &nine, &[none()], 2);
    take(&[0], &nine, &[none(), none()], 1);
    take(&[], &nine, &[none(), none()], usize::MAX);
    take(&[0, 1], &nine, &[scalars(0, 3)], 2);

    let bases = backend.load_bases(&points::<C>(3)).expect("bases");
    let commit = |indices: &[u32], tails: &[Vec<_>], extra: &[Vec<_>]| {
        let commitments = backend.commit_dictionary(&bases, indices, &nine, tails, extra);
        rejected("commit_dictionary", commitments);
    };
    commit(&[0, 9], &[scalars(0, 1)], &[none()]);
    commit(&[0, 1, 2], &[none(), none()], &[none(), none()]);
    commit(&[0], &[], &[]);
    commit(&[0, 1], &[none()], &[none(), none()]);
    commit(&[0, 1], &[scalars(0, 3)], &[none()]);
    commit(&[0, 1, 2, 3], &[none()], &[none()]);
    commit(&[0, 1], &[none()], &[scalars(0, 2)]);
}

/// Scalars more or fewer than points, columns longer than the bases, extra scalars of another number or beyond the bases,
/// folds by no power of two, of no multiple, of bases that are not there.
fn sums<C: Curve, B: Backend<C>>(backend: &B) {
    let none = Vec::<Scalar<C>>::new;
    for (count, of) in [(2, 3), (3, 2), (0, 1), (1, 0)] {
        rejected("msm", backend.msm(&points::<C>(count), &scalars(0, of)));
    }
    let (x, y) = (
        up::<C, B>(backend, &full(2, 3)),
        up::<C, B>(backend, &full(1, 4)),
    );
    let empty = up::<C, B>(backend, &full(0, 4));
    let bases = backend.load_bases(&points::<C>(3)).expect("bases");
    let commit = |batches: &[&B::Columns], extra: &[Vec<_>]| {
        rejected("commit", backend.commit(&bases, batches, extra));
    };
    commit(&[&x], &[none()]);
    commit(&[&x], &[none(), none(), none()]);
    commit(&[], &[none()]);
    commit(&[&y], &[none()]);
    commit(&[&empty], &[]);
    commit(&[&x, &y], &[none(), none(), none()]);
    commit(&[&x], &[none(), scalars(0, 1)]);

    for (rows, weights) in [(3, 2), (3, 3), (2, 0), (4, 1), (4, 4), (usize::MAX, 1)] {
        let folded = backend.fold_bases(&bases, rows, &scalars(0, weights));
        rejected("fold_bases", folded);
    }
}

/// Rows that are no power of two.
fn transforms<C: Curve, B: Backend<C>>(backend: &B) {
    for rows in [0, 3, 7, 9, 96] {
        let columns = up::<C, B>(backend, &full(2, rows));
        rejected("interpolate", backend.interpolate(&columns));
        rejected(
            "coset_evaluate",
            backend.coset_evaluate(&columns, scalar(9)),
        );
    }
}

/// Operands that are not there or come later; inputs, constants, lanes and rows of other numbers.
fn programs<C: Curve, B: Backend<C>>(backend: &B) {
    let good = program();
    let with = |change: &dyn Fn(&mut Program)| {
        let mut program = good.clone();
        change(&mut program);
        rejected("prepare", backend.prepare(&program));
    };
    with(&|p| p.output = Operand::Result(4));
    with(&|p| p.output = Operand::Input(3));
    with(&|p| p.output = Operand::Constant(1));
    with(&|p| p.inputs = 2);
    with(&|p| p.constants = 0);
    with(&|p| p.instructions[1].a = Operand::Result(1));
    with(&|p| p.instructions[1].b = Operand::Result(2));
    with(&|p| p.instructions.clear());

    let kernel = backend.prepare(&good).expect("a program");
    let (x, short) = (
        up::<C, B>(backend, &full(2, 4)),
        up::<C, B>(backend, &full(2, 3)),
    );
    let run = |inputs: &[&B::Columns], constants, weights, target: (usize, usize)| {
        let host = full(target.0, target.1);
        let mut sum = up::<C, B>(backend, &host);
        let (constants, weights) = (scalars(9, constants), scalars(9, weights));
        rejected(
            "run",
            backend.run(&kernel, inputs, &constants, &weights, &mut sum),
        );
        unchanged::<C, B>(backend, &sum, &host);
    };
    run(&[&x, &x], 1, 2, (1, 4));
    run(&[&x, &x, &x, &x], 1, 2, (1, 4));
    run(&[&x, &x, &x], 0, 2, (1, 4));
    run(&[&x, &x, &x], 2, 2, (1, 4));
    run(&[&x, &x, &x], 1, 1, (1, 4));
    run(&[&x, &x, &x], 1, 3, (1, 4));
    run(&[&x, &x, &x], 1, 2, (2, 4));
    run(&[&x, &x, &x], 1, 2, (0, 4));
    run(&[&x, &x, &x], 1, 2, (1, 3));
    run(&[&x, &x, &short], 1, 2, (1, 4));
    rejected("multiply", backend.multiply(&x, &short));
}

fn unchanged<C: Curve, B: Backend<C>>(
    backend: &B,
    target: &B::Columns,
    host: &HostColumns<Scalar<C>>,
) {
    let cells = backend.read(target).expect("readable");
    assert!(
        Body::Full(cells) == host.body,
        "a failed operation changed its target"
    );
}

/// Vectors of other rows or several; sources of other rows, columns that are not there, constants of another number.
fn combinations<C: Curve, B: Backend<C>>(backend: &B) {
    let (x, y) = (
        up::<C, B>(backend, &full(2, 4)),
        up::<C, B>(backend, &full(1, 3)),
    );
    rejected("dot", backend.dot(&x, &y));
    rejected("dot", backend.dot(&x, &x));
    let term = |batch, column| Term {
        column: ColumnRef { batch, column },
        coefficient: scalar(9),
    };
    let combine = |sources: &[&B::Columns], terms: Vec<Term<_>>, constants, rows| {
        let result = backend.combine(sources, &[terms], &scalars(0, constants), rows);
        rejected("combine", result);
    };
    combine(&[&x], vec![term(0, 2)], 1, 4);
    combine(&[&x], vec![term(1, 0)], 1, 4);
    combine(&[&x], vec![term(0, 0)], 0, 4);
    combine(&[&x], vec![term(0, 0)], 2, 4);
    combine(&[&x], vec![term(0, 0)], 1, 3);
    combine(&[&x, &y], vec![term(0, 0)], 1, 4);
    let many = [Vec::new(), Vec::new()];
    rejected(
        "combine",
        backend.combine(&[], &many, &scalars(0, 2), usize::MAX),
    );
}

/// Widths of 0 and beyond the rows; positions beyond the batch; strides, starts and lengths that overflow.
fn forms<C: Curve, B: Backend<C>>(backend: &B) {
    let host = full(2, 4);
    let source = up::<C, B>(backend, &host);
    let view = |start, axes: &[(usize, usize)]| EvaluatedView {
        start,
        axes: axes
            .iter()
            .map(|(len, stride)| EvaluatedAxis {
                stride: *stride,
                factor: scalars(9, *len),
            })
            .collect(),
        scale: scalar(9),
    };
    for (width, wrong) in [
        (0, view(0, &[])),
        (5, view(0, &[])),
        (4, view(8, &[])),
        (3, view(6, &[])),
        (4, view(0, &[(3, 4)])),
        (4, view(1, &[(2, 4), (4, 1)])),
        (4, view(1, &[(2, usize::MAX)])),
        (4, view(usize::MAX, &[(2, 1)])),
        (4, view(0, &[(3, usize::MAX / 2 + 1)])),
    ] {
        let mut target = up::<C, B>(backend, &host);
        rejected("accumulate", backend.accumulate(&mut target, width, &wrong));
        let contracted = backend.contract(&source, width, &[], &wrong, &mut target, 4, 0);
        rejected("contract", contracted);
        unchanged::<C, B>(backend, &target, &host);
    }
    for (width, position) in [(4, 8), (3, 6), (0, 0), (5, 0), (4, usize::MAX)] {
        let mut target = up::<C, B>(backend, &host);
        let entries = [(0, scalar(9)), (position, scalar(9))];
        let added = backend.accumulate_sparse(&mut target, width, &entries);
        rejected("accumulate_sparse", added);
        unchanged::<C, B>(backend, &target, &host);
    }
    let one = view(0, &[]);
    for (outer, width, start) in [
        (vec![(9, 0)], 4, 0),
        (vec![(2, 8)], 4, 0),
        (vec![(4, 1)], 4, 5),
        (vec![(1, 1)], 4, usize::MAX),
        (vec![(2, usize::MAX)], 4, 0),
        (vec![(usize::MAX, 0), (usize::MAX, 0)], 4, 0),
        (vec![(1, 1)], 0, 0),
        (vec![(1, 1)], 5, 0),
    ] {
        let mut target = up::<C, B>(backend, &host);
        let contracted = backend.contract(&source, 4, &outer, &one, &mut target, width, start);
        rejected("contract", contracted);
        unchanged::<C, B>(backend, &target, &host);
    }
}

/// Odd columns and rows, unequal shapes, several columns where one is wanted, weights of no power of two.
fn rounds<C: Curve, B: Backend<C>>(backend: &B) {
    let odd = up::<C, B>(backend, &full(3, 3));
    let two = up::<C, B>(backend, &full(2, 4));
    let one = up::<C, B>(backend, &full(1, 4));
    let short = up::<C, B>(backend, &full(1, 3));
    rejected("cross_columns", backend.cross_columns(&odd, &odd));
    rejected("cross_columns", backend.cross_columns(&two, &one));
    rejected("fold_columns", backend.fold_columns(&odd, scalar(9)));
    rejected("cross_rows", backend.cross_rows(&short, &short));
    rejected("cross_rows", backend.cross_rows(&two, &two));
    rejected("cross_rows", backend.cross_rows(&one, &short));
    rejected("fold_rows", backend.fold_rows(&odd, scalar(9)));
    for weights in [0, 3, 6] {
        rejected("expand", backend.expand(&one, &scalars(0, weights)));
    }
    rejected("expand", backend.expand(&two, &scalars(0, 2)));
    rejected("expand", backend.expand(&short, &scalars(0, 2)));
}

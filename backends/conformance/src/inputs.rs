//! Edge inputs: points, scalars and batches.

use group::Curve as _;
use zkernel_backend::{Body, Curve, Field, HostColumns};

/// A scalar for every index: 0, 1, -1, 2, (p-1)/2 and its successor, a power of two, an odd one out of 255 bits.
#[must_use]
pub fn scalar<F: Field>(index: usize) -> F {
    let wide = |x: F| {
        (x + F::from(0x9E37_79B9_7F4A_7C15))
            .square()
            .square()
            .square()
    };
    match index % 16 {
        0 => F::ZERO,
        1 => F::ONE,
        2 => -F::ONE,
        3 => F::from(2),
        4 => -F::TWO_INV,
        5 => F::TWO_INV,
        6 => F::from(1 << 63).square().square(),
        7 => -F::from(256),
        _ => wide(F::from(index as u64)),
    }
}

/// `count` scalars, starting anywhere in the cycle of edge cases.
#[must_use]
pub fn scalars<F: Field>(from: usize, count: usize) -> Vec<F> {
    (from..from + count).map(scalar).collect()
}

/// Points: distinct ones mixed with the identity, repetitions and opposites.
#[must_use]
pub fn points<C: Curve>(count: usize) -> Vec<C> {
    let generator = C::generator();
    let multiple = |i: usize| (generator * C::ScalarExt::from(i as u64 * i as u64 + 1)).to_affine();
    (0..count)
        .map(|i| match i % 8 {
            3 => multiple(i - 1),
            5 => -multiple(i - 1),
            6 => C::identity(),
            _ => multiple(i),
        })
        .collect()
}

/// A batch of integers of `bits` bits with `tail` field cells a column; the first two cells are the bounds.
#[must_use]
pub fn small<F: Field>(columns: usize, rows: usize, tail: usize, bits: u32) -> HostColumns<F> {
    let bound = (1i64 << bits) - 1;
    let value = |i: usize| match i {
        0 => -bound,
        1 => bound,
        _ => (i as i64).wrapping_mul(0x09E3_779B_97F4_A7C1) % (bound + 1),
    };
    HostColumns {
        rows,
        columns,
        body: Body::Small {
            bits,
            values: (0..columns * (rows - tail)).map(value).collect(),
        },
        tail: scalars(5, columns * tail),
    }
}

/// The same values as field elements.
#[must_use]
pub fn widened<F: Field>(host: &HostColumns<F>) -> HostColumns<F> {
    let column = |c| (0..host.rows).filter_map(move |r| host.get(c, r));
    HostColumns {
        body: Body::Full((0..host.columns).flat_map(column).collect()),
        tail: Vec::new(),
        ..*host
    }
}

/// A batch of edge scalars.
#[must_use]
pub fn full<F: Field>(columns: usize, rows: usize) -> HostColumns<F> {
    HostColumns {
        rows,
        columns,
        body: Body::Full(scalars(columns + rows, columns * rows)),
        tail: Vec::new(),
    }
}

/// Batches of that shape: full ones, all-equal ones, small ones of several bounds without and with a tail, and one of
/// them widened.
#[must_use]
pub fn batches<F: Field>(columns: usize, rows: usize) -> Vec<HostColumns<F>> {
    let tail = rows.min(3);
    let mut equal = full(columns, rows);
    equal.body = Body::Full(vec![scalar(9); columns * rows]);
    let mut all: Vec<_> = [0, 1, 8, 15, 62]
        .into_iter()
        .map(|bits| small(columns, rows, if bits == 1 { 0 } else { tail }, bits))
        .collect();
    all.extend([full(columns, rows), equal, widened(&all[2])]);
    all
}

//! Transforms.
//!
//! Edges: one row, every size up to 2^7 and 2^10 against the reference, up to 2^14 against Horner's rule; shifts 0, 1,
//! -1; no columns; small bodies with tails.

use zkernel_backend::{Backend, Curve, Field, HostColumns, Scalar};

use super::{cells, same, up};
use crate::inputs::{batches, full, scalar};

/// Transforms against the reference.
pub fn ntt<C: Curve, B: Backend<C>>(backend: &B) {
    for log_n in [1, 0, 2, 3, 4, 5, 6, 7, 10] {
        for host in batches::<Scalar<C>>(2, 1 << log_n) {
            batch::<C, B>(backend, &host);
        }
    }
    batch::<C, B>(backend, &full(0, 8));
    batch::<C, B>(backend, &full(5, 64));
}

fn batch<C: Curve, B: Backend<C>>(backend: &B, host: &HostColumns<Scalar<C>>) {
    same!(backend, "interpolate", |b| {
        cells::<C, _>(b, Backend::<C>::interpolate(b, &up::<C, _>(b, host)))
    });
    for shift in [11, 0, 1, 2] {
        same!(backend, "coset_evaluate", |b| {
            let coefficients = up::<C, _>(b, host);
            let shift = scalar(shift);
            cells::<C, _>(b, Backend::<C>::coset_evaluate(b, &coefficients, shift))
        });
    }
}

/// Every size up to 2^14 by definition, without the reference: row i of a transform is Horner's rule at
/// `shift * omega^i`, sampled; interpolation undoes the transform on H.
pub fn ntt_by_definition<C: Curve, B: Backend<C>>(backend: &B) {
    for log_n in 0..=14u32 {
        let rows = 1usize << log_n;
        let host = full::<Scalar<C>>(2, rows);
        let f = up::<C, B>(backend, &host);
        let coefficients = backend.read(&f).expect("readable");
        let omega = Scalar::<C>::root(log_n);
        for shift in [Scalar::<C>::from(1), scalar(11)] {
            let values = backend.coset_evaluate(&f, shift).expect("a power of two");
            let values = backend.read(&values).expect("readable");
            for i in [0, 1, rows / 3, rows / 2, rows - 1].map(|i| i % rows) {
                let x = shift * power(omega, i);
                for column in 0..2 {
                    let f = &coefficients[column * rows..][..rows];
                    let horner = f.iter().rev().fold(scalar(0), |v: Scalar<C>, c| v * x + c);
                    let value = values[column * rows + i];
                    assert!(value == horner, "coset_evaluate: 2^{log_n} rows, row {i}");
                }
            }
        }
        let on_h = backend
            .coset_evaluate(&f, scalar(1))
            .expect("a power of two");
        let back = cells::<C, B>(backend, backend.interpolate(&on_h));
        assert!(
            back == Ok(((2, rows), coefficients)),
            "interpolate: 2^{log_n} rows"
        );
    }
}

/// `omega` of the contract: `ROOT_OF_UNITY^(2^32 / rows)`.
trait Root {
    fn root(log_n: u32) -> Self;
}

impl<F: Field> Root for F {
    fn root(log_n: u32) -> Self {
        F::ROOT_OF_UNITY.pow_vartime([1 << (F::S - log_n)])
    }
}

fn power<F: Field>(x: F, exponent: usize) -> F {
    x.pow_vartime([exponent as u64])
}

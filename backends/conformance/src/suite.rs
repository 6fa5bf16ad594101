//! The checks: every operation of a backend against the reference. They panic on the first difference.

use zkernel_backend::{Backend, BackendError, ColumnRef, Curve, HostColumns, Result, Scalar, Term};
use zkernel_backend_reference::Reference;
use zkernel_verifier::expression::{Instruction, Operand, Operation, Program};
use zkernel_verifier::form::{EvaluatedAxis, EvaluatedView};

use crate::inputs::{batches, full, points, scalar, scalars, small};

/// Shapes of batches: none, single, pairs, a power of two and its neighbours.
const SHAPES: [(usize, usize); 8] = [
    (0, 4),
    (1, 1),
    (2, 2),
    (3, 3),
    (2, 7),
    (4, 8),
    (1, 9),
    (2, 300),
];

/// Runs the same closure body on the backend and on the reference and compares.
macro_rules! same {
    ($backend:expr, $what:expr, |$b:ident| $body:expr) => {{
        let ours = {
            let $b = $backend;
            $body
        };
        let reference = {
            let $b = &Reference;
            $body
        };
        assert!(ours == reference, "{} differs from the reference", $what);
    }};
}

fn up<C: Curve, B: Backend<C>>(backend: &B, host: &HostColumns<Scalar<C>>) -> B::Columns {
    backend.upload(host).expect("a consistent batch")
}

fn cells<C: Curve, B: Backend<C>>(
    backend: &B,
    columns: Result<B::Columns>,
) -> Result<((usize, usize), Vec<Scalar<C>>)> {
    let columns = columns?;
    Ok((backend.shape(&columns), backend.read(&columns)?))
}

fn read<C: Curve, B: Backend<C>>(backend: &B, host: &HostColumns<Scalar<C>>) -> Vec<Scalar<C>> {
    let columns = up::<C, B>(backend, host);
    backend.read(&columns).expect("readable")
}

/// Upload, zeros, gather and take.
pub fn columns<C: Curve, B: Backend<C>>(backend: &B) {
    for (columns, rows) in SHAPES {
        same!(backend, "zeros", |b| cells::<C, _>(b, Backend::<C>::zeros(b, columns, rows)));
        for host in batches::<Scalar<C>>(columns, rows) {
            same!(backend, "upload", |b| read::<C, _>(b, &host));
            let chosen: Vec<ColumnRef> = (0..columns)
                .rev()
                .map(|column| ColumnRef { batch: column % 2, column })
                .collect();
            let other = small(columns, rows, 0, 5);
            same!(backend, "gather", |b| {
                let sources = [&up::<C, _>(b, &host), &up::<C, _>(b, &other)];
                cells::<C, _>(b, Backend::<C>::gather(b, &sources, &chosen))
            });
            let count = (columns * rows) as u32;
            let indices: Vec<u32> = (0..count).map(|i| i * i % count).collect();
            let tails: Vec<_> = (0..columns).map(|c| scalars(c, c.min(rows))).collect();
            same!(backend, "take", |b| {
                let dictionary = up::<C, _>(b, &host);
                cells::<C, _>(b, Backend::<C>::take(b, &indices, &dictionary, &tails, rows))
            });
        }
    }
}

/// Variable-base sums.
pub fn msm<C: Curve, B: Backend<C>>(backend: &B) {
    for count in [0, 1, 2, 3, 7, 8, 9, 31, 33, 64, 257, 600] {
        let points = points::<C>(count);
        for scalars in [scalars(0, count), scalars(8, count), vec![scalar(10); count]] {
            same!(backend, "msm", |b| b.msm(&points, &scalars));
        }
        let equal = vec![C::generator(); count];
        let scalars = scalars(3, count);
        same!(backend, "msm of equal points", |b| b.msm(&equal, &scalars));
    }
}

/// Commitments, direct and by dictionary.
pub fn commit<C: Curve, B: Backend<C>>(backend: &B) {
    for (columns, rows) in SHAPES {
        let points = points::<C>(rows + 2);
        let extra: Vec<_> = (0..columns).map(|c| scalars(c + 7, c % 3)).collect();
        for host in batches::<Scalar<C>>(columns, rows) {
            same!(backend, "commit", |b| {
                let bases = b.load_bases(&points).expect("bases");
                b.commit(&bases, &[&up::<C, _>(b, &host)], &extra)
            });
            let count = (columns * rows) as u32;
            let indices: Vec<u32> = (0..count).map(|i| i * i % count.min(5)).collect();
            let tails: Vec<_> = (0..columns).map(|c| scalars(c, c.min(rows))).collect();
            same!(backend, "commit_dictionary", |b| {
                let bases = b.load_bases(&points).expect("bases");
                let dictionary = up::<C, _>(b, &host);
                b.commit_dictionary(&bases, &indices, &dictionary, &tails, &extra)
            });
        }
    }
}

/// Folded bases, seen through commitments.
pub fn bases<C: Curve, B: Backend<C>>(backend: &B) {
    for (rows, fold) in [(8, 1), (8, 2), (8, 8), (0, 4), (512, 4)] {
        let points = points::<C>(rows + 2);
        let weights = scalars(6, fold);
        let host = full(1, rows / fold);
        let extra = [scalars(9, 2)];
        same!(backend, "fold_bases", |b| {
            let bases = b.load_bases(&points).expect("bases");
            let folded = b.fold_bases(&bases, rows, &weights).expect("foldable");
            b.commit(&folded, &[&up::<C, _>(b, &host)], &extra)
        });
    }
}

/// Transforms.
pub fn ntt<C: Curve, B: Backend<C>>(backend: &B) {
    for log_n in [0, 1, 2, 3, 7, 10] {
        for host in batches::<Scalar<C>>(2, 1 << log_n) {
            same!(backend, "interpolate", |b| {
                cells::<C, _>(b, Backend::<C>::interpolate(b, &up::<C, _>(b, &host)))
            });
            for shift in [0, 1, 2, 11] {
                same!(backend, "coset_evaluate", |b| {
                    let coefficients = up::<C, _>(b, &host);
                    cells::<C, _>(b, Backend::<C>::coset_evaluate(b, &coefficients, scalar(shift)))
                });
            }
        }
    }
}

//! Inner products, combinations, linear forms and folds.
//!
//! Edges: outputs without terms and with the same column twice; views without axes, with an empty axis, with stride 0
//! (the same cell again and again) and across column boundaries; a width below the rows; folds by 0, 1, -1.

use zkernel_backend::{Backend, ColumnRef, Curve, Field, HostColumns, Scalar, Term};
use zkernel_verifier::form::{EvaluatedAxis, EvaluatedView};

use super::{SHAPES, cells, same, up};
use crate::inputs::{batches, full, scalar, scalars};

/// Linear algebra.
pub fn linear<C: Curve, B: Backend<C>>(backend: &B) {
    for (columns, rows) in SHAPES {
        for host in batches::<Scalar<C>>(columns, rows) {
            batch::<C, B>(backend, &host);
        }
    }
}

pub(super) fn batch<C: Curve, B: Backend<C>>(backend: &B, host: &HostColumns<Scalar<C>>) {
    products::<C, B>(backend, host);
    folds::<C, B>(backend, host);
    forms::<C, B>(backend, host, host.rows.saturating_sub(1).max(1));
    forms::<C, B>(backend, host, host.rows.max(1));
}

fn products<C: Curve, B: Backend<C>>(backend: &B, host: &HostColumns<Scalar<C>>) {
    let (columns, rows) = (host.columns, host.rows);
    let (other, vector) = (full(columns, rows), full(1, rows));
    same!(backend, "dot", |b| {
        Backend::<C>::dot(b, &up::<C, _>(b, host), &up::<C, _>(b, &vector))
    });
    let term = |column: usize| Term {
        column: ColumnRef {
            batch: column % 2,
            column,
        },
        coefficient: scalar(column + 7),
    };
    let once = || (0..columns).map(term);
    let terms = [once().collect(), Vec::new(), once().chain(once()).collect()];
    same!(backend, "combine", |b| {
        let sources = [&up::<C, _>(b, host), &up::<C, _>(b, &other)];
        let constants = scalars(1, 3);
        cells::<C, _>(
            b,
            Backend::<C>::combine(b, &sources, &terms, &constants, rows),
        )
    });
    same!(backend, "cross_columns", |b| {
        Backend::<C>::cross_columns(b, &up::<C, _>(b, host), &up::<C, _>(b, &other))
    });
    same!(backend, "cross_rows", |b| {
        Backend::<C>::cross_rows(b, &up::<C, _>(b, host), &up::<C, _>(b, &other))
    });
}

fn folds<C: Curve, B: Backend<C>>(backend: &B, host: &HostColumns<Scalar<C>>) {
    for u in [9, 0, 1, 2] {
        same!(backend, "fold_columns", |b| {
            let columns = up::<C, _>(b, host);
            cells::<C, _>(b, Backend::<C>::fold_columns(b, &columns, scalar(u)))
        });
        same!(backend, "fold_rows", |b| {
            let columns = up::<C, _>(b, host);
            cells::<C, _>(b, Backend::<C>::fold_rows(b, &columns, scalar(u)))
        });
    }
    for weights in [scalars(1, 4), scalars(9, 1), scalars(0, 8)] {
        same!(backend, "expand", |b| {
            let column = up::<C, _>(b, host);
            cells::<C, _>(b, Backend::<C>::expand(b, &column, &weights))
        });
    }
}

fn forms<C: Curve, B: Backend<C>>(backend: &B, host: &HostColumns<Scalar<C>>, width: usize) {
    for lengths in [vec![], vec![(2, 3), (3, 1)], vec![(2, 0)], vec![(0, 1)]] {
        let view = view(&lengths);
        same!(backend, "accumulate", |b| {
            let mut target = up::<C, _>(b, host);
            let done = Backend::<C>::accumulate(b, &mut target, width, &view);
            (done, cells::<C, _>(b, Ok(target)))
        });
        for outer in [vec![], vec![(2, 4), (3, 1)], vec![(0, 1)]] {
            same!(backend, "contract", |b| {
                let (source, mut target) = (up::<C, _>(b, host), up::<C, _>(b, host));
                let done =
                    Backend::<C>::contract(b, &source, width, &outer, &view, &mut target, width, 1);
                (done, cells::<C, _>(b, Ok(target)))
            });
        }
    }
    let entries = [(0, scalar(9)), (0, scalar(2)), (width, scalar(10))];
    same!(backend, "accumulate_sparse", |b| {
        let mut target = up::<C, _>(b, host);
        let done = Backend::<C>::accumulate_sparse(b, &mut target, width, &entries);
        (done, cells::<C, _>(b, Ok(target)))
    });
}

fn view<F: Field>(lengths: &[(usize, usize)]) -> EvaluatedView<F> {
    let axis = |(length, stride): &(usize, usize)| EvaluatedAxis {
        stride: *stride,
        factor: scalars(*length, *length),
    };
    EvaluatedView {
        start: 1,
        axes: lengths.iter().map(axis).collect(),
        scale: scalar(9),
    }
}

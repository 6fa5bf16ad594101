//! Upload, zeros, gather and take.
//!
//! Edges: small and full bodies of equal values, every tail length, empty batches, a source repeated and reversed, a
//! dictionary of one entry, all indices equal, tails as long as the column.

use zkernel_backend::{Backend, ColumnRef, Curve, HostColumns, Scalar};

use super::{SHAPES, cells, same, up};
use crate::inputs::{batches, full, scalars, small};

/// Upload, zeros, gather and take.
pub fn columns<C: Curve, B: Backend<C>>(backend: &B) {
    for (columns, rows) in SHAPES {
        for host in batches::<Scalar<C>>(columns, rows) {
            batch::<C, B>(backend, &host);
        }
    }
    dictionaries::<C, B>(backend);
}

pub(super) fn batch<C: Curve, B: Backend<C>>(backend: &B, host: &HostColumns<Scalar<C>>) {
    let (columns, rows) = (host.columns, host.rows);
    same!(backend, "zeros", |b| {
        cells::<C, _>(b, Backend::<C>::zeros(b, columns, rows))
    });
    same!(backend, "upload", |b| {
        cells::<C, _>(b, Backend::<C>::upload(b, host))
    });
    let column = |column| ColumnRef {
        batch: column % 2,
        column,
    };
    let chosen: Vec<ColumnRef> = (0..columns).rev().chain(0..columns).map(column).collect();
    let other = small(columns, rows, 0, 5);
    same!(backend, "gather", |b| {
        let sources = [&up::<C, _>(b, host), &up::<C, _>(b, &other)];
        cells::<C, _>(b, Backend::<C>::gather(b, &sources, &chosen))
    });
    same!(backend, "gather of nothing", |b| {
        let source = up::<C, _>(b, host);
        let nothing = cells::<C, _>(b, Backend::<C>::gather(b, &[&source], &[]));
        (nothing, cells::<C, _>(b, Ok(source)))
    });
    let count = (columns * rows) as u32;
    let indices: Vec<u32> = (0..count).map(|i| i.wrapping_mul(i) % count).collect();
    let tails: Vec<_> = (0..columns).map(|c| scalars(c, c.min(rows))).collect();
    same!(backend, "take", |b| {
        let dictionary = up::<C, _>(b, host);
        cells::<C, _>(
            b,
            Backend::<C>::take(b, &indices, &dictionary, &tails, rows),
        )
    });
}

/// Dictionaries of one entry, of several columns, with tails that cover all, and of nothing for nothing.
fn dictionaries<C: Curve, B: Backend<C>>(backend: &B) {
    for (columns, rows, entries, tail) in [
        (2, 5, (1, 1), 0),
        (2, 5, (3, 2), 5),
        (1, 9, (1, 64), 2),
        (3, 0, (1, 1), 0),
        (0, 4, (0, 0), 0),
    ] {
        let count: u32 = entries.0 * entries.1;
        let wanted = (columns * rows) as u32;
        let dictionary = full(entries.0 as usize, entries.1 as usize);
        let tails = vec![scalars(7, tail); columns];
        for indices in [
            (0..wanted).map(|i| i * 7 % count).collect::<Vec<u32>>(),
            vec![count.saturating_sub(1); columns * rows],
        ] {
            same!(backend, "take from a dictionary", |b| {
                let dictionary = up::<C, _>(b, &dictionary);
                cells::<C, _>(
                    b,
                    Backend::<C>::take(b, &indices, &dictionary, &tails, rows),
                )
            });
        }
    }
}

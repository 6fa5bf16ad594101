//! Variable-base sums, commitments, folded bases.
//!
//! Edges: 0, 1, 2, 3 and 2^i +- 1 terms; the identity, repeated points and P with -P among the points, P and -P alone,
//! all points equal (every bucket addition a doubling); scalars 0, 1, -1, (p +- 1)/2 and small ones of every width;
//! extra scalars beyond the rows; dictionaries of one entry and of unused entries.

use zkernel_backend::{Backend, Body, Curve, Field, HostColumns, Scalar};

use super::{SHAPES, same, up};
use crate::inputs::{batches, full, points, scalar, scalars, small};

/// Variable-base sums.
pub fn msm<C: Curve, B: Backend<C>>(backend: &B) {
    for count in [
        1, 0, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 257, 600, 1023,
    ] {
        let points = points::<C>(count);
        for scalars in [
            scalars(0, count),
            scalars(8, count),
            vec![scalar(10); count],
            vec![scalar(2); count],
            vec![scalar(0); count],
        ] {
            same!(backend, "msm", |b| b.msm(&points, &scalars));
        }
        let equal = vec![C::generator(); count];
        let scalars = scalars(3, count);
        same!(backend, "msm of equal points", |b| b.msm(&equal, &scalars));
        let identities = vec![C::identity(); count];
        same!(backend, "msm of identities", |b| b
            .msm(&identities, &scalars));
    }
    cancellations::<C, B>(backend);
}

/// Sums that pass through or end in the identity: `x P + x (-P)`, `x P - x P`, and the two with a remainder.
fn cancellations<C: Curve, B: Backend<C>>(backend: &B) {
    let p = C::generator();
    for index in 0..12 {
        let x: Scalar<C> = scalar(index);
        for (points, scalars) in [
            (vec![p, -p], vec![x, x]),
            (vec![p, p], vec![x, -x]),
            (vec![p, -p, p], vec![x, x, x]),
            (vec![-p, -p], vec![-x, x]),
            ([p, -p].repeat(40), vec![x; 80]),
        ] {
            same!(backend, "msm that cancels", |b| b.msm(&points, &scalars));
        }
    }
}

/// Commitments, direct and by dictionary.
pub fn commit<C: Curve, B: Backend<C>>(backend: &B) {
    for (columns, rows) in SHAPES {
        for host in batches::<Scalar<C>>(columns, rows) {
            batch::<C, B>(backend, &host);
        }
    }
    several_batches::<C, B>(backend);
    ends_alone::<C, B>(backend);
    one_entry::<C, B>(backend);
}

pub(super) fn batch<C: Curve, B: Backend<C>>(backend: &B, host: &HostColumns<Scalar<C>>) {
    let (columns, rows) = (host.columns, host.rows);
    let points = points::<C>(rows + 2);
    let extra: Vec<_> = (0..columns).map(|c| scalars(c + 7, c % 3)).collect();
    same!(backend, "commit", |b| {
        let bases = b.load_bases(&points).expect("bases");
        b.commit(&bases, &[&up::<C, _>(b, host)], &extra)
    });
    let count = (columns * rows) as u32;
    let indices: Vec<u32> = (0..count)
        .map(|i| i.wrapping_mul(i) % count.min(5))
        .collect();
    let tails: Vec<_> = (0..columns).map(|c| scalars(c, c.min(rows))).collect();
    same!(backend, "commit_dictionary", |b| {
        let bases = b.load_bases(&points).expect("bases");
        let dictionary = up::<C, _>(b, host);
        b.commit_dictionary(&bases, &indices, &dictionary, &tails, &extra)
    });
}

/// Batches of other rows in one call, an empty one among them; no batch at all.
fn several_batches<C: Curve, B: Backend<C>>(backend: &B) {
    let points = points::<C>(10);
    let hosts = [
        small(2, 8, 2, 9),
        full(0, 3),
        full(1, 5),
        small(1, 1, 0, 62),
    ];
    let extra = [scalars(9, 2), Vec::new(), scalars(3, 5), scalars(4, 1)];
    same!(backend, "commit of several batches", |b| {
        let bases = b.load_bases(&points).expect("bases");
        let batches: Vec<_> = hosts.iter().map(|host| up::<C, _>(b, host)).collect();
        let batches: Vec<_> = batches.iter().collect();
        (
            b.commit(&bases, &batches, &extra),
            b.commit(&bases, &[], &[]),
        )
    });
}

/// Columns of zeros: nothing but scalars for the last bases, as the cross terms of column rounds are committed to.
fn ends_alone<C: Curve, B: Backend<C>>(backend: &B) {
    for rows in [0, 1, 8, 100] {
        let points = points::<C>(rows + 2);
        let extra: Vec<_> = (0..3).map(|seed| scalars(seed, 2)).collect();
        same!(backend, "commit of ends alone", |b| {
            let bases = b.load_bases(&points).expect("bases");
            let nothing = Backend::<C>::zeros(b, 3, rows).expect("zeros");
            b.commit(&bases, &[&nothing], &extra)
        });
    }
}

/// All cells one entry, each of the dictionary's in turn: zero, one, minus one among them.
fn one_entry<C: Curve, B: Backend<C>>(backend: &B) {
    let points = points::<C>(67);
    let dictionary = full(1, 16);
    for entry in 0..16 {
        let indices = vec![entry; 2 * 65];
        let tails = [scalars(6, 3), Vec::new()];
        same!(backend, "commit_dictionary of one entry", |b| {
            let bases = b.load_bases(&points).expect("bases");
            let dictionary = up::<C, _>(b, &dictionary);
            let extra = [scalars(8, 2), Vec::new()];
            b.commit_dictionary(&bases, &indices, &dictionary, &tails, &extra)
        });
    }
}

/// Small integers of every width, with both bounds among them, alone and above a field tail.
pub fn small_widths<C: Curve, B: Backend<C>>(backend: &B) {
    let points = points::<C>(42);
    for bits in 0..=62 {
        for tail in [0, 3] {
            let host = small::<Scalar<C>>(2, 40, tail, bits);
            same!(backend, format!("commit of {bits} bits"), |b| {
                let bases = b.load_bases(&points).expect("bases");
                let extra = [scalars(9, 2), Vec::new()];
                b.commit(&bases, &[&up::<C, _>(b, &host)], &extra)
            });
        }
        // The bounds alone, so that no other cell hides a lost carry; a wide bound over narrow values.
        for values in [
            vec![bound(bits)],
            vec![-bound(bits)],
            vec![bound(bits / 2), -1, 0],
        ] {
            let host = HostColumns {
                rows: values.len(),
                columns: 1,
                body: Body::Small {
                    bits: bits.max(1),
                    values,
                },
                tail: Vec::new(),
            };
            same!(backend, format!("bounds of {bits} bits"), |b| {
                let bases = b.load_bases(&points).expect("bases");
                b.commit(&bases, &[&up::<C, _>(b, &host)], &[Vec::new()])
            });
        }
    }
}

const fn bound(bits: u32) -> i64 {
    (1 << bits) - 1
}

/// 2^12 rows and a neighbour: small, full, and dictionary columns, where a backend's fast paths are.
pub fn large_commit<C: Curve, B: Backend<C>>(backend: &B) {
    for rows in [4096, 4097] {
        let points = points::<C>(rows + 2);
        let hosts = [small(2, rows, 4, 8), full::<Scalar<C>>(1, rows)];
        let extra = vec![scalars(8, 2); 3];
        let dictionary = small(1, 256, 0, 15);
        let indices: Vec<u32> = (0..rows as u32)
            .map(|i| i.wrapping_mul(i * 31) % 256)
            .collect();
        same!(backend, "commit of 2^12 rows", |b| {
            let bases = b.load_bases(&points).expect("bases");
            let batches: Vec<_> = hosts.iter().map(|host| up::<C, _>(b, host)).collect();
            let batches: Vec<_> = batches.iter().collect();
            let dictionary = up::<C, _>(b, &dictionary);
            let tails = [scalars(9, 4)];
            (
                b.commit(&bases, &batches, &extra),
                b.commit_dictionary(&bases, &indices, &dictionary, &tails, &extra[..1]),
            )
        });
    }
}

/// Loaded and folded bases, seen through commitments: no fold, folds to one point, no rows, extra bases kept,
/// weights 0 and -1 among others, a fold of a fold.
pub fn bases<C: Curve, B: Backend<C>>(backend: &B) {
    for from in [6, 0] {
        for (rows, fold) in [(8, 1), (8, 2), (8, 8), (0, 4), (1, 1), (6, 2), (512, 4)] {
            let weights = scalars(from, fold);
            folded::<C, B>(backend, rows, &weights);
        }
    }
    let (points, weights) = (points::<C>(18), scalars(9, 2));
    let host = full(1, 4);
    same!(backend, "fold_bases twice", |b| {
        let bases = b.load_bases(&points).expect("bases");
        let once = b.fold_bases(&bases, 16, &weights).expect("foldable");
        let twice = b.fold_bases(&once, 8, &weights).expect("foldable");
        b.commit(&twice, &[&up::<C, _>(b, &host)], &[scalars(9, 2)])
    });
}

fn folded<C: Curve, B: Backend<C>>(backend: &B, rows: usize, weights: &[Scalar<C>]) {
    let points = points::<C>(rows + 2);
    let values: Vec<Scalar<C>> = (0..rows / weights.len()).map(odd).collect();
    let host = HostColumns {
        rows: values.len(),
        columns: 1,
        body: Body::Full(values),
        tail: Vec::new(),
    };
    same!(backend, "fold_bases", |b| {
        let bases = b.load_bases(&points).expect("bases");
        let folded = b.fold_bases(&bases, rows, weights).expect("foldable");
        b.commit(&folded, &[&up::<C, _>(b, &host)], &[scalars(9, 2)])
    });
}

/// No zero among them: every base counts.
fn odd<F: Field>(i: usize) -> F {
    scalar(8 + i % 8)
}

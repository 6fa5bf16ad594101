//! Random shapes and values, shrunk to the smallest that differs.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use zkernel_backend::{Backend, Body, Curve, Field, HostColumns, Scalar};

use super::{columns, eval, linear, msm, same};
use crate::inputs::{points, scalar};

const CASES: u32 = 48;

/// Every family on random batches, and sums of random edge scalars.
pub fn random<C: Curve, B: Backend<C>>(backend: &B) {
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let batches = runner.run(&batch(), |random| {
        let host = random.host::<Scalar<C>>();
        columns::batch::<C, B>(backend, &host);
        msm::batch::<C, B>(backend, &host);
        eval::batch::<C, B>(backend, &host);
        linear::batch::<C, B>(backend, &host);
        Ok(())
    });
    if let Err(error) = batches {
        panic!("{error}");
    }
    let chosen = prop::collection::vec((0..24usize, 0..24usize), 0..150);
    let sums = runner.run(&chosen, |terms| {
        let known = points::<C>(24);
        let (points, scalars): (Vec<C>, Vec<Scalar<C>>) = terms
            .into_iter()
            .map(|(p, s)| (known[p], scalar::<Scalar<C>>(s)))
            .unzip();
        same!(backend, "msm", |b| b.msm(&points, &scalars));
        Ok(())
    });
    if let Err(error) = sums {
        panic!("{error}");
    }
}

/// A batch before it has a field: its body is of integers below `2^bits`, or of edge scalars if `bits` exceeds 62.
#[derive(Clone, Debug)]
struct Random {
    rows: usize,
    columns: usize,
    bits: u32,
    body: Vec<i64>,
    tail: Vec<usize>,
}

impl Random {
    fn host<F: Field>(&self) -> HostColumns<F> {
        let body = if self.bits <= 62 {
            Body::Small {
                bits: self.bits,
                values: self.body.clone(),
            }
        } else {
            let index = |v: &i64| scalar((v & 31) as usize);
            Body::Full(self.body.iter().map(index).collect())
        };
        HostColumns {
            rows: self.rows,
            columns: self.columns,
            body,
            tail: self.tail.iter().map(|i| scalar(*i)).collect(),
        }
    }
}

/// Up to 4 columns of up to 39 rows with up to 3 blinding cells, of every width.
fn batch() -> impl Strategy<Value = Random> {
    let shape = (0..5usize, 0..40usize, 0..4usize, 0..=64u32);
    shape.prop_flat_map(|(columns, rows, tail, bits)| {
        let tail = tail.min(rows);
        let bound = (1i64 << bits.min(62)) - 1;
        let body = prop::collection::vec(-bound..=bound, columns * (rows - tail));
        let tail = prop::collection::vec(0..24usize, columns * tail);
        (body, tail).prop_map(move |(body, tail)| Random {
            rows,
            columns,
            bits,
            body,
            tail,
        })
    })
}

//! The same call a hundred times: no race, no state that survives a call.

use zkernel_backend::{Backend, ColumnRef, Curve, Result, Scalar, Term};
use zkernel_verifier::form::{EvaluatedAxis, EvaluatedView};

use super::{Batch, cells, program, up};
use crate::inputs::{full, points, scalar, scalars, small};

const TIMES: usize = 100;

/// One call of each heavy operation, at sizes that are worth sharing among threads; all results are equal.
pub fn repeat<C: Curve, B: Backend<C>>(backend: &B) {
    let points = points::<C>(258);
    let bases = backend.load_bases(&points).expect("bases");
    let first = round::<C, B>(backend, &bases, &points).expect("a round");
    for time in 1..TIMES {
        let again = round::<C, B>(backend, &bases, &points).expect("a round");
        assert!(again.0 == first.0, "points differ at repetition {time}");
        assert!(again.1 == first.1, "values differ at repetition {time}");
        let batch = again.2.iter().zip(&first.2).position(|(a, b)| a != b);
        assert!(
            batch.is_none(),
            "batch {batch:?} differs at repetition {time}"
        );
    }
}

type Round<C> = (Vec<C>, Vec<Scalar<C>>, Vec<Batch<C>>);

fn round<C: Curve, B: Backend<C>>(b: &B, bases: &B::Bases, points: &[C]) -> Result<Round<C>> {
    let (x, y) = (
        up::<C, B>(b, &small(4, 256, 3, 9)),
        up::<C, B>(b, &full(4, 256)),
    );
    let column = up::<C, B>(b, &full(1, 256));
    let extra = vec![scalars(8, 2); 8];
    let mut commitments = b.commit(bases, &[&x, &y], &extra)?;
    let indices: Vec<u32> = (0..256).map(|i| i * i % 9).collect();
    let tails = [scalars(8, 4)];
    commitments.extend(b.commit_dictionary(bases, &indices, &y, &tails, &extra[..1])?);
    commitments.push(b.msm(points, &scalars(5, points.len()))?);
    let folded = b.fold_bases(bases, 256, &scalars(9, 4))?;
    let short = up::<C, B>(b, &full(1, 64));
    commitments.extend(b.commit(&folded, &[&short], &extra[..1])?);

    let mut values = b.dot(&x, &column)?;
    let crosses = [b.cross_columns(&x, &y)?, b.cross_rows(&column, &column)?];
    values.extend(crosses.iter().flat_map(|(l, r)| [*l, *r]));

    let mut sum = b.zeros(1, 256)?;
    let kernel = b.prepare(&program())?;
    b.run(
        &kernel,
        &[&x, &y, &x],
        &scalars(9, 1),
        &scalars(8, 4),
        &mut sum,
    )?;
    let axis = |len, stride| EvaluatedAxis {
        stride,
        factor: scalars(9, len),
    };
    let view = EvaluatedView {
        start: 0,
        axes: vec![axis(16, 16), axis(16, 1)],
        scale: scalar(9),
    };
    b.accumulate(&mut sum, 256, &view)?;
    b.contract(&y, 256, &[(64, 1)], &view, &mut sum, 256, 3)?;
    let term = |column| Term {
        column: ColumnRef { batch: 0, column },
        coefficient: scalar(column + 8),
    };
    let terms = [(0..4).map(term).collect()];
    let batches = [
        b.interpolate(&y)?,
        b.coset_evaluate(&x, scalar(9))?,
        b.multiply(&x, &y)?,
        b.invert(&y, scalar(1))?,
        b.combine(&[&y], &terms, &scalars(1, 1), 256)?,
        b.fold_columns(&x, scalar(9))?,
        b.fold_rows(&x, scalar(9))?,
        b.expand(&column, &scalars(8, 2))?,
        b.take(&indices, &y, &tails, 256)?,
        sum,
    ];
    let batches = batches.into_iter().map(|batch| cells::<C, B>(b, Ok(batch)));
    Ok((commitments, values, batches.collect::<Result<_>>()?))
}

//! Commitments to columns that take their cells from a dictionary: in buckets by digit, or bases added up by entry.

use rayon::prelude::*;
use zkernel_backend::{Curve, Result, Scalar, shape};
use zkernel_verifier::curve::Point;

use crate::affine::{Adder, normalize};
use crate::bases::Bases;
use crate::buckets::{Terms, reference};
use crate::columns::Columns;
use crate::commit::{Body, Scalars, commit_scalars, untabled};
use crate::digits::Magnitude;
use crate::division;
use crate::integers::Integers;
use crate::msm::{most_bits, variable};
use crate::plan::Plan;

#[tracing::instrument(skip_all, fields(columns = tails.len(), cells = indices.len()))]
pub(crate) fn commit_dictionary<C: Curve>(
    bases: &Bases<C>,
    indices: &[u32],
    dictionary: &Columns<Scalar<C>>,
    tails: &[Vec<Scalar<C>>],
    extra: &[Vec<Scalar<C>>],
) -> Result<Vec<C>> {
    let rows = shape::commit_dictionary(bases.len(), indices, dictionary.shape(), tails, extra)?;
    let full = dictionary.full(bases.level);
    let (own, used) = by_use(indices, full.len());
    let entries: Vec<Magnitude> = used
        .par_iter()
        .map(|entry| Magnitude::full(&full[*entry as usize]))
        .collect();
    let bits = most_bits(&entries);
    let column = |column: usize| Scalars {
        bits,
        body: Body::Indexed(
            &own[column * rows..][..rows - tails[column].len()],
            &entries,
        ),
        rest: [&tails[column], &extra[column]],
        span: None,
    };
    let columns: Vec<Scalars<'_, Scalar<C>>> = (0..tails.len()).map(column).collect();
    let plain = |column: &Scalars<'_, Scalar<C>>| match &bases.table {
        Some(table) => {
            let (body, rest) = (column.body_len(), column.rest_len());
            Plan::best(table.width, bits, body, rest).additions(bits, body, rest)
        }
        None => division::additions(column.len(), bits),
    };
    let grouped = |column: &Scalars<'_, Scalar<C>>| {
        let points = column.body_len().min(entries.len()) + column.rest_len();
        column.body_len() + division::additions(points, bits)
    };
    if columns.iter().map(grouped).sum::<usize>() < columns.iter().map(plain).sum() {
        let points: Vec<Point<C>> = columns.par_iter().map(|c| by_entry(bases, c)).collect();
        return Ok(normalize::<C>(&points));
    }
    Ok(normalize::<C>(&commit_scalars(bases, &columns)))
}

/// Indices below `count` as indices of those that are used, in order of use, and these.
fn by_use(indices: &[u32], count: usize) -> (Vec<u32>, Vec<u32>) {
    let (mut places, mut used) = (vec![u32::MAX; count], Vec::new());
    let mut place = |index: &u32| {
        let place = &mut places[*index as usize];
        if *place == u32::MAX {
            *place = used.len() as u32;
            used.push(*index);
        }
        *place
    };
    (indices.iter().map(&mut place).collect(), used)
}

/// A column of indices: bases are added up by entry, and the sums multiplied.
fn by_entry<C: Curve>(bases: &Bases<C>, column: &Scalars<'_, Scalar<C>>) -> Point<C> {
    let Body::Indexed(indices, entries) = column.body else {
        return untabled(bases, column);
    };
    let (own, used) = by_use(indices, entries.len());
    let mut terms = Terms::new(used.len(), indices.len());
    for (i, index) in own.iter().enumerate() {
        terms.push(*index as usize, reference(i, false));
    }
    let mut points = Adder::with(bases.level, |adder| terms.sum(adder, &bases.points));
    points.extend_from_slice(&bases.points[indices.len()..][..column.rest_len()]);
    let rest = column.rest.iter().copied().flatten().map(Magnitude::full);
    let scalars = used
        .iter()
        .map(|entry| entries[*entry as usize])
        .chain(rest);
    let products = points.into_iter().zip(scalars);
    let (points, scalars): (Vec<_>, Vec<_>) = products.filter(|(p, _)| !p.is_identity()).unzip();
    variable::<C>(bases.level, &points, Integers::of_magnitudes(&scalars))
}

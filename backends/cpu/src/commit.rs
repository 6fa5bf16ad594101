//! Commitments over fixed bases: with tables, all windows of all scalars of a column share one set of buckets.

use core::ops::Range;

use group::Group;
use rayon::prelude::*;
use zkernel_backend::{Curve, Field, Result, Scalar, shape};
use zkernel_verifier::curve::Point;

use crate::affine::{NEGATED, Xy, normalize};
use crate::bases::{Bases, Table};
use crate::buckets::Terms;
use crate::columns::{Cells, Columns};
use crate::digits::{MAGNITUDE_BITS, Magnitude, Windows, windows};
use crate::integers::Integers;
use crate::kernels;
use crate::level::Level;
use crate::msm::variable;
use crate::parts::{Part, parts, share};
use crate::plan::Plan;
use crate::planes::{self, Column, Span};

/// Additions for which another thread is worth waking.
const ADDITIONS_OF_A_THREAD: usize = 1 << 10;

/// Full scalars from which all digits of a window are had at once.
const MANY: usize = 256;

/// Sums of folded bases made together.
const SUMS_TOGETHER: usize = 64;

/// The scalars of a column: many of a few bits, then some of any size.
pub(crate) struct Scalars<'a, F> {
    /// Bound of the body, in bits: magnitudes are below `2^bits`, or up to that if a digit can be.
    pub(crate) bits: u32,
    pub(crate) body: Body<'a, F>,
    /// What follows the body.
    pub(crate) rest: [&'a [F]; 2],
    /// Which integers the body is of, if it is to be summed plane by plane.
    pub(crate) span: Option<Span>,
}

/// The first scalars of a column.
pub(crate) enum Body<'a, F> {
    Small(&'a [i64]),
    Full(&'a [F]),
    /// Indices of magnitudes.
    Indexed(&'a [u32], &'a [Magnitude]),
}

impl<F: Field> Scalars<'_, F> {
    pub(crate) fn body_len(&self) -> usize {
        match self.body {
            Body::Small(values) => values.len(),
            Body::Full(values) => values.len(),
            Body::Indexed(indices, _) => indices.len(),
        }
    }

    pub(crate) fn rest_len(&self) -> usize {
        self.rest[0].len() + self.rest[1].len()
    }

    pub(crate) fn len(&self) -> usize {
        self.body_len() + self.rest_len()
    }

    /// Scalars of the body that are not zero, of a range of positions; all of them if they are indexed.
    fn used(&self, range: &Range<usize>) -> usize {
        let length = self.body_len();
        let own = range.start.min(length)..range.end.min(length);
        match self.body {
            Body::Small(values) => values[own].iter().filter(|value| **value != 0).count(),
            Body::Full(values) => values[own]
                .iter()
                .filter(|value| **value != F::ZERO)
                .count(),
            Body::Indexed(..) => own.len(),
        }
    }

    /// Visits the scalars of the body that are not zero, of a range of positions.
    fn each_of_body(&self, range: &Range<usize>, mut visit: impl FnMut(usize, &Magnitude)) {
        let length = self.body_len();
        let own = range.start.min(length)..range.end.min(length);
        let mut visit = |i, magnitude: Magnitude| {
            if !magnitude.is_zero() {
                visit(i, &magnitude);
            }
        };
        match self.body {
            Body::Small(values) => own.for_each(|i| visit(i, Magnitude::small(values[i]))),
            Body::Full(values) => own.for_each(|i| visit(i, Magnitude::full(&values[i]))),
            Body::Indexed(indices, magnitudes) => {
                own.for_each(|i| visit(i, magnitudes[indices[i] as usize]));
            }
        }
    }

    /// Visits the scalars after the body, of a range of positions.
    pub(crate) fn each_of_rest(
        &self,
        range: &Range<usize>,
        mut visit: impl FnMut(usize, &Magnitude),
    ) {
        let rest = self.rest.iter().copied().flatten();
        let places = (self.body_len()..).zip(rest);
        places
            .filter(|(i, _)| range.contains(i))
            .for_each(|(i, scalar)| visit(i, &Magnitude::full(scalar)));
    }
}

/// `sum scalars * bases` of several columns, over some rows of each.
fn tabled<C: Curve>(
    bases: &Bases<C>,
    table: &Table<C>,
    columns: &[Scalars<'_, Scalar<C>>],
    rows: &[Range<usize>],
) -> Vec<Point<C>> {
    let bits = columns.iter().map(|column| column.bits).max().unwrap_or(0);
    let used = columns
        .iter()
        .zip(rows)
        .map(|(column, rows)| column.used(rows));
    let body = used.max().unwrap_or(0);
    let rest = columns.iter().map(Scalars::rest_len).max().unwrap_or(0);
    let plan = Plan::best(table.width, bits, body, rest);
    let full = Windows::new(MAGNITUDE_BITS, table.width);
    let count = columns.len();
    let room = count * (body * windows(bits, table.width) + rest * full.count());
    let mut terms = Terms::new(count * plan.buckets(), room);
    for (c, (column, range)) in columns.iter().zip(rows).enumerate() {
        let own = Windows::new(column.bits, table.width);
        let mut push = |windows: &Windows, i: usize, magnitude: &Magnitude| {
            windows.each(magnitude, |window, negative, digit| {
                let base = window * bases.len() + i;
                plan.push(&mut terms, (c, count), (negative, digit), base);
            });
        };
        column.each_of_rest(range, |i, magnitude| push(&full, i, magnitude));
        match column.body {
            Body::Small(values) if own.count() == 1 => {
                let values = values.iter().enumerate().take(range.end).skip(range.start);
                for (i, value) in values.filter(|(_, value)| **value != 0) {
                    let digit = (*value < 0, value.unsigned_abs() as u32);
                    plan.push(&mut terms, (c, count), digit, i);
                }
            }
            Body::Full(values) if values.len() >= MANY => {
                let start = range.start.min(values.len());
                let values = &values[start..range.end.min(values.len())];
                each_digit(bases.level, values, table.width, |window, i, digit| {
                    let base = window * bases.len() + start + i;
                    plan.push(&mut terms, (c, count), digit, base);
                });
            }
            _ => column.each_of_body(range, |i, magnitude| push(&own, i, magnitude)),
        }
    }
    plan.weigh(bases, table, terms, count)
}

/// Visits `(window, scalar, digit)` of all digits that are not zero.
fn each_digit<F: Field>(
    level: Level,
    values: &[F],
    width: u32,
    mut visit: impl FnMut(usize, usize, (bool, u32)),
) {
    let mut integers = Integers::new(level, values);
    let windows = Windows::new(integers.bits(), width);
    integers.bias(&windows);
    let mut digits = Vec::new();
    for window in 0..windows.count() {
        let all = 0..values.len();
        kernels::digits::<F>(level, &integers, (&windows, window), &all, &mut digits);
        for (i, digit) in digits.iter().enumerate().filter(|(_, digit)| **digit != 0) {
            visit(window, i, (digit & NEGATED != 0, digit & !NEGATED));
        }
    }
}

/// `sum scalars * bases` of a column without tables.
pub(crate) fn untabled<C: Curve>(bases: &Bases<C>, column: &Scalars<'_, Scalar<C>>) -> Point<C> {
    let mut points = Vec::with_capacity(column.len());
    let mut scalars = Vec::with_capacity(column.len());
    let mut visit = |i: usize, magnitude: &Magnitude| {
        points.push(bases.points[i]);
        scalars.push(*magnitude);
    };
    let all = 0..column.len();
    column.each_of_body(&all, &mut visit);
    column.each_of_rest(&all, &mut visit);
    variable::<C>(bases.level, &points, Integers::of_magnitudes(&scalars))
}

/// Commitments to columns of scalars: parts of equal cost on all threads, columns cut into rows where that is needed.
pub(crate) fn commit_scalars<C: Curve>(
    bases: &Bases<C>,
    columns: &[Scalars<'_, Scalar<C>>],
) -> Vec<Point<C>> {
    let Some(table) = &bases.table else {
        return columns
            .par_iter()
            .map(|column| untabled(bases, column))
            .collect();
    };
    let own = |column: &Scalars<'_, Scalar<C>>| windows(column.bits, table.width);
    let additions = |column: &Scalars<'_, Scalar<C>>| {
        if let (Some(span), Some(groups)) = (column.span, &table.groups) {
            let (body, rest) = (column.body_len(), column.rest_len());
            return (
                column.len(),
                span.additions(groups, body, rest, columns.len()),
            );
        }
        let rest = column.rest_len() * windows(MAGNITUDE_BITS, table.width);
        (column.len(), column.body_len() * own(column) + rest)
    };
    let costs: Vec<(usize, usize)> = columns.iter().map(additions).collect();
    let all = costs.iter().map(|(_, cost)| cost).sum::<usize>();
    let threads = rayon::current_num_threads();
    let useful = threads.min(all / ADDITIONS_OF_A_THREAD).max(1);
    let kind = |i: usize| match &columns[i] {
        column if column.span.is_some() => None,
        column => Some(own(column)),
    };
    let alike = |i: usize, j: usize| kind(i) == kind(j);
    let parts = parts(&costs, share(all, useful), alike);
    let sum = |part: &Part| {
        let of = part.columns.clone();
        let rows: Vec<Range<usize>> = of.clone().map(|column| part.rows(column)).collect();
        if let Some(groups) = &table.groups {
            let own = columns[of.clone()].iter().zip(&rows);
            let own = own.map(|(column, rows)| Column::new(column, rows.clone(), groups));
            if let Some(own) = own.collect::<Option<Vec<_>>>() {
                return planes::sum(bases, (table, groups), &own);
            }
        }
        tabled(bases, table, &columns[of], &rows)
    };
    let sums: Vec<Vec<Point<C>>> = if useful == 1 {
        parts.iter().map(sum).collect()
    } else {
        parts.par_iter().map(sum).collect()
    };
    let mut commitments = vec![Point::<C>::identity(); columns.len()];
    for (part, sums) in parts.iter().zip(sums) {
        for (commitment, sum) in commitments[part.columns.clone()].iter_mut().zip(sums) {
            *commitment += sum;
        }
    }
    commitments
}

#[tracing::instrument(skip_all, fields(batches = batches.len(), columns = extra.len()))]
pub(crate) fn commit<C: Curve>(
    bases: &Bases<C>,
    batches: &[&Columns<Scalar<C>>],
    extra: &[Vec<Scalar<C>>],
) -> Result<Vec<C>> {
    let shapes: Vec<shape::Shape> = batches.iter().map(|b| b.shape()).collect();
    shape::commit(bases.len(), &shapes, extra)?;
    let columns = batches
        .iter()
        .flat_map(|b| (0..b.shape().0).map(move |c| b.column(c)));
    let columns: Vec<_> = columns
        .zip(extra)
        .map(|((cells, tail), own)| scalars(bases, &cells, [tail, own], extra.len()))
        .collect();
    Ok(normalize::<C>(&commit_scalars(bases, &columns)))
}

/// A column, one of several.
fn scalars<'a, C: Curve>(
    bases: &Bases<C>,
    cells: &Cells<'a, Scalar<C>>,
    rest: [&'a [Scalar<C>]; 2],
    columns: usize,
) -> Scalars<'a, Scalar<C>> {
    let (bits, span, body) = match *cells {
        Cells::Small(bits, values) => {
            let rest = rest[0].len() + rest[1].len();
            let span = in_planes(bases, values, rest, columns);
            let bits = span.map_or_else(|| digit_bits(bases, values).unwrap_or(bits), |_| bits);
            (bits, span, Body::Small(values))
        }
        Cells::Full(values) => (MAGNITUDE_BITS, None, Body::Full(values)),
    };
    Scalars {
        bits,
        body,
        rest,
        span,
    }
}

/// What integers are of, if their sum is cheaper plane by plane than in buckets.
fn in_planes<C: Curve>(
    bases: &Bases<C>,
    values: &[i64],
    rest: usize,
    columns: usize,
) -> Option<Span> {
    let table = bases.table.as_ref()?;
    let groups = table.groups.as_ref()?;
    let (span, used) = Span::of(values);
    let bits = span.bits();
    let buckets = Plan::best(table.width, bits, used, rest).additions(bits, used, rest);
    (span.additions(groups, values.len(), rest, columns) < buckets).then_some(span)
}

/// The least number of bits with magnitudes up to `2^bits`, if those are digits of the table.
fn digit_bits<C: Curve>(bases: &Bases<C>, values: &[i64]) -> Option<u32> {
    let table = bases.table.as_ref()?;
    let largest = |most: u64, value: &i64| most.max(value.unsigned_abs());
    let most = values.iter().fold(1, largest);
    let bits = u64::BITS - (most - 1).leading_zeros();
    (bits < table.width).then_some(bits)
}

/// `sum_b weights[b] P_{i w + b}` for each of the first bases, w weights together: every sum is a column of w scalars.
#[tracing::instrument(skip_all, fields(rows, weights = weights.len()))]
pub(crate) fn fold_bases<C: Curve>(
    bases: &Bases<C>,
    rows: usize,
    weights: &[Scalar<C>],
) -> Result<Bases<C>> {
    shape::fold_bases(bases.len(), rows, weights.len())?;
    let sums: Vec<usize> = (0..rows / weights.len()).collect();
    let share = sums.len().div_ceil(rayon::current_num_threads());
    let folded: Vec<Vec<Point<C>>> = sums
        .par_chunks(share.clamp(1, SUMS_TOGETHER))
        .map(|sums| fold(bases, sums, weights))
        .collect();
    let folded = normalize::<C>(&folded.concat());
    let kept = bases.points[rows..].iter().copied();
    let points = folded.iter().map(Xy::new).chain(kept).collect();
    Ok(Bases::brief(bases.level, points))
}

/// Some of the sums of [`fold_bases`].
fn fold<C: Curve>(bases: &Bases<C>, sums: &[usize], weights: &[Scalar<C>]) -> Vec<Point<C>> {
    let column = Scalars {
        bits: MAGNITUDE_BITS,
        body: Body::Full(weights),
        rest: [&[], &[]],
        span: None,
    };
    let (first, each) = (sums[0] * weights.len(), weights.len());
    let Some(table) = &bases.table else {
        let sum = |i: &usize| {
            let points = &bases.points[i * each..][..each];
            let scalars: Vec<Magnitude> = weights.iter().map(Magnitude::full).collect();
            variable::<C>(bases.level, points, Integers::of_magnitudes(&scalars))
        };
        return sums.iter().map(sum).collect();
    };
    let plan = Plan::best(table.width, MAGNITUDE_BITS, each, 0);
    let windows = Windows::new(MAGNITUDE_BITS, table.width);
    let mut terms = Terms::new(
        sums.len() * plan.buckets(),
        2 * sums.len() * each * windows.count(),
    );
    column.each_of_body(&(0..each), |b, magnitude| {
        windows.each(magnitude, |window, negative, digit| {
            let base = window * bases.len() + first + b;
            for sum in 0..sums.len() {
                let place = (sum, sums.len());
                plan.push(&mut terms, place, (negative, digit), base + sum * each);
            }
        });
    });
    plan.weigh(bases, table, terms, sums.len())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A column of small integers that is summed plane by plane.
    pub(crate) fn column<'a, F: Field>(values: &'a [i64], tail: &'a [F]) -> Scalars<'a, F> {
        let (span, _) = Span::of(values);
        Scalars {
            bits: span.bits(),
            body: Body::Small(values),
            rest: [tail, &[]],
            span: Some(span),
        }
    }
}

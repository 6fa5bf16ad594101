//! Multi-scalar multiplication: signed windows, affine buckets, tables of `2^(w j) P` for fixed bases.

use group::{Curve as _, Group};
use pasta_curves::arithmetic::VartimeField;
use rayon::prelude::*;
use zkernel_backend::{Curve, Field, Result, Scalar, shape};
use zkernel_verifier::curve::Point;

use crate::affine::{Adder, NEGATED, Pair, Xy, normalize};
use crate::buckets::{Term, sum_buckets, weigh};
use crate::columns::{Cells, Columns};
use crate::digits::Magnitude;
use crate::level::Level;

/// Largest memory of the tables of one set of bases.
const TABLE_BYTES: usize = 64 << 20;

/// Bases of an MSM with tables, if they pay.
pub struct Bases<C: Curve> {
    level: Level,
    points: Vec<Xy<C::Base>>,
    table: Option<Table<C>>,
}

/// `2^(width j) P_i` at `j * points + i`: all windows of a scalar share one set of buckets.
struct Table<C: Curve> {
    width: u32,
    multiples: Vec<Xy<C::Base>>,
}

impl<C: Curve> Bases<C> {
    pub(crate) fn load(level: Level, points: &[C]) -> Self {
        let width = (points.len().max(2).ilog2() + 1).clamp(8, 12);
        let bytes = points.len() * windows(256, width) * size_of::<Xy<C::Base>>();
        Self {
            level,
            points: points.iter().map(Xy::new).collect(),
            table: (bytes <= TABLE_BYTES).then(|| Table::new(level, points, width)),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.points.len()
    }
}

impl<C: Curve> Table<C> {
    fn new(level: Level, points: &[C], width: u32) -> Self {
        let count = windows(256, width);
        let multiples_of = |points: &[C]| -> Vec<Vec<Xy<C::Base>>> {
            let mut adder = Adder::new(level);
            let mut current: Vec<Xy<C::Base>> = points.iter().map(Xy::new).collect();
            let mut rows = Vec::with_capacity(count);
            for _ in 0..count {
                rows.push(current.clone());
                for _ in 0..width {
                    let same = |j| (j, reference(j, false));
                    current = add_each(&mut adder, &current, points.len(), same);
                }
            }
            rows
        };
        let chunks: Vec<_> = points.par_chunks(256).map(multiples_of).collect();
        let multiples = (0..count)
            .flat_map(|j| {
                chunks
                    .iter()
                    .flat_map(move |chunk| chunk[j].iter().copied())
            })
            .collect();
        Self { width, multiples }
    }
}

/// Windows that a magnitude of `bits` bits, at most 2^255, needs in signed digits.
const fn windows(bits: u32, width: u32) -> usize {
    (bits / width + 1) as usize
}

/// A reference to a point, negated or not.
fn reference(index: usize, negative: bool) -> u32 {
    index as u32 | if negative { NEGATED } else { 0 }
}

/// Bits of the largest of some scalars.
fn most_bits<'a>(scalars: impl IntoIterator<Item = &'a Magnitude>) -> u32 {
    scalars.into_iter().map(Magnitude::bits).max().unwrap_or(0)
}

/// Width of the windows of [`variable`].
fn variable_width(points: usize) -> u32 {
    points.max(4).ilog2().saturating_sub(2).clamp(2, 14)
}

/// `sum scalars[i] points[i]` over windows in parallel.
fn variable<C: Curve>(level: Level, points: &[Xy<C::Base>], scalars: &[Magnitude]) -> Point<C> {
    let width = variable_width(points.len());
    let mut by_window = vec![Vec::new(); windows(most_bits(scalars), width)];
    for (i, scalar) in scalars.iter().enumerate() {
        scalar.digits(width, |window, negative, bucket| {
            by_window[window].push(Term {
                bucket,
                point: reference(i, negative),
            });
        });
    }
    let buckets = 1 << (width - 1);
    let at_once = by_window.len().div_ceil(rayon::current_num_threads());
    let at_once = at_once
        .min((1_usize << 12).div_ceil(points.len().max(1)))
        .max(1);
    let sum_windows = |windows: &[Vec<Term>]| {
        let mut adder = Adder::new(level);
        let shifted = windows.iter().enumerate().flat_map(|(w, terms)| {
            terms.iter().map(move |term| Term {
                bucket: term.bucket + (w << (width - 1)) as u32,
                ..*term
            })
        });
        let terms: Vec<Term> = shifted.collect();
        let sums = sum_buckets(&mut adder, points, &terms, windows.len() * buckets);
        weigh::<C>(&mut adder, &sums, buckets)
    };
    let sums: Vec<Vec<Point<C>>> = by_window.par_chunks(at_once).map(sum_windows).collect();
    let shift = |total: Point<C>| (0..width).fold(total, |t, _| t.double());
    let horner = |total, sum| shift(total) + sum;
    let sums = sums.into_iter().flatten().rev();
    sums.fold(Point::<C>::identity(), horner)
}

/// The scalars of a column that are not zero, with their bases.
type Scalars = Vec<(usize, Magnitude)>;

/// `sum scalars * bases` of several columns.
fn fixed<C: Curve>(bases: &Bases<C>, columns: &[Scalars]) -> Vec<Point<C>> {
    let Some(table) = &bases.table else {
        let single = |scalars: &Scalars| {
            let points: Vec<_> = scalars.iter().map(|(i, _)| bases.points[*i]).collect();
            let scalars: Vec<Magnitude> = scalars.iter().map(|(_, s)| *s).collect();
            variable::<C>(bases.level, &points, &scalars)
        };
        return columns.iter().map(single).collect();
    };
    let bits = most_bits(columns.iter().flatten().map(|(_, s)| s));
    let buckets = 1usize << bits.min(table.width - 1);
    let mut terms = Vec::new();
    for (c, (i, scalar)) in columns
        .iter()
        .enumerate()
        .flat_map(|(c, scalars)| scalars.iter().map(move |s| (c, s)))
    {
        scalar.digits(table.width, |window, negative, bucket| {
            terms.push(Term {
                bucket: (c * buckets) as u32 + bucket,
                point: reference(window * bases.len() + i, negative),
            });
        });
    }
    let mut adder = Adder::new(bases.level);
    let sums = sum_buckets(
        &mut adder,
        &table.multiples,
        &terms,
        columns.len() * buckets,
    );
    weigh::<C>(&mut adder, &sums, buckets)
}

#[tracing::instrument(skip_all, fields(points = points.len()))]
pub(crate) fn msm<C: Curve>(level: Level, points: &[C], scalars: &[Scalar<C>]) -> Result<C> {
    shape::msm(points.len(), scalars.len())?;
    let points: Vec<_> = points.par_iter().map(Xy::new).collect();
    let scalars: Vec<_> = scalars.par_iter().map(Magnitude::full).collect();
    Ok(variable::<C>(level, &points, &scalars).to_affine())
}

#[tracing::instrument(skip_all, fields(batches = batches.len(), columns = extra.len()))]
pub(crate) fn commit<C: Curve>(
    bases: &Bases<C>,
    batches: &[&Columns<Scalar<C>>],
    extra: &[Vec<Scalar<C>>],
) -> Result<Vec<C>> {
    let shapes: Vec<shape::Shape> = batches.iter().map(|b| b.shape()).collect();
    shape::commit(bases.len(), &shapes, extra)?;
    let columns: Vec<_> = batches
        .iter()
        .flat_map(|b| (0..b.shape().0).map(move |c| (*b, c)))
        .collect();
    let scalars: Vec<Scalars> = columns
        .par_iter()
        .zip(extra)
        .map(|(&(batch, column), extra)| column_scalars(batch, column, extra))
        .collect();
    Ok(normalize::<C>(&commit_scalars(bases, &scalars)))
}

/// Cells whose additions share inversions.
const CELLS_AT_ONCE: usize = 1 << 14;

/// Commitments to columns of scalars, several at a time; few long columns are split into rows.
fn commit_scalars<C: Curve>(bases: &Bases<C>, columns: &[Scalars]) -> Vec<Point<C>> {
    let threads = rayon::current_num_threads();
    let longest = columns.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let parts = threads
        .div_ceil(columns.len().max(1))
        .min(longest.div_ceil(128));
    if parts > 1 {
        let sum = |column: &Scalars| {
            let pieces: Vec<Scalars> = column
                .chunks(column.len().div_ceil(parts).max(1))
                .map(<[_]>::to_vec)
                .collect();
            let points = pieces
                .par_chunks(1)
                .flat_map_iter(|piece| fixed(bases, piece));
            points.reduce(Point::<C>::identity, |a, b| a + b)
        };
        return columns.iter().map(sum).collect();
    }
    let fitting = CELLS_AT_ONCE.div_ceil(longest);
    let at_once = columns.len().div_ceil(threads).min(fitting).max(1);
    let groups = columns.par_chunks(at_once);
    groups.flat_map_iter(|group| fixed(bases, group)).collect()
}

/// The nonzero scalars of a column and its extra ones, with their bases.
fn column_scalars<F: Field>(batch: &Columns<F>, column: usize, extra: &[F]) -> Scalars {
    let (body, tail) = batch.column(column);
    let body: Vec<Magnitude> = match body {
        Cells::Small(values) => values.iter().map(|v| Magnitude::small(*v)).collect(),
        Cells::Full(values) => values.iter().map(Magnitude::full).collect(),
    };
    let rest = tail.iter().chain(extra).map(Magnitude::full);
    let all = body.into_iter().chain(rest).enumerate();
    all.filter(|(_, s)| s.bits() != 0).collect()
}

#[tracing::instrument(skip_all, fields(columns = tails.len(), cells = indices.len()))]
pub(crate) fn commit_dictionary<C: Curve>(
    bases: &Bases<C>,
    indices: &[u32],
    dictionary: &Columns<Scalar<C>>,
    tails: &[Vec<Scalar<C>>],
    extra: &[Vec<Scalar<C>>],
) -> Result<Vec<C>> {
    let rows = shape::commit_dictionary(bases.len(), indices, dictionary.shape(), tails, extra)?;
    let full = dictionary.full();
    let entries: Vec<Magnitude> = full.par_iter().map(Magnitude::full).collect();
    let column = |column: usize| DictionaryColumn::<C> {
        bases,
        entries: &entries,
        body: &indices[column * rows..][..rows - tails[column].len()],
        tail: tails[column]
            .iter()
            .chain(&extra[column])
            .map(Magnitude::full)
            .collect(),
    };
    let columns: Vec<_> = (0..tails.len()).map(column).collect();
    if columns.iter().any(DictionaryColumn::grouping_pays) {
        let points: Vec<Point<C>> = columns.par_iter().map(DictionaryColumn::grouped).collect();
        return Ok(normalize::<C>(&points));
    }
    let scalars: Vec<Scalars> = columns.par_iter().map(DictionaryColumn::scalars).collect();
    Ok(normalize::<C>(&commit_scalars(bases, &scalars)))
}

/// A column of dictionary indices, then of full scalars.
struct DictionaryColumn<'a, C: Curve> {
    bases: &'a Bases<C>,
    entries: &'a [Magnitude],
    body: &'a [u32],
    tail: Vec<Magnitude>,
}

impl<C: Curve> DictionaryColumn<'_, C> {
    /// The entries used, ascending.
    fn used(&self) -> Vec<u32> {
        let mut used = self.body.to_vec();
        used.sort_unstable();
        used.dedup();
        used
    }

    /// Whether adding bases up by entry and multiplying the sums takes fewer additions than tables.
    fn grouping_pays(&self) -> bool {
        let Some(table) = &self.bases.table else {
            return true;
        };
        let used = self.used();
        let bits = most_bits(used.iter().map(|i| &self.entries[*i as usize]));
        let plain = self.body.len() * windows(bits, table.width) + (1 << table.width);
        let points = used.len() + self.tail.len();
        let width = variable_width(points);
        let grouped =
            self.body.len() + windows(bits, width) * (points + (1 << width)) + 16 * bits as usize;
        grouped < plain
    }

    fn scalars(&self) -> Scalars {
        let body = self.body.iter().map(|i| self.entries[*i as usize]);
        let all = body.chain(self.tail.iter().copied()).enumerate();
        all.filter(|(_, s)| s.bits() != 0).collect()
    }

    fn grouped(&self) -> Point<C> {
        let used = self.used();
        let place = |index: &u32| used.partition_point(|u| u < index) as u32;
        let terms: Vec<Term> = (0..)
            .zip(self.body)
            .map(|(point, index)| Term {
                bucket: place(index),
                point,
            })
            .collect();
        let level = self.bases.level;
        let source = &self.bases.points;
        let mut points = sum_buckets(&mut Adder::new(level), source, &terms, used.len());
        points.extend_from_slice(&source[self.body.len()..][..self.tail.len()]);
        let entries = used.iter().map(|index| self.entries[*index as usize]);
        let scalars: Vec<Magnitude> = entries.chain(self.tail.iter().copied()).collect();
        variable::<C>(level, &points, &scalars)
    }
}

/// Width of the windows of [`fold_bases`].
const FOLD_WIDTH: u32 = 4;

#[tracing::instrument(skip_all, fields(rows, weights = weights.len()))]
pub(crate) fn fold_bases<C: Curve>(
    bases: &Bases<C>,
    rows: usize,
    weights: &[Scalar<C>],
) -> Result<Bases<C>> {
    shape::fold_bases(bases.len(), rows, weights.len())?;
    let mut digits = vec![vec![None; weights.len()]; windows(256, FOLD_WIDTH)];
    for (b, weight) in weights.iter().enumerate() {
        Magnitude::full(weight).digits(FOLD_WIDTH, |window, negative, magnitude| {
            digits[window][b] = Some((negative, magnitude as usize));
        });
    }
    let (folded, kept) = bases.points.split_at(rows);
    let outputs: Vec<Vec<_>> = folded
        .par_chunks(weights.len() * 64)
        .map(|points| fold_block(&mut Adder::new(bases.level), points, &digits))
        .collect();
    let points = outputs.into_iter().flatten().chain(kept.iter().copied());
    Ok(Bases {
        level: bases.level,
        points: points.collect(),
        table: None,
    })
}

/// Folds a block of bases in lock-step: `digits[window][b]` is the same for all outputs.
fn fold_block<B: ff::PrimeField + VartimeField>(
    adder: &mut Adder<B>,
    points: &[Xy<B>],
    digits: &[Vec<Option<(bool, usize)>>],
) -> Vec<Xy<B>> {
    let size = points.len();
    let mut multiples = points.to_vec();
    for i in 1..1 << (FOLD_WIDTH - 1) {
        let next = add_each(adder, &multiples, size, |j| {
            ((i - 1) * size + j, reference(j, false))
        });
        multiples.extend(next);
    }
    // The multiples, then the running totals.
    let weights = digits.first().map_or(1, Vec::len);
    let (start, outputs) = (multiples.len(), size / weights);
    multiples.resize(start + outputs, Xy::IDENTITY);
    for window in digits.iter().rev() {
        for _ in 0..FOLD_WIDTH {
            let same = |j| (start + j, reference(start + j, false));
            let next = add_each(adder, &multiples, outputs, same);
            multiples[start..].copy_from_slice(&next);
        }
        for (b, digit) in window.iter().enumerate() {
            let Some((negative, magnitude)) = digit else {
                continue;
            };
            let row = magnitude * size + b;
            let chosen = |j| (start + j, reference(row + j * weights, *negative));
            let next = add_each(adder, &multiples, outputs, chosen);
            multiples[start..].copy_from_slice(&next);
        }
    }
    multiples.split_off(start)
}

/// `count` sums of a point of the source and another, by reference.
fn add_each<B: ff::PrimeField + VartimeField>(
    adder: &mut Adder<B>,
    source: &[Xy<B>],
    count: usize,
    operands: impl Fn(usize) -> (usize, u32),
) -> Vec<Xy<B>> {
    let pair = |j: usize| {
        let (left, right) = operands(j);
        Pair {
            left: left as u32,
            right,
            sum: j as u32,
        }
    };
    let pairs: Vec<Pair> = (0..count).map(pair).collect();
    let mut sums = vec![Xy::IDENTITY; count];
    adder.add_pairs(&pairs, source, &mut sums);
    sums
}

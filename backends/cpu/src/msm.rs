//! Multi-scalar multiplication: signed windows, affine buckets, tables of `2^(w j) P` for fixed bases.

use group::{Curve as _, Group};
use rayon::prelude::*;
use zkernel_backend::{Curve, Field, Result, Scalar, shape};
use zkernel_verifier::curve::Point;

use crate::affine::{Xy, add_all, normalize, sum_buckets, weigh};
use crate::columns::{Cells, Columns};

/// Largest memory of the tables of one set of bases.
const TABLE_BYTES: usize = 64 << 20;

/// Bases of an MSM with tables, if they pay.
pub struct Bases<C: Curve> {
    points: Vec<Xy<C::Base>>,
    table: Option<Table<C>>,
}

/// `2^(width j) P_i` at `j * points + i`: all windows of a scalar share one set of buckets.
struct Table<C: Curve> {
    width: u32,
    multiples: Vec<Xy<C::Base>>,
}

impl<C: Curve> Bases<C> {
    pub(crate) fn load(points: &[C]) -> Self {
        let width = (points.len().max(2).ilog2()).clamp(7, 12);
        let bytes = points.len() * windows(256, width) * size_of::<Xy<C::Base>>();
        Self {
            points: points.iter().map(Xy::new).collect(),
            table: (bytes <= TABLE_BYTES).then(|| Table::new(points, width)),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.points.len()
    }
}

impl<C: Curve> Table<C> {
    fn new(points: &[C], width: u32) -> Self {
        let count = windows(256, width);
        let multiples_of = |points: &[C]| -> Vec<Vec<Xy<C::Base>>> {
            let mut current: Vec<Point<C>> =
                points.iter().map(group::CurveAffine::to_curve).collect();
            let mut rows = Vec::with_capacity(count);
            for _ in 0..count {
                rows.push(normalize::<C>(&current).iter().map(Xy::new).collect());
                for point in &mut current {
                    *point = (0..width).fold(*point, |p, _| p.double());
                }
            }
            rows
        };
        let chunks: Vec<_> = points.par_chunks(64).map(multiples_of).collect();
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

/// A column of a batch.
type ColumnOf<'a, C> = (&'a Columns<Scalar<C>>, usize);

/// A scalar as sign and magnitude below 2^255.
#[derive(Clone, Copy)]
struct Magnitude {
    negative: bool,
    limbs: [u64; 4],
}

impl Magnitude {
    fn small(value: i64) -> Self {
        Self {
            negative: value < 0,
            limbs: [value.unsigned_abs(), 0, 0, 0],
        }
    }

    fn full<F: Field>(value: &F) -> Self {
        let (negated, own) = (limbs(&-*value), limbs(value));
        let negative = negated.iter().rev().lt(own.iter().rev());
        Self {
            negative,
            limbs: if negative { negated } else { own },
        }
    }

    fn bits(&self) -> u32 {
        let top = self.limbs.iter().rposition(|l| *l != 0);
        top.map_or(0, |i| 64 * (i as u32 + 1) - self.limbs[i].leading_zeros())
    }

    /// Visits `(window, negative, magnitude - 1)` of the nonzero digits in `[-2^(w-1), 2^(w-1)]`.
    fn digits(&self, width: u32, mut visit: impl FnMut(usize, bool, u32)) {
        let (bits, half) = (self.bits(), 1u64 << (width - 1));
        let mut carry = 0;
        let mut position = 0;
        let mut window = 0;
        while position < bits || carry != 0 {
            let raw = self.window(position, width) + carry;
            carry = u64::from(raw > half);
            let magnitude = if carry == 1 { (half << 1) - raw } else { raw };
            if magnitude != 0 {
                visit(window, (carry == 1) != self.negative, magnitude as u32 - 1);
            }
            position += width;
            window += 1;
        }
    }

    fn window(&self, position: u32, width: u32) -> u64 {
        let (limb, shift) = ((position / 64) as usize, position % 64);
        let low = self.limbs.get(limb).unwrap_or(&0) >> shift;
        let next = self.limbs.get(limb + 1).unwrap_or(&0);
        let high = next.checked_shl(64 - shift).unwrap_or(0);
        (low | high) & ((1 << width) - 1)
    }
}

fn limbs<F: Field>(value: &F) -> [u64; 4] {
    let bytes = value.to_repr();
    core::array::from_fn(|i| {
        bytes[8 * i..8 * i + 8]
            .iter()
            .rev()
            .fold(0, |limb, byte| limb << 8 | u64::from(*byte))
    })
}

/// `sum scalars[i] points[i]` over windows in parallel.
fn variable<C: Curve>(points: &[Xy<C::Base>], scalars: &[Magnitude]) -> Point<C> {
    let bits = scalars.iter().map(Magnitude::bits).max().unwrap_or(0);
    let width = points.len().max(4).ilog2().saturating_sub(2).clamp(2, 14);
    let mut by_window = vec![Vec::new(); windows(bits, width)];
    for (point, scalar) in points.iter().zip(scalars) {
        scalar.digits(width, |window, negative, bucket| {
            by_window[window].push((bucket, point.signed(negative)));
        });
    }
    let sums: Vec<Point<C>> = by_window
        .par_iter()
        .map(|terms| weigh::<C>(&sum_buckets(terms, 1 << (width - 1))))
        .collect();
    let shift = |total: Point<C>| (0..width).fold(total, |t, _| t.double());
    let horner = |total, sum| shift(total) + sum;
    sums.into_iter().rev().fold(Point::<C>::identity(), horner)
}

/// `sum scalars * bases` over chosen bases.
fn fixed<C: Curve>(bases: &Bases<C>, scalars: &[(usize, Magnitude)]) -> Point<C> {
    let Some(table) = &bases.table else {
        let points: Vec<_> = scalars.iter().map(|(i, _)| bases.points[*i]).collect();
        let scalars: Vec<Magnitude> = scalars.iter().map(|(_, s)| *s).collect();
        return variable::<C>(&points, &scalars);
    };
    let mut terms = Vec::new();
    for (i, scalar) in scalars {
        scalar.digits(table.width, |window, negative, bucket| {
            let point = table.multiples[window * bases.len() + i];
            terms.push((bucket, point.signed(negative)));
        });
    }
    let buckets = terms.iter().map(|(b, _)| *b as usize + 1).max();
    weigh::<C>(&sum_buckets(&terms, buckets.unwrap_or(0)))
}

#[tracing::instrument(skip_all, fields(points = points.len()))]
pub(crate) fn msm<C: Curve>(points: &[C], scalars: &[Scalar<C>]) -> Result<C> {
    shape::msm(points.len(), scalars.len())?;
    let points: Vec<_> = points.iter().map(Xy::new).collect();
    let scalars: Vec<_> = scalars.iter().map(Magnitude::full).collect();
    Ok(variable::<C>(&points, &scalars).to_affine())
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
    let few = columns.len() < rayon::current_num_threads();
    let commitment = |(&(batch, column), extra): (&ColumnOf<'_, C>, &Vec<Scalar<C>>)| {
        let scalars = column_scalars(batch, column, extra);
        if !few || scalars.len() < 128 {
            return fixed(bases, &scalars);
        }
        let part = scalars.len().div_ceil(rayon::current_num_threads());
        let parts = scalars.par_chunks(part).map(|part| fixed(bases, part));
        parts.reduce(Point::<C>::identity, |a, b| a + b)
    };
    let points: Vec<Point<C>> = columns.par_iter().zip(extra).map(commitment).collect();
    Ok(normalize::<C>(&points))
}

/// The nonzero scalars of a column and its extra ones, with their bases.
fn column_scalars<F: Field>(
    batch: &Columns<F>,
    column: usize,
    extra: &[F],
) -> Vec<(usize, Magnitude)> {
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
    let entries = dictionary.full();
    let commitment = |column: usize| {
        let body = &indices[column * rows..][..rows - tails[column].len()];
        let mut used: Vec<u32> = body.to_vec();
        used.sort_unstable();
        used.dedup();
        let place = |index: &u32| used.partition_point(|u| u < index) as u32;
        let terms: Vec<_> = body
            .iter()
            .map(place)
            .zip(bases.points.iter().copied())
            .collect();
        let mut points = sum_buckets(&terms, used.len());
        let scalar = |index: &u32| Magnitude::full(&entries[*index as usize]);
        let mut scalars: Vec<Magnitude> = used.iter().map(scalar).collect();
        points.extend_from_slice(&bases.points[body.len()..]);
        scalars.extend(
            tails[column]
                .iter()
                .chain(&extra[column])
                .map(Magnitude::full),
        );
        let (points, scalars): (Vec<_>, Vec<_>) = points
            .into_iter()
            .zip(scalars)
            .filter(|(_, s)| s.bits() != 0)
            .unzip();
        variable::<C>(&points, &scalars)
    };
    let points: Vec<Point<C>> = (0..tails.len()).into_par_iter().map(commitment).collect();
    Ok(normalize::<C>(&points))
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
        .map(|points| fold_block(points, &digits))
        .collect();
    let points = outputs.into_iter().flatten().chain(kept.iter().copied());
    Ok(Bases {
        points: points.collect(),
        table: None,
    })
}

/// Folds a block of bases in lock-step: `digits[window][b]` is the same for all outputs.
fn fold_block<B: pasta_curves::arithmetic::VartimeField>(
    points: &[Xy<B>],
    digits: &[Vec<Option<(bool, usize)>>],
) -> Vec<Xy<B>> {
    let mut scratch = Vec::new();
    let count = 1usize << (FOLD_WIDTH - 1);
    let mut multiples = vec![points.to_vec()];
    for i in 1..count {
        let mut next = multiples[i - 1].clone();
        add_all(&mut next, points, &mut scratch);
        multiples.push(next);
    }
    let weights = digits.first().map_or(1, Vec::len);
    let mut total = vec![Xy::IDENTITY; points.len() / weights];
    for window in digits.iter().rev() {
        for _ in 0..FOLD_WIDTH {
            let same = total.clone();
            add_all(&mut total, &same, &mut scratch);
        }
        for (b, digit) in window.iter().enumerate() {
            let Some((negative, magnitude)) = digit else {
                continue;
            };
            let chosen = multiples[*magnitude].iter().skip(b).step_by(weights);
            let chosen: Vec<_> = chosen.map(|p| p.signed(*negative)).collect();
            add_all(&mut total, &chosen, &mut scratch);
        }
    }
    total
}

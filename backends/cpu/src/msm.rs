//! Multi-scalar multiplication with bases not seen before: signed windows, each with its own buckets.

use core::ops::Range;

use group::{Curve as _, Group};
use rayon::prelude::*;
use zkernel_backend::{Curve, Result, Scalar, shape};
use zkernel_verifier::curve::Point;

use crate::affine::{Adder, NEGATED, Xy, normalize};
use crate::buckets::{self, Section, horner};
use crate::digits::{Integers, Magnitude, Windows, windows};
use crate::kernels;
use crate::level::Level;

/// Terms of windows that are worked on together.
const TERMS_TOGETHER: usize = 1 << 14;

/// Buckets of windows that are worked on together.
const BUCKETS_TOGETHER: usize = 1 << 13;

#[tracing::instrument(skip_all, fields(points = points.len()))]
pub(crate) fn msm<C: Curve>(level: Level, points: &[C], scalars: &[Scalar<C>]) -> Result<C> {
    shape::msm(points.len(), scalars.len())?;
    let scalars = Integers::new(level, scalars);
    if scalars.bits() == 0 {
        return Ok(C::identity());
    }
    Ok(variable::<C>(level, &Xy::all(level, points), scalars).to_affine())
}

/// Points for which shared doublings are faster than buckets.
const FEW: usize = 24;

/// Width of the windows of [`straus`].
const FEW_WIDTH: u32 = 5;

/// `sum scalars[i] points[i]` by multiples of every point and doublings shared by all.
fn straus<C: Curve>(level: Level, points: &[Xy<C::Base>], mut scalars: Integers) -> Point<C> {
    let windows = Windows::new(scalars.bits(), FEW_WIDTH);
    scalars.bias(&windows);
    let mut multiples = Vec::with_capacity(points.len() * windows.buckets());
    for point in points {
        let point = point.point::<C>();
        let next = |sum: &Point<C>| Some(*sum + point);
        let own = core::iter::successors(Some(point.to_curve()), next);
        multiples.extend(own.take(windows.buckets()));
    }
    let multiples = normalize::<C>(&multiples);
    let (mut total, mut digits) = (Point::<C>::identity(), Vec::new());
    for window in (0..windows.count()).rev() {
        total = (0..FEW_WIDTH).fold(total, |t, _| t.double());
        kernels::digits::<Scalar<C>>(level, &scalars, (&windows, window), &mut digits);
        for (digit, own) in digits.iter().zip(multiples.chunks(windows.buckets())) {
            match (digit & !NEGATED) as usize {
                0 => {}
                magnitude if digit & NEGATED != 0 => total -= own[magnitude - 1],
                magnitude => total += own[magnitude - 1],
            }
        }
    }
    total
}

/// Bits of the largest of some scalars.
pub(crate) fn most_bits<'a>(scalars: impl IntoIterator<Item = &'a Magnitude>) -> u32 {
    scalars.into_iter().map(Magnitude::bits).max().unwrap_or(0)
}

/// Widest window.
const WIDEST: u32 = 17;

/// Width of windows for the fewest additions.
fn best_width(points: usize, bits: u32) -> u32 {
    (2..=WIDEST)
        .min_by_key(|width| additions(points, bits, *width))
        .unwrap_or(2)
}

/// The windows of the fewest additions.
fn best_windows(points: usize, scalars: &Integers) -> Windows {
    let (bits, alone) = (scalars.bits(), scalars.digit_bits());
    let single = (2usize << alone.min(WIDEST)) + points;
    if alone < WIDEST && single <= variable_additions(points, bits) {
        return Windows::new(alone, alone + 1);
    }
    Windows::new(bits, best_width(points, bits))
}

/// Additions of [`variable`], doublings included at what they cost one by one.
fn additions(points: usize, bits: u32, width: u32) -> usize {
    let buckets = 1 << width.min(bits + 1).saturating_sub(1);
    windows(bits, width) * (points + 2 * buckets + 16) + 5 * bits as usize
}

/// Additions of [`variable`] at its best.
pub(crate) fn variable_additions(points: usize, bits: u32) -> usize {
    additions(points, bits, best_width(points, bits))
}

/// `sum scalars[i] points[i]` over windows in parallel.
pub(crate) fn variable<C: Curve>(
    level: Level,
    points: &[Xy<C::Base>],
    mut scalars: Integers,
) -> Point<C> {
    if points.len() <= FEW {
        return straus::<C>(level, points, scalars);
    }
    let windows = best_windows(points.len(), &scalars);
    scalars.bias(&windows);
    let share = windows.count().div_ceil(rayon::current_num_threads());
    let together = (TERMS_TOGETHER / points.len()).max(BUCKETS_TOGETHER / windows.buckets());
    let parts = windows.count().div_ceil(together.clamp(1, share));
    let own = windows.count().div_ceil(parts);
    // Fewer windows than threads: parts of the points, each with buckets of its own.
    let most = points.len().div_ceil(TERMS_TOGETHER);
    let shares = (rayon::current_num_threads() / windows.count()).clamp(1, most);
    let length = points.len().div_ceil(shares);
    let ranges = (0..points.len()).step_by(length);
    let ranges = ranges.map(|start| start..points.len().min(start + length));
    let all: Vec<usize> = (0..windows.count()).collect();
    let parts: Vec<(&[usize], Range<usize>)> = ranges
        .flat_map(|range| all.chunks(own).map(move |own| (own, range.clone())))
        .collect();
    let sum_own = |(own, range): (&[usize], Range<usize>)| {
        Adder::with(level, |adder| {
            sum_windows::<C>(adder, level, (points, range), &scalars, (&windows, own))
        })
    };
    let addends = parts.into_par_iter().flat_map_iter(sum_own);
    let mut addends: Vec<(u32, Vec<Xy<C::Base>>)> = addends.collect();
    addends.sort_by_key(|(shift, _)| core::cmp::Reverse(*shift));
    horner::<C>(0, &addends)
}

/// Sums of some windows of a range of points, each with its own buckets: points with binary logarithms of their weights.
fn sum_windows<C: Curve>(
    adder: &mut Adder<C::Base>,
    level: Level,
    (points, range): (&[Xy<C::Base>], Range<usize>),
    scalars: &Integers,
    (windows, own): (&Windows, &[usize]),
) -> Vec<(u32, Vec<Xy<C::Base>>)> {
    let size = windows.buckets();
    let (mut digits, mut counts) = (Vec::new(), Vec::with_capacity(own.len() * size));
    let mut sorted = Vec::with_capacity(own.len() * range.len());
    for window in own {
        kernels::digits::<Scalar<C>>(level, scalars, (windows, *window), &mut digits);
        let digits = (range.start, &digits[range.clone()]);
        sort(digits, size, &mut counts, &mut sorted);
    }
    let buckets = buckets::sum(adder, points, sorted, counts);
    let shift = |group: usize| own[group] as u32 * windows.width();
    let section = Section {
        buckets: &buckets,
        size,
        shift: 0,
    };
    let addends = section.addends(adder, own.len());
    let of_group = |group: usize| {
        let own = addends.iter();
        own.map(move |(bit, points)| (shift(group) + bit, vec![points[group]]))
    };
    (0..own.len()).flat_map(of_group).collect()
}

/// Counting sort of points of a window from the first on: counts of buckets, and references in the order of these, are appended.
fn sort(
    (first_point, digits): (usize, &[u32]),
    size: usize,
    counts: &mut Vec<u32>,
    sorted: &mut Vec<u32>,
) {
    let first = counts.len();
    // No digit at all counts as the last bucket, so that it can be cut off.
    counts.resize(first + size + 1, 0);
    let bucket = |digit: u32| ((digit & !NEGATED).wrapping_sub(1) as usize).min(size);
    let own = &mut counts[first..];
    digits.iter().for_each(|digit| own[bucket(*digit)] += 1);
    let start = |end: &mut u32, count: &u32| {
        *end += count;
        Some(*end - count)
    };
    let mut next: Vec<u32> = own.iter().scan(sorted.len() as u32, start).collect();
    let none = next[size] as usize;
    sorted.resize(sorted.len() + digits.len(), 0);
    for (i, digit) in (first_point..).zip(digits) {
        let slot = &mut next[bucket(*digit)];
        sorted[*slot as usize] = i as u32 | (digit & NEGATED);
        *slot += 1;
    }
    sorted.truncate(none);
    counts.truncate(first + size);
}

#[cfg(test)]
mod tests {
    use pasta_curves::{Eq, EqAffine, Fp};

    use super::*;

    /// Points with known logarithms, so many that the one window of a byte is cut into parts on several threads.
    #[test]
    fn one_window_on_several_threads() {
        let count = 2 * TERMS_TOGETHER + 5;
        let generator = Eq::generator();
        let next = |p: &Eq| Some(*p + generator);
        let points: Vec<Eq> = core::iter::successors(Some(generator), next)
            .take(count)
            .collect();
        let points: Vec<EqAffine> = normalize(&points);
        let values = (0..count as i64).map(|i| i * i % 256 - 128);
        let sum: i64 = (1..).zip(values.clone()).map(|(i, v)| i * v).sum();
        let signed = |v: i64| {
            let magnitude = Fp::from(v.unsigned_abs());
            if v < 0 { -magnitude } else { magnitude }
        };
        let scalars: Vec<Fp> = values.map(signed).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build();
        let sum_of = |level| {
            pool.as_ref()
                .unwrap()
                .install(|| msm(level, &points, &scalars))
        };
        for level in [Level::detect(), Level::PORTABLE] {
            assert_eq!(
                sum_of(level).unwrap(),
                (generator * signed(sum)).to_affine()
            );
        }
    }
}

//! Multi-scalar multiplication with bases not seen before: signed windows, each with its own buckets.

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
    let all: Vec<usize> = (0..windows.count()).collect();
    let sum_own = |own: &[usize]| {
        Adder::with(level, |adder| {
            sum_windows::<C>(adder, level, points, &scalars, (&windows, own))
        })
    };
    let mut addends: Vec<(u32, Vec<Xy<C::Base>>)> =
        all.par_chunks(own).flat_map_iter(sum_own).collect();
    addends.sort_by_key(|(shift, _)| core::cmp::Reverse(*shift));
    horner::<C>(0, &addends)
}

/// Sums of some windows, each with its own buckets: points with binary logarithms of their weights.
fn sum_windows<C: Curve>(
    adder: &mut Adder<C::Base>,
    level: Level,
    points: &[Xy<C::Base>],
    scalars: &Integers,
    (windows, own): (&Windows, &[usize]),
) -> Vec<(u32, Vec<Xy<C::Base>>)> {
    let size = windows.buckets();
    let (mut digits, mut counts) = (Vec::new(), Vec::with_capacity(own.len() * size));
    let mut sorted = Vec::with_capacity(own.len() * points.len());
    for window in own {
        kernels::digits::<Scalar<C>>(level, scalars, (windows, *window), &mut digits);
        sort(&digits, size, &mut counts, &mut sorted);
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

/// Counting sort of the points of a window: counts of buckets, and references in the order of these, are appended.
fn sort(digits: &[u32], size: usize, counts: &mut Vec<u32>, sorted: &mut Vec<u32>) {
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
    for (i, digit) in digits.iter().enumerate() {
        let slot = &mut next[bucket(*digit)];
        sorted[*slot as usize] = i as u32 | (digit & NEGATED);
        *slot += 1;
    }
    sorted.truncate(none);
    counts.truncate(first + size);
}

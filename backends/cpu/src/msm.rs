//! Multi-scalar multiplication with bases not seen before: signed windows, each with its own buckets.

use group::{Curve as _, Group};
use rayon::prelude::*;
use zkernel_backend::{Curve, Result, Scalar, shape};
use zkernel_verifier::curve::Point;

use crate::affine::{Adder, Xy, normalize};
use crate::buckets::{Section, Terms, reference, weigh};
use crate::digits::{Biased, Magnitude, Windows, windows};
use crate::level::Level;

/// Terms of windows that are worked on together.
const TERMS_TOGETHER: usize = 1 << 12;

#[tracing::instrument(skip_all, fields(points = points.len()))]
pub(crate) fn msm<C: Curve>(level: Level, points: &[C], scalars: &[Scalar<C>]) -> Result<C> {
    shape::msm(points.len(), scalars.len())?;
    let points: Vec<_> = points.par_iter().map(Xy::new).collect();
    let scalars: Vec<_> = scalars.par_iter().map(Magnitude::full).collect();
    Ok(variable::<C>(level, &points, &scalars).to_affine())
}

/// Points for which shared doublings are faster than buckets.
const FEW: usize = 24;

/// Width of the windows of [`straus`].
const FEW_WIDTH: u32 = 5;

/// `sum scalars[i] points[i]` by multiples of every point and doublings shared by all.
fn straus<C: Curve>(points: &[Xy<C::Base>], scalars: &[Magnitude]) -> Point<C> {
    let windows = Windows::new(most_bits(scalars), FEW_WIDTH);
    let mut multiples = Vec::with_capacity(points.len() * windows.buckets());
    for point in points {
        let point = point.point::<C>();
        let next = |sum: &Point<C>| Some(*sum + point);
        let own = core::iter::successors(Some(point.to_curve()), next);
        multiples.extend(own.take(windows.buckets()));
    }
    let multiples = normalize::<C>(&multiples);
    let biased: Vec<Biased> = scalars.iter().map(|s| windows.bias(s)).collect();
    let mut total = Point::<C>::identity();
    for window in (0..windows.count()).rev() {
        total = (0..FEW_WIDTH).fold(total, |t, _| t.double());
        for (scalar, own) in biased.iter().zip(multiples.chunks(windows.buckets())) {
            let (negative, digit) = windows.digit(scalar, window);
            match digit {
                0 => {}
                _ if negative => total -= own[digit as usize - 1],
                _ => total += own[digit as usize - 1],
            }
        }
    }
    total
}

/// Bits of the largest of some scalars.
pub(crate) fn most_bits<'a>(scalars: impl IntoIterator<Item = &'a Magnitude>) -> u32 {
    scalars.into_iter().map(Magnitude::bits).max().unwrap_or(0)
}

/// Width of windows for the fewest additions.
fn best_width(points: usize, bits: u32) -> u32 {
    (2..=17)
        .min_by_key(|width| additions(points, bits, *width))
        .unwrap_or(2)
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
    scalars: &[Magnitude],
) -> Point<C> {
    if points.len() <= FEW {
        return straus::<C>(points, scalars);
    }
    let bits = most_bits(scalars);
    let width = best_width(points.len(), bits);
    let windows = Windows::new(bits, width);
    let biased: Vec<Biased> = scalars.iter().map(|s| windows.bias(s)).collect();
    let count = windows.count();
    let share = count.div_ceil(rayon::current_num_threads());
    let at_once = TERMS_TOGETHER.div_ceil(points.len().max(1)).min(share);
    let all: Vec<usize> = (0..count).collect();
    let sum_own = |own: &[usize]| {
        let (first, last) = (own[0], own[own.len() - 1]);
        Adder::with(level, |adder| {
            sum_windows::<C>(adder, points, &biased, (&windows, first, last))
        })
    };
    let sums: Vec<Vec<Point<C>>> = all.par_chunks(at_once.max(1)).map(sum_own).collect();
    let shift = |total: Point<C>| (0..width).fold(total, |t, _| t.double());
    let horner = |total, sum| shift(total) + sum;
    let sums = sums.into_iter().flatten().rev();
    sums.fold(Point::<C>::identity(), horner)
}

/// Sums of the windows from the first to the last, each with its own buckets.
fn sum_windows<C: Curve>(
    adder: &mut Adder<C::Base>,
    points: &[Xy<C::Base>],
    scalars: &[Biased],
    (windows, first, last): (&Windows, usize, usize),
) -> Vec<Point<C>> {
    let (groups, size) = (last - first + 1, windows.buckets());
    let mut terms = Terms::new(groups * size, groups * points.len());
    for (i, scalar) in scalars.iter().enumerate() {
        for window in first..=last {
            let (negative, magnitude) = windows.digit(scalar, window);
            if magnitude != 0 {
                let bucket = (window - first) * size + magnitude as usize - 1;
                terms.push(bucket, reference(i, negative));
            }
        }
    }
    let buckets = terms.sum(adder, points);
    let section = Section {
        buckets: &buckets,
        size,
        shift: 0,
    };
    weigh::<C>(adder, groups, &[section])
}

//! Multi-scalar multiplication with bases not seen before: signed windows, each with its own buckets.

use core::ops::Range;

use ff::WithSmallOrderMulGroup as _;
use group::{Curve as _, Group};
use zkernel_backend::{Curve, Result, Scalar, shape};
use zkernel_verifier::curve::Point;

use crate::affine::{Adder, NEGATED, Xy, normalize};
use crate::buckets::{self, Section, horner};
use crate::digits::{Magnitude, Windows};
use crate::division::Division;
use crate::integers::Integers;
use crate::kernels;
use crate::level::Level;
use crate::parallel;

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
    let all = 0..points.len();
    for window in (0..windows.count()).rev() {
        total = (0..FEW_WIDTH).fold(total, |t, _| t.double());
        kernels::digits::<Scalar<C>>(level, &scalars, (&windows, window), &all, &mut digits);
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

/// `sum scalars[i] points[i]` over windows, in parts on all threads.
pub(crate) fn variable<C: Curve>(
    level: Level,
    points: &[Xy<C::Base>],
    scalars: Integers,
) -> Point<C> {
    if points.len() <= FEW {
        return straus::<C>(level, points, scalars);
    }
    let division = Division::best(points.len(), &scalars, rayon::current_num_threads());
    let mut scalars = match division.windows.halves() {
        true => scalars.halved::<Scalar<C>>(level),
        false => scalars,
    };
    scalars.bias(&division.windows);
    let sum = |(own, range): (Range<usize>, Range<usize>)| {
        let windows = (&division.windows, own);
        Adder::with(level, |adder| {
            sum_windows::<C>(adder, level, (points, range), &scalars, windows)
        })
    };
    let parts = division.parts(points.len());
    let addends = parallel::map(parts.into_iter(), sum);
    let mut addends: Vec<(u32, Vec<Xy<C::Base>>)> = addends.into_iter().flatten().collect();
    addends.sort_by_key(|(shift, _)| core::cmp::Reverse(*shift));
    horner::<C>(0, &addends)
}

/// Sums of some windows of a range of points, each with its own buckets: points with binary logarithms of their weights.
fn sum_windows<C: Curve>(
    adder: &mut Adder<C::Base>,
    level: Level,
    (points, range): (&[Xy<C::Base>], Range<usize>),
    scalars: &Integers,
    (windows, own): (&Windows, Range<usize>),
) -> Vec<(u32, Vec<Xy<C::Base>>)> {
    let (size, count) = (windows.buckets(), windows.count());
    let halves = if windows.halves() { 2 } else { 1 };
    let groups = halves * own.len();
    let (mut digits, mut counts) = (Vec::new(), Vec::with_capacity(groups * size));
    let mut sorted = Vec::with_capacity(groups * range.len());
    let of_half = |half| own.clone().map(move |window| half * count + window);
    for window in (0..halves).flat_map(of_half) {
        kernels::digits::<Scalar<C>>(level, scalars, (windows, window), &range, &mut digits);
        sort((range.start, &digits), size, &mut counts, &mut sorted);
    }
    let buckets = buckets::sum(adder, points, sorted, counts);
    let shift = |group: usize| (own.start + group) as u32 * windows.width();
    let section = Section {
        buckets: &buckets,
        size,
        shift: 0,
        zeta: windows.halves().then_some(C::Base::ZETA),
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
    use crate::division::TERMS_TOGETHER;

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

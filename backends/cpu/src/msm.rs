//! Multi-scalar multiplication with bases not seen before: signed windows, each with its own buckets.

use core::ops::Range;

use group::{Curve as _, Group};
use zkernel_backend::{Curve, Field, Result, Scalar, shape};
use zkernel_verifier::curve::Point;

use crate::affine::{Adder, NEGATED, Source, Xy, normalize};
use crate::buckets::{self, Section, horner};
use crate::classes;
use crate::digits::{MAGNITUDE_BITS, Magnitude, Windows};
use crate::division::{self, Digits, Division};
use crate::hexagons::{self, Scalars};
use crate::integers::Integers;
use crate::kernels;
use crate::level::Level;
use crate::parallel;
use crate::sections;
#[cfg(target_arch = "x86_64")]
use crate::streams;

#[tracing::instrument(skip_all, fields(points = points.len()))]
pub(crate) fn msm<C: Curve>(level: Level, points: &[C], scalars: &[Scalar<C>]) -> Result<C> {
    shape::msm(points.len(), scalars.len())?;
    let sum = || sum::<C>(level, points, scalars).to_affine();
    if points.len() < LONG {
        return Ok(sum());
    }
    Ok(parallel::inside(sum))
}

/// The sum of as many points as scalars.
fn sum<C: Curve>(level: Level, points: &[C], scalars: &[Scalar<C>]) -> Point<C> {
    #[cfg(target_arch = "x86_64")]
    if (points.len() <= FEW || !are_wide(scalars))
        && let Some(source) = Source::of(level, points)
        && let Some(short) = streams::of_scalars::<C>(level, source, scalars)
            .or_else(|| sections::of_scalars::<C>(level, source, scalars))
        // Otherwise they have been misjudged, and a copy of most would take longer than to begin again.
        && short.long.len() <= points.len() / 2
    {
        let of_short = finished::<C>(short.addends);
        if short.long.is_empty() {
            return of_short;
        }
        let long = || short.long.iter().map(|i| *i as usize);
        let points: Vec<C> = long().map(|i| points[i]).collect();
        let scalars: Vec<Scalar<C>> = long().map(|i| scalars[i]).collect();
        // Not judged by some of them once more, which could mislead again and again.
        return of_short + of_any_size::<C>(level, &points, &scalars);
    }
    of_any_size::<C>(level, points, scalars)
}

/// The same, of scalars that are all looked at unless they seem to be of full size.
fn of_any_size<C: Curve>(level: Level, points: &[C], scalars: &[Scalar<C>]) -> Point<C> {
    if points.len() > FEW
        && are_wide(scalars)
        && let Some(sum) = full::<C>(level, points, scalars)
    {
        return sum;
    }
    of_integers::<C>(level, points, scalars)
}

/// The sum with scalars that become integers first.
fn of_integers<C: Curve>(level: Level, points: &[C], scalars: &[Scalar<C>]) -> Point<C> {
    let scalars = Integers::new(level, scalars);
    let bits = scalars.bits();
    if bits == 0 {
        return Point::<C>::identity();
    }
    if points.len() > FEW {
        let threads = rayon::current_num_threads();
        let division = Division::best(points.len(), (bits, scalars.digit_bits()), threads);
        let once = division.digits.count() == 1;
        let copied = matches!(division.digits, Digits::Hexagonal(_));
        if (once || copied)
            && let Some(source) = Source::of(level, points)
        {
            return divided::<C>(level, source, scalars, &division);
        }
    }
    variable::<C>(level, &Xy::all(level, points), scalars)
}

/// The sum with scalars of full size, if digits of both halves are best.
fn full<C: Curve>(level: Level, points: &[C], scalars: &[Scalar<C>]) -> Option<Point<C>> {
    if points.len() >= division::MANY {
        return Some(wide(level, points, scalars));
    }
    let (bits, threads) = (MAGNITUDE_BITS, rayon::current_num_threads());
    let division = Division::best(points.len(), (bits, bits), threads);
    let Digits::Hexagonal(base) = division.digits else {
        return None;
    };
    let source = Source::of(level, points)?;
    let parts = division.slices(base, points.len());
    let scalars = Scalars::Fields(scalars);
    let addends = hexagons::sum::<C>(level, source, (&scalars, base), &parts);
    Some(finished::<C>(addends))
}

/// The sum of many points with scalars of full size.
fn wide<C: Curve>(level: Level, points: &[C], scalars: &[Scalar<C>]) -> Point<C> {
    let division = division::wide(points.len(), rayon::current_num_threads());
    let addends = match Source::of(level, points) {
        Some(source) => classes::sum::<C>(level, source, scalars, division),
        None => {
            let points = Xy::all(level, points);
            classes::sum::<C>(level, Source::Points(&points), scalars, division)
        }
    };
    finished::<C>(addends)
}

/// Whether scalars are about as large as they can be: the first ones tell.
fn are_wide<F: Field>(scalars: &[F]) -> bool {
    let first = scalars.iter().take(8).map(Magnitude::full);
    first.map(|scalar| scalar.bits()).max() >= Some(MAGNITUDE_BITS - 8)
}

/// Points whose sum takes so long that it is done by threads of the pool alone.
const LONG: usize = 1 << 16;

/// Points for which shared doublings are faster than buckets.
const FEW: usize = 24;

/// Points that are sorted and added together if all go to one window: they are read in order, run by run.
const RUN: usize = 1 << 16;

/// Points of a bucket in a run, so many that the sums of runs are few.
const POINTS_OF_A_BUCKET: usize = 64;

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
    let bits = (scalars.bits(), scalars.digit_bits());
    let division = Division::best(points.len(), bits, rayon::current_num_threads());
    divided::<C>(level, Source::Points(points), scalars, &division)
}

fn divided<C: Curve>(
    level: Level,
    points: Source<'_, C::Base>,
    scalars: Integers,
    division: &Division,
) -> Point<C> {
    let addends = match division.digits {
        Digits::Signed(windows) => {
            let (parts, mut scalars) = (division.parts(points.len()), scalars);
            scalars.bias(&windows);
            #[cfg(target_arch = "x86_64")]
            if let Some(addends) =
                streams::of_integers::<C>(level, points, &scalars, (&windows, parts.len()))
            {
                return horner::<C>(0, &in_order(addends));
            }
            let alone = (&windows, parts.len());
            if let Some(addends) = sections::of_integers::<C>(level, points, &scalars, alone) {
                return horner::<C>(0, &in_order(vec![addends]));
            }
            parallel::map(parts.into_iter(), |(own, range)| {
                Adder::with(level, |adder| {
                    sum_windows::<C>(adder, level, (points, range), &scalars, (&windows, own))
                })
            })
        }
        Digits::Hexagonal(base) => {
            let parts = division.slices(base, points.len());
            let scalars = Scalars::Octets(scalars.octets());
            hexagons::sum::<C>(level, points, (&scalars, base), &parts)
        }
    };
    horner::<C>(0, &in_order(addends))
}

/// The total of the addends of all parts.
pub(crate) fn finished<C: Curve>(addends: Vec<Addends<C::Base>>) -> Point<C> {
    horner::<C>(0, &in_order(addends))
}

/// Points with binary logarithms of their weights.
pub(crate) type Addends<B> = Vec<(u32, Vec<Xy<B>>)>;

/// Addends of all parts, largest weights first.
fn in_order<B>(addends: Vec<Addends<B>>) -> Addends<B> {
    let mut addends: Addends<B> = addends.into_iter().flatten().collect();
    addends.sort_by_key(|(shift, _)| core::cmp::Reverse(*shift));
    addends
}

/// Addends of groups as those of windows of a width, with all shifts.
fn at_windows<B: Copy>(
    addends: &[(u32, Vec<B>)],
    own: &Range<usize>,
    width: u32,
) -> Vec<(u32, Vec<B>)> {
    let of_group = |(group, window): (usize, usize)| {
        let shift = window as u32 * width;
        let own = addends.iter();
        own.map(move |(bit, points)| (shift + bit, vec![points[group]]))
    };
    own.clone().enumerate().flat_map(of_group).collect()
}

/// Sums of some windows of a range of points, each with its own buckets: points with binary logarithms of their weights.
fn sum_windows<C: Curve>(
    adder: &mut Adder<C::Base>,
    level: Level,
    (points, range): (Source<'_, C::Base>, Range<usize>),
    scalars: &Integers,
    (windows, own): (&Windows, Range<usize>),
) -> Vec<(u32, Vec<Xy<C::Base>>)> {
    let size = windows.buckets();
    let mut sums = |range: Range<usize>| {
        bucket_sums::<C>(adder, level, (points, range), scalars, (windows, &own))
    };
    let run = (POINTS_OF_A_BUCKET * size).max(RUN);
    let mut buckets: Vec<Xy<C::Base>> = if windows.count() == 1 && range.len() >= 2 * run {
        let starts = range.clone().step_by(run);
        let runs = starts.map(|start| start..range.end.min(start + run));
        runs.flat_map(&mut sums).collect()
    } else {
        sums(range)
    };
    let runs = buckets.len() / (own.len() * size);
    if runs > 1 {
        let of_bucket = |bucket| (0..runs).map(move |run| (run * size + bucket) as u32);
        let references = (0..size).flat_map(of_bucket).collect();
        let counts = vec![runs as u32; size];
        buckets = buckets::sum(adder, Source::Points(&buckets), references, counts);
    }
    let section = Section {
        buckets: &buckets,
        size,
        shift: 0,
    };
    let addends = at_windows(&section.addends(adder, own.len()), &own, windows.width());
    adder.give_room(buckets);
    addends
}

/// Sums of the buckets of some windows of a range of points.
fn bucket_sums<C: Curve>(
    adder: &mut Adder<C::Base>,
    level: Level,
    (points, range): (Source<'_, C::Base>, Range<usize>),
    scalars: &Integers,
    (windows, own): (&Windows, &Range<usize>),
) -> Vec<Xy<C::Base>> {
    let (size, groups) = (windows.buckets(), own.len());
    let mut sorted = adder.take_words(groups * range.len());
    let mut digits = adder.take_words(range.len() + 8);
    let mut counts = adder.take_words(groups * size + 1);
    for window in own.clone() {
        kernels::digits::<Scalar<C>>(level, scalars, (windows, window), &range, &mut digits);
        // No digit at all counts as the last bucket, so that it can be cut off.
        let bucket = |digit: u32| ((digit & !NEGATED).wrapping_sub(1) as usize).min(size);
        let terms = (range.start..).zip(&digits);
        let terms = terms.map(|(i, digit)| (bucket(*digit), i as u32 | (digit & NEGATED)));
        sort((range.len(), terms), size, &mut counts, &mut sorted);
    }
    adder.give_words(digits);
    buckets::sum(adder, points, sorted, counts)
}

/// Counting sort of so many terms of a window, buckets and references: counts of buckets, and references in the order of
/// these, are appended. Those of the bucket after the last are left out.
pub(crate) fn sort(
    (length, terms): (usize, impl Iterator<Item = (usize, u32)> + Clone),
    size: usize,
    counts: &mut Vec<u32>,
    sorted: &mut Vec<u32>,
) {
    let first = counts.len();
    counts.resize(first + size + 1, 0);
    let own = &mut counts[first..];
    terms.clone().for_each(|(bucket, _)| own[bucket] += 1);
    let start = sorted.len();
    let mut end = start as u32;
    for count in &mut *own {
        end += core::mem::replace(count, end);
    }
    let none = own[size] as usize;
    sorted.resize(start + length, 0);
    terms.for_each(|(bucket, reference)| {
        let slot = &mut own[bucket];
        sorted[*slot as usize] = reference;
        *slot += 1;
    });
    // Ends as counts again.
    let mut before = start as u32;
    for end in own {
        *end -= core::mem::replace(&mut before, *end);
    }
    sorted.truncate(none);
    counts.truncate(first + size);
}

#[cfg(test)]
mod tests;

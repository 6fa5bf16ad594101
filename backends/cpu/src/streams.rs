//! Sums of many points with short scalars, in one window of few buckets: threads take points range by range, each with buckets of its own, and
//! scalars are told to be short as they are met.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use zkernel_backend::{Curve, Field, Scalar};
use zkernel_verifier::curve::Point;

use crate::affine::{Adder, NEGATED, Source};
use crate::buckets::{self, Section};
use crate::kernels;
use crate::level::Level;
use crate::msm::{Addends, finished, sort};
use crate::parallel;
use crate::trees::stream::{RANGE, Supply};

/// Points of a bucket and a thread from which a sum is worth it: queues that are not full at the end are pieces of any length, and the first
/// ranges are not fetched ahead.
const POINTS_OF_A_BUCKET: usize = 1 << 10;

/// Points for which a thread is worth waking, and fewest of a sum.
const POINTS_OF_A_THREAD: usize = 1 << 12;

/// Octets of scalars that tell how short all may be.
const SAMPLES: usize = 64;

/// Points of every one that may have a longer scalar than those: if there are more, the rest is summed otherwise.
const POINTS_OF_A_LONG_ONE: usize = 64;

/// Points that nobody has taken, and those whose scalars are longer than expected.
struct Shared<'a, F> {
    level: Level,
    scalars: &'a [F],
    /// Largest magnitude, and number of buckets.
    size: usize,
    taken: AtomicUsize,
    long: Mutex<Vec<usize>>,
    /// Whether there are too many of these.
    over: AtomicBool,
}

/// What a thread takes of them.
struct Ranges<'a, F> {
    shared: &'a Shared<'a, F>,
    integers: Vec<i32>,
}

impl<F: Field> Supply for Ranges<'_, F> {
    fn take(&mut self) -> Option<Range<usize>> {
        let (shared, points) = (self.shared, self.shared.scalars.len());
        if shared.over.load(Ordering::Relaxed) {
            return None;
        }
        let start = shared.taken.fetch_add(RANGE, Ordering::Relaxed);
        (start < points).then(|| start..points.min(start + RANGE))
    }

    fn digits(&mut self, range: &Range<usize>, digits: &mut Vec<u32>) {
        let integers = &mut self.integers[..range.len()];
        self.shared.integers(range, integers);
        let digit = |value: &i32| value.unsigned_abs() | value.cast_unsigned() & NEGATED;
        digits.clear();
        digits.extend(integers.iter().map(digit));
    }

    fn scalars(&self) -> (*const i8, usize) {
        (self.shared.scalars.as_ptr().cast(), size_of::<F>())
    }
}

impl<F: Field> Shared<'_, F> {
    /// The scalars of a range as integers, zero for those that are too long: these are noted.
    fn integers(&self, range: &Range<usize>, integers: &mut [i32]) {
        if self.are_short(range, integers) {
            return;
        }
        let mut long = Vec::new();
        for (i, integer) in range.clone().zip(integers) {
            if !self.are_short(&(i..i + 1), core::slice::from_mut(integer)) {
                *integer = 0;
                long.push(i);
            }
        }
        let mut all = self.long.lock().unwrap_or_else(PoisonError::into_inner);
        all.append(&mut long);
        if all.len() > self.scalars.len() / POINTS_OF_A_LONG_ONE {
            self.over.store(true, Ordering::Relaxed);
        }
    }

    fn are_short(&self, range: &Range<usize>, integers: &mut [i32]) -> bool {
        let largest = kernels::narrow(self.level, &self.scalars[range.clone()], integers);
        largest.is_some_and(|largest| largest as usize <= self.size)
    }
}

/// The sum, if the level has trees and some of the scalars say that all may be short; with it points that are left over, by their
/// indices.
pub(crate) fn sum<C: Curve>(
    level: Level,
    points: &[C],
    scalars: &[Scalar<C>],
) -> Option<(Point<C>, Vec<usize>)> {
    let threads = rayon::current_num_threads();
    let threads = threads.min(points.len() / POINTS_OF_A_THREAD);
    if threads == 0 {
        return None;
    }
    let (source, size) = (Source::of(level, points)?, size(level, scalars)?);
    if points.len() < POINTS_OF_A_BUCKET * size * threads {
        return None;
    }
    let shared = Shared {
        level,
        scalars,
        size,
        taken: AtomicUsize::new(0),
        long: Mutex::new(Vec::new()),
        over: AtomicBool::new(false),
    };
    let addends = parallel::map(0..threads, |_| {
        let ranges = Ranges {
            shared: &shared,
            integers: vec![0; RANGE],
        };
        Adder::with(level, |adder| part(adder, source, ranges, size))
    });
    let mut rest = shared
        .long
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    rest.extend(shared.taken.into_inner().min(points.len())..points.len());
    Some((finished::<C>(addends), rest))
}

/// Buckets for all scalars, if they are like some of them: a power of two.
fn size<F: Field>(level: Level, scalars: &[F]) -> Option<usize> {
    let step = (scalars.len() / SAMPLES).next_multiple_of(8);
    let octets = scalars.chunks_exact(8).step_by(step / 8);
    let largest = octets.map(|octet| kernels::narrow(level, octet, &mut [0; 8]));
    let largest = largest.reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b)));
    let largest = largest.flatten().filter(|largest| *largest != 0)?;
    Some(largest.next_power_of_two() as usize)
}

/// Addends of what one thread takes.
fn part<B: ff::PrimeField + pasta_curves::arithmetic::VartimeField>(
    adder: &mut Adder<B>,
    points: Source<'_, B>,
    supply: impl Supply,
    size: usize,
) -> Addends<B> {
    let Some((pieces, of_pieces)) = adder.stream(points, supply, (size, points.len() / 16)) else {
        return Vec::new();
    };
    let (references, counts) = by_bucket(&of_pieces, size);
    let sums = buckets::sum(adder, Source::Points(&pieces), references, counts);
    let section = Section {
        buckets: &sums,
        size,
        shift: 0,
    };
    let addends = section.addends(adder, 1);
    adder.give_room(sums);
    adder.give_room(pieces);
    addends
}

/// References to pieces in the order of their buckets, and how many each has.
fn by_bucket(of_pieces: &[u32], size: usize) -> (Vec<u32>, Vec<u32>) {
    let terms = of_pieces.iter().zip(0..);
    let terms = terms.map(|(bucket, piece)| (*bucket as usize, piece));
    let (mut counts, mut references) = (Vec::new(), Vec::new());
    sort((of_pieces.len(), terms), size, &mut counts, &mut references);
    (references, counts)
}

#[cfg(test)]
mod tests {
    use ff::PrimeField as _;
    use group::{Curve as _, Group as _};
    use pasta_curves::{Eq, EqAffine, Fp};

    use super::*;
    use crate::affine::normalize;
    use crate::packed::pace::Pace;

    /// Sums with some scalars that are longer than most: what is left over are just those, or with many also the points that nobody took; at
    /// every pace, on one thread and several.
    #[test]
    fn long_scalars_are_left_over() {
        const COUNT: usize = 40_005;
        let generator = Eq::generator();
        let next = |p: &Eq| Some(*p + generator);
        let points: Vec<Eq> = core::iter::successors(Some(generator), next)
            .take(COUNT)
            .collect();
        let points: Vec<EqAffine> = normalize(&points);
        let longs = [Fp::from(9), -Fp::from(1 << 33), Fp::TWO_INV, Fp::from(40)];
        // Never in the first eight of an octet's step, which are sampled.
        let few = |i: usize| i % 632 == 631 && i > 20_000;
        let many = |i: usize| i % 632 >= 300 && i > 20_000;
        let none = |_: usize| false;
        for (is_long, over) in [
            (few as fn(usize) -> bool, false),
            (many, true),
            (none, false),
        ] {
            let scalar = |i: usize| match i {
                _ if is_long(i) => longs[i / 632 % 4],
                _ if i % 3 == 0 => -Fp::from((i * i % 9) as u64),
                _ => Fp::from((i * i % 9) as u64),
            };
            let scalars: Vec<Fp> = (0..COUNT).map(scalar).collect();
            let places = |i: &usize| scalars[*i] * Fp::from(*i as u64 + 1);
            for pace in [Pace::FewProducts, Pace::FewInstructions] {
                let Some(level) = Level::avx512_ifma_at(pace) else {
                    return;
                };
                for threads in [1, 3] {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                    let own = pool.unwrap().install(|| sum(level, &points, &scalars));
                    let (total, mut rest) = own.unwrap();
                    rest.sort_unstable();
                    let met = (0..COUNT).filter(|i| rest.binary_search(i).is_err());
                    let wanted = met.map(|i| places(&i)).sum::<Fp>();
                    assert_eq!(total.to_affine(), (generator * wanted).to_affine());
                    let long = (0..COUNT).filter(|i| is_long(*i));
                    if over {
                        assert!(long.clone().count() > COUNT / POINTS_OF_A_LONG_ONE);
                        assert!(long.clone().all(|i| rest.binary_search(&i).is_ok()));
                        assert!(rest.len() > long.count() && rest.len() < COUNT - 20_000);
                    } else {
                        assert!(rest.iter().copied().eq(long));
                    }
                    let all = crate::msm::msm(level, &points, &scalars).unwrap();
                    let wanted = (0..COUNT).map(|i| places(&i)).sum::<Fp>();
                    assert_eq!(all, (generator * wanted).to_affine());
                }
            }
        }
    }
}

//! Sums of many points with short scalars, in one window of few buckets: threads take points range by range, each with buckets of its own, and
//! scalars are told to be short as they are met.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use group::Group as _;
use zkernel_backend::{Curve, Field, Scalar};
use zkernel_verifier::curve::Point;

use crate::affine::{Adder, NEGATED, Source};
use crate::buckets::{self, Section};
use crate::kernels;
use crate::level::Level;
use crate::msm::{Addends, finished, sort};
use crate::parallel;
use crate::trees::stream::Supply;

/// Points of a bucket and a thread from which a sum is worth it: queues that are not full at the end are pieces of any length, and the first
/// ranges are not fetched ahead.
const POINTS_OF_A_BUCKET: usize = 1 << 10;

/// Points that a thread takes at a time, whole octets.
const TOGETHER: usize = 1 << 11;

/// Fewest points.
const LEAST: usize = 1 << 14;

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
        let start = shared.taken.fetch_add(TOGETHER, Ordering::Relaxed);
        (start < points).then(|| start..points.min(start + TOGETHER))
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
    if points.len() < LEAST {
        return None;
    }
    let source = Source::of(level, points)?;
    let (size, threads) = (size(level, scalars)?, rayon::current_num_threads());
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
            integers: vec![0; TOGETHER],
        };
        Adder::with(level, |adder| part(adder, source, ranges, size))
    });
    let mut rest = shared.long.into_inner();
    let rest = rest.as_mut().map_or_else(|e| core::mem::take(e.get_mut()), core::mem::take);
    let left = shared.taken.into_inner().min(points.len())..points.len();
    let total = match addends.iter().all(Vec::is_empty) {
        true => Point::<C>::identity(),
        false => finished::<C>(addends),
    };
    Some((total, rest.into_iter().chain(left).collect()))
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

//! Sums in one window of few buckets: threads take points range by range, each with buckets of its own.

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use pasta_curves::arithmetic::VartimeField;
use zkernel_backend::{Curve, Field, Scalar};

use crate::affine::{Adder, Source};
use crate::buckets::{self, Section};
use crate::digits::Windows;
use crate::integers::{Integers, digit_bits};
use crate::kernels;
use crate::level::Level;
use crate::msm::{Addends, sort};
use crate::packed::points::IN_ORDER;
use crate::parallel;
use crate::trees::stream::Supply;

/// Points of a bucket and a thread from which a sum is worth it: queues that are not full at the end are pieces of any length, and the first
/// ranges are not fetched ahead.
const POINTS_OF_A_BUCKET: usize = 1 << 10;

/// Points that a thread takes at a time: whole octets, and whole steps of fetches.
const TOGETHER: usize = 51 * 40;

const _: () = assert!(TOGETHER.is_multiple_of(8) && TOGETHER.is_multiple_of(IN_ORDER));

/// About so many groups of eight scalars tell how large most of them are.
const SAMPLES: usize = 1 << 5;

/// Ranges of points that nobody has taken.
#[derive(Clone, Copy)]
struct Ranges<'a> {
    level: Level,
    windows: &'a Windows,
    points: usize,
    taken: &'a AtomicUsize,
}

impl<'a> Ranges<'a> {
    const fn new(
        level: Level,
        windows: &'a Windows,
        points: usize,
        taken: &'a AtomicUsize,
    ) -> Self {
        Self {
            level,
            windows,
            points,
            taken,
        }
    }

    fn take(&self) -> Option<Range<usize>> {
        let start = self.taken.fetch_add(TOGETHER, Ordering::Relaxed);
        (start < self.points).then(|| start..self.points.min(start + TOGETHER))
    }

    fn digits<F: Field>(&self, integers: &Integers, own: &Range<usize>, digits: &mut Vec<u32>) {
        kernels::digits::<F>(self.level, integers, (self.windows, 0), own, digits);
    }
}

/// Scalars that are integers already.
struct OfIntegers<'a, F> {
    ranges: Ranges<'a>,
    integers: &'a Integers,
    field: core::marker::PhantomData<F>,
}

impl<F: Field> Supply for OfIntegers<'_, F> {
    fn take(&mut self) -> Option<Range<usize>> {
        self.ranges.take()
    }

    fn digits(&mut self, range: &Range<usize>, digits: &mut Vec<u32>) {
        self.ranges.digits::<F>(self.integers, range, digits);
    }

    fn scalars(&self) -> &[[u64; 4]] {
        &[]
    }
}

/// Scalars that become integers when their range is taken: they are fetched with the points, beside additions.
struct OfScalars<'a, F> {
    ranges: Ranges<'a>,
    scalars: &'a [F],
    words: &'a [[u64; 4]],
    /// Those of a range.
    integers: Integers,
    /// Places of those that are no digits.
    long: Vec<u32>,
}

impl<F: Field> Supply for OfScalars<'_, F> {
    fn take(&mut self) -> Option<Range<usize>> {
        self.ranges.take()
    }

    fn digits(&mut self, range: &Range<usize>, digits: &mut Vec<u32>) {
        let (own, most) = (&self.scalars[range.clone()], self.ranges.windows.buckets());
        let long = |i| self.long.push((range.start + i) as u32);
        self.integers
            .replace(self.ranges.level, own, most as u32, long);
        let all = 0..range.len();
        self.ranges.digits::<F>(&self.integers, &all, digits);
    }

    fn scalars(&self) -> &[[u64; 4]] {
        self.words
    }
}

/// Addends of every thread, if there is one window of few buckets and the level has trees.
pub(crate) fn of_integers<C: Curve>(
    level: Level,
    points: Source<'_, C::Base>,
    integers: &Integers,
    (windows, threads): (&Windows, usize),
) -> Option<Vec<Addends<C::Base>>> {
    let size = windows.buckets();
    if windows.count() != 1 || points.len() < POINTS_OF_A_BUCKET * size * threads {
        return None;
    }
    level.prime::<C::Base>()?;
    let taken = AtomicUsize::new(0);
    let supply = || OfIntegers::<Scalar<C>> {
        ranges: Ranges::new(level, windows, points.len(), &taken),
        integers,
        field: core::marker::PhantomData,
    };
    let parts = on_threads(level, points, (size, threads), supply);
    Some(parts.into_iter().map(|(addends, _)| addends).collect())
}

/// Sums of all points but for those of some scalars.
pub(crate) struct Short<B> {
    /// Addends of every thread.
    pub(crate) addends: Vec<Addends<B>>,
    /// Places of the scalars that are left over.
    pub(crate) long: Vec<u32>,
}

/// The sum, if most scalars are so short that few buckets get many points each.
pub(crate) fn of_scalars<C: Curve>(
    level: Level,
    points: Source<'_, C::Base>,
    scalars: &[Scalar<C>],
) -> Option<Short<C::Base>> {
    let threads = rayon::current_num_threads();
    let (prime, _) = (level.prime::<Scalar<C>>()?, level.prime::<C::Base>()?);
    let most = points.len() / (POINTS_OF_A_BUCKET * threads);
    let largest = largest_of_some(level, scalars, most)?;
    let bits = digit_bits(largest);
    let windows = Windows::new(bits, bits + 1);
    if windows.buckets() > most {
        return None;
    }
    let taken = AtomicUsize::new(0);
    let supply = || OfScalars {
        ranges: Ranges::new(level, &windows, points.len(), &taken),
        scalars,
        words: prime.words(scalars),
        integers: Integers::Narrow(Vec::new(), largest),
        long: Vec::new(),
    };
    let parts = on_threads(level, points, (windows.buckets(), threads), supply);
    let own = parts
        .into_iter()
        .map(|(addends, supply)| (addends, supply.long));
    let (addends, long): (Vec<_>, Vec<_>) = own.unzip();
    let long = long.concat();
    Some(Short { addends, long })
}

/// The largest magnitude of some of the scalars, if that is neither zero nor more than given.
pub(crate) fn largest_of_some<F: Field>(level: Level, scalars: &[F], most: usize) -> Option<u32> {
    let step = scalars.len() / 8 / SAMPLES;
    if step == 0 || most == 0 {
        return None;
    }
    let mut largest = 0;
    for octet in scalars.chunks_exact(8).step_by(step) {
        largest = kernels::narrow(level, octet, &mut [0; 8])?.max(largest);
        if largest as usize > most {
            return None;
        }
    }
    (largest != 0).then_some(largest)
}

/// Addends of what every thread takes, and its supply.
fn on_threads<B: ff::PrimeField + VartimeField, S: Supply + Send>(
    level: Level,
    points: Source<'_, B>,
    (size, threads): (usize, usize),
    supply: impl Fn() -> S + Sync,
) -> Vec<(Addends<B>, S)> {
    parallel::map(0..threads, |_| {
        let mut supply = supply();
        let addends = Adder::with(level, |adder| part(adder, points, &mut supply, size));
        (addends, supply)
    })
}

/// Addends of what one thread takes.
fn part<B: ff::PrimeField + VartimeField>(
    adder: &mut Adder<B>,
    points: Source<'_, B>,
    supply: &mut impl Supply,
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

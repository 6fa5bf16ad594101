//! Sums in one window of few buckets: threads take points range by range, each with buckets of its own.

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use zkernel_backend::{Curve, Scalar};

use crate::affine::{Adder, Source};
use crate::buckets::{self, Section};
use crate::digits::Windows;
use crate::integers::Integers;
use crate::kernels;
use crate::level::Level;
use crate::msm::{Addends, sort};
use crate::parallel;
use crate::trees::stream::Supply;

/// Points of a bucket and a thread from which a sum is worth it: queues that are not full at the end are pieces of any length, and the first
/// ranges are not fetched ahead.
const POINTS_OF_A_BUCKET: usize = 1 << 10;

/// Points that a thread takes at a time, whole octets.
const TOGETHER: usize = 1 << 11;

/// Ranges of points that nobody has taken, for digits of the first window.
struct Ranges<'a, C> {
    level: Level,
    scalars: &'a Integers,
    windows: &'a Windows,
    points: usize,
    taken: &'a AtomicUsize,
    curve: core::marker::PhantomData<C>,
}

impl<C: Curve> Supply for Ranges<'_, C> {
    fn take(&mut self) -> Option<Range<usize>> {
        let start = self.taken.fetch_add(TOGETHER, Ordering::Relaxed);
        (start < self.points).then(|| start..self.points.min(start + TOGETHER))
    }

    fn digits(&self, range: &Range<usize>, digits: &mut Vec<u32>) {
        let window = (self.windows, 0);
        kernels::digits::<Scalar<C>>(self.level, self.scalars, window, range, digits);
    }
}

/// Addends of every thread, if there is one window of few buckets and the level has trees.
pub(crate) fn sum<C: Curve>(
    level: Level,
    points: Source<'_, C::Base>,
    scalars: &Integers,
    (windows, threads): (&Windows, usize),
) -> Option<Vec<Addends<C::Base>>> {
    let size = windows.buckets();
    if windows.count() != 1 || points.len() < POINTS_OF_A_BUCKET * size * threads {
        return None;
    }
    level.prime::<C::Base>()?;
    let taken = AtomicUsize::new(0);
    Some(parallel::map(0..threads, |_| {
        let ranges = Ranges::<C> {
            level,
            scalars,
            windows,
            points: points.len(),
            taken: &taken,
            curve: core::marker::PhantomData,
        };
        Adder::with(level, |adder| part(adder, points, ranges, size))
    }))
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

//! Sums of so many points that three images of each would fill the caches, with scalars in digits of both halves, see
//! [`crate::eisenstein`]: every bucket has a class for each image of the points, and their sums are turned instead.

use core::ops::Range;

use pasta_curves::arithmetic::VartimeField;
use zkernel_backend::{Curve, Scalar};

use crate::affine::{Adder, Source, Xy};
use crate::buckets;
use crate::eisenstein::wide::CHUNK;
use crate::eisenstein::{Base, lines};
use crate::hexagons::{Addends, Lines, at_windows, weigh};
use crate::level::Level;
use crate::terms::{Parts, Sorted, Terms};
use crate::{images, parallel, room};

/// Buckets, by classes, that are summed before their classes are put together: these stay in the second level of the cache.
const BUCKETS_TOGETHER: usize = 1 << 15;

/// Of so many buckets one may be empty where blocks of them are added as they lie: additions of nothing take longer.
const FEW_EMPTY: usize = 16;

/// Addends of all windows. As many shares of the points have buckets of their own.
pub(crate) fn sum<C: Curve>(
    level: Level,
    points: Source<'_, C::Base>,
    scalars: &[Scalar<C>],
    (base, shares): (Base, usize),
) -> Vec<Addends<C>> {
    let terms = Terms::new(level, scalars, base);
    let mut copies = room::take_large(points.len(), Xy::IDENTITY);
    points.copy_to(&mut copies);
    let chunks = terms.points.div_ceil(CHUNK);
    let share = |own: usize| own * chunks / shares..(own + 1) * chunks / shares;
    // The last windows first: the very last may have most buckets.
    let windows = (0..base.count()).rev();
    let tasks: Vec<_> = windows
        .flat_map(|window| (0..shares).map(move |own| (window, share(own))))
        .collect();
    let sums = Sums {
        level,
        points: Source::Points(&copies),
        terms: &terms,
        shapes: [lines(base.hexagon), lines(base.triangle)],
    };
    let lines = parallel::map(tasks.iter(), |(window, chunks)| {
        Adder::with(level, |adder| {
            sums.of_window(adder, (*window, chunks.clone()))
        })
    });
    terms.give();
    room::give_large(copies);
    let lines: Vec<_> = tasks.iter().map(|(window, _)| *window).zip(lines).collect();
    Adder::with(level, |adder| weighed::<C>(adder, base, &lines))
}

/// Addends of windows whose lines of buckets are summed.
fn weighed<C: Curve>(
    adder: &mut Adder<C::Base>,
    base: Base,
    lines: &[(usize, Vec<Xy<C::Base>>)],
) -> Vec<Addends<C>> {
    let of_length = |lines: &[(usize, Vec<Xy<C::Base>>)]| {
        let size = lines[0].1.len() / 2;
        let of_kind = |kind: usize| {
            let own = lines.iter();
            own.flat_map(move |(_, sums)| &sums[kind * size..][..size])
        };
        let all: Vec<_> = of_kind(0).chain(of_kind(1)).copied().collect();
        let sums = weigh(adder, &all, size, lines.len());
        let windows = lines.iter().map(|(window, _)| *window);
        at_windows::<C>(&sums, windows, base.width())
    };
    lines
        .chunk_by(|a, b| a.1.len() == b.1.len())
        .map(of_length)
        .collect()
}

/// What all windows share.
struct Sums<'a, B> {
    level: Level,
    points: Source<'a, B>,
    terms: &'a Terms,
    /// Places of the lines of all windows but the last, and of the last.
    shapes: [[Vec<Vec<u32>>; 2]; 2],
}

impl<B: ff::WithSmallOrderMulGroup<3> + VartimeField> Sums<'_, B> {
    /// Sums of the lines of buckets of a window of some chunks of points: those by i, then those by j.
    fn of_window(
        &self,
        adder: &mut Adder<B>,
        (window, chunks): (usize, Range<usize>),
    ) -> Vec<Xy<B>> {
        let (base, parts) = (self.terms.base, self.terms.parts(window));
        let at_once = (BUCKETS_TOGETHER / parts.buckets()).max(1);
        let mut merged = adder.take_room(parts.count * parts.places());
        merged.resize(parts.count * parts.places(), Xy::IDENTITY);
        // Kept until all is done: whatever else took it would leave it shorter, to be filled again.
        let most = at_once.min(parts.count) * parts.buckets();
        let mut sums = adder.take_room(most);
        let mut filled = Vec::with_capacity(merged.len());
        let together = merged.chunks_mut(at_once * parts.places());
        let mut left = base.places(window);
        for (first, merged) in (0..).step_by(at_once).zip(together) {
            let own = first..first + merged.len() / parts.places();
            let buckets = own.len() * parts.buckets();
            let sorted = Sorted::new(self.terms, window, chunks.clone(), own);
            let (own, sorted) = adder.parts(self.points, sorted, (buckets, sums));
            sums = own;
            let places = left.min(merged.len());
            left -= places;
            let of_classes = (&mut sums[..buckets], &sorted.filled[..]);
            self.merge(adder, parts, of_classes, (merged, places));
            for part in sorted.filled.chunks(parts.buckets()) {
                let (first, others) = part.split_at(parts.places());
                let (second, third) = others.split_at(parts.places());
                let all = first.iter().zip(second).zip(third);
                filled.extend(all.map(|((a, b), c)| a | b | c));
            }
        }
        let last = usize::from(base.is_last(window));
        let lines = Lines {
            base,
            first: window,
            shapes: &self.shapes,
            filled: &filled,
        };
        let size = self.shapes[last][0].len().next_power_of_two();
        let (references, counts) = lines.references(&(window..window + 1), size);
        let own = buckets::sum(adder, Source::Points(&merged), references, counts);
        // Room is for others.
        let lines = own.clone();
        for room in [own, merged, sums] {
            adder.give_room(room);
        }
        lines
    }

    /// Puts the classes of buckets together.
    fn merge(
        &self,
        adder: &mut Adder<B>,
        parts: Parts,
        (sums, filled): (&mut [Xy<B>], &[bool]),
        (merged, own): (&mut [Xy<B>], usize),
    ) {
        let full = filled.iter().filter(|filled| **filled).count();
        let empty = 3 * own - full;
        let dense = empty < 3 * own / FEW_EMPTY;
        let whole = own.next_multiple_of(8);
        if !dense || !adder.merge(sums, parts.places(), &mut merged[..whole]) {
            let places = parts.places();
            let (mut references, mut counts) = (Vec::new(), Vec::new());
            let all = sums.chunks_mut(parts.buckets());
            for ((sums, filled), first) in all
                .zip(filled.chunks(parts.buckets()))
                .zip((0..).step_by(parts.buckets()))
            {
                for (class, sums) in sums.chunks_mut(places).enumerate().skip(1) {
                    images::turn(self.level, sums, class);
                }
                for place in 0..places {
                    let own = (place..filled.len()).step_by(places);
                    let before = references.len();
                    references.extend(own.filter(|own| filled[*own]).map(|own| first + own as u32));
                    counts.push((references.len() - before) as u32);
                }
            }
            let own = buckets::sum(adder, Source::Points(sums), references, counts);
            merged.copy_from_slice(&own);
            adder.give_room(own);
        }
    }
}

#[cfg(test)]
mod tests {
    use ff::{Field as _, FromUniformBytes as _, PrimeField as _};
    use group::{Curve as _, Group as _};
    use pasta_curves::{Eq, EqAffine, Fp};

    use super::*;
    use crate::affine::normalize;
    use crate::msm::finished;

    /// Scalars of full size, equal ones, and ones whose digits are few.
    fn scalars(count: usize) -> Vec<Fp> {
        let own = |i: usize| {
            let mut bytes = [0; 64];
            bytes[..8]
                .copy_from_slice(&(i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
            match i % 9 {
                0 => Fp::ZERO,
                1 => -Fp::ONE,
                2 | 3 => Fp::TWO_INV,
                _ => Fp::from_uniform_bytes(&bytes).square().square(),
            }
        };
        (0..count).map(own).collect()
    }

    /// Sums by points of known logarithms: at all levels, in all bases, in several chunks and shares of them, the last one not whole.
    #[test]
    fn sums_are_those_of_logarithms() {
        let count = CHUNK + 805;
        let generator = Eq::generator();
        let next = |p: &Eq| Some(*p + generator);
        let points = core::iter::successors(Some(generator), next);
        let points: Vec<Eq> = points.take(count).collect();
        let points: Vec<EqAffine> = normalize(&points);
        let scalars = scalars(count);
        let sum: Fp = (1..).zip(&scalars).map(|(i, s)| Fp::from(i) * s).sum();
        for level in Level::of_this_machine() {
            let portable = level == Level::PORTABLE;
            // The last one has so few buckets that hardly one is empty.
            let bases = Base::wide().chain([Base::new(5, 25)]);
            let bases = bases.filter(|base| !portable || base.width() < 8);
            for (base, shares) in bases.zip([1, 2].into_iter().cycle()) {
                let points = Xy::all(level, &points);
                let source = Source::Points(&points);
                let own = super::sum::<EqAffine>(level, source, &scalars, (base, shares));
                let own = finished::<EqAffine>(own).to_affine();
                assert_eq!(own, (generator * sum).to_affine(), "{level:?} {base:?}");
            }
        }
    }
}

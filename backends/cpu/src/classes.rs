//! Sums of so many points that three images of each would fill the caches, with scalars in digits of both halves, see
//! [`crate::eisenstein`]: every bucket has a class for each image of the points, and their sums are turned instead.

use core::ops::Range;
use std::sync::{Mutex, PoisonError};

use pasta_curves::arithmetic::VartimeField;
use zkernel_backend::{Curve, Scalar};

use crate::affine::{Adder, Source, Xy};
use crate::buckets;
use crate::division::Wide;
use crate::eisenstein::wide::CHUNK;
use crate::eisenstein::{Base, lines};
use crate::hexagons::{Addends, Lines, at_windows, weigh};
use crate::level::Level;
use crate::terms::{Parts, Sorted, Terms};
use crate::{images, parallel, room};

/// Of so many buckets one may be empty where blocks of them are added as they lie: additions of nothing take longer.
const FEW_EMPTY: usize = 16;

/// Addends of all windows. Every share of the points has buckets of its own, to which its rounds add one after the other.
pub(crate) fn sum<C: Curve>(
    level: Level,
    points: Source<'_, C::Base>,
    scalars: &[Scalar<C>],
    division: Wide,
) -> Vec<Addends<C>> {
    let Wide {
        base,
        shares,
        rounds,
    } = division;
    let terms = Terms::new(level, scalars, base, shares * rounds);
    let mut copies = room::take_large(points.len(), Xy::IDENTITY);
    points.copy_to(&mut copies);
    let (chunks, all) = (terms.points.div_ceil(CHUNK), shares * rounds);
    let range = |own: usize| own * chunks / all..(own + 1) * chunks / all;
    // The last windows first: the very last may have most buckets.
    let windows = (0..base.count()).rev();
    let tasks: Vec<_> = windows
        .flat_map(|window| (0..shares).map(move |share| (window, share)))
        .collect();
    let sums = Sums {
        level,
        points: Source::Points(&copies),
        terms: &terms,
        shapes: [lines(base.hexagon), lines(base.triangle)],
    };
    let mut kept = Kept::new(&terms, &tasks, rounds);
    let buckets = kept.buckets(&terms, &tasks, rounds);
    let parts = (0..rounds).flat_map(|round| (0..tasks.len()).map(move |task| (round, task)));
    let parts: Vec<_> = parts.collect();
    // Rounds of a task come in any order, as threads get to its buckets.
    let lines = parallel::map(parts.iter(), |(round, task)| {
        let (window, share) = tasks[*task];
        let chunks = range(share * rounds + round);
        let buckets = buckets[*task].lock();
        let mut buckets = buckets.unwrap_or_else(PoisonError::into_inner);
        let lines = Adder::with(level, |adder| {
            sums.of_window(adder, (window, chunks), &mut buckets)
        });
        lines.map(|lines| (*task, lines))
    });
    drop(buckets);
    kept.give();
    terms.give();
    room::give_large(copies);
    let mut lines: Vec<_> = lines.into_iter().flatten().collect();
    lines.sort_unstable_by_key(|(task, _)| *task);
    let of_window = |(task, lines): (usize, _)| (tasks[task].0, lines);
    let lines: Vec<_> = lines.into_iter().map(of_window).collect();
    Adder::with(level, |adder| weighed::<C>(adder, base, &lines))
}

/// Room for the buckets of all windows, if they are kept from one round to the next.
struct Kept<B> {
    room: Option<Vec<[Xy<B>; 8]>>,
}

/// Buckets of a window of a share of the points.
struct Buckets<'a, B> {
    /// Room for them, unless there is one round only.
    room: Option<&'a mut [Xy<B>]>,
    /// Which of them have points. None before the first round.
    filled: Vec<bool>,
    /// Rounds that are still to come.
    rounds: usize,
}

impl<B: ff::PrimeField + VartimeField> Kept<B> {
    fn new(terms: &Terms, tasks: &[(usize, usize)], rounds: usize) -> Self {
        let places = tasks.iter().map(|(window, _)| terms.parts(*window).all());
        let places: usize = places.sum();
        let all = (rounds > 1).then(|| room::take_large(places / 8, [Xy::IDENTITY; 8]));
        Self { room: all }
    }

    /// Those of every task, of whole octets each.
    fn buckets(
        &mut self,
        terms: &Terms,
        tasks: &[(usize, usize)],
        rounds: usize,
    ) -> Vec<Mutex<Buckets<'_, B>>> {
        let mut left = self.room.as_mut().map(|room| room.as_flattened_mut());
        let own = tasks.iter().map(|(window, _)| {
            let room = left.take().map(|room| {
                let (own, others) = room.split_at_mut(terms.parts(*window).all());
                left = Some(others);
                own
            });
            Mutex::new(Buckets {
                room,
                filled: Vec::new(),
                rounds,
            })
        });
        own.collect()
    }

    /// Keeps the room.
    fn give(self) {
        if let Some(room) = self.room {
            room::give_large(room);
        }
    }
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
    /// Adds a window of some chunks of points to its buckets; sums of the lines of these if no round is left: those by i, then those by j.
    fn of_window(
        &self,
        adder: &mut Adder<B>,
        own: (usize, Range<usize>),
        buckets: &mut Buckets<'_, B>,
    ) -> Option<Vec<Xy<B>>> {
        buckets.rounds -= 1;
        let last = buckets.rounds == 0;
        let (window, filled) = (own.0, &mut buckets.filled);
        let parts = self.terms.parts(window);
        // Kept until all is done: whatever else took it would leave it shorter, to be filled again.
        let mut sums = adder.take_room(parts.together() * parts.buckets());
        let mut room = Vec::new();
        let merged = match &mut buckets.room {
            Some(merged) => &mut **merged,
            None => {
                room = adder.take_room(parts.all());
                room.resize(parts.all(), Xy::IDENTITY);
                &mut room
            }
        };
        self.add_window(adder, own, (merged, filled), &mut sums);
        let lines = last.then(|| self.lines(adder, window, (merged, filled)));
        adder.give_room(sums);
        if buckets.room.is_none() {
            adder.give_room(room);
        }
        lines
    }

    /// Adds a window of some chunks of points to its buckets, or makes these if none of them is filled.
    fn add_window(
        &self,
        adder: &mut Adder<B>,
        (window, chunks): (usize, Range<usize>),
        (merged, filled): (&mut [Xy<B>], &mut Vec<bool>),
        sums: &mut Vec<Xy<B>>,
    ) {
        let (base, parts) = (self.terms.base, self.terms.parts(window));
        let at_once = parts.together();
        let first = filled.is_empty();
        filled.resize(merged.len(), false);
        let size = at_once * parts.places();
        let together = merged.chunks_mut(size).zip(filled.chunks_mut(size));
        let mut left = base.places(window);
        for (start, (merged, of_merged)) in (0..).step_by(at_once).zip(together) {
            let own = start..start + merged.len() / parts.places();
            let buckets = own.len() * parts.buckets();
            let sorted = Sorted::new(self.terms, window, chunks.clone(), own);
            let room = core::mem::take(sums);
            let (own, sorted) = adder.parts(self.points, sorted, (buckets, room));
            *sums = own;
            let places = left.min(merged.len());
            left -= places;
            let of_classes = (&mut sums[..buckets], &sorted.filled[..]);
            self.merge(adder, (parts, first), of_classes, (merged, places));
            let of_parts = sorted.filled.chunks(parts.buckets());
            for (filled, own) in of_merged.chunks_mut(parts.places()).zip(of_parts) {
                for class in own.chunks(parts.places()) {
                    filled.iter_mut().zip(class).for_each(|(a, b)| *a |= b);
                }
            }
        }
    }

    /// Sums of the lines of the buckets of a window.
    fn lines(
        &self,
        adder: &mut Adder<B>,
        window: usize,
        (merged, filled): (&[Xy<B>], &[bool]),
    ) -> Vec<Xy<B>> {
        let last = usize::from(self.terms.base.is_last(window));
        let lines = Lines {
            base: self.terms.base,
            shapes: &self.shapes,
            filled,
        };
        let size = self.shapes[last][0].len().next_power_of_two();
        let (references, counts) = lines.references(window, size);
        let sums = buckets::sum(adder, Source::Points(merged), references, counts);
        // Room is for others.
        let lines = sums.clone();
        adder.give_room(sums);
        lines
    }

    /// Puts the classes of buckets together, and adds them to what these held unless they are the first.
    fn merge(
        &self,
        adder: &mut Adder<B>,
        (parts, first_round): (Parts, bool),
        (sums, filled): (&mut [Xy<B>], &[bool]),
        (merged, own): (&mut [Xy<B>], usize),
    ) {
        let full = filled.iter().filter(|filled| **filled).count();
        let empty = 3 * own - full;
        let dense = empty < 3 * own / FEW_EMPTY;
        let whole = own.next_multiple_of(8);
        let all = (&mut merged[..whole], first_round);
        if !dense || !adder.merge(sums, parts.places(), all) {
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
            let mut own = buckets::sum(adder, Source::Points(sums), references, counts);
            if !first_round {
                own.extend_from_slice(merged);
                let places = merged.len() as u32;
                let references = (0..places).flat_map(|place| [place, places + place]);
                let counts = vec![2; merged.len()];
                let references = references.collect();
                own = buckets::sum(adder, Source::Points(&own), references, counts);
            }
            merged.copy_from_slice(&own);
            adder.give_room(own);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

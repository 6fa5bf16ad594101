//! Terms of sums of many points: the digits of all windows, told apart by parts of the buckets as they are made.
//!
//! A bucket of a window has three classes, one for each image of points under omega: a bucket of its own each until all are summed. A part is
//! of so many places of buckets that the counts and references of all three classes stay in the first two levels of the cache.

use core::ops::Range;

use zkernel_backend::Field;

use crate::affine::{Feed, NEGATED};
use crate::eisenstein::wide::{CHUNK, POINT_BITS, Rows};
use crate::eisenstein::{Base, Shape};
use crate::integers::Octet;
use crate::kernels;
use crate::level::Level;
use crate::{parallel, room};

pub(crate) mod order;

use order::{MOST_PARTS, Order};

/// Scalars whose digits are found together.
const TOGETHER: usize = 1 << 10;

/// About so many terms are in a part.
const TERMS_OF_A_PART: usize = 1 << 14;

/// Buckets, by classes, that are summed before their classes are put together: these stay in the second level of the cache.
const BUCKETS_TOGETHER: usize = 1 << 15;

/// Fewest and most places of a part: more of three classes are not told apart by the bits of a term.
const PLACES: [usize; 2] = [1 << 6, 1 << 16];

/// Parts of the places of a window.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    /// Binary logarithm of the places of each.
    width: u32,
    pub(crate) count: usize,
}

impl Parts {
    fn new(places: usize, points: usize) -> Self {
        let each = (places * TERMS_OF_A_PART / points)
            .max(places / MOST_PARTS + 1)
            .min(places);
        let each = each.clamp(PLACES[0], PLACES[1]).next_power_of_two();
        Self {
            width: each.ilog2(),
            count: places.div_ceil(each),
        }
    }

    /// Places of a part.
    pub(crate) const fn places(&self) -> usize {
        1 << self.width
    }

    /// Parts that are summed before their classes are put together.
    pub(crate) const fn together(&self) -> usize {
        let most = BUCKETS_TOGETHER / self.buckets();
        if most == 0 {
            1
        } else if most < self.count {
            most
        } else {
            self.count
        }
    }

    /// Places of all parts.
    pub(crate) const fn all(&self) -> usize {
        self.count << self.width
    }

    /// Buckets of a part, class by class.
    pub(crate) const fn buckets(&self) -> usize {
        3 << self.width
    }
}

/// Terms by chunks of points, windows and parts.
pub(crate) struct Terms {
    pub(crate) base: Base,
    /// Parts of the windows but for the last, and those of the last.
    parts: [Parts; 2],
    terms: Vec<u32>,
    /// Where the terms of every part of every window of every chunk begin, and where the last one's end.
    starts: Vec<u16>,
    pub(crate) points: usize,
}

/// Room of a thread.
struct Scratch {
    octets: Vec<Octet>,
    terms: Vec<u32>,
    parts: Vec<u8>,
    placed: [u32; CHUNK],
    order: Order,
}

impl Terms {
    /// Of points that are read in so many goes: rounds of all shares.
    pub(crate) fn new<F: Field>(level: Level, scalars: &[F], base: Base, goes: usize) -> Self {
        let points = scalars.len();
        let of_a_round = points.div_ceil(goes);
        let parts = [base.hexagon.places(), base.triangle.places()];
        let chunks = points.div_ceil(CHUNK);
        let mut own = Self {
            base,
            parts: parts.map(|places| Parts::new(places, of_a_round)),
            terms: Vec::new(),
            starts: Vec::new(),
            points,
        };
        let (of_chunk, starts_of_chunk) = (base.count() * CHUNK, own.first(base.count()));
        let mut terms = room::take_large(chunks * of_chunk, 0);
        let mut starts = vec![0; chunks * starts_of_chunk];
        let all = terms.chunks_mut(of_chunk);
        let all = all.zip(starts.chunks_mut(starts_of_chunk));
        let scratch = || Scratch {
            octets: vec![Octet::default(); TOGETHER / 8],
            terms: vec![0; of_chunk],
            parts: vec![0; of_chunk],
            placed: [0; CHUNK],
            order: Order::new(),
        };
        parallel::each_with(
            all.zip(scalars.chunks(CHUNK)),
            scratch,
            |scratch, ((terms, starts), scalars)| {
                own.fill(level, scalars, (terms, starts), scratch);
            },
        );
        (own.terms, own.starts) = (terms, starts);
        own
    }

    /// Parts of a window.
    pub(crate) fn parts(&self, window: usize) -> Parts {
        self.parts[usize::from(self.base.is_last(window))]
    }

    /// Where the starts of a window are among those of a chunk.
    fn first(&self, window: usize) -> usize {
        let low = window.min(self.base.count() - 1);
        low * (self.parts[0].count + 1) + (window - low) * (self.parts[1].count + 1)
    }

    /// Terms of a chunk.
    fn fill<F: Field>(
        &self,
        level: Level,
        scalars: &[F],
        (terms, starts): (&mut [u32], &mut [u16]),
        scratch: &mut Scratch,
    ) {
        for (number, scalars) in scalars.chunks(TOGETHER).enumerate() {
            let octets = &mut scratch.octets[..scalars.len().div_ceil(8)];
            kernels::octets(level, scalars, octets);
            let mut rows = Rows {
                terms: &mut scratch.terms,
                parts: &mut scratch.parts,
                first: number * TOGETHER,
                widths: self.parts.map(|parts| parts.width),
            };
            kernels::recode_wide::<F>(level, &self.base, octets, &mut rows);
        }
        for window in 0..self.base.count() {
            let row = window * CHUNK..window * CHUNK + scalars.len();
            let own = (&scratch.terms[row.clone()], &scratch.parts[row]);
            let starts = &mut starts[self.first(window)..][..=self.parts(window).count];
            // Written near by first: of what is far, whole lines would be read before they are written.
            let to = (&mut scratch.placed, starts);
            scratch.order.place(level, own, to);
            terms[window * CHUNK..][..scalars.len()]
                .copy_from_slice(&scratch.placed[..scalars.len()]);
        }
    }

    /// Terms of a part of a window of a chunk.
    fn run(&self, chunk: usize, window: usize, part: usize) -> &[u32] {
        let first = chunk * self.first(self.base.count()) + self.first(window) + part;
        let (start, end) = (self.starts[first], self.starts[first + 1]);
        let terms = &self.terms[(chunk * self.base.count() + window) * CHUNK..][..CHUNK];
        &terms[usize::from(start)..usize::from(end)]
    }

    /// Keeps the room.
    pub(crate) fn give(self) {
        room::give_large(self.terms);
    }
}

/// Parts of a window, sorted one after the other.
pub(crate) struct Sorted<'a> {
    terms: &'a Terms,
    window: usize,
    chunks: Range<usize>,
    parts: Range<usize>,
    /// The last one.
    part: usize,
    /// Which buckets so far have points.
    pub(crate) filled: Vec<bool>,
}

impl<'a> Sorted<'a> {
    /// Of some parts of a window of a range of chunks.
    pub(crate) const fn new(
        terms: &'a Terms,
        window: usize,
        chunks: Range<usize>,
        parts: Range<usize>,
    ) -> Self {
        Self {
            terms,
            window,
            chunks,
            parts,
            part: 0,
            filled: Vec::new(),
        }
    }
}

impl Sorted<'_> {
    /// The terms of a part, by chunks of points.
    fn runs(&self, part: usize) -> impl Iterator<Item = (usize, &[u32])> + Clone {
        let chunks = self.chunks.clone();
        chunks.map(move |chunk| (chunk, self.terms.run(chunk, self.window, part)))
    }
}

impl Feed for Sorted<'_> {
    fn count(&mut self, counts: &mut Vec<u32>) -> bool {
        let Some(part) = self.parts.next() else {
            return false;
        };
        self.part = part;
        let buckets = self.terms.parts(self.window).buckets();
        counts.clear();
        counts.resize(buckets.next_power_of_two(), 0);
        let own = &mut counts[..];
        let runs = self.runs(part);
        let after = runs.clone().skip(1).map(|(_, run)| run);
        for ((_, run), after) in runs.zip(after.chain([&[][..]])) {
            let mut lines = after.chunks(16);
            for terms in run.chunks(16) {
                if let Some(line) = lines.next() {
                    fetch(&line[0]);
                }
                count_each(terms, own);
            }
        }
        counts.truncate(buckets);
        self.filled.extend(counts.iter().map(|count| *count != 0));
        true
    }

    fn place<const STEP: u32>(&self, (slots, references): (&mut Vec<u32>, &mut [u32])) {
        slots.resize(slots.len().next_power_of_two(), 0);
        for (chunk, run) in self.runs(self.part) {
            place_each::<STEP>(((chunk * CHUNK) as u32, run), (slots, references));
        }
    }
}

/// Counts terms by the buckets of their part, a power of two.
#[inline(always)]
pub(crate) fn count_each(terms: &[u32], counts: &mut [u32]) {
    // It tells that no bucket is beyond.
    let mask = counts.len() - 1;
    for term in terms {
        counts[bucket(*term) & mask] += 1;
    }
}

/// Writes references of terms, those of a chunk that begins with the first point, to the next slots of their buckets, a power of two.
#[inline(always)]
pub(crate) fn place_each<const STEP: u32>(
    (first, terms): (u32, &[u32]),
    (slots, references): (&mut [u32], &mut [u32]),
) {
    let mask = slots.len() - 1;
    for term in terms {
        let slot = &mut slots[bucket(*term) & mask];
        references[*slot as usize] = (first + term % CHUNK as u32) | term & NEGATED;
        *slot += STEP;
    }
}

/// The bucket of a term in its part.
#[inline(always)]
const fn bucket(term: u32) -> usize {
    (term & !NEGATED) as usize >> POINT_BITS
}

/// Asks for the line of a term.
#[inline(always)]
fn fetch(term: &u32) {
    #[cfg(target_arch = "x86_64")]
    crate::packed::vector::prefetch::<{ crate::packed::vector::NEAR }, _>(term);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = term;
}

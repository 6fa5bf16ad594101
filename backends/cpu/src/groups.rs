//! Signed sums of neighbouring bases, made once: a lookup in place of as many additions as a group has bases.
//!
//! The sums are of halves `H = P / 2` of the bases, so that all signs count: with both signs of a sum in one entry, groups of b bases
//! take `2^(b-1)` points, half as many as sums of some of the bases would.

use core::ops::Range;

use ff::PrimeField as _;
use group::Group as _;
use rayon::prelude::*;
use zkernel_backend::{Curve, Scalar};
use zkernel_verifier::curve::Point;

use crate::affine::{Adder, NEGATED, Source, Xy, normalize};
use crate::buckets::{self, Terms, reference};
use crate::digits::Magnitude;
use crate::level::Level;

/// Largest groups.
pub(crate) const LARGEST: usize = 11;

/// Smallest groups that pay.
const SMALLEST: usize = 8;

/// Largest memory of the sums of one set of bases.
const SUMS_BYTES: usize = 24 << 20;

/// Groups whose sums are made together.
const GROUPS_TOGETHER: usize = 16;

/// Groups of `size` neighbouring bases, those that lack being the identity. In the table, after the multiples: of every
/// group the sums of its halves, all with the last one, where bit i tells that half i is added and not subtracted; then, for g up
/// to the number of groups, the sum of the halves of the first g groups.
#[derive(Clone, Copy)]
pub(crate) struct Groups {
    pub(crate) size: usize,
    /// Where the sums are.
    start: usize,
    count: usize,
}

impl Groups {
    /// Where the sum of the halves of the first groups is, so many.
    pub(crate) const fn total(&self, groups: usize) -> usize {
        self.start + (self.count << (self.size - 1)) + groups
    }

    /// Some neighbouring groups.
    pub(crate) fn neighbours(&self, groups: &Range<usize>) -> Neighbours {
        Neighbours {
            size: self.size,
            count: groups.len(),
            first: (self.start + (groups.start << (self.size - 1))) as u32,
        }
    }

    /// The groups of some rows.
    pub(crate) const fn of(&self, rows: &Range<usize>) -> Range<usize> {
        if rows.start >= rows.end {
            return 0..0;
        }
        rows.start / self.size..rows.end.div_ceil(self.size)
    }
}

/// Neighbouring groups.
pub(crate) struct Neighbours {
    /// Bases of each.
    pub(crate) size: usize,
    pub(crate) count: usize,
    /// The first sum of the first one.
    pub(crate) first: u32,
}

impl Neighbours {
    /// Most groups that are neighbours.
    pub(crate) const MOST: usize = 16;

    /// References of sums with the signs that eight bits of words, from a position on, tell for the bases of all groups: those of the
    /// lowest bit for all groups, then those of the next one. As many bits as there is room for.
    pub(crate) fn references(&self, codes: &[u64], position: u32, references: &mut [u32]) {
        let last = 1 << (self.size - 1);
        for (group, codes) in codes.chunks_exact(self.size).enumerate() {
            let first = self.first + (group << (self.size - 1)) as u32;
            let own = references[group..].iter_mut().step_by(self.count);
            for (reference, bits) in own.zip(transposed(codes, position)) {
                let bits = u32::from(bits);
                // If the last one is subtracted, the opposite is in the table.
                let opposite = if bits & last == 0 { u32::MAX } else { 0 };
                *reference = (first + ((bits ^ opposite) & (last - 1))) | (opposite & NEGATED);
            }
        }
    }
}

/// Multiples of bases: `2^(width j) P_i` at `j * points + i`.
#[derive(Clone, Copy)]
pub(crate) struct Multiples<'a, B> {
    pub(crate) points: &'a [Xy<B>],
    pub(crate) width: u32,
    /// Bases.
    pub(crate) count: usize,
}

impl Groups {
    /// Groups of so many bases, if they pay: their sums follow a table of so many points.
    pub(crate) fn best(bases: usize, start: usize) -> Option<Self> {
        let own = |size: usize| {
            let count = bases.div_ceil(size);
            Self { size, start, count }
        };
        let fits = |groups: &Self| {
            groups.count << (groups.size - 1) <= SUMS_BYTES / size_of::<Xy<[u64; 4]>>()
        };
        (SMALLEST..=LARGEST).rev().map(own).find(fits)
    }

    /// The length of a table with the sums.
    pub(crate) const fn end(&self) -> usize {
        self.total(self.count) + 1
    }

    /// Writes what follows the multiples of bases in a table.
    pub(crate) fn fill<C: Curve>(
        &self,
        level: Level,
        multiples: Multiples<'_, C::Base>,
        points: &mut [Xy<C::Base>],
    ) {
        let each = 1 << (self.size - 1);
        let (sums, totals) = points.split_at_mut(self.count * each);
        let parts = sums.par_chunks_mut(GROUPS_TOGETHER * each).enumerate();
        parts.for_each(|(part, sums)| {
            let start = part * GROUPS_TOGETHER;
            let own = start..start + sums.len() / each;
            Adder::with(level, |adder| {
                self.fill_sums::<C>(adder, &multiples, own, sums);
            });
        });
        let add = |total: &mut Point<C>, sums: &[Xy<C::Base>]| {
            *total += sums[each - 1].point::<C>();
            Some(*total)
        };
        let own = sums.chunks(each).scan(Point::<C>::identity(), add);
        let own: Vec<_> = core::iter::once(Point::<C>::identity())
            .chain(own)
            .collect();
        let own = normalize::<C>(&own);
        totals
            .iter_mut()
            .zip(&own)
            .for_each(|(total, own)| *total = Xy::new(own));
    }

    /// Writes all sums of some groups.
    fn fill_sums<C: Curve>(
        &self,
        adder: &mut Adder<C::Base>,
        multiples: &Multiples<'_, C::Base>,
        own: Range<usize>,
        sums: &mut [Xy<C::Base>],
    ) {
        let (size, count) = (self.size, own.len());
        let rows = own.start * size..multiples.count.min(own.end * size);
        // The bases and their halves, then sums: of every group the one with no bit, then the one with bit 0, the two with bit 1 and
        // perhaps lower ones, and so on.
        let mut points = Vec::with_capacity((2 * size + (1 << (size - 1))) * count);
        points.extend_from_slice(&multiples.points[rows.clone()]);
        points.resize(size * count, Xy::IDENTITY);
        points.extend(halves::<C>(adder, multiples, rows));
        points.resize(2 * size * count, Xy::IDENTITY);
        let half = |i: usize| reference(size * count + i, i % size != size - 1);
        let halves: Vec<u32> = (0..size * count).map(half).collect();
        let first = points.len();
        let counts = vec![size as u32; count];
        let lowest = buckets::sum(adder, Source::Points(&points), halves, counts);
        points.extend(lowest);
        let place = |group: usize, index: usize| match index.checked_ilog2() {
            None => first + group,
            Some(bit) => first + ((count + group) << bit) + index - (1 << bit),
        };
        for i in 0..size - 1 {
            let of_group = |group| {
                let own = (0..1 << i).map(move |index| place(group, index));
                own.flat_map(move |place| [place as u32, (group * size + i) as u32])
            };
            let pairs = (0..count).flat_map(of_group).collect();
            let own = buckets::sum(adder, Source::Points(&points), pairs, vec![2; count << i]);
            points.extend(own);
        }
        for (group, sums) in sums.chunks_mut(1 << (size - 1)).enumerate() {
            sums[0] = points[place(group, 0)];
            for i in 0..size - 1 {
                let (length, from) = (1 << i, place(group, 1 << i));
                sums[length..2 * length].copy_from_slice(&points[from..from + length]);
            }
        }
    }
}

/// Halves of some bases: `(r + 1) / 2` times them, r being their order, by the bits of that.
fn halves<C: Curve>(
    adder: &mut Adder<C::Base>,
    multiples: &Multiples<'_, C::Base>,
    rows: Range<usize>,
) -> Vec<Xy<C::Base>> {
    let (width, count) = (multiples.width as usize, rows.len());
    let mut terms = Terms::new(width * count, 0);
    Magnitude::full(&Scalar::<C>::TWO_INV).each_bit(|position, negative| {
        let (window, plane) = (position as usize / width, position as usize % width);
        for (i, row) in rows.clone().enumerate() {
            let base = window * multiples.count + row;
            terms.push(plane * count + i, reference(base, negative));
        }
    });
    let sums = terms.sum(adder, multiples.points);
    let planes = (0..multiples.width).zip(sums.chunks(count)).rev();
    let addends: Vec<_> = planes.map(|(plane, sums)| (plane, sums.to_vec())).collect();
    adder.horner(count, &addends)
}

/// The bits of a byte, each in a byte of its own.
const SPREAD: [u64; 256] = {
    let mut spread = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            spread[byte] |= ((byte >> bit & 1) as u64) << (8 * bit);
            bit += 1;
        }
        byte += 1;
    }
    spread
};

/// Eight bits of at most 16 words, from a position on: bit j of word i is bit i of number j.
#[inline(always)]
fn transposed(words: &[u64], position: u32) -> [u16; 8] {
    let spread = |(i, word): (usize, &u64)| SPREAD[(word >> position & 255) as usize] << i;
    let bytes = |words: &[u64]| {
        let own = words.iter().enumerate().map(spread);
        own.fold(0, |all, own| all | own).to_le_bytes()
    };
    let (low, high) = words.split_at(words.len().min(8));
    let (low, high) = match low.as_array::<8>() {
        Some(low) => (bytes(low), bytes(high)),
        None => (bytes(low), [0; 8]),
    };
    core::array::from_fn(|plane| u16::from_le_bytes([low[plane], high[plane]]))
}

//! Which buckets the digits of a commitment go to, for the fewest additions.

use zkernel_backend::Curve;
use zkernel_verifier::curve::Point;

use crate::affine::Adder;
use crate::bases::{Bases, Table};
use crate::buckets::{Section, Terms, reference, weigh};
use crate::digits::{MAGNITUDE_BITS, windows};

/// How the digits of a commitment go to buckets: those up to `2^(split - 1)` have a bucket each; larger ones are split
/// into a part of such a size and a multiple of `2^split`, which has a bucket among the high ones.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    width: u32,
    split: u32,
    /// Buckets of the low parts of a column.
    low: usize,
    /// Buckets of its high parts.
    high: usize,
}

impl Plan {
    /// The plan of the fewest additions for columns of `body` scalars of `bits` bits and `rest` full ones.
    pub(crate) fn best(width: u32, bits: u32, body: usize, rest: usize) -> Self {
        let largest = if rest == 0 {
            bits.min(width - 1)
        } else {
            width - 1
        };
        let plan = |split: u32| Self {
            width,
            split,
            low: 1 << (split - 1).min(largest),
            high: (1 << largest) >> split,
        };
        let cost = |split: &u32| plan(*split).additions(bits, body, rest);
        (2..=width)
            .min_by_key(cost)
            .map_or_else(|| plan(width), plan)
    }

    /// Additions of a column.
    pub(crate) fn additions(&self, bits: u32, body: usize, rest: usize) -> usize {
        let full = windows(MAGNITUDE_BITS, self.width) * rest * self.parts(self.width) / 8;
        let body = windows(bits, self.width) * body * self.parts(bits) / 8;
        full + body + 2 * (self.low + self.high)
    }

    /// Parts of a digit of so many bits, in eighths.
    const fn parts(&self, bits: u32) -> usize {
        let bits = if bits < self.width - 1 {
            bits
        } else {
            self.width - 1
        };
        if bits < self.split {
            return 8;
        }
        16 - (8 >> (bits + 1 - self.split))
    }

    /// Buckets of a column.
    pub(crate) const fn buckets(&self) -> usize {
        self.low + self.high
    }

    /// Adds the parts of a digit to the buckets of a column.
    #[inline]
    pub(crate) fn push(
        &self,
        terms: &mut Terms,
        (column, columns): (usize, usize),
        (negative, digit): (bool, u32),
        base: usize,
    ) {
        let high = (digit + (1 << (self.split - 1)) - 1) >> self.split;
        let low = digit.wrapping_sub(high << self.split).cast_signed();
        if low != 0 {
            let bucket = column * self.low + low.unsigned_abs() as usize - 1;
            terms.push(bucket, reference(base, negative != (low < 0)));
        }
        if high != 0 {
            let bucket = columns * self.low + column * self.high + high as usize - 1;
            terms.push(bucket, reference(base, negative));
        }
    }

    /// Sums of all buckets of every column, with their weights.
    pub(crate) fn weigh<C: Curve>(
        &self,
        bases: &Bases<C>,
        table: &Table<C>,
        terms: Terms,
        columns: usize,
    ) -> Vec<Point<C>> {
        Adder::with(bases.level, |adder| {
            let sums = terms.sum(adder, table.multiples());
            let (low, high) = sums.split_at(columns * self.low);
            let sections = [
                Section {
                    buckets: low,
                    size: self.low,
                    shift: 0,
                },
                Section {
                    buckets: high,
                    size: self.high,
                    shift: self.split,
                },
            ];
            weigh::<C>(adder, columns, &sections)
        })
    }
}

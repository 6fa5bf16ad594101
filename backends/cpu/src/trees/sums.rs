//! Weighted sums of buckets, eight groups or a group's eight neighbours in the lanes of a block.

use pasta_curves::arithmetic::VartimeField;

use super::Trees;
use crate::affine::Xy;
use crate::packed::points::{NOTHING, Packed, Pair};

/// Buckets worked on together by [`Trees::bit_sums`].
pub(crate) const BUCKETS: usize = 8192;

impl Trees {
    /// For every group of `size` buckets, a power of two: the sum of all, then for every bit the sum of those whose index
    /// has it.
    ///
    /// The lowest bit of the index is the highest of the place: each level adds the upper half of every array to the
    /// lower, and the upper half of the array of all is the start of that bit's sum.
    pub(crate) fn bit_sums<B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        buckets: &[[u64; 8]],
        size: usize,
    ) -> Vec<Xy<B>> {
        let sums = size.ilog2() as usize + 1;
        let mut points = vec![Xy::IDENTITY; buckets.len() / size * sums];
        let at_once = (BUCKETS / size).max(1);
        let groups = buckets.chunks(size * at_once);
        for (own, points) in groups.zip(points.chunks_mut(sums * at_once)) {
            self.bit_sums_together(packed, own, size, points);
        }
        points
    }

    fn bit_sums_together<B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        buckets: &[[u64; 8]],
        size: usize,
        points: &mut [Xy<B>],
    ) {
        let (groups, bits) = (buckets.len() / size, size.ilog2());
        let lanes = match groups {
            0..8 => groups.next_power_of_two(),
            _ => groups.next_multiple_of(8),
        };
        // Lanes without a group have the last one's: identities would be operands that take longer.
        let first = (0..lanes).map(|group| (group.min(groups - 1) * size) as u32);
        self.leaves.clear();
        self.leaves.extend(first);
        for bit in 1..=bits {
            let others = self.leaves.len();
            self.leaves.extend_from_within(..);
            let own = self.leaves[others..].iter_mut();
            own.for_each(|reference| *reference += (size >> bit) as u32);
        }
        self.roots.clear();
        let blocks = self.leaves.len().div_ceil(8);
        self.roots.resize(blocks, packed.nothing());
        packed.gather(buckets, &self.leaves, &mut self.roots);
        let mut arrays = vec![0];
        let mut span = size * lanes;
        for _ in 0..bits {
            span /= 2;
            self.halve(packed, &mut arrays, span);
        }
        let sums = bits as usize + 1;
        let place = |(sum, group): (usize, usize)| {
            let own = (group < groups).then_some((group * sums + sum) as u32);
            own.unwrap_or(NOTHING)
        };
        let width = lanes.next_multiple_of(8);
        for (sum, array) in arrays.into_iter().enumerate() {
            self.written.clear();
            let own = (0..width).map(|group| place((sum, group)));
            self.written.extend(own);
            packed.scatter(&self.roots[array..][..width / 8], &self.written, points);
        }
    }

    /// Halves all arrays of `2 span` points and adds one more, the upper half of the first.
    fn halve<B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        arrays: &mut Vec<usize>,
        span: usize,
    ) {
        let half = span / 8;
        let upper = self.roots.len();
        if half == 0 {
            self.roots.push(self.roots[arrays[0]].rotated(span));
        } else {
            let own = arrays[0] + half;
            self.roots.extend_from_within(own..own + half);
        }
        self.pairs.clear();
        for array in &*arrays {
            let right = if half == 0 {
                self.roots.push(self.roots[*array].rotated(span));
                self.roots.len() - 1
            } else {
                array + half
            };
            let pairs = (0..half.max(1)).map(|i| Pair::new(array + i, right + i));
            self.pairs.extend(pairs);
        }
        packed.add(&mut self.roots, &self.pairs);
        arrays.push(upper);
    }

    /// `sum 2^shift addend` of every group, largest shifts first.
    pub(crate) fn horner<B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        groups: usize,
        addends: &[(u32, Vec<Xy<B>>)],
    ) -> Vec<Xy<B>> {
        let all: Vec<u32> = (0..groups as u32).collect();
        let mut totals = vec![Xy::IDENTITY; groups];
        let blocks = groups.div_ceil(8);
        self.roots.clear();
        self.roots.resize(2 * blocks, packed.nothing());
        self.pairs.clear();
        self.pairs
            .extend((0..blocks).map(|i| Pair::new(i, blocks + i)));
        let (mut shift, mut started) = (0, false);
        for (own, points) in addends {
            for _ in *own..shift {
                packed.double(&mut self.roots[..blocks]);
            }
            let points = packed.words(points);
            if started {
                packed.gather(points, &all, &mut self.roots[blocks..]);
                packed.add(&mut self.roots, &self.pairs);
            } else {
                packed.gather(points, &all, &mut self.roots[..blocks]);
            }
            (started, shift) = (true, *own);
        }
        for _ in 0..shift {
            packed.double(&mut self.roots[..blocks]);
        }
        packed.scatter(&self.roots[..blocks], &all, &mut totals);
        totals
    }

    /// `2^(width j) P` for all points, for each j below `count`.
    pub(crate) fn multiples<B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        points: &[Xy<B>],
        width: u32,
        count: usize,
    ) -> Vec<Xy<B>> {
        let all: Vec<u32> = (0..points.len() as u32).collect();
        let mut multiples = Vec::with_capacity(points.len() * count);
        multiples.extend_from_slice(points);
        self.roots.clear();
        self.roots
            .resize(points.len().div_ceil(8), packed.nothing());
        packed.gather(packed.words(points), &all, &mut self.roots);
        for j in 1..count {
            for _ in 0..width {
                packed.double(&mut self.roots);
            }
            let start = j * points.len();
            multiples.resize(start + points.len(), Xy::IDENTITY);
            packed.scatter(&self.roots, &all, &mut multiples[start..]);
        }
        multiples
    }
}

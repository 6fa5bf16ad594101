//! Sums of points by bucket as binary trees laid out for blocks of eight lanes.
//!
//! The points of a bucket are split into complete trees. All trees of a chunk go through a level together: the nodes of
//! level l are an array whose first `lengths[l + 1]` are left children, the next as many right children of the same
//! parents in the same order, and the rest roots of trees of height l. So an addition is of whole blocks, nothing is
//! moved between levels, and only leaves are gathered and roots written out.

use pasta_curves::arithmetic::VartimeField;

use crate::affine::{NEGATED, Xy};
use crate::packed::points::{Block, NOTHING, Packed};

/// Leaves worked on together, to stay inside the second-level cache.
const CHUNK: usize = 8192;

/// Leaves that are not alone up to which lanes of trees up to [`PADDED_HEIGHT`] may be empty: cheaper than another round of inversions.
const FEW: usize = 1024;

/// See [`FEW`].
const PADDED_HEIGHT: usize = 3;

/// Room to work in, kept between chunks.
#[derive(Default)]
pub(crate) struct Trees {
    /// Consecutive points of one bucket each: bucket and length.
    pieces: Vec<(usize, u32)>,
    /// Points that are alone: their references, and their places among the roots.
    alone: Vec<(u32, u32)>,
    /// References of the leaves, in lanes.
    leaves: Vec<u32>,
    /// Places of the roots of each height, in lanes.
    places: Vec<Vec<u32>>,
    blocks: Vec<Block>,
    /// Points that stay in blocks over several levels, and operands.
    sums: Vec<Block>,
    left: Vec<Block>,
    right: Vec<Block>,
}

/// Where the nodes of a chunk lie.
struct Layout {
    /// Trees of each height, from 0: a tree too many counts as two of half the height.
    trees: Vec<usize>,
    /// Nodes at each level, from 0 to one above the highest, multiples of 8.
    lengths: Vec<usize>,
    /// Places of the leaves of a tree relative to its root's.
    offsets: Vec<u32>,
}

impl Trees {
    /// Sums points by bucket until few of each are left: `counts` consecutive references each; afterwards as many points.
    pub(crate) fn reduce<B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        source: &[Xy<B>],
        references: &[u32],
        counts: &mut [u32],
    ) -> Vec<Xy<B>> {
        let mut roots = Vec::with_capacity(references.len() / 4 + counts.len());
        let (mut bucket, mut taken, mut start) = (0, 0, 0);
        let totals = counts.to_vec();
        counts.fill(0);
        while bucket < totals.len() {
            self.pieces.clear();
            let mut total = 0;
            while bucket < totals.len() {
                let length = (totals[bucket] - taken).min(CHUNK as u32);
                if total != 0 && total + length as usize > CHUNK {
                    break;
                }
                self.pieces.push((bucket, length));
                total += length as usize;
                taken += length;
                if taken == totals[bucket] {
                    bucket += 1;
                    taken = 0;
                }
            }
            let chunk = &references[start..start + total];
            self.chunk(packed, source, chunk, counts, &mut roots);
            start += total;
        }
        roots
    }

    /// One chunk: roots are appended, and counted in `counts`.
    fn chunk<B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        source: &[Xy<B>],
        references: &[u32],
        counts: &mut [u32],
        roots: &mut Vec<Xy<B>>,
    ) {
        let layout = Layout::new(&self.pieces, references.len());
        self.place(&layout, source, references, counts, roots);
        let count = self.leaves.len() / 8;
        if self.blocks.len() < count {
            self.blocks.resize(count, packed.nothing());
        }
        packed.gather(source, &self.leaves, &mut self.blocks[..count]);
        for height in 1..layout.trees.len() {
            let count = layout.lengths[height] / 8;
            let (left, right) = self.blocks.split_at_mut(count);
            packed.add(left, &mut right[..count]);
            let first = 2 * layout.lengths[height + 1] / 8;
            packed.scatter(&self.blocks[first..count], &self.places[height], roots);
        }
    }

    /// Gives leaves and roots their places; points that are alone go straight to the roots.
    fn place<B: ff::PrimeField + VartimeField>(
        &mut self,
        layout: &Layout,
        source: &[Xy<B>],
        references: &[u32],
        counts: &mut [u32],
        roots: &mut Vec<Xy<B>>,
    ) {
        let heights = layout.trees.len();
        self.leaves.clear();
        self.leaves.resize(2 * layout.lengths[1], NOTHING);
        self.places
            .resize_with(heights.max(self.places.len()), Vec::new);
        self.places.iter_mut().for_each(Vec::clear);
        self.alone.clear();
        let mut next = roots.len();
        let mut rest = references;
        for (bucket, length) in &self.pieces {
            let mut left = *length;
            while left != 0 {
                let mut height = left.ilog2() as usize;
                while height > 0 && self.places[height].len() == layout.trees[height] {
                    height -= 1;
                }
                let (own, others) = rest.split_at(1 << height);
                if height == 0 {
                    self.alone.push((own[0], next as u32));
                } else {
                    let places = &mut self.places[height];
                    let root = 2 * layout.lengths[height + 1] + places.len();
                    places.push(next as u32);
                    let leaves = &mut self.leaves[root..];
                    for (offset, reference) in layout.offsets.iter().zip(own) {
                        leaves[*offset as usize] = *reference;
                    }
                }
                rest = others;
                left -= 1 << height;
                counts[*bucket] += 1;
                next += 1;
            }
        }
        roots.resize(next, Xy::IDENTITY);
        for (reference, place) in &self.alone {
            let point = source[(reference & !NEGATED) as usize];
            roots[*place as usize] = point.signed(reference & NEGATED != 0);
        }
    }
}

/// Buckets worked on together by [`Trees::bit_sums`].
const BUCKETS: usize = 8192;

impl Trees {
    /// For every group of `size` buckets, a power of two: the sum of all, then for every bit the sum of those whose index
    /// has it.
    ///
    /// The lowest bit of the index is the highest of the place: each level adds the upper half of every array to the
    /// lower, and the upper half of the array of all is the start of that bit's sum.
    pub(crate) fn bit_sums<B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        buckets: &[Xy<B>],
        size: usize,
    ) -> Vec<Xy<B>> {
        let sums = size.ilog2() as usize + 1;
        let mut points = vec![Xy::IDENTITY; buckets.len() / size * sums];
        let at_once = (BUCKETS / size).max(1);
        let groups = buckets.chunks(size * at_once);
        for (buckets, points) in groups.zip(points.chunks_mut(sums * at_once)) {
            self.bit_sums_together(packed, buckets, size, points);
        }
        points
    }

    fn bit_sums_together<B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        buckets: &[Xy<B>],
        size: usize,
        points: &mut [Xy<B>],
    ) {
        let (groups, bits) = (buckets.len() / size, size.ilog2());
        let lanes = match groups {
            0..8 => groups.next_power_of_two(),
            _ => groups.next_multiple_of(8),
        };
        let reference = |place: usize| {
            let (index, group) = (place / lanes, place % lanes);
            let index = index.reverse_bits() >> (usize::BITS - bits).min(usize::BITS - 1);
            let own = (group < groups).then_some((group * size + index) as u32);
            own.unwrap_or(NOTHING)
        };
        self.leaves.clear();
        self.leaves.extend((0..size * lanes).map(reference));
        self.sums.clear();
        self.sums
            .resize(self.leaves.len().div_ceil(8), packed.nothing());
        packed.gather(buckets, &self.leaves, &mut self.sums);
        let mut span = size * lanes;
        for _ in 0..bits {
            span /= 2;
            self.halve(packed, span);
        }
        let sums = bits as usize + 1;
        let place = |(sum, group): (usize, usize)| {
            let own = (group < groups).then_some((group * sums + sum) as u32);
            own.unwrap_or(NOTHING)
        };
        let width = lanes.next_multiple_of(8);
        let all = (0..sums).flat_map(|sum| (0..width).map(move |group| (sum, group)));
        self.leaves.clear();
        self.leaves.extend(all.map(place));
        packed.scatter(&self.sums, &self.leaves, points);
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
        let mut started = false;
        self.left.clear();
        self.left.resize(groups.div_ceil(8), packed.nothing());
        self.right.clear();
        self.right.resize(groups.div_ceil(8), packed.nothing());
        let mut shift = 0;
        for (own, points) in addends {
            for _ in *own..shift {
                packed.double(&mut self.left);
            }
            packed.gather(points, &all, &mut self.right);
            if started {
                packed.add(&mut self.left, &mut self.right);
            } else {
                core::mem::swap(&mut self.left, &mut self.right);
            }
            (started, shift) = (true, *own);
        }
        for _ in 0..shift {
            packed.double(&mut self.left);
        }
        packed.scatter(&self.left, &all, &mut totals);
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
        self.sums.clear();
        self.sums.resize(points.len().div_ceil(8), packed.nothing());
        packed.gather(points, &all, &mut self.sums);
        for j in 1..count {
            for _ in 0..width {
                packed.double(&mut self.sums);
            }
            let start = j * points.len();
            multiples.resize(start + points.len(), Xy::IDENTITY);
            packed.scatter(&self.sums, &all, &mut multiples[start..]);
        }
        multiples
    }

    /// Halves all arrays of `2 span` points and adds one more, the upper half of the first.
    fn halve<B: ff::PrimeField + VartimeField>(&mut self, packed: &mut Packed<B>, span: usize) {
        let length = (2 * span).div_ceil(8);
        self.left.clear();
        self.right.clear();
        for array in self.sums.chunks(length) {
            if span < 8 {
                self.left.push(array[0]);
                self.right.push(array[0].rotated(span));
            } else {
                let (lower, upper) = array.split_at(length / 2);
                self.left.extend_from_slice(lower);
                self.right.extend_from_slice(upper);
            }
        }
        let upper = self.right[..length.div_ceil(2)].to_vec();
        packed.add(&mut self.left, &mut self.right);
        self.left.extend(upper);
        core::mem::swap(&mut self.left, &mut self.sums);
    }
}

impl Layout {
    fn new(pieces: &[(usize, u32)], total: usize) -> Self {
        let longest = pieces.iter().map(|(_, length)| *length).max();
        let highest = longest.unwrap_or(0).max(1).ilog2() as usize;
        let mut trees = vec![0; highest + 1];
        for (_, length) in pieces {
            for (height, trees) in trees.iter_mut().enumerate() {
                *trees += (length >> height & 1) as usize;
            }
        }
        let leaves = total - pieces.iter().filter(|(_, length)| *length == 1).count();
        for height in (1..=highest).rev() {
            if leaves > FEW || height > PADDED_HEIGHT {
                let excess = trees[height] % 8;
                trees[height] -= excess;
                trees[height - 1] += 2 * excess;
            }
        }
        let mut lengths = vec![0; highest + 2];
        for height in (1..=highest).rev() {
            lengths[height] = 2 * lengths[height + 1] + trees[height].next_multiple_of(8);
        }
        let mut offsets = vec![0u32];
        for length in &lengths[1..=highest] {
            let upper: Vec<u32> = offsets.iter().map(|o| o + *length as u32).collect();
            offsets.extend(upper);
        }
        Self {
            trees,
            lengths,
            offsets,
        }
    }
}

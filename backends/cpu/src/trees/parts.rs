//! Sums of points by bucket, part by part of the buckets: counts and references of a part stay in the caches next to the processor, and waves
//! go on from one to the next.

use pasta_curves::arithmetic::VartimeField;

use super::{LONGEST, Piece, Trees, for_pieces, push_leaves, wave_of};
use crate::affine::{Feed, NEGATED, Xy};
use crate::packed::images::turn_blocks;
use crate::packed::points::{NOTHING, Packed, Pair};
use crate::packed::vector::{NEAR, prefetch};

/// Parts at work, and what came of them.
pub(crate) struct Parts<F, B> {
    pub(crate) feed: F,
    /// References and counts of the last one.
    pub(crate) references: Vec<u32>,
    pub(crate) counts: Vec<u32>,
    /// Sums of all buckets, then those of pieces but for the first of each bucket.
    pub(crate) sums: Vec<Xy<B>>,
    /// Buckets of all parts, and of those so far.
    pub(crate) buckets: usize,
    pub(crate) loaded: usize,
    /// Buckets of these pieces.
    pub(crate) more: Vec<u32>,
}

/// Places whose classes are put together at a time: few enough for the second-level cache, enough for an inversion.
const PLACES: usize = 1 << 11;

impl Trees {
    /// Puts the classes of buckets together: sums are of parts of so many places, class by class, and those of a class are turned by omega that
    /// often.
    pub(crate) fn merge<B: ff::WithSmallOrderMulGroup<3> + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        sums: &[[u64; 8]],
        places: usize,
        merged: &mut [Xy<B>],
    ) {
        let zetas = [B::ZETA, B::ZETA.square()];
        let own =
            |place: usize, class: usize| (place / places * 3 + class) * places + place % places;
        for first in (0..merged.len()).step_by(PLACES) {
            let range = first..merged.len().min(first + PLACES);
            let blocks = range.len() / 8;
            self.leaves.clear();
            for class in 0..3 {
                let references = range.clone().map(|place| own(place, class) as u32);
                self.leaves.extend(references);
            }
            self.roots.clear();
            self.roots.resize(3 * blocks, packed.nothing());
            packed.gather(sums, &self.leaves, &mut self.roots);
            for class in 1..3 {
                let turned = &mut self.roots[class * blocks..][..blocks];
                turn_blocks(packed.prime(), turned, zetas[class - 1]);
                self.pairs.clear();
                let pairs = (0..blocks).map(|block| Pair::new(block, class * blocks + block));
                self.pairs.extend(pairs);
                packed.add(&mut self.roots, &self.pairs);
            }
            self.places.clear();
            self.places.extend(range.map(|place| place as u32));
            packed.scatter(&self.roots[..blocks], &self.places, merged);
        }
    }

    /// Sums of the buckets of all parts, those in several pieces yet to be put together.
    pub(crate) fn parts<F: Feed, B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        source: &[[u64; 8]],
        parts: &mut Parts<F, B>,
    ) {
        self.waves.clear();
        self.pieces.clear();
        self.wave = wave_of(packed, source);
        let mut next = self.pick_of(packed, source, parts, 0);
        for number in 0.. {
            if !self.leaves.is_empty() {
                self.plant(packed, source, next, number);
                next = self.pick_of(packed, source, parts, next.1);
            }
            if self.waves.is_empty() {
                break;
            }
            self.grow(packed, source);
            self.harvest(packed, &mut parts.sums);
        }
    }

    /// The leaves of a new wave, of the next parts where one has no more pieces; gives its first piece and the one after its last.
    fn pick_of<F: Feed, B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &Packed<B>,
        source: &[[u64; 8]],
        parts: &mut Parts<F, B>,
        first: usize,
    ) -> (usize, usize) {
        self.leaves.clear();
        let mut next = first;
        loop {
            while next < self.pieces.len() {
                let group = &self.pieces[next..next + 8];
                let depth = group[0].length as usize;
                if next > first && self.leaves.len() + 8 * depth > 8 * self.wave {
                    return (first, next);
                }
                push_leaves(&mut self.leaves, &parts.references, group);
                next += 8;
            }
            if !self.load(packed, source, parts) {
                return (first, next);
            }
        }
    }

    /// Pieces of the next part, whole groups of them.
    fn load<F: Feed, B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &Packed<B>,
        source: &[[u64; 8]],
        parts: &mut Parts<F, B>,
    ) -> bool {
        if !parts.feed.next(&mut parts.references, &mut parts.counts) {
            return false;
        }
        let mut lengths = [0; LONGEST as usize + 1];
        for count in &parts.counts {
            for_pieces(*count, |length| lengths[length as usize] += 1);
        }
        let (mut next, mut end) = ([0; LONGEST as usize + 1], self.pieces.len());
        for length in (2..=LONGEST as usize).rev() {
            next[length] = end;
            end += lengths[length];
        }
        let first = self.pieces.len();
        let nothing = Piece {
            place: NOTHING,
            ..Piece::default()
        };
        let whole = first + (end - first).next_multiple_of(8);
        self.pieces.resize(whole, nothing);
        self.singles.clear();
        let mut start = 0;
        for (bucket, count) in (parts.loaded..).zip(&parts.counts) {
            let mut place = bucket as u32;
            if *count == 0 {
                parts.sums[bucket] = Xy::IDENTITY;
            }
            for_pieces(*count, |length| {
                let piece = Piece {
                    start,
                    length,
                    place,
                };
                if length == 1 {
                    self.singles.push(piece);
                    let reference = parts.references[start as usize];
                    prefetch::<NEAR, _>(&source[(reference & !NEGATED) as usize]);
                } else {
                    self.pieces[next[length as usize]] = piece;
                    next[length as usize] += 1;
                }
                start += length;
                place = (parts.buckets + parts.more.len()) as u32;
                parts.more.push(bucket as u32);
            });
            // The first piece is the bucket's own.
            if *count != 0 {
                parts.more.pop();
            }
        }
        parts.loaded += parts.counts.len();
        let room = parts.buckets + parts.more.len();
        if parts.sums.len() < room {
            parts.sums.resize(room, Xy::IDENTITY);
        }
        for piece in &self.singles {
            let sum = &mut parts.sums[piece.place as usize];
            packed.copy(source, parts.references[piece.start as usize], sum);
        }
        true
    }
}

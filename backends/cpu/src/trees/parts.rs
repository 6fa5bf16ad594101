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
    /// References of the last one: of its leaves, in lanes, then of single points.
    pub(crate) references: Vec<u32>,
    /// How many of these are of waves so far.
    pub(crate) taken: usize,
    /// Its counts, later where the references of its buckets are written.
    pub(crate) counts: Vec<u32>,
    /// Sums of all buckets, perhaps with others after them, then those of pieces but for the first of each bucket.
    pub(crate) sums: Vec<Xy<B>>,
    /// Buckets of all parts, and of those so far.
    pub(crate) buckets: usize,
    pub(crate) loaded: usize,
    /// Buckets of these pieces.
    pub(crate) more: Vec<u32>,
}

/// Places whose classes are put together at a time: few enough for the second-level cache, enough for an inversion.
const PLACES: usize = 1 << 11;

/// So many groups that are no longer wanted are forgotten together.
const FORGOTTEN_TOGETHER: usize = 1 << 8;

impl Trees {
    /// Puts the classes of buckets together: sums are of parts of so many places, class by class, and those of a class are turned by omega that
    /// often. Those before them stay, unless these are the first.
    pub(crate) fn merge<B: ff::WithSmallOrderMulGroup<3> + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        sums: &[[u64; 8]],
        places: usize,
        (merged, first): (&mut [Xy<B>], bool),
    ) {
        let zetas = [B::ZETA, B::ZETA.square()];
        let width = places.ilog2();
        let own = |place: usize, class: usize| {
            ((place >> width) * 3 + class) << width | place & (places - 1)
        };
        for start in (0..merged.len()).step_by(PLACES) {
            let range = start..merged.len().min(start + PLACES);
            let blocks = range.len() / 8;
            // All are written.
            if self.roots.len() < 4 * blocks {
                self.roots.resize(4 * blocks, packed.nothing());
            }
            for class in 0..3 {
                self.leaves.clear();
                let references = range.clone().map(|place| own(place, class) as u32);
                self.leaves.extend(references);
                let roots = &mut self.roots[class * blocks..][..blocks];
                packed.gather(sums, &self.leaves, roots);
                if class > 0 {
                    turn_blocks(packed.prime(), roots, zetas[class - 1]);
                }
            }
            if !first {
                self.leaves.clear();
                self.leaves.extend(range.clone().map(|place| place as u32));
                let roots = &mut self.roots[3 * blocks..][..blocks];
                packed.gather(packed.words(merged), &self.leaves, roots);
            }
            for class in 1..if first { 3 } else { 4 } {
                self.pairs.clear();
                let pairs = (0..blocks).map(|block| Pair::new(block, class * blocks + block));
                self.pairs.extend(pairs);
                packed.add(&mut self.roots, &self.pairs);
            }
            self.written.clear();
            self.written.extend(range.map(|place| place as u32));
            packed.scatter(&self.roots[..blocks], &self.written, merged);
        }
    }

    /// Sums of the buckets of all parts, those in several pieces yet to be put together.
    pub(crate) fn parts<F: Feed, B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        source: &[[u64; 8]],
        parts: &mut Parts<F, B>,
    ) {
        self.clear();
        self.wave = wave_of(packed, source);
        let mut next = self.pick_of(packed, source, parts, 0);
        loop {
            if !self.leaves.is_empty() {
                self.plant(packed, source, next);
                next = self.pick_of(packed, source, parts, next.1);
            }
            if self.waves.is_empty() {
                break;
            }
            self.grow(packed, source);
            self.harvest(packed, &mut parts.sums);
        }
    }

    /// Forgets groups of waves that are done, so that those of others stay near; gives the new place of a group.
    fn forget(&mut self, group: usize) -> usize {
        let first = self.waves.first().map_or(group, |wave| wave.groups.0);
        if first < FORGOTTEN_TOGETHER {
            return group;
        }
        self.depths.drain(..first);
        self.places.drain(..8 * first);
        for wave in &mut self.waves {
            wave.groups = (wave.groups.0 - first, wave.groups.1 - first);
        }
        group - first
    }

    /// The leaves of a new wave, of the next parts where one has no more groups; gives its first group and the one after its last.
    fn pick_of<F: Feed, B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &Packed<B>,
        source: &[[u64; 8]],
        parts: &mut Parts<F, B>,
        first: usize,
    ) -> (usize, usize) {
        self.leaves.clear();
        let first = self.forget(first);
        let mut next = first;
        loop {
            let (start, room) = (parts.taken, 8 * self.wave - self.leaves.len());
            while let Some(depth) = self.depths.get(next) {
                let end = parts.taken + 8 * *depth as usize;
                if next > first && end - start > room {
                    break;
                }
                parts.taken = end;
                next += 1;
            }
            let own = &parts.references[start..parts.taken];
            self.leaves.extend_from_slice(own);
            if next < self.depths.len() || !self.load(packed, source, parts) {
                return (first, next);
            }
        }
    }

    /// Groups of the next part, and its references.
    fn load<F: Feed, B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &Packed<B>,
        source: &[[u64; 8]],
        parts: &mut Parts<F, B>,
    ) -> bool {
        if !parts.feed.count(&mut parts.counts) {
            return false;
        }
        parts.taken = 0;
        self.singles.clear();
        let buckets = parts.counts.len();
        if parts.counts.iter().all(|count| *count <= LONGEST) {
            self.lay_out(parts);
        } else {
            self.cut_up(parts);
        }
        parts.loaded += buckets;
        let own = &parts.references;
        for piece in &self.singles {
            let reference = own[piece.start as usize];
            prefetch::<NEAR, _>(&source[(reference & !NEGATED) as usize]);
        }
        for piece in &self.singles {
            let sum = &mut parts.sums[piece.place as usize];
            packed.copy(source, own[piece.start as usize], sum);
        }
        true
    }

    /// A part whose buckets are a piece each: references are written where leaves are read, those of a bucket eight places apart.
    fn lay_out<F: Feed, B: ff::PrimeField + VartimeField>(&mut self, parts: &mut Parts<F, B>) {
        let mut lengths = [0; LONGEST as usize + 1];
        for count in &parts.counts {
            lengths[*count as usize] += 1;
        }
        let mut next = slots(&lengths);
        let ends = next[2] + lengths[2];
        let first = self.make_groups(&lengths, &next, ends);
        let leaves = self.starts.last().map_or(0, |end| *end as usize);
        let length = leaves + lengths[1];
        if parts.references.len() < length {
            parts.references.resize(length, NOTHING);
        }
        // Groups with pieces of several lengths, or too few of them.
        for boundary in next[2..].iter().chain([&ends]) {
            if !boundary.is_multiple_of(8) {
                let group = boundary / 8;
                let own = self.starts[group] as usize..self.starts[group + 1] as usize;
                parts.references[own].fill(NOTHING);
            }
        }
        let places = &mut self.places[8 * first..];
        for (bucket, count) in (parts.loaded..).zip(&mut parts.counts) {
            let (length, place) = (*count, bucket as u32);
            match length {
                0 => parts.sums[bucket] = Xy::IDENTITY,
                1 => {
                    let start = (leaves + self.singles.len()) as u32;
                    self.singles.push(Piece {
                        start,
                        length,
                        place,
                    });
                    *count = start;
                }
                _ => {
                    let slot = &mut next[length as usize];
                    places[*slot] = place;
                    *count = self.starts[*slot / 8] + (*slot % 8) as u32;
                    *slot += 1;
                }
            }
        }
        let own = (&mut parts.counts, &mut parts.references[..]);
        parts.feed.place::<8>(own);
    }

    /// Groups of a part with so many pieces of each length in slots that begin where given, up to `end`, and where the leaves of every one
    /// begin; gives the first group.
    fn make_groups(&mut self, lengths: &Lengths, next: &Lengths, end: usize) -> usize {
        let (first, mut length, mut leaves) = (self.depths.len(), LONGEST as usize, 0);
        self.starts.clear();
        self.starts.push(leaves);
        for slot in (0..end).step_by(8) {
            while next[length] + lengths[length] <= slot {
                length -= 1;
            }
            leaves += 8 * length as u32;
            self.depths.push(length as u32);
            self.starts.push(leaves);
        }
        self.places.resize(8 * self.depths.len(), NOTHING);
        first
    }

    /// A part some of whose buckets are several pieces.
    fn cut_up<F: Feed, B: ff::PrimeField + VartimeField>(&mut self, parts: &mut Parts<F, B>) {
        let mut lengths = [0; LONGEST as usize + 1];
        for count in &parts.counts {
            for_pieces(*count, |length| lengths[length as usize] += 1);
        }
        let (mut next, mut start) = (slots(&lengths), 0);
        let ends = next[2] + lengths[2];
        let first = self.make_groups(&lengths, &next, ends);
        self.pieces.clear();
        self.pieces.resize(ends, Piece::default());
        for (bucket, count) in (parts.loaded..).zip(&mut parts.counts) {
            let (mut place, own) = (bucket as u32, start);
            if *count == 0 {
                parts.sums[bucket] = Xy::IDENTITY;
                continue;
            }
            for_pieces(*count, |length| {
                let piece = Piece {
                    start,
                    length,
                    place,
                };
                if length == 1 {
                    self.singles.push(piece);
                } else {
                    let slot = &mut next[length as usize];
                    self.places[8 * first + *slot] = place;
                    self.pieces[*slot] = piece;
                    *slot += 1;
                }
                start += length;
                place = (parts.buckets + parts.more.len()) as u32;
                parts.more.push(bucket as u32);
            });
            // The first piece is the bucket's own.
            parts.more.pop();
            *count = own;
        }
        let room = parts.buckets + parts.more.len();
        if parts.sums.len() < room {
            parts.sums.resize(room, Xy::IDENTITY);
        }
        self.sorted.clear();
        self.sorted.resize(start as usize, 0);
        parts.feed.place::<1>((&mut parts.counts, &mut self.sorted));
        parts.references.clear();
        for group in self.pieces.chunks(8) {
            push_leaves(&mut parts.references, &self.sorted, group);
        }
        for piece in &mut self.singles {
            let reference = self.sorted[piece.start as usize];
            piece.start = parts.references.len() as u32;
            parts.references.push(reference);
        }
    }
}

/// Where pieces of more than one point begin that are of each length, the longest first.
fn slots(lengths: &Lengths) -> Lengths {
    let (mut slots, mut end) = ([0; LONGEST as usize + 1], 0);
    for length in (2..=LONGEST as usize).rev() {
        slots[length] = end;
        end += lengths[length];
    }
    slots
}

/// A number for every length of a piece.
type Lengths = [usize; LONGEST as usize + 1];

//! Sums of points by bucket as binary trees, eight buckets in the lanes of a block.
//!
//! Buckets are cut into pieces of at most [`LONGEST`] points and sorted by length; eight pieces of about the same length
//! are a group, whose leaf i holds point i of each. So an addition is of whole blocks, nothing is moved between levels,
//! and only leaves are gathered and roots written out. Groups go in waves of as many leaves as the second-level cache
//! holds: while the leaves of one are added, so are the next nodes of those before it, all with one inversion.

pub(crate) mod parts;
pub(crate) mod stream;
mod sums;

use pasta_curves::arithmetic::VartimeField;

use crate::affine::Xy;
use crate::packed::leaves::Leaves;
use crate::packed::points::{Block, Fetches, NOTHING, Packed, Pair};
use crate::packed::vector::{NEAR, prefetch};

/// Points of the longest piece: longer ones save nothing, and shorter ones are more.
pub(crate) const LONGEST: u32 = 64;

/// Blocks of leaves of a wave: enough additions for an inversion, few enough for the second-level cache.
const WAVE: usize = 320;

/// The same if points come from far and are fetched beside, where the second-level cache holds no more.
const FAR_WAVE: usize = 160;

/// Buckets, and sums of them, of the columns of a small commitment.
const SMALL_BUCKETS: usize = 8192;

/// Points of a source that is worth fetching from while others are added.
const FAR: usize = 1 << 16;

/// The same on processors of few instructions: their third level is slower, and their second twice as large.
const FAR_OF_FEW: usize = 1 << 13;

/// Room to work in, kept between calls.
#[derive(Default)]
pub(crate) struct Trees {
    /// Pieces, the longest first.
    pieces: Vec<Piece>,
    /// Those of single points of a part.
    singles: Vec<Piece>,
    /// Groups at work and to come: points of the longest piece of each.
    depths: Vec<u32>,
    /// Places of their sums, in lanes: [`NOTHING`] where there is no piece.
    places: Vec<u32>,
    /// Where the leaves of every group of a part begin.
    starts: Vec<u32>,
    /// References of a part in the order of its buckets, if some of these are cut.
    sorted: Vec<u32>,
    /// Places of sums of nothing.
    empty: Vec<u32>,
    /// References of the leaves of a wave, in lanes.
    leaves: Vec<u32>,
    /// Those of the newest wave, until its first additions.
    planted: Vec<u32>,
    /// Places of weighted sums, in lanes.
    written: Vec<u32>,
    /// Blocks of leaves of a wave.
    wave: usize,
    /// Waves at work.
    waves: Vec<Wave>,
    pairs: Vec<Pair>,
    blocks: Vec<Block>,
    /// Weighted sums at work.
    roots: Vec<Block>,
}

/// Consecutive references to points of one bucket, and the place of their sum.
#[derive(Clone, Copy, Default)]
struct Piece {
    start: u32,
    length: u32,
    place: u32,
}

impl Piece {
    /// Asks for its references: pieces are sorted by length, so that they lie all over.
    fn fetch(&self, references: &[u32]) {
        let own = &references[self.start as usize..][..self.length as usize];
        own.iter().step_by(16).for_each(prefetch::<NEAR, _>);
        own.last().into_iter().for_each(prefetch::<NEAR, _>);
    }
}

/// Pieces ahead of which references are fetched.
const PIECES_AHEAD: usize = 16;

/// Groups whose leaves lie in consecutive blocks.
#[derive(Clone, Copy)]
struct Wave {
    /// Its first group and the one after its last.
    groups: (usize, usize),
    /// Its first block.
    block: usize,
    /// Distance of the next operands.
    stride: usize,
    /// Points of its longest piece.
    depth: usize,
}

impl Trees {
    /// Room for all waves and for the buckets of small columns: fresh pages would cost a first commitment as much as its sums.
    pub(crate) fn make_room<B: ff::PrimeField + VartimeField>(&mut self, packed: &Packed<B>) {
        let nothing = packed.nothing();
        self.blocks.resize(WAVES * WAVE, nothing);
        self.roots.resize(SMALL_BUCKETS / 8, nothing);
    }

    /// Sums points by bucket until few of each are left: `counts` consecutive references each; afterwards as many points.
    /// Where one of each would be left, empty buckets get the identity. The sums take room
    /// for as many, which may hold anything.
    pub(crate) fn reduce<B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        source: &[[u64; 8]],
        references: &[u32],
        (counts, room): (&mut [u32], impl FnOnce(usize) -> Vec<Xy<B>>),
    ) -> Vec<Xy<B>> {
        let total = self.cut(counts);
        let mut roots = room(total);
        roots.resize(total, Xy::IDENTITY);
        for place in &self.empty {
            roots[*place as usize] = Xy::IDENTITY;
        }
        let paired = self.pieces.partition_point(|piece| piece.length > 1);
        self.clear();
        self.wave = wave_of(packed, source);
        let (mut groups, mut next) = self.pick(references, (0, paired));
        loop {
            if !self.leaves.is_empty() {
                self.plant(packed, source, groups);
                (groups, next) = self.pick(references, (next, paired));
            }
            if self.waves.is_empty() {
                break;
            }
            self.grow(packed, source);
            self.harvest(packed, &mut roots);
        }
        for piece in &self.pieces[paired..] {
            packed.copy(
                source,
                references[piece.start as usize],
                &mut roots[piece.place as usize],
            );
        }
        roots
    }

    /// Forgets waves and groups.
    fn clear(&mut self) {
        self.waves.clear();
        self.depths.clear();
        self.places.clear();
    }

    /// Cuts buckets into pieces, sorted by length, and counts those of each bucket. Gives the number of places of all.
    fn cut(&mut self, counts: &mut [u32]) -> usize {
        let mut lengths = [0u32; LONGEST as usize + 1];
        let (mut start, mut total, buckets) = (0, 0, counts.len());
        for count in &*counts {
            for_pieces(*count, |length| lengths[length as usize] += 1);
        }
        let mut next = [0u32; LONGEST as usize + 1];
        for length in (1..=LONGEST as usize).rev() {
            next[length] = total;
            total += lengths[length];
        }
        self.empty.clear();
        self.pieces.clear();
        self.pieces.resize(total as usize, Piece::default());
        if counts.iter().all(|count| *count <= LONGEST) {
            for (place, count) in (0..).zip(counts) {
                if *count != 0 {
                    let slot = &mut next[*count as usize];
                    self.pieces[*slot as usize] = Piece {
                        start,
                        length: *count,
                        place,
                    };
                    *slot += 1;
                    start += *count;
                } else {
                    self.empty.push(place);
                }
                *count = 1;
            }
            return buckets;
        }
        let mut place = 0;
        for count in counts {
            let first = place;
            for_pieces(*count, |length| {
                let slot = &mut next[length as usize];
                self.pieces[*slot as usize] = Piece {
                    start,
                    length,
                    place,
                };
                *slot += 1;
                start += length;
                place += 1;
            });
            *count = place - first;
        }
        total as usize
    }

    /// The leaves of a new wave of some of the pieces, none if there are no more; gives its first group and the one after
    /// its last, and the next piece.
    fn pick(
        &mut self,
        references: &[u32],
        (first, end): (usize, usize),
    ) -> ((usize, usize), usize) {
        self.leaves.clear();
        let (first_group, mut next) = (self.depths.len(), first);
        while next < end {
            let group = &self.pieces[next..end.min(next + 8)];
            let depth = group[0].length as usize;
            if next > first && self.leaves.len() + 8 * depth > 8 * self.wave {
                break;
            }
            let ahead =
                &self.pieces[end.min(next + PIECES_AHEAD)..end.min(next + PIECES_AHEAD + 8)];
            ahead.iter().for_each(|piece| piece.fetch(references));
            push_leaves(&mut self.leaves, references, group);
            next += group.len();
            let mut places = [NOTHING; 8];
            for (place, piece) in places.iter_mut().zip(group) {
                *place = piece.place;
            }
            self.depths.push(depth as u32);
            self.places.extend_from_slice(&places);
        }
        ((first_group, self.depths.len()), next)
    }

    /// A new wave of the leaves, which are gathered with its first additions.
    fn plant<B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &Packed<B>,
        source: &[[u64; 8]],
        groups: (usize, usize),
    ) {
        // The first place without a wave at work: what was there last is nearer than what was there long ago.
        let taken = |block: &usize| self.waves.iter().any(|wave| wave.block == *block);
        let mut places = (0..).step_by(self.wave);
        let block = places.find(|block| !taken(block)).unwrap_or(0);
        debug_assert!(!taken(&block));
        let count = self.leaves.len() / 8;
        if self.blocks.len() < block + count {
            self.blocks.resize(block + count, packed.nothing());
        }
        core::mem::swap(&mut self.leaves, &mut self.planted);
        let (mut next, mut deepest) = (0, 0);
        for depth in &self.depths[groups.0..groups.1] {
            let depth = *depth as usize;
            next += depth;
            deepest = deepest.max(depth);
            if !depth.is_multiple_of(2) {
                let own = &self.planted[8 * (next - 1)..8 * next];
                packed.gather(source, own, &mut self.blocks[block + next - 1..][..1]);
            }
        }
        self.waves.push(Wave {
            groups,
            block,
            stride: 1,
            depth: deepest,
        });
    }

    /// Adds the next nodes of all waves, and fetches the leaves of the next one.
    fn grow<B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        source: &[[u64; 8]],
    ) {
        self.grow_beside(packed, source, None);
    }

    /// The same, but what is given is fetched.
    fn grow_beside<B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &mut Packed<B>,
        source: &[[u64; 8]],
        fetches: Option<Fetches<'_>>,
    ) {
        self.pairs.clear();
        let mut leaves = Leaves {
            source,
            references: &self.planted,
            block: 0,
            pairs: 0,
        };
        for wave in &mut self.waves {
            let (mut block, others) = (wave.block, self.pairs.len());
            for depth in &self.depths[wave.groups.0..wave.groups.1] {
                let depth = *depth as usize;
                let rights = (wave.stride..depth).step_by(2 * wave.stride);
                self.pairs.extend(
                    rights.map(|right| Pair::new(block + right - wave.stride, block + right)),
                );
                block += depth;
            }
            if wave.stride == 1 {
                (leaves.block, leaves.pairs) = (wave.block, self.pairs.len() - others);
            }
            wave.stride *= 2;
        }
        let next = match source.len() {
            FAR.. => &self.leaves[..],
            FAR_OF_FEW.. if packed.few_instructions() => &self.leaves[..],
            _ => &[],
        };
        let next = fetches.unwrap_or(Fetches::References(next));
        packed.add_before(&mut self.blocks, &self.pairs, (&leaves, next));
    }

    /// Writes out the roots of the waves that are done.
    fn harvest<B: ff::PrimeField + VartimeField>(
        &mut self,
        packed: &Packed<B>,
        sums: &mut [Xy<B>],
    ) {
        let done = |wave: &Wave| wave.stride >= wave.depth;
        for wave in self.waves.iter().filter(|wave| done(wave)) {
            let (mut block, groups) = (wave.block, wave.groups.0..wave.groups.1);
            let places = &self.places.as_chunks::<8>().0[groups.clone()];
            for (depth, places) in self.depths[groups].iter().zip(places) {
                packed.scatter(&self.blocks[block..=block], places, sums);
                block += *depth as usize;
            }
        }
        self.waves.retain(|wave| !done(wave));
    }
}

/// Blocks of leaves of a wave of points of a source.
fn wave_of<B: ff::PrimeField + VartimeField>(packed: &Packed<B>, source: &[[u64; 8]]) -> usize {
    let narrow = source.len() >= FAR && !packed.few_instructions();
    if narrow { FAR_WAVE } else { WAVE }
}

/// Waves at work at a time: one for each height of a tree of [`LONGEST`] leaves.
const WAVES: usize = LONGEST.ilog2() as usize;

/// Lengths of the pieces of so many points: about equal.
#[inline(always)]
fn for_pieces(count: u32, mut visit: impl FnMut(u32)) {
    if count <= LONGEST {
        if count != 0 {
            visit(count);
        }
        return;
    }
    let pieces = count.div_ceil(LONGEST);
    let (each, more) = (count / pieces, count % pieces);
    (0..pieces).for_each(|piece| visit(each + u32::from(piece < more)));
}

/// Leaf i of up to eight pieces, for every i: [`NOTHING`] in the lanes of shorter ones.
fn push_leaves(leaves: &mut Vec<u32>, references: &[u32], group: &[Piece]) {
    let depth = group[0].length as usize;
    let start = leaves.len();
    leaves.resize(start + 8 * depth, NOTHING);
    let own = &mut leaves[start..];
    for (lane, piece) in group.iter().enumerate() {
        let references = &references[piece.start as usize..][..piece.length as usize];
        for (leaves, reference) in own.as_chunks_mut::<8>().0.iter_mut().zip(references) {
            leaves[lane] = *reference;
        }
    }
}

//! Sums of points that are read once and in order, for few buckets: a bucket is a queue of references, and whenever one is full its points
//! are a piece. All pieces are of one length, nothing is sorted, and what is gathered was near a short while ago.

use pasta_curves::arithmetic::VartimeField;

use super::{NOTHING, Piece, Trees};
use crate::affine::{NEGATED, Xy};
use crate::packed::points::{Fetches, IN_ORDER, Packed};

/// Points of a piece.
const LENGTH: usize = 32;

/// Blocks of leaves of a wave: more than from afar, for few points are at work at a time.
const WAVE: usize = 256;

/// Points that are fetched beside a wave: some more than are added, so that the fetches stay ahead.
const FETCHED: usize = WAVE * 8 * 5 / 4 / IN_ORDER * IN_ORDER;

/// Where terms come from: shares of the points that are still to be had.
pub(crate) trait Supply {
    /// The next range of points.
    fn take(&mut self) -> Option<core::ops::Range<usize>>;

    /// The digits of a range.
    fn digits(&mut self, range: &core::ops::Range<usize>, digits: &mut Vec<u32>);

    /// The scalars that digits are made of, as stored; none if these need not be fetched.
    fn scalars(&self) -> &[[u64; 4]];
}

impl<S: Supply> Supply for &mut S {
    fn take(&mut self) -> Option<core::ops::Range<usize>> {
        S::take(self)
    }

    fn digits(&mut self, range: &core::ops::Range<usize>, digits: &mut Vec<u32>) {
        S::digits(self, range, digits);
    }

    fn scalars(&self) -> &[[u64; 4]] {
        S::scalars(self)
    }
}

/// Queues of references, and what comes next.
pub(crate) struct Stream<S> {
    supply: S,
    /// References of every bucket, and how many there are: read alone, for those lie in few lines.
    queues: Vec<[u32; LENGTH]>,
    lengths: Vec<u32>,
    /// Digits of the range at work, and how many are done.
    digits: Vec<u32>,
    done: usize,
    range: core::ops::Range<usize>,
    /// The range after it, and what of it is not yet fetched.
    next: Option<core::ops::Range<usize>>,
    ahead: core::ops::Range<usize>,
    /// Buckets of the pieces so far.
    buckets: Vec<u32>,
}

impl<S: Supply> Stream<S> {
    /// Of so many buckets.
    pub(crate) fn new(mut supply: S, buckets: usize) -> Self {
        let next = supply.take();
        Self {
            supply,
            queues: vec![[0; LENGTH]; buckets],
            lengths: vec![0; buckets],
            digits: Vec::new(),
            done: 0,
            range: 0..0,
            next,
            ahead: 0..0,
            buckets: Vec::new(),
        }
    }

    /// Goes on to the next range, if there is one.
    fn advance(&mut self) -> bool {
        let Some(range) = self.next.take() else {
            return false;
        };
        self.supply.digits(&range, &mut self.digits);
        (self.range, self.done) = (range, 0);
        self.next = self.supply.take();
        self.ahead = self.next.clone().unwrap_or_default();
        true
    }

    /// Leaves of a wave, unless the points end before it is full: then what there is, whole groups first.
    fn fill(&mut self, leaves: &mut Vec<u32>) {
        const GROUPS: usize = WAVE / LENGTH;
        const { assert!(WAVE.is_multiple_of(LENGTH)) };
        leaves.clear();
        leaves.resize(8 * LENGTH * GROUPS, NOTHING);
        let first = self.buckets.len();
        while self.buckets.len() < first + 8 * GROUPS {
            if self.done == self.range.len() && !self.advance() {
                break;
            }
            let start = (self.range.start + self.done) as u32;
            let digits = &self.digits[self.done..];
            let mut done = digits.len();
            let (lengths, queues) = (&mut self.lengths[..], &mut self.queues[..]);
            let queues = &mut queues[..lengths.len()];
            for (number, (reference, digit)) in (start..).zip(digits).enumerate() {
                let bucket = (digit & !NEGATED).wrapping_sub(1) as usize;
                let Some(length) = lengths.get_mut(bucket) else {
                    continue;
                };
                let (place, queue) = (*length as usize % LENGTH, &mut queues[bucket]);
                queue[place] = reference | (digit & NEGATED);
                *length = (place as u32 + 1) % LENGTH as u32;
                if place + 1 == LENGTH {
                    let piece = self.buckets.len() - first;
                    let group = &mut leaves[piece / 8 * 8 * LENGTH..][..8 * LENGTH];
                    let lanes = group.as_chunks_mut::<8>().0.iter_mut();
                    for (lanes, reference) in lanes.zip(&*queue) {
                        lanes[piece % 8] = *reference;
                    }
                    self.buckets.push(bucket as u32);
                    if piece + 1 == 8 * GROUPS {
                        done = number + 1;
                        break;
                    }
                }
            }
            self.done += done;
        }
        let pieces = self.buckets.len() - first;
        leaves.truncate(pieces.div_ceil(8) * 8 * LENGTH);
    }

    /// What is fetched beside the next wave.
    fn fetches<'a>(&'a mut self, points: &'a [[u64; 8]]) -> Option<Fetches<'a>> {
        let end = self.ahead.end.min(self.ahead.start + FETCHED);
        let own = core::mem::replace(&mut self.ahead.start, end)..end;
        let scalars = self.supply.scalars().get(own.clone());
        let scalars = scalars.unwrap_or_default();
        (!own.is_empty()).then(|| Fetches::InOrder(&points[own], scalars))
    }
}

impl Trees {
    /// Sums of pieces and their buckets: every point of the supply whose digit is not zero is in one.
    pub(crate) fn stream<B: ff::PrimeField + VartimeField, S: Supply>(
        &mut self,
        packed: &mut Packed<B>,
        source: &[[u64; 8]],
        mut stream: Stream<S>,
        mut roots: Vec<Xy<B>>,
    ) -> (Vec<Xy<B>>, Vec<u32>) {
        self.clear();
        self.pieces.clear();
        self.wave = WAVE;
        let mut tail: Option<(usize, usize)> = None;
        let mut references = Vec::new();
        loop {
            let planted = if let Some((next, end)) = tail {
                let (groups, next) = self.pick(&references, (next, end));
                tail = Some((next, end));
                groups
            } else {
                let (first, place) = (self.depths.len(), stream.buckets.len());
                stream.fill(&mut self.leaves);
                let places = place as u32..stream.buckets.len() as u32;
                let groups = places.len().div_ceil(8);
                self.places.extend(places);
                self.places.resize(8 * (first + groups), NOTHING);
                self.depths.resize(first + groups, LENGTH as u32);
                if self.leaves.len() < 8 * WAVE {
                    tail = Some(self.push_rest(&mut stream, &mut references));
                }
                (first, first + groups)
            };
            if !self.leaves.is_empty() {
                self.plant(packed, source, planted);
            }
            if self.waves.is_empty() && tail.is_some_and(|(next, end)| next == end) {
                break;
            }
            self.grow_beside(packed, source, stream.fetches(source));
            if roots.len() < stream.buckets.len() {
                roots.resize(stream.buckets.len(), Xy::IDENTITY);
            }
            self.harvest(packed, &mut roots);
        }
        roots.resize(stream.buckets.len(), Xy::IDENTITY);
        let (_, end) = tail.unwrap_or_default();
        for piece in &self.pieces[end..] {
            let reference = references[piece.start as usize];
            packed.copy(source, reference, &mut roots[piece.place as usize]);
        }
        (roots, stream.buckets)
    }

    /// Pieces of what is left in the queues, the longest first; gives the first of them and the first that is a single point.
    fn push_rest<S>(
        &mut self,
        stream: &mut Stream<S>,
        references: &mut Vec<u32>,
    ) -> (usize, usize) {
        let queues = stream.lengths.iter().zip(&stream.queues);
        for (bucket, (&length, queue)) in (0..).zip(queues) {
            if length == 0 {
                continue;
            }
            let place = stream.buckets.len() as u32;
            let start = references.len() as u32;
            references.extend_from_slice(&queue[..length as usize]);
            stream.buckets.push(bucket);
            self.pieces.push(Piece {
                start,
                length,
                place,
            });
        }
        self.pieces
            .sort_by_key(|piece| core::cmp::Reverse(piece.length));
        let single = self.pieces.partition_point(|piece| piece.length > 1);
        (0, single)
    }
}

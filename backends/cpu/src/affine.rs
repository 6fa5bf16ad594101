//! Affine additions in batches that share one inversion.
//!
//! An addition costs 5 multiplications and a square; equal, opposite and identity operands are handled.

mod parts;
mod rooms;
mod source;

use std::any::Any;
use std::cell::RefCell;

use group::Curve as _;
use pasta_curves::arithmetic::{CurveAffine, VartimeField};
use rayon::prelude::*;
use zkernel_backend::Curve;

pub(crate) use self::parts::Feed;
#[cfg(target_arch = "x86_64")]
use self::rooms::fitting;
pub(crate) use self::source::Source;

use crate::level::Level;
#[cfg(target_arch = "x86_64")]
use crate::packed::points::Packed;
#[cfg(target_arch = "x86_64")]
use crate::trees::Trees;
#[cfg(target_arch = "x86_64")]
use crate::trees::stream::{Stream, Supply};

/// Marks a reference to a point that is to be negated.
pub(crate) const NEGATED: u32 = 1 << 31;

/// An addition: `sums[sum] = source[left] + source[right]`, either operand perhaps [`NEGATED`].
#[derive(Clone, Copy, Debug)]
struct Pair {
    left: u32,
    right: u32,
    sum: u32,
}

/// A point, in one cache line; the identity is (0, 0), which is not on either curve (b = 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Xy<B> {
    pub(crate) x: B,
    pub(crate) y: B,
}

impl<B: ff::PrimeField + VartimeField> Xy<B> {
    pub(crate) const IDENTITY: Self = Self {
        x: B::ZERO,
        y: B::ZERO,
    };

    pub(crate) fn new<C: CurveAffine<Base = B>>(point: &C) -> Self {
        Option::from(point.coordinates()).map_or(
            Self::IDENTITY,
            |c: pasta_curves::arithmetic::Coordinates<C>| Self {
                x: *c.x(),
                y: *c.y(),
            },
        )
    }

    /// Coordinates of all points.
    pub(crate) fn all<C: Curve<Base = B>>(level: Level, points: &[C]) -> Vec<Self> {
        if let Some(source) = Source::of(level, points) {
            return source.points().into_owned();
        }
        points.par_iter().map(Self::new).collect()
    }

    pub(crate) fn point<C: CurveAffine<Base = B>>(self) -> C {
        if self.is_identity() {
            return C::identity();
        }
        // Sums of points of the curve are on the curve: the default is never taken.
        C::from_xy(self.x, self.y).unwrap_or(C::identity())
    }

    pub(crate) fn is_identity(&self) -> bool {
        self.y.is_zero_vartime() && self.x.is_zero_vartime()
    }

    pub(crate) fn signed(self, negative: bool) -> Self {
        let y = if negative { -self.y } else { self.y };
        Self { x: self.x, y }
    }

    /// Denominator of the slope; one where no slope is wanted.
    fn denominator(&self, other: &Self) -> B {
        if self.is_identity() || other.is_identity() {
            return B::ONE;
        }
        let difference = other.x - self.x;
        if !difference.is_zero_vartime() {
            difference
        } else if self.y == other.y {
            self.y.double()
        } else {
            B::ONE
        }
    }

    /// The sum, given the inverse of [`Xy::denominator`]. No point of order two exists, so y is never zero.
    fn add(&self, other: &Self, inverse: B) -> Self {
        if self.is_identity() {
            return *other;
        }
        if other.is_identity() {
            return *self;
        }
        let numerator = if self.x != other.x {
            other.y - self.y
        } else if self.y == other.y {
            let square = self.x.square();
            square.double() + square
        } else {
            return Self::IDENTITY;
        };
        let slope = numerator * inverse;
        let x = slope.square() - self.x - other.x;
        Self {
            x,
            y: slope * (self.x - x) - self.y,
        }
    }
}

/// Additions that share an inversion: enough to make it cheap, and few enough for the second-level cache.
const BATCH: usize = 1024;

/// Adds points in batches, at one level.
pub(crate) struct Adder<B> {
    level: Level,
    #[cfg(target_arch = "x86_64")]
    packed: Option<Packed<B>>,
    #[cfg(target_arch = "x86_64")]
    trees: Trees,
    scratch: Vec<(B, B)>,
    /// Room for points that is not in use.
    rooms: Vec<Vec<Xy<B>>>,
    /// The same for references, digits and counts.
    words: Vec<Vec<u32>>,
}

thread_local! {
    /// Adders that are not at work on this thread: their room is kept, being large.
    static IDLE: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

impl<B: ff::PrimeField + VartimeField> Adder<B> {
    fn new(level: Level) -> Self {
        Self {
            level,
            #[cfg(target_arch = "x86_64")]
            packed: level.prime().map(Packed::new),
            #[cfg(target_arch = "x86_64")]
            trees: Trees::default(),
            scratch: Vec::new(),
            rooms: Vec::new(),
            words: Vec::new(),
        }
    }

    /// Works with an adder of this thread.
    pub(crate) fn with<T>(level: Level, work: impl FnOnce(&mut Self) -> T) -> T {
        let own = |idle: &Box<dyn Any>| {
            idle.downcast_ref::<Self>()
                .is_some_and(|adder| adder.level == level)
        };
        let idle = IDLE.with_borrow_mut(|idle| {
            let index = idle.iter().position(own)?;
            idle.swap_remove(index).downcast().ok()
        });
        let mut adder: Box<Self> = idle.unwrap_or_else(|| Box::new(Self::new(level)));
        let result = work(&mut adder);
        IDLE.with_borrow_mut(|idle| idle.push(adder));
        result
    }

    /// Makes room for what commitments need: on this thread now, on the pool's others when they have nothing else to do, for a caller that
    /// waited for them could hold what one of them waits for.
    pub(crate) fn make_room(level: Level) {
        #[cfg(target_arch = "x86_64")]
        {
            let own = move || {
                Self::with(level, |adder| {
                    if let Some(packed) = &adder.packed {
                        adder.trees.make_room(packed);
                    }
                });
            };
            own();
            rayon::spawn_broadcast(move |_| own());
        }
        let _ = level;
    }

    /// `sums[pair.sum] = source[pair.left] + source[pair.right]` for every pair.
    fn add_pairs(&mut self, pairs: &[Pair], source: &[Xy<B>], sums: &mut [Xy<B>]) {
        for batch in pairs.chunks(BATCH) {
            self.add_batch(batch, source, sums);
        }
    }

    /// Sums points by bucket until fewer of each are left: `counts` consecutive references each, perhaps [`NEGATED`];
    /// afterwards as many points.
    pub(crate) fn reduce(
        &mut self,
        source: Source<'_, B>,
        references: &[u32],
        counts: &mut [u32],
    ) -> Vec<Xy<B>> {
        #[cfg(target_arch = "x86_64")]
        if let Some(packed) = &mut self.packed {
            let source = match source {
                Source::Points(points) => packed.words(points),
                Source::Words(_, words) => words,
            };
            let rooms = &mut self.rooms;
            let room = |length| fitting(rooms, length);
            return self
                .trees
                .reduce(packed, source, references, (counts, room));
        }
        self.halve(&source.points(), references, counts)
    }

    /// Sums of pieces of buckets and the buckets they are of, of points in the order in which they are supplied; nothing at levels that
    /// have no trees.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn stream<S: Supply>(
        &mut self,
        source: Source<'_, B>,
        supply: S,
        (buckets, room): (usize, usize),
    ) -> Option<(Vec<Xy<B>>, Vec<u32>)> {
        let packed = self.packed.as_mut()?;
        let source = match source {
            Source::Points(points) => packed.words(points),
            Source::Words(_, words) => words,
        };
        let mut sums = fitting(&mut self.rooms, room);
        sums.clear();
        let stream = Stream::new(supply, buckets);
        Some(self.trees.stream(packed, source, stream, sums))
    }

    /// Halves the points of every bucket; an odd one out goes along.
    fn halve(&mut self, source: &[Xy<B>], references: &[u32], counts: &mut [u32]) -> Vec<Xy<B>> {
        let total: u32 = counts.iter().map(|count| count.div_ceil(2)).sum();
        let mut sums = vec![Xy::IDENTITY; total as usize];
        let mut pairs = Vec::with_capacity(total as usize);
        let (mut rest, mut to) = (references, 0);
        for count in counts {
            let (own, others) = rest.split_at(*count as usize);
            for operands in own.chunks(2) {
                match operands {
                    [left, right] => pairs.push(Pair {
                        left: *left,
                        right: *right,
                        sum: to,
                    }),
                    _ => {
                        let point = source[(operands[0] & !NEGATED) as usize];
                        sums[to as usize] = point.signed(operands[0] & NEGATED != 0);
                    }
                }
                to += 1;
            }
            rest = others;
            *count = count.div_ceil(2);
        }
        self.add_pairs(&pairs, source, &mut sums);
        sums
    }

    /// For every group of `size` buckets, a power of two: the sum of all, then for every bit the sum of those whose index
    /// has it.
    pub(crate) fn bit_sums(&mut self, buckets: &[Xy<B>], size: usize) -> Vec<Xy<B>> {
        #[cfg(target_arch = "x86_64")]
        if let Some(packed) = &mut self.packed {
            let buckets = packed.words(buckets);
            return self.trees.bit_sums(packed, buckets, size);
        }
        let mut arrays = buckets.to_vec();
        let (groups, mut length) = (arrays.len() / size, arrays.len());
        for _ in 0..size.ilog2() {
            let upper: Vec<_> = arrays[..length]
                .iter()
                .skip(1)
                .step_by(2)
                .copied()
                .collect();
            arrays = self.add_each(&arrays, arrays.len() / 2, |j| {
                (2 * j as u32, 2 * j as u32 + 1)
            });
            arrays.extend(upper);
            length /= 2;
        }
        let of_group = |group| arrays.iter().skip(group).step_by(groups).copied();
        (0..groups).flat_map(of_group).collect()
    }

    /// `sum 2^shift addend` of every group, largest shifts first.
    pub(crate) fn horner(&mut self, groups: usize, addends: &[(u32, Vec<Xy<B>>)]) -> Vec<Xy<B>> {
        #[cfg(target_arch = "x86_64")]
        if let Some(packed) = &mut self.packed {
            return self.trees.horner(packed, groups, addends);
        }
        let mut totals = vec![Xy::IDENTITY; groups];
        let mut shift = 0;
        for (own, points) in addends {
            for _ in *own..shift {
                totals = self.add_each(&totals, groups, |j| (j as u32, j as u32));
            }
            let both = [&totals[..], points].concat();
            totals = self.add_each(&both, groups, |j| (j as u32, (groups + j) as u32));
            shift = *own;
        }
        for _ in 0..shift {
            totals = self.add_each(&totals, groups, |j| (j as u32, j as u32));
        }
        totals
    }

    /// `2^(width j) P` for all points, for each j below `count`.
    pub(crate) fn multiples(&mut self, points: &[Xy<B>], width: u32, count: usize) -> Vec<Xy<B>> {
        #[cfg(target_arch = "x86_64")]
        if let Some(packed) = &mut self.packed {
            return self.trees.multiples(packed, points, width, count);
        }
        let mut current = points.to_vec();
        let mut multiples = Vec::with_capacity(points.len() * count);
        for _ in 0..count {
            multiples.extend_from_slice(&current);
            for _ in 0..width {
                current = self.add_each(&current, points.len(), |j| (j as u32, j as u32));
            }
        }
        multiples
    }

    /// `count` sums of two points of the source, by reference.
    fn add_each(
        &mut self,
        source: &[Xy<B>],
        count: usize,
        operands: impl Fn(usize) -> (u32, u32),
    ) -> Vec<Xy<B>> {
        let pair = |j: usize| {
            let (left, right) = operands(j);
            let sum = j as u32;
            Pair { left, right, sum }
        };
        let pairs: Vec<Pair> = (0..count).map(pair).collect();
        let mut sums = vec![Xy::IDENTITY; count];
        self.add_pairs(&pairs, source, &mut sums);
        sums
    }

    fn add_batch(&mut self, pairs: &[Pair], source: &[Xy<B>], sums: &mut [Xy<B>]) {
        let read = |reference: u32| {
            let point = source[(reference & !NEGATED) as usize];
            point.signed(reference & NEGATED != 0)
        };
        self.scratch.clear();
        let mut product = B::ONE;
        for pair in pairs {
            let denominator = read(pair.left).denominator(&read(pair.right));
            self.scratch.push((denominator, product));
            product *= denominator;
        }
        let mut inverse = product.invert_vartime().unwrap_or(B::ZERO);
        for (pair, (denominator, before)) in pairs.iter().zip(&self.scratch).rev() {
            let (left, right) = (read(pair.left), read(pair.right));
            sums[pair.sum as usize] = left.add(&right, inverse * before);
            inverse *= denominator;
        }
    }
}

/// Affine forms of projective points.
pub(crate) fn normalize<C: Curve>(points: &[C::CurveExt]) -> Vec<C> {
    let mut affine = vec![C::identity(); points.len()];
    C::CurveExt::batch_normalize(points, &mut affine);
    affine
}

#[cfg(test)]
mod tests;

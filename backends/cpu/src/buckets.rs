//! Points by bucket, and weighted sums of buckets.

use group::Group;
use pasta_curves::arithmetic::VartimeField;
use zkernel_backend::Curve;
use zkernel_verifier::curve::Point;

use crate::affine::{Adder, NEGATED, Source, Xy};

/// A point, by its index in a source and perhaps [`NEGATED`], for a bucket.
#[derive(Clone, Copy, Debug)]
struct Term {
    bucket: u32,
    point: u32,
}

/// Points for buckets.
pub(crate) struct Terms {
    terms: Vec<Term>,
    counts: Vec<u32>,
}

/// Buckets whose weighted sums are made together, if a group has more: they stay in the second-level cache.
const BUCKETS_TOGETHER: usize = 1 << 12;

/// Buckets of several groups: bucket i of each has the weight `(i + 1) 2^shift`.
pub(crate) struct Section<'a, B> {
    /// The buckets, group by group.
    pub(crate) buckets: &'a [Xy<B>],
    /// Buckets of a group, a power of two.
    pub(crate) size: usize,
    /// Binary logarithm of the first weight.
    pub(crate) shift: u32,
}

impl<B: ff::PrimeField + VartimeField> Section<'_, B> {
    /// Points of every group, with the binary logarithms of their weights, whose sums are those of the buckets.
    pub(crate) fn addends(&self, adder: &mut Adder<B>, groups: usize) -> Vec<(u32, Vec<Xy<B>>)> {
        let sums = self.bit_sums(adder, groups);
        weights(&sums, groups, self.shift)
    }

    /// The addends of one group, cut into so many parts of which these are the sums of bits.
    pub(crate) fn joined(
        adder: &mut Adder<B>,
        of_parts: &[Xy<B>],
        parts: usize,
    ) -> Vec<(u32, Vec<Xy<B>>)> {
        weights(&join(adder, of_parts, (1, parts)), 1, 0)
    }

    /// For every group the sum of all buckets, then for every bit the sum of those whose index has it.
    fn bit_sums(&self, adder: &mut Adder<B>, groups: usize) -> Vec<Xy<B>> {
        let parts = self.size / BUCKETS_TOGETHER;
        if parts <= 1 {
            return adder.bit_sums(self.buckets, self.size);
        }
        let of_parts = adder.bit_sums(self.buckets, BUCKETS_TOGETHER);
        join(adder, &of_parts, (groups, parts))
    }
}

/// Sums of bits of groups with the binary logarithms of their weights.
fn weights<B: Copy>(sums: &[Xy<B>], groups: usize, shift: u32) -> Vec<(u32, Vec<Xy<B>>)> {
    let each = sums.len() / groups;
    let sum = |i: usize| sums.iter().skip(i).step_by(each).copied().collect();
    // The index of a bucket is one less than its weight: the sum of all counts once more.
    let bit = |i: usize| (shift + i as u32 - 1, sum(i));
    core::iter::once((shift, sum(0)))
        .chain((1..each).map(bit))
        .collect()
}

/// Sums of bits of groups from those of their parts.
fn join<B: ff::PrimeField + VartimeField>(
    adder: &mut Adder<B>,
    of_parts: &[Xy<B>],
    (groups, parts): (usize, usize),
) -> Vec<Xy<B>> {
    let each = of_parts.len() / (groups * parts);
    let totals: Vec<Xy<B>> = of_parts.iter().step_by(each).copied().collect();
    let high = adder.bit_sums(&totals, parts);
    let sum = |i: usize| {
        let (group, bit) = (i / (each - 1), 1 + i % (each - 1));
        (0..parts).map(move |part| ((group * parts + part) * each + bit) as u32)
    };
    let count = groups * (each - 1);
    let references = (0..count).flat_map(sum).collect();
    let counts = vec![parts as u32; count];
    let low = self::sum(adder, Source::Points(of_parts), references, counts);
    let groups = high.chunks(high.len() / groups).zip(low.chunks(each - 1));
    let of_group = |(high, low): (&[Xy<B>], &[Xy<B>])| [&high[..1], low, &high[1..]].concat();
    groups.flat_map(of_group).collect()
}

/// A reference to a point, negated or not.
pub(crate) fn reference(index: usize, negative: bool) -> u32 {
    index as u32 | if negative { NEGATED } else { 0 }
}

impl Terms {
    /// None yet; room for as many as given.
    pub(crate) fn new(buckets: usize, room: usize) -> Self {
        Self {
            terms: Vec::with_capacity(room),
            counts: vec![0; buckets],
        }
    }

    /// Adds a point, perhaps [`NEGATED`], to a bucket.
    #[inline]
    pub(crate) fn push(&mut self, bucket: usize, point: u32) {
        self.counts[bucket] += 1;
        self.terms.push(Term {
            bucket: bucket as u32,
            point,
        });
    }

    /// Sums of the points of every bucket.
    pub(crate) fn sum<B: ff::PrimeField + VartimeField>(
        mut self,
        adder: &mut Adder<B>,
        source: &[Xy<B>],
    ) -> Vec<Xy<B>> {
        let sorted = self.sorted();
        sum(adder, Source::Points(source), sorted, self.counts)
    }

    /// The points in the order of their buckets, and how many each has.
    pub(crate) fn into_sorted(mut self) -> (Vec<u32>, Vec<u32>) {
        (self.sorted(), self.counts)
    }

    /// Counting sort: the points in the order of their buckets.
    fn sorted(&mut self) -> Vec<u32> {
        let start = |sum: &mut u32, count: &u32| {
            *sum += count;
            Some(*sum - count)
        };
        let mut next: Vec<u32> = self.counts.iter().scan(0, start).collect();
        let mut sorted = vec![0u32; self.terms.len()];
        for term in &self.terms {
            let slot = &mut next[term.bucket as usize];
            sorted[*slot as usize] = term.point;
            *slot += 1;
        }
        self.terms = Vec::new();
        sorted
    }
}

/// Sums of the points of every bucket, given as consecutive references, as many as counted.
pub(crate) fn sum<B: ff::PrimeField + VartimeField>(
    adder: &mut Adder<B>,
    source: Source<'_, B>,
    mut references: Vec<u32>,
    mut counts: Vec<u32>,
) -> Vec<Xy<B>> {
    let mut points = adder.reduce(source, &references, &mut counts);
    while counts.iter().any(|count| *count > 1) {
        references.clear();
        references.extend(0..points.len() as u32);
        let sums = adder.reduce(Source::Points(&points), &references, &mut counts);
        adder.give_room(core::mem::replace(&mut points, sums));
    }
    adder.give_words(references);
    if points.len() != counts.len() {
        let mut own = points.into_iter();
        let sum = |count: &u32| if *count == 0 { None } else { own.next() };
        let sums = counts.iter().map(sum);
        points = sums.map(|sum| sum.unwrap_or(Xy::IDENTITY)).collect();
    }
    adder.give_words(counts);
    points
}

/// Groups from which the last sums are packed too.
const MANY_GROUPS: usize = 16;

/// `sum weight bucket` of every group over all sections.
pub(crate) fn weigh<C: Curve>(
    adder: &mut Adder<C::Base>,
    groups: usize,
    sections: &[Section<'_, C::Base>],
) -> Vec<Point<C>> {
    if groups == 0 {
        return Vec::new();
    }
    let sections = sections.iter().filter(|section| section.size != 0);
    let own = |section: &Section<'_, C::Base>| section.addends(adder, groups);
    let mut addends: Vec<_> = sections.flat_map(own).collect();
    addends.sort_by_key(|(shift, _)| core::cmp::Reverse(*shift));
    total::<C>(adder, groups, &addends)
}

/// `sum 2^shift addend` of every group, largest shifts first.
pub(crate) fn total<C: Curve>(
    adder: &mut Adder<C::Base>,
    groups: usize,
    addends: &[(u32, Vec<Xy<C::Base>>)],
) -> Vec<Point<C>> {
    if groups >= MANY_GROUPS {
        let points = adder.horner(groups, addends);
        return points
            .into_iter()
            .map(|p| p.point::<C>().to_curve())
            .collect();
    }
    (0..groups)
        .map(|group| horner::<C>(group, addends))
        .collect()
}

/// `sum 2^shift addend` of one group, largest shifts first.
pub(crate) fn horner<C: Curve>(group: usize, addends: &[(u32, Vec<Xy<C::Base>>)]) -> Point<C> {
    let (mut total, mut shift) = (Point::<C>::identity(), 0);
    for (own, points) in addends {
        for _ in *own..shift {
            total = total.double();
        }
        total += points[group].point::<C>();
        shift = *own;
    }
    (0..shift).fold(total, |total, _| total.double())
}

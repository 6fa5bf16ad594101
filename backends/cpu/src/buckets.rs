//! Sums of points by bucket, and weighted sums of buckets, as trees of batched affine additions.

use group::Group;
use pasta_curves::arithmetic::VartimeField;
use zkernel_backend::Curve;
use zkernel_verifier::curve::Point;

use crate::affine::{Adder, NEGATED, Pair, Xy};

/// A point, by its index in a source and perhaps [`NEGATED`], for a bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    pub(crate) bucket: u32,
    pub(crate) point: u32,
}

/// Points worked on together, to stay inside the second-level cache.
const CHUNK: usize = 8192;

/// Sums the points of every bucket: pairs within a bucket are added, many buckets together, until one is left of each.
pub(crate) fn sum_buckets<B: ff::PrimeField + VartimeField>(
    adder: &mut Adder<B>,
    source: &[Xy<B>],
    terms: &[Term],
    buckets: usize,
) -> Vec<Xy<B>> {
    let (starts, sorted) = sort(terms, buckets);
    let mut sums = vec![Xy::IDENTITY; buckets];
    let mut first = 0;
    while first < buckets {
        let enough = starts[first] as usize + CHUNK;
        let last = starts.partition_point(|start| *start as usize <= enough) - 1;
        let last = last.clamp(first + 1, buckets);
        let chunk = &sorted[starts[first] as usize..starts[last] as usize];
        let counts = starts[first..=last].windows(2).map(|w| w[1] - w[0]);
        sum_chunk(
            adder,
            source,
            chunk,
            counts.collect(),
            &mut sums[first..last],
        );
        first = last;
    }
    sums
}

/// Counting sort of the terms by bucket: starts of the buckets, and the points in their order.
fn sort(terms: &[Term], buckets: usize) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0u32; buckets + 1];
    for term in terms {
        starts[term.bucket as usize + 1] += 1;
    }
    for i in 0..buckets {
        starts[i + 1] += starts[i];
    }
    let mut next = starts.clone();
    let mut sorted = vec![0u32; terms.len()];
    for term in terms {
        let slot = &mut next[term.bucket as usize];
        sorted[*slot as usize] = term.point;
        *slot += 1;
    }
    (starts, sorted)
}

/// Sums of consecutive buckets whose points are given by reference.
fn sum_chunk<B: ff::PrimeField + VartimeField>(
    adder: &mut Adder<B>,
    source: &[Xy<B>],
    references: &[u32],
    mut counts: Vec<u32>,
    sums: &mut [Xy<B>],
) {
    let mut points = round(adder, source, &mut counts, |i| references[i as usize]);
    while counts.iter().any(|count| *count > 1) {
        points = round(adder, &points, &mut counts, |i| i);
    }
    let mut points = points.into_iter();
    for (sum, _) in sums.iter_mut().zip(counts).filter(|(_, count)| *count != 0) {
        *sum = points.next().unwrap_or(Xy::IDENTITY);
    }
}

/// Halves the points of every bucket; an odd one out goes along.
fn round<B: ff::PrimeField + VartimeField>(
    adder: &mut Adder<B>,
    source: &[Xy<B>],
    counts: &mut [u32],
    reference: impl Fn(u32) -> u32,
) -> Vec<Xy<B>> {
    let total: u32 = counts.iter().map(|count| count.div_ceil(2)).sum();
    let mut sums = vec![Xy::IDENTITY; total as usize];
    let mut pairs = Vec::with_capacity(total as usize);
    let (mut from, mut to) = (0, 0);
    for count in counts {
        for i in 0..*count / 2 {
            pairs.push(Pair {
                left: reference(from + 2 * i),
                right: reference(from + 2 * i + 1),
                sum: to + i,
            });
        }
        let half = count.div_ceil(2);
        if *count % 2 == 1 {
            let last = reference(from + *count - 1);
            let point = source[(last & !NEGATED) as usize].signed(last & NEGATED != 0);
            sums[(to + half - 1) as usize] = point;
        }
        from += *count;
        to += half;
        *count = half;
    }
    adder.add_pairs(&pairs, source, &mut sums);
    sums
}

/// `sum_b (b + 1) buckets[b]` of every group of `size` buckets.
///
/// With `E_0 = buckets` and `E_{l+1}[j] = E_l[2j] + E_l[2j+1]`, this is `sum_l 2^l sum_j E_l[2j+1]` plus the last E:
/// two additions a bucket in trees of logarithmic depth.
pub(crate) fn weigh<C: Curve>(
    adder: &mut Adder<C::Base>,
    buckets: &[Xy<C::Base>],
    size: usize,
) -> Vec<Point<C>> {
    if buckets.is_empty() {
        return Vec::new();
    }
    let (groups, padded) = (buckets.len() / size, size.next_power_of_two());
    let levels = padded.ilog2();
    let mut tree = vec![Xy::IDENTITY; groups * padded];
    for (group, row) in buckets.chunks(size).enumerate() {
        tree[group * padded..][..size].copy_from_slice(row);
    }
    let mut odds = Vec::with_capacity(tree.len());
    let (mut start, mut width) = (0, padded);
    for level in 0..levels {
        let count = groups * width / 2;
        let pair = |j: usize| Pair {
            left: (start + 2 * j) as u32,
            right: (start + 2 * j + 1) as u32,
            sum: j as u32,
        };
        let pairs: Vec<Pair> = (0..count).map(pair).collect();
        odds.extend(pairs.iter().enumerate().map(|(j, pair)| Term {
            bucket: (2 * j / width) as u32 * levels + level,
            point: pair.right,
        }));
        let mut sums = vec![Xy::IDENTITY; count];
        adder.add_pairs(&pairs, &tree, &mut sums);
        start = tree.len();
        tree.extend(sums);
        width /= 2;
    }
    let last = &tree[start..];
    odds.retain(|term| !tree[term.point as usize].is_identity());
    let weighted = sum_buckets(adder, &tree, &odds, groups * levels as usize);
    let horner = |group: usize| {
        let row = &weighted[group * levels as usize..][..levels as usize];
        let step = |total: Point<C>, odd: &Xy<C::Base>| total.double() + odd.point::<C>();
        row.iter().rev().fold(Point::<C>::identity(), step) + last[group].point::<C>()
    };
    (0..groups).map(horner).collect()
}

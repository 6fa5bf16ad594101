//! Sums of points by bucket, and weighted sums of buckets, as trees of batched affine additions.

use group::Group;
use pasta_curves::arithmetic::VartimeField;
use zkernel_backend::Curve;
use zkernel_verifier::curve::Point;

use crate::affine::{Adder, Pair, Xy};

/// A point, by its index in a source and perhaps [`NEGATED`], for a bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    pub(crate) bucket: u32,
    pub(crate) point: u32,
}

/// Sums the points of every bucket, all buckets together, until one is left of each.
pub(crate) fn sum_buckets<B: ff::PrimeField + VartimeField>(
    adder: &mut Adder<B>,
    source: &[Xy<B>],
    terms: &[Term],
    buckets: usize,
) -> Vec<Xy<B>> {
    let (mut counts, sorted) = sort(terms, buckets);
    let mut points = adder.reduce(source, &sorted, &mut counts);
    while counts.iter().any(|count| *count > 1) {
        let all: Vec<u32> = (0..points.len() as u32).collect();
        points = adder.reduce(&points, &all, &mut counts);
    }
    let mut points = points.into_iter();
    let sum = |count| if count == 0 { None } else { points.next() };
    let sums = counts.into_iter().map(sum);
    sums.map(|sum| sum.unwrap_or(Xy::IDENTITY)).collect()
}

/// Counting sort of the terms by bucket: how many of each, and the points in their order.
fn sort(terms: &[Term], buckets: usize) -> (Vec<u32>, Vec<u32>) {
    let mut counts = vec![0u32; buckets];
    for term in terms {
        counts[term.bucket as usize] += 1;
    }
    let start = |sum: &mut u32, count: &u32| {
        *sum += count;
        Some(*sum - count)
    };
    let mut next: Vec<u32> = counts.iter().scan(0, start).collect();
    let mut sorted = vec![0u32; terms.len()];
    for term in terms {
        let slot = &mut next[term.bucket as usize];
        sorted[*slot as usize] = term.point;
        *slot += 1;
    }
    (counts, sorted)
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

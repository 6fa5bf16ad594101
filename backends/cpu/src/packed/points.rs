//! Affine additions, eight at a time, with one inversion for all.
//!
//! Coordinates are used as stored, `x 2^256`. A product loses `2^4`, so the slopes are made `2^258` times the true ones:
//! their squares are then stored elements again, and products with them lack a factor of 4. The shared inverse carries
//! the scale: with prefix products P_k = P_{k-1} d_k 2^-260 and I_k = 2^518 / P_k, the inverse of d_k is I_k P_{k-1}
//! and I_{k-1} = I_k d_k. An addition takes 5 products and a square.

use ff::PrimeField;
use pasta_curves::arithmetic::VartimeField;

use super::lanes::Lanes;
use super::prime::{Constants, Prime};
use super::vector::{Vector, prefetch};
use crate::affine::{NEGATED, Pair, Xy};

/// Groups of eight additions ahead of which points are fetched.
const AHEAD: usize = 4;

/// A point in each lane, in stored words.
type Stored = [Vector; 8];

/// Packed additions of points with coordinates in B.
pub(crate) struct Packed<B> {
    prime: Prime<B>,
    constants: Constants,
    steps: Vec<Step>,
}

/// What the way back needs of eight additions.
#[derive(Clone, Copy)]
struct Step {
    left: Stored,
    right: Stored,
    denominator: Lanes,
    before: Lanes,
    special: Special,
}

/// Lanes that are no plain addition, as bits.
#[derive(Clone, Copy)]
struct Special {
    left_identity: u8,
    right_identity: u8,
    double: u8,
    opposite: u8,
}

impl<B: PrimeField + VartimeField> Packed<B> {
    pub(crate) fn new(prime: Prime<B>) -> Self {
        Self {
            prime,
            constants: prime.constants(),
            steps: Vec::new(),
        }
    }

    /// `sums[pair.sum] = source[pair.left] + source[pair.right]` for every pair, with one inversion.
    pub(crate) fn add_pairs(&mut self, pairs: &[Pair], source: &[Xy<B>], sums: &mut [Xy<B>]) {
        let Self {
            prime,
            constants: k,
            steps,
        } = self;
        let (from, to) = (prime.points(source), prime.points_mut(sums));
        // SAFETY: `prime` holds an `Ifma`, which proves the features.
        let products = unsafe { forward(*prime, k, steps, pairs, from) };
        let inverses = invert(*prime, products);
        // SAFETY: as above.
        unsafe { backward(*prime, k, steps, inverses, pairs, to) };
    }
}

/// `64 / P` of every lane's product, `2^518 / P` in words.
fn invert<B: PrimeField + VartimeField>(
    prime: Prime<B>,
    mut words: [[u64; 8]; 4],
) -> [[u64; 8]; 4] {
    let mut products = [B::ZERO; 8];
    let lanes = prime.words_mut(&mut products);
    for (lane, element) in lanes.iter_mut().enumerate() {
        *element = core::array::from_fn(|i| words[i][lane]);
    }
    let mut before = [B::ONE; 8];
    for i in 1..8 {
        before[i] = before[i - 1] * products[i - 1];
    }
    let total = before[7] * products[7];
    let mut inverse = total.invert_vartime().unwrap_or(B::ZERO) * B::from(64);
    for i in (0..8).rev() {
        let own = inverse * before[i];
        inverse *= products[i];
        products[i] = own;
    }
    for (lane, element) in prime.words(&products).iter().enumerate() {
        for i in 0..4 {
            words[i][lane] = element[i];
        }
    }
    words
}

/// Reads the points and multiplies the denominators up, a chain in each lane.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn forward<B: PrimeField>(
    prime: Prime<B>,
    k: &Constants,
    steps: &mut Vec<Step>,
    pairs: &[Pair],
    source: &[[u64; 8]],
) -> [[u64; 8]; 4] {
    steps.clear();
    let mut product = k.one;
    for (group, chunk) in pairs.chunks(8).enumerate() {
        for pair in pairs.iter().skip(8 * (group + AHEAD)).take(8) {
            prefetch(&source[index(pair.left)]);
            prefetch(&source[index(pair.right)]);
        }
        let left = read(prime, chunk.iter().map(|p| p.left), source, k);
        let right = read(prime, chunk.iter().map(|p| p.right), source, k);
        let (denominator, special) = denominator(prime, &left, &right, k);
        let before = product;
        product = product.multiply(&denominator, k);
        steps.push(Step {
            left,
            right,
            denominator,
            before,
            special,
        });
    }
    product.canonical(k).pack().map(Vector::words)
}

/// Finishes the additions, last first.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn backward<B: PrimeField>(
    prime: Prime<B>,
    k: &Constants,
    steps: &[Step],
    inverses: [[u64; 8]; 4],
    pairs: &[Pair],
    sums: &mut [[u64; 8]],
) {
    let words = inverses.map(|w| Vector::load(prime.ifma, &w));
    let mut inverse = Lanes::unpack(prime.ifma, words);
    for (step, chunk) in steps.iter().zip(pairs.chunks(8)).rev() {
        let own = inverse.multiply(&step.before, k);
        inverse = inverse.multiply(&step.denominator, k);
        let sum = finish(prime, step, &own, k);
        for (row, pair) in Vector::transpose(sum).into_iter().zip(chunk) {
            row.store(&mut sums[index(pair.sum)]);
        }
    }
}

/// Where a signed reference points.
#[inline(always)]
fn index(reference: u32) -> usize {
    (reference & !NEGATED) as usize
}

/// Eight points by signed references, identities for missing ones.
#[inline(always)]
fn read<B: PrimeField>(
    prime: Prime<B>,
    references: impl Iterator<Item = u32>,
    source: &[[u64; 8]],
    k: &Constants,
) -> Stored {
    let mut rows = [Vector::splat(prime.ifma, 0); 8];
    let mut negated = 0u8;
    for (lane, reference) in references.enumerate() {
        rows[lane] = Vector::load(prime.ifma, &source[index(reference)]);
        negated |= u8::from(reference & NEGATED != 0) << lane;
    }
    let mut point = Vector::transpose(rows);
    negated &= !identity(&point);
    if negated != 0 {
        let y = y(prime, &point);
        let opposite = Lanes(k.p).subtract(&y, &k.zero(), k).pack();
        for i in 0..4 {
            point[4 + i] = point[4 + i].select(negated, opposite[i]);
        }
    }
    point
}

#[inline(always)]
fn x<B: PrimeField>(prime: Prime<B>, point: &Stored) -> Lanes {
    Lanes::unpack(prime.ifma, [point[0], point[1], point[2], point[3]])
}

#[inline(always)]
fn y<B: PrimeField>(prime: Prime<B>, point: &Stored) -> Lanes {
    Lanes::unpack(prime.ifma, [point[4], point[5], point[6], point[7]])
}

/// Lanes that hold the identity, (0, 0). No point of the curves has y = 0, so y decides.
#[inline(always)]
fn identity(point: &Stored) -> u8 {
    let any = point[4].or(point[5]).or(point[6]).or(point[7]);
    any.equal(any.sub(any))
}

/// Denominators of the slopes, below 3 p and never zero.
#[inline(always)]
fn denominator<B: PrimeField>(
    prime: Prime<B>,
    left: &Stored,
    right: &Stored,
    k: &Constants,
) -> (Lanes, Special) {
    let equal =
        |range: core::ops::Range<usize>| range.fold(0xff, |mask, i| mask & left[i].equal(right[i]));
    let (left_identity, right_identity) = (identity(left), identity(right));
    let identities = left_identity | right_identity;
    let (same_x, same_y) = (equal(0..4) & !identities, equal(4..8));
    let special = Special {
        left_identity,
        right_identity,
        double: same_x & same_y,
        opposite: same_x & !same_y,
    };
    let mut result = x(prime, right).subtract(&x(prime, left), &k.p2, k);
    if identities | same_x != 0 {
        let own = y(prime, left);
        result = result.select(special.double, &own.add(&own, k));
        result = result.select(identities | special.opposite, &k.one);
    }
    (result, special)
}

/// The sums, given the inverses of the denominators.
#[inline(always)]
fn finish<B: PrimeField>(prime: Prime<B>, step: &Step, inverse: &Lanes, k: &Constants) -> Stored {
    let (x1, y1) = (x(prime, &step.left), y(prime, &step.left));
    let (x2, y2) = (x(prime, &step.right), y(prime, &step.right));
    let mut rise = y2.subtract(&y1, &k.p, k);
    if step.special.double != 0 {
        let three = x1.square(k).multiply(&k.forty_eight, k);
        rise = rise.select(step.special.double, &three);
    }
    let slope = rise.multiply(inverse, k);
    let x3 = slope.square(k);
    let x3 = x3.subtract(&x1.add(&x2, k), &k.p2, k).canonical(k);
    let run = x1.subtract(&x3, &k.p, k).quadruple(k);
    let y3 = slope.multiply(&run, k).subtract(&y1, &k.p, k).canonical(k);
    let ([a, b, c, d], [e, f, g, h]) = (x3.pack(), y3.pack());
    exceptions(step, [a, b, c, d, e, f, g, h])
}

/// Puts the other operand where one is the identity, and the identity for opposites.
#[inline(always)]
fn exceptions(step: &Step, mut sum: Stored) -> Stored {
    let s = step.special;
    if s.left_identity | s.right_identity | s.opposite != 0 {
        for (i, word) in sum.iter_mut().enumerate() {
            let zero = word.sub(*word);
            *word = word.select(s.opposite, zero);
            *word = word.select(s.right_identity, step.left[i]);
            *word = word.select(s.left_identity, step.right[i]);
        }
    }
    sum
}

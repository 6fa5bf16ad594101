//! The two passes of a batch of additions, before and after the inversion; forms and bounds as in [`super::points`].

use ff::PrimeField;

use super::additions::{AT_ONCE, Ahead, InOrder, Next, add_both};
use super::lanes::{Lanes, carry_up, digits, lift, signed_digits};
use super::leaves::{Leaves, gather_pair};
use super::points::{Block, CHAINS, Fetches, IN_ORDER, Pair};
use super::prime::{Constants, Prime};
use super::shared;
use super::special::{Special, add_special, exact};
use super::vector::Vector;

/// Differences of x in place of the right ones, and those of y times the products of the former before each pair. Gives the product
/// of all, and what each chain's inverse is of the inverse of that.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
pub(super) fn forward<B: PrimeField, const FEW: bool>(
    prime: Prime<B>,
    k: &Constants,
    blocks: &mut [Block],
    (pairs, leaves): (&[Pair], &Leaves<'_>),
    specials: &mut Vec<Special>,
) -> (Lanes, [Lanes; CHAINS]) {
    let mut products = [k.one.0; CHAINS];
    let gathered = pairs.len() - leaves.pairs;
    let (both, alone) = pairs.as_chunks::<CHAINS>();
    // Sums are at hand: fewer instructions if their differences are not written and read again. Leaves are waited for.
    let at_once = if FEW { gathered / CHAINS } else { 0 }.min(both.len());
    let (sums, both) = both.split_at(at_once);
    for (number, [first, second]) in sums.iter().enumerate() {
        let (place, other) = (number * CHAINS, number * CHAINS + 1);
        products[0] = subtract_and_extend(products[0], blocks, (place, first), specials, k);
        products[1] = subtract_and_extend(products[1], blocks, (other, second), specials, k);
    }
    let of = (leaves, gathered);
    for (number, pairs) in both.iter().take(AHEAD).enumerate() {
        subtract_both::<B, FEW>(prime, k, at_once + number, (blocks, of), pairs, specials);
    }
    for (number, pairs) in both.iter().enumerate() {
        if let Some(pairs) = both.get(number + AHEAD) {
            let number = at_once + number + AHEAD;
            subtract_both::<B, FEW>(prime, k, number, (blocks, of), pairs, specials);
        }
        products[0] = extend::<FEW>(products[0], &mut blocks[pairs[0].right as usize], k);
        products[1] = extend::<FEW>(products[1], &mut blocks[pairs[1].right as usize], k);
    }
    if let [pair] = alone {
        begin::<B, FEW>(prime, k, (blocks, of), (pairs.len() - 1, pair), specials);
        products[0] = extend::<FEW>(products[0], &mut blocks[pair.right as usize], k);
    }
    let [first, second] = products.map(digits);
    (first.multiply(&second, k), [second, first])
}

/// The product with one difference more, and in place of that of y its product with those before.
#[inline(always)]
fn extend<const FEW: bool>(
    product: [Vector; 5],
    differences: &mut Block,
    k: &Constants,
) -> [Vector; 5] {
    let Block { x, y } = differences;
    let [next, rise] = shared::multiply_uncarried::<FEW>([x, y], product, k);
    *y = digits(rise);
    next
}

/// As [`extend`], of a pair whose differences are not made yet, where few instructions count.
#[inline(always)]
fn subtract_and_extend(
    product: [Vector; 5],
    blocks: &mut [Block],
    (place, pair): (usize, &Pair),
    specials: &mut Vec<Special>,
    k: &Constants,
) -> [Vector; 5] {
    let Block { x, y } = differences::<true>(k, place, blocks, pair, specials);
    let right = &mut blocks[pair.right as usize];
    right.x = x;
    let [next, rise] = shared::multiply_uncarried::<true>([&x, &y], product, k);
    right.y = digits(rise);
    next
}

/// Steps by which differences come before the products with them: so long what is written takes to be read.
const AHEAD: usize = 3;

/// The differences of two pairs that are in chains of their own.
#[inline(always)]
fn subtract_both<B: PrimeField, const FEW: bool>(
    prime: Prime<B>,
    k: &Constants,
    number: usize,
    (blocks, leaves): (&mut [Block], (&Leaves<'_>, usize)),
    pairs: &[Pair; CHAINS],
    specials: &mut Vec<Special>,
) {
    let [first, second] = pairs;
    let place = number * CHAINS;
    begin::<B, FEW>(prime, k, (blocks, leaves), (place, first), specials);
    begin::<B, FEW>(prime, k, (blocks, leaves), (place + 1, second), specials);
}

/// The differences of a pair in place of the right one, gathered first if it is of the last ones, of leaves.
#[inline(always)]
fn begin<B: PrimeField, const FEW: bool>(
    prime: Prime<B>,
    k: &Constants,
    (blocks, (leaves, gathered)): (&mut [Block], (&Leaves<'_>, usize)),
    (place, pair): (usize, &Pair),
    specials: &mut Vec<Special>,
) {
    if place < gathered {
        subtract::<FEW>(k, place, blocks, pair, specials);
    } else {
        gather_pair::<B, FEW>(prime, k, leaves, (blocks, specials), (place, pair));
    }
}

/// Whether all lanes hold plain additions for sure: a multiple of p among the differences has low bits below 8, and an identity is zero.
#[inline(always)]
pub(super) fn plain(left: &Block, right: &Block, difference: &Lanes) -> bool {
    let near = difference.0[0].low_halves_below_eight();
    near | left.y.0[0].min(right.y.0[0]).zeros() == 0
}

/// `x1 - x2 + 3 p` as a factor.
#[inline(always)]
pub(super) fn run_back(left: &Block, right: &Block, k: &Constants) -> Lanes {
    let run = unrolled!(5, j => left.x.0[j].sub(right.x.0[j]));
    signed_digits(lift(run, &k.p3))
}

/// `y2 - y1 + 32 p` as a factor where few instructions count, otherwise `y2 - y1 + 3 p`.
#[inline(always)]
pub(super) fn rise<const FEW: bool>(left: &Block, right: &Block, k: &Constants) -> Lanes {
    let rise = unrolled!(5, j => right.y.0[j].sub(left.y.0[j]));
    signed_digits(lift(rise, if FEW { &k.p32 } else { &k.p3 }))
}

/// The differences of a pair.
#[inline(always)]
fn differences<const FEW: bool>(
    k: &Constants,
    place: usize,
    blocks: &[Block],
    pair: &Pair,
    specials: &mut Vec<Special>,
) -> Block {
    let (left, right) = (&blocks[pair.left as usize], &blocks[pair.right as usize]);
    let x = run_back(left, right, k);
    let plain = plain(left, right, &x);
    let y = rise::<FEW>(left, right, k);
    let differences = Block { x, y };
    if plain {
        differences
    } else {
        // SAFETY: `Constants` hold vectors, which exist only where the features do.
        unsafe { exact(place, left, right, differences, specials, k) }
    }
}

/// The differences of a pair in place of the right one.
#[inline(always)]
pub(super) fn subtract<const FEW: bool>(
    k: &Constants,
    place: usize,
    blocks: &mut [Block],
    pair: &Pair,
    specials: &mut Vec<Special>,
) {
    blocks[pair.right as usize] = differences::<FEW>(k, place, blocks, pair, specials);
}

/// What is fetched beside two additions each.
#[inline(always)]
fn quarters<T>(all: &[T]) -> &[[[T; AT_ONCE]; 4]] {
    all.as_chunks().0.as_chunks().0
}

/// Finishes the additions, last first.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
pub(super) fn backward<const FEW: bool>(
    k: &Constants,
    blocks: &mut [Block],
    pairs: &[Pair],
    specials: &[Special],
    (inverse, chains): (Lanes, [Lanes; CHAINS]),
    (source, fetches): (&[[u64; 8]], Fetches<'_>),
) {
    let mut inverses = unrolled!(2, i => inverse.multiply_uncarried(&chains[i], k));
    let (references, points, scalars) = match fetches {
        Fetches::References(references) => (references, &[][..], &[][..]),
        Fetches::InOrder(points, scalars) => (&[][..], points, scalars),
    };
    let mut references = quarters(references).iter();
    let mut points = quarters(points).iter();
    let mut scalars = scalars.as_chunks::<IN_ORDER>().0.iter();
    let mut specials = specials.iter().rev().peekable();
    for (number, pairs) in pairs.chunks(CHAINS).enumerate().rev() {
        let special = specials.peek().is_some_and(|s| s.pair / CHAINS == number);
        if let (false, Ok(both)) = (special, pairs.try_into()) {
            let next = if let Some(points) = points.next() {
                let scalars = scalars.next();
                Ahead::InOrder(InOrder { points, scalars })
            } else if let Some(references) = references.next() {
                Ahead::References(Next { source, references })
            } else {
                Ahead::Nothing
            };
            add_both::<FEW>(blocks, both, &mut inverses, &next, k);
            continue;
        }
        for i in (0..pairs.len()).rev() {
            let inverse = carry_up(inverses[i], k);
            let [left, right] = pairs[i].places();
            let Block { x, y } = &blocks[right];
            let slope = inverse.multiply(y, k);
            inverses[i] = inverse.multiply_uncarried(x, k);
            let special = specials.next_if(|s| s.pair == number * CHAINS + i);
            blocks[left] = add_special(&blocks[left], x, slope, special, k);
        }
    }
}

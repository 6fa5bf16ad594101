//! Doublings of blocks of eight points, with one inversion for all; forms and bounds as in [`super::points`].

use super::additions::{finish, half, whole};
use super::lanes::{Lanes, carry};
use super::points::{Block, CHAINS};
use super::prime::Constants;

/// Twice y with the other sign, so that slopes have it too, one for the identity, and the lanes of that.
#[inline(always)]
fn less_twice(y: &Lanes, k: &Constants) -> (Lanes, u8) {
    let (identity, y) = (y.zeros(), whole(y, k).0);
    let twice = unrolled!(5, i => k.p5[i].sub(y[i].add(y[i])));
    (carry(twice, k).select(identity, &k.one), identity)
}

/// As [`forward`], of doublings.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
pub(super) fn forward_double(
    k: &Constants,
    blocks: &[Block],
    before: &mut [Lanes],
) -> (Lanes, [Lanes; CHAINS]) {
    let mut products = [k.one; CHAINS];
    for (blocks, before) in blocks.chunks(CHAINS).zip(before.chunks_mut(CHAINS)) {
        for ((block, before), product) in blocks.iter().zip(before).zip(&mut products) {
            *before = *product;
            *product = product.multiply(&less_twice(&block.y, k).0, k);
        }
    }
    let [first, second] = products;
    (first.multiply(&second, k), [second, first])
}

/// As [`backward`], of doublings.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
pub(super) fn backward_double(
    k: &Constants,
    blocks: &mut [Block],
    before: &[Lanes],
    inverse: Lanes,
    chains: [Lanes; CHAINS],
) {
    let mut inverses = unrolled!(2, i => inverse.multiply(&chains[i], k));
    let pairs = blocks.chunks_mut(CHAINS).zip(before.chunks(CHAINS));
    for (blocks, before) in pairs.rev() {
        for ((block, before), inverse) in blocks.iter_mut().zip(before).zip(&mut inverses) {
            let own = inverse.multiply(before, k);
            let (twice, identity) = less_twice(&block.y, k);
            *inverse = inverse.multiply(&twice, k);
            let three = carry(block.x.0, k).square(k).multiply(&k.forty_eight, k);
            let slope = three.multiply(&own, k);
            let (square, half) = (slope.square_uncarried(k), half(block, k));
            let x = unrolled!(5, j => square[j].add(half[j]).add(half[j]).add(k.p3[j]));
            let sum = finish(block, slope, x, k);
            let zero = Lanes(k.zero());
            *block = Block {
                x: sum.x.select(identity, &zero),
                y: sum.y.select(identity, &zero),
            };
        }
    }
}

//! Doublings of blocks of eight points, with one inversion for all; forms and bounds as in [`super::points`].

use super::additions::finish;
use super::lanes::{Lanes, carry};
use super::points::{Block, CHAINS};
use super::prime::Constants;

/// Twice y, one for the identity, and the lanes of that.
#[inline(always)]
fn twice(y: &Lanes, k: &Constants) -> (Lanes, u8) {
    let identity = y.zeros();
    let twice = carry(unrolled!(5, i => y.0[i].add(y.0[i])), k);
    (twice.select(identity, &k.one), identity)
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
            *product = product.multiply(&twice(&block.y, k).0, k);
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
            let (twice, identity) = twice(&block.y, k);
            *inverse = inverse.multiply(&twice, k);
            let three = block.x.square(k).multiply(&k.forty_eight, k);
            let slope = three.multiply(&own, k);
            let square = slope.square_uncarried(k);
            let x = unrolled!(5, j => square[j].add(k.p5[j]).sub(block.x.0[j].add(block.x.0[j])));
            let sum = finish(block, slope, Lanes::reduced(x, k), k);
            let zero = Lanes(k.zero());
            *block = Block {
                x: sum.x.select(identity, &zero),
                y: sum.y.select(identity, &zero),
            };
        }
    }
}

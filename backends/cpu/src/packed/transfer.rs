//! Points into blocks and back.

use ff::PrimeField;

use super::lanes::Lanes;
use super::points::Block;
use super::prime::{Constants, Prime};
use super::vector::{NEAR, Vector, prefetch};
use crate::affine::NEGATED;

/// Blocks ahead of which points are fetched.
const AHEAD: usize = 8;

/// Reads points by reference, eight a block.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
pub(super) fn gather<B: PrimeField>(
    prime: Prime<B>,
    k: &Constants,
    source: &[[u64; 8]],
    references: &[u32],
    blocks: &mut [Block],
) {
    for (group, (chunk, block)) in references.chunks(8).zip(blocks).enumerate() {
        for reference in references.iter().skip(8 * (group + AHEAD)).take(8) {
            if let Some(point) = source.get(index(*reference)) {
                prefetch::<NEAR, _>(point);
            }
        }
        let mut rows = [Vector::splat(prime.ifma, 0); 8];
        let mut negated = 0u8;
        for (lane, reference) in chunk.iter().enumerate() {
            // Beyond the source is `NOTHING`.
            if let Some(point) = source.get(index(*reference)) {
                rows[lane] = Vector::load(prime.ifma, point);
                negated |= u8::from(reference & NEGATED != 0) << lane;
            }
        }
        let [x0, x1, x2, x3, y0, y1, y2, y3] = Vector::transpose(rows);
        let x = Lanes::unpack(prime.ifma, [x0, x1, x2, x3]);
        let y = Lanes::unpack(prime.ifma, [y0, y1, y2, y3]);
        negated &= !y0.or(y1).or(y2).or(y3).zeros();
        let opposite = Lanes(unrolled!(5, i => k.p[i].sub(y.0[i])));
        let y = y.select(negated, &opposite);
        *block = Block { x, y };
    }
}

/// Where a signed reference points.
#[inline(always)]
pub(super) fn index(reference: u32) -> usize {
    (reference & !NEGATED) as usize
}

/// Writes lanes by place.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
pub(super) fn scatter(k: &Constants, blocks: &[Block], places: &[u32], points: &mut [[u64; 8]]) {
    for (block, places) in blocks.iter().zip(places.chunks(8)) {
        let (x, y) = (block.x.canonical(k).pack(), block.y.canonical(k).pack());
        let [x0, x1, x2, x3] = x;
        let [y0, y1, y2, y3] = y;
        let rows = Vector::transpose([x0, x1, x2, x3, y0, y1, y2, y3]);
        for (row, place) in rows.into_iter().zip(places) {
            if let Some(point) = points.get_mut(*place as usize) {
                row.store(point);
            }
        }
    }
}

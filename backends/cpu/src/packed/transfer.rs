//! Points into blocks and back.

use ff::PrimeField;

use super::lanes::Lanes;
use super::points::{Block, NOTHING};
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
    let (whole, last) = references.as_chunks::<8>();
    let mut filled = [NOTHING; 8];
    filled[..last.len()].copy_from_slice(last);
    let last = (!last.is_empty()).then_some(&filled);
    let mut next = whole.iter().skip(AHEAD);
    for (references, block) in whole.iter().chain(last).zip(blocks) {
        for reference in next.next().into_iter().flatten() {
            if let Some(point) = source.get(index(*reference)) {
                fetch::<NEAR>(point);
            }
        }
        *block = read(prime, k, source, references);
    }
}

/// Asks for the lines of a point: two unless it fills one.
#[inline(always)]
pub(super) fn fetch<const HINT: i32>(point: &[u64; 8]) {
    prefetch::<HINT, _>(point);
    prefetch::<HINT, _>(&point[7]);
}

/// The block of eight references.
#[inline(always)]
fn read<B: PrimeField>(
    prime: Prime<B>,
    k: &Constants,
    source: &[[u64; 8]],
    references: &[u32; 8],
) -> Block {
    let all = references
        .iter()
        .all(|reference| index(*reference) < source.len());
    let (rows, mut negated) = if all {
        // Not through memory.
        let rows = unrolled!(8, i => Vector::load(prime.ifma, &source[index(references[i])]));
        let signed = |all, i: usize| all | u8::from(references[i] & NEGATED != 0) << i;
        (rows, (0..8).fold(0, signed))
    } else {
        some(prime, source, references)
    };
    let [x0, x1, x2, x3, y0, y1, y2, y3] = Vector::transpose(rows);
    let x = Lanes::unpack(prime.ifma, [x0, x1, x2, x3]);
    let y = Lanes::unpack(prime.ifma, [y0, y1, y2, y3]);
    negated &= !y0.or(y1).or(y2).or(y3).zeros();
    let opposite = Lanes(unrolled!(5, i => k.p[i].sub(y.0[i])));
    let y = y.select(negated, &opposite);
    Block { x, y }
}

/// The points of references that may be [`NOTHING`], as words, and those that are negated.
#[inline(never)]
fn some<B: PrimeField>(
    prime: Prime<B>,
    source: &[[u64; 8]],
    references: &[u32; 8],
) -> ([Vector; 8], u8) {
    let mut rows = [[0; 8]; 8];
    let mut negated = 0u8;
    for (lane, (reference, row)) in references.iter().zip(&mut rows).enumerate() {
        // Beyond the source is `NOTHING`.
        if let Some(point) = source.get(index(*reference)) {
            *row = *point;
            negated |= u8::from(reference & NEGATED != 0) << lane;
        }
    }
    (rows.map(|row| Vector::load(prime.ifma, &row)), negated)
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

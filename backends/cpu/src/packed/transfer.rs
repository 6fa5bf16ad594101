//! Points into blocks and back.

use ff::PrimeField;

use super::additions::whole;
use super::lanes::{Lanes, carry};
use super::points::{Block, NOTHING};
use super::prime::{Constants, Prime};
use super::vector::{NEAR, Vector, another, fetch_at};
use crate::affine::NEGATED;

/// Blocks ahead of which points are fetched.
pub(super) const AHEAD: usize = 8;

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
        if let Some(next) = next.next() {
            fetch_block::<NEAR>(source, next);
        }
        *block = read(prime, k, source, references);
    }
}

/// Asks for the lines of a point: two unless it fills one. Beyond the source, for nothing.
#[inline(always)]
pub(super) fn fetch<const HINT: i32>(source: &[[u64; 8]], reference: u32) {
    let point = source.as_ptr().wrapping_add(index(reference));
    fetch_at::<HINT>(point.cast());
    if source.as_ptr().align_offset(64) != 0 {
        fetch_at::<HINT>(point.cast::<i8>().wrapping_add(56));
    }
}

/// Asks for the points of a block.
#[inline(always)]
pub(super) fn fetch_block<const HINT: i32>(source: &[[u64; 8]], references: &[u32; 8]) {
    let start = source.as_ptr();
    unrolled!(8, i => fetch_at::<HINT>(start.wrapping_add(index(references[i])).cast()));
    if start.align_offset(64) != 0 {
        let last = start.cast::<i8>().wrapping_add(56).cast::<[u64; 8]>();
        unrolled!(8, i => fetch_at::<HINT>(last.wrapping_add(index(references[i])).cast()));
    }
}

/// The block of eight references.
#[inline(always)]
pub(super) fn read<B: PrimeField>(
    prime: Prime<B>,
    k: &Constants,
    source: &[[u64; 8]],
    references: &[u32; 8],
) -> Block {
    let lanes = Vector::load_halves(prime.ifma, references);
    let negated = lanes.any_of(Vector::splat(prime.ifma, u64::from(NEGATED)));
    // Compared as scalars, and as another array: what is taken out of a vector takes two vector instructions each.
    let references = another(references);
    let inside = |i: usize| index(references[i]) < source.len();
    let all = inside(0) && inside(1) && inside(2) && inside(3);
    let points = if all && inside(4) && inside(5) && inside(6) && inside(7) {
        // SAFETY: all references are below the length.
        unrolled!(8, i => unsafe { source.get_unchecked(index(references[i])) })
    } else {
        // Beyond the source is `NOTHING`, an identity, which has no sign.
        unrolled!(8, i => source.get(index(references[i])).unwrap_or(&IDENTITY))
    };
    transpose(prime, k, points, negated)
}

/// The identity in words.
const IDENTITY: [u64; 8] = [0; 8];

/// The block of eight points, some of them negated.
#[inline(always)]
fn transpose<B: PrimeField>(
    prime: Prime<B>,
    k: &Constants,
    points: [&[u64; 8]; 8],
    negated: u8,
) -> Block {
    let halves = unrolled!(8, i => points[i].as_chunks::<4>().0);
    let x = transpose_words(prime, unrolled!(8, i => &halves[i][0]));
    let y = transpose_words(prime, unrolled!(8, i => &halves[i][1]));
    let identity = y[0].or(y[1]).or(y[2]).or(y[3]).zeros();
    let (x, y) = (Lanes::unpack(prime.ifma, x), Lanes::unpack(prime.ifma, y));
    let y = unrolled!(5, i => y.0[i].subtracted_from(negated & !identity, k.p[i]));
    Block { x, y: Lanes(y) }
}

/// Word i of eight elements, for every i.
#[inline(always)]
fn transpose_words<B: PrimeField>(prime: Prime<B>, elements: [&[u64; 4]; 8]) -> [Vector; 4] {
    let e = elements;
    // In this order blocks of two come out in theirs.
    let (even, odd) = Vector::load_pair(prime.ifma, e[0], e[2])
        .interleave(Vector::load_pair(prime.ifma, e[1], e[3]));
    let (next_even, next_odd) = Vector::load_pair(prime.ifma, e[4], e[6])
        .interleave(Vector::load_pair(prime.ifma, e[5], e[7]));
    let ((w0, w2), (w1, w3)) = (even.blocks(next_even), odd.blocks(next_odd));
    [w0, w1, w2, w3]
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
        let (x, y) = (carry(block.x.0, k).canonical(k), whole(&block.y, k));
        let (x, y) = (x.pack(), y.pack());
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

//! Images of points under the endomorphism of the curves, eight at a time.

use ff::PrimeField;

use super::lanes::{Lanes, carry};
use super::points::Block;
use super::prime::{Constants, Prime};
use super::rows;

/// Every point `(x, y)`, `(zeta x, y)` and `(zeta^2 x, y)`, in three times as many places.
pub(crate) fn images<B: PrimeField>(
    prime: Prime<B>,
    points: &[[u64; 8]],
    zeta: B,
    images: &mut [[u64; 8]],
) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { images_words(prime, points, prime.factor(zeta), images) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn images_words<B: PrimeField>(
    prime: Prime<B>,
    points: &[[u64; 8]],
    zeta: [u64; 5],
    images: &mut [[u64; 8]],
) {
    let (k, zeta) = (prime.constants(), Lanes::splat(prime.ifma, zeta));
    let (whole, rest) = points.as_chunks::<8>();
    let (to, to_rest) = images.split_at_mut(24 * whole.len());
    for (points, images) in whole.iter().zip(to.as_chunks_mut::<24>().0) {
        images_of_eight(prime, k, points, &zeta, images);
    }
    if !rest.is_empty() {
        let (mut points, mut images) = ([[0; 8]; 8], [[0; 8]; 24]);
        points[..rest.len()].copy_from_slice(rest);
        images_of_eight(prime, k, &points, &zeta, &mut images);
        to_rest.copy_from_slice(&images[..3 * rest.len()]);
    }
}

#[inline(always)]
fn images_of_eight<B: PrimeField>(
    prime: Prime<B>,
    k: &Constants,
    points: &[[u64; 8]; 8],
    zeta: &Lanes,
    images: &mut [[u64; 8]; 24],
) {
    // Not copied to be read: a read of two copies at once waits for all that was written before them, lines from far among it.
    let x = rows::load_each(
        prime.ifma,
        unrolled!(8, i => &points[i].as_chunks::<4>().0[0]),
    );
    let turned = x.multiply(zeta, k).canonical(k);
    // 1 + zeta + zeta^2 = 0
    let zero = Lanes(k.zero());
    let other = zero.subtract(&x.add(&turned, k), &k.p2, k);
    let (mut first, mut second) = ([[0; 4]; 8], [[0; 4]; 8]);
    rows::store(&mut first, &turned);
    rows::store(&mut second, &other.canonical(k));
    let all = points.iter().zip(first.iter().zip(&second));
    for (images, (point, (first, second))) in images.as_chunks_mut::<3>().0.iter_mut().zip(all) {
        images[0] = *point;
        images[1][..4].copy_from_slice(first);
        images[1][4..].copy_from_slice(&point[4..]);
        images[2][..4].copy_from_slice(second);
        images[2][4..].copy_from_slice(&point[4..]);
    }
}

/// Multiplies the x of all points by an element.
pub(crate) fn turn<B: PrimeField>(prime: Prime<B>, points: &mut [[u64; 8]], by: B) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { turn_words(prime, points, prime.factor(by)) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn turn_words<B: PrimeField>(prime: Prime<B>, points: &mut [[u64; 8]], by: [u64; 5]) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let by = Lanes::splat(ifma, by);
    let (mut own, mut turned) = ([[0; 4]; 8], [[0; 4]; 8]);
    for points in points.chunks_mut(8) {
        for (x, point) in own.iter_mut().zip(&*points) {
            x.copy_from_slice(&point[..4]);
        }
        let x = rows::load(ifma, &own).multiply(&by, k).canonical(k);
        rows::store(&mut turned, &x);
        for (point, x) in points.iter_mut().zip(&turned) {
            point[..4].copy_from_slice(x);
        }
    }
}

/// The same of blocks.
pub(crate) fn turn_blocks<B: PrimeField>(prime: Prime<B>, blocks: &mut [Block], by: B) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { turn_all(prime, blocks, prime.factor(by)) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn turn_all<B: PrimeField>(prime: Prime<B>, blocks: &mut [Block], by: [u64; 5]) {
    let k = prime.constants();
    let by = Lanes::splat(prime.ifma, by);
    for block in blocks {
        // Below 2 p, as coordinates may be.
        block.x = carry(block.x.0, k).multiply(&by, k);
    }
}

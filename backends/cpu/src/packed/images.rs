//! Images of points under the endomorphism of the curves, eight at a time.

use ff::PrimeField;

use super::lanes::Lanes;
use super::prime::Prime;
use super::vector::Vector;

/// Points with their x multiplied by a factor, as many.
pub(crate) fn scaled<B: PrimeField>(
    prime: Prime<B>,
    points: &[[u64; 8]],
    factor: B,
    images: &mut [[u64; 8]],
) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { scaled_words(prime, points, prime.factor(factor), images) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn scaled_words<B: PrimeField>(
    prime: Prime<B>,
    points: &[[u64; 8]],
    factor: [u64; 5],
    images: &mut [[u64; 8]],
) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let factor = Lanes::splat(ifma, factor);
    for (points, images) in points.chunks(8).zip(images.chunks_mut(8)) {
        let mut filled = [[0; 8]; 8];
        let points = points.try_into().unwrap_or_else(|_| {
            filled[..points.len()].copy_from_slice(points);
            &filled
        });
        let rows = unrolled!(8, i => Vector::load(ifma, &points[i]));
        let [x0, x1, x2, x3, y0, y1, y2, y3] = Vector::transpose(rows);
        let x = Lanes::unpack(ifma, [x0, x1, x2, x3]).multiply(&factor, k);
        let [x0, x1, x2, x3] = x.canonical(k).pack();
        let rows = Vector::transpose([x0, x1, x2, x3, y0, y1, y2, y3]);
        for (row, image) in rows.into_iter().zip(images) {
            row.store(image);
        }
    }
}

//! Images of points under the endomorphism of the curves, eight at a time.

use ff::PrimeField;
use pasta_curves::arithmetic::VartimeField;

use super::lanes::Lanes;
use super::prime::Prime;
use super::vector::Vector;
use crate::affine::Xy;

/// Appends every point `(x, y)`, `(zeta x, y)` and `(zeta^2 x, y)`.
pub(crate) fn images<B: PrimeField + VartimeField>(
    prime: Prime<B>,
    points: &[[u64; 8]],
    zeta: B,
    images: &mut Vec<Xy<B>>,
) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { images_words(prime, points, prime.factor(zeta), images) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn images_words<B: PrimeField + VartimeField>(
    prime: Prime<B>,
    points: &[[u64; 8]],
    zeta: [u64; 5],
    images: &mut Vec<Xy<B>>,
) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let zeta = Lanes::splat(ifma, zeta);
    for points in points.chunks(8) {
        let mut filled = [[0; 8]; 8];
        let eight = points.try_into().unwrap_or_else(|_| {
            filled[..points.len()].copy_from_slice(points);
            &filled
        });
        let rows = unrolled!(8, i => Vector::load(ifma, &eight[i]));
        let [x0, x1, x2, x3, y0, y1, y2, y3] = Vector::transpose(rows);
        let x = Lanes::unpack(ifma, [x0, x1, x2, x3]);
        let first = x.multiply(&zeta, k).canonical(k);
        // 1 + zeta + zeta^2 = 0
        let second = Lanes(k.zero())
            .subtract(&x.add(&first, k), &k.p2, k)
            .canonical(k);
        let ([x0, x1, x2, x3], [z0, z1, z2, z3]) = (first.pack(), second.pack());
        let first = Vector::transpose([x0, x1, x2, x3, y0, y1, y2, y3]);
        let second = Vector::transpose([z0, z1, z2, z3, y0, y1, y2, y3]);
        let own = images.len();
        images.resize(own + 24, Xy::IDENTITY);
        let (words, _) = prime.points_mut(&mut images[own..]).as_chunks_mut::<24>();
        if let [words] = words {
            unrolled!(8, i => rows[i].store(&mut words[3 * i]));
            unrolled!(8, i => first[i].store(&mut words[3 * i + 1]));
            unrolled!(8, i => second[i].store(&mut words[3 * i + 2]));
        }
        images.truncate(own + 3 * points.len());
    }
}

//! Inverses of the eight lanes of a block with one inversion.

use ff::PrimeField;
use pasta_curves::arithmetic::VartimeField;

use super::lanes::Lanes;
use super::prime::{Constants, Prime, limbs};

/// `2^518 / P` of every lane's P, which is not zero modulo p, normal and below 2 p; the same bounds again.
///
/// Products of lanes and of their neighbours by four, two and one are those of all lanes in every lane; what a lane is multiplied with on the
/// way is the product of the others. Of their products, `2^(-6 260)` and `2^(-7 260)` times the true ones, `2^258 others / all` is wanted.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
pub(super) fn invert<B: PrimeField + VartimeField>(
    prime: Prime<B>,
    products: &Lanes,
    k: &Constants,
) -> Lanes {
    let four = rotated::<4>(products);
    let pairs = products.multiply(&four, k);
    let two = rotated::<2>(&pairs);
    let quarters = pairs.multiply(&two, k);
    let one = rotated::<1>(&quarters);
    let [a, b, c, d] = quarters.multiply(&one, k).canonical(k).pack();
    let others = four.multiply(&two, k).multiply(&one, k);
    let mut all = [B::ZERO];
    prime.words_mut(&mut all)[0] = [a.words()[0], b.words()[0], c.words()[0], d.words()[0]];
    // The inverse of what is stored is 2^512 times the true one.
    let inverse = [all[0].invert_vartime().unwrap_or(B::ZERO) * B::from(64)];
    let inverse = Lanes::splat(prime.ifma, limbs(prime.words(&inverse)[0]));
    others.multiply(&inverse, k)
}

/// Element `(lane + N) mod 8` in every lane.
#[inline(always)]
pub(super) fn rotated<const N: i32>(own: &Lanes) -> Lanes {
    Lanes(unrolled!(5, i => own.0[i].rotated::<N>()))
}

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
    debug_assert!(!bool::from(all[0].is_zero()));
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

#[cfg(test)]
mod tests {
    use pasta_curves::{Fp, Fq};

    use super::*;
    use crate::packed::vector::{Ifma, Vector};

    /// Every lane's, of elements of all sizes and of ones from p to 2 p, which are the same.
    fn inverses_are_those_of_lanes<B: PrimeField + VartimeField>(lifted: u8) {
        let Some(prime) = Ifma::new().and_then(Prime::<B>::new) else {
            return;
        };
        let k = prime.constants();
        let next = |x: &B| Some(x.square() * B::MULTIPLICATIVE_GENERATOR + B::ONE);
        let random = core::iter::successors(Some(B::MULTIPLICATIVE_GENERATOR), next);
        let elements: Vec<B> = [B::ONE, -B::ONE]
            .into_iter()
            .chain(random.skip(5))
            .take(8)
            .collect();
        let words = prime.words(&elements);
        let of_lanes = |i: usize| core::array::from_fn(|lane| words[lane][i]);
        let own = Lanes::unpack(
            prime.ifma,
            unrolled!(4, i => Vector::load(prime.ifma, &of_lanes(i))),
        );
        let own = own.select(lifted, &own.add(&Lanes(k.p), k));
        // SAFETY: `prime` holds an `Ifma`, which proves the features.
        let found = unsafe { invert(prime, &own, k) }.canonical(k).pack();
        let found = found.map(Vector::words);
        for (lane, element) in elements.iter().enumerate() {
            let mut own = [B::ZERO];
            prime.words_mut(&mut own)[0] = core::array::from_fn(|i| found[i][lane]);
            // What is stored is 2^256 times the element, so 2^518 / P is 2^6 times what is stored of the inverse.
            assert_eq!(own[0] * element, B::from(64), "{lane}");
        }
    }

    #[test]
    fn products_with_inverses_are_one() {
        for lifted in [0, 0b1010_0110, u8::MAX] {
            inverses_are_those_of_lanes::<Fp>(lifted);
            inverses_are_those_of_lanes::<Fq>(lifted);
        }
    }
}

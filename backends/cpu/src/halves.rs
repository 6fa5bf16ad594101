//! Scalars in two halves by the endomorphism of the curves: `k = k_1 + k_2 lambda` with magnitudes below `2^127`.
//!
//! `phi(x, y) = (zeta x, y)` is `lambda` times a point (Gallant, Lambert and Vanstone, CRYPTO 2001). The pairs (a, b) with
//! `a + b lambda = 0 mod r` are a lattice; `pasta_curves` has a short basis `(a_1, -b_1), (a_2, b_2)` of it and checks that. With
//! `c_1 = k b_2 / r` and `c_2 = k b_1 / r`, rounded, (k_1, k_2) is (k, 0) less a near vector of the lattice:
//! `k_1 = k - c_1 a_1 - c_2 a_2` and `k_2 = c_1 b_1 - c_2 b_2`. That holds for any integers c; only the size of the halves depends on
//! how they are rounded: at most half the sum of the basis, below `2^126.8`.

use core::any::TypeId;

use pasta_curves::glv::GlvParams;
use pasta_curves::{Ep, Eq, Fq};
use zkernel_backend::Field;

/// Bits of a half's magnitude.
pub(crate) const HALF_BITS: u32 = 127;

/// Numerators of the rounded quotients are over `2^(64 PRECISION)`.
const PRECISION: usize = 6;

/// A short basis and the factors of its quotients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lattice {
    /// `a_1, a_2`.
    pub(crate) a: [u128; 2],
    /// `b_1, b_2`.
    pub(crate) b: [u128; 2],
    /// `2^384 b_2 / r` and `2^384 b_1 / r`, rounded.
    pub(crate) quotients: [[u64; 5]; 2],
}

impl Lattice {
    /// That of the scalars F of one of the two curves.
    pub(crate) fn of<F: Field>() -> Self {
        if TypeId::of::<F>() == TypeId::of::<Fq>() {
            Self::new::<Ep>()
        } else {
            Self::new::<Eq>()
        }
    }

    const fn new<P: GlvParams>() -> Self {
        Self {
            a: [P::V1A, P::V2A],
            b: [P::V1B_NEG, P::V2B],
            quotients: [P::G1, P::G2],
        }
    }

    /// Signs and magnitudes of the halves of a magnitude below 2^254.
    pub(crate) fn halves(&self, k: &[u64; 4]) -> [(bool, u128); 2] {
        let [c1, c2] = self.quotients.map(|quotient| rounded(&quotient, k));
        let times = |c: u128, b: u128| low_product(words(c), words(b));
        let near = add(times(c1, self.a[0]), times(c2, self.a[1]));
        let first = subtract([k[0], k[1], k[2]], near);
        let second = subtract(times(c1, self.b[0]), times(c2, self.b[1]));
        [magnitude(first), magnitude(second)]
    }
}

/// `quotient k / 2^384`, rounded: below 2^128.
fn rounded(quotient: &[u64; 5], k: &[u64; 4]) -> u128 {
    let mut product = [0u64; 9];
    product[PRECISION - 1] = 1 << 63;
    for (i, k) in k.iter().enumerate() {
        let mut carry = 0;
        for (sum, q) in product[i..].iter_mut().zip(quotient) {
            (*sum, carry) = k.carrying_mul_add(*q, *sum, carry);
        }
        for sum in &mut product[i + 5..] {
            let overflow;
            (*sum, overflow) = sum.overflowing_add(carry);
            carry = u64::from(overflow);
        }
    }
    u128::from(product[PRECISION]) | u128::from(product[PRECISION + 1]) << 64
}

const fn words(value: u128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}

/// `a b mod 2^192`: halves and their signs fit.
fn low_product(a: [u64; 2], b: [u64; 2]) -> [u64; 3] {
    let (low, carry) = a[0].carrying_mul(b[0], 0);
    let (middle, high) = a[0].carrying_mul(b[1], carry);
    let (middle, carry) = a[1].carrying_mul_add(b[0], middle, 0);
    let high = high.wrapping_add(carry);
    [low, middle, a[1].wrapping_mul(b[1]).wrapping_add(high)]
}

/// `a + b mod 2^192`.
fn add(a: [u64; 3], b: [u64; 3]) -> [u64; 3] {
    let mut carry = false;
    core::array::from_fn(|i| {
        let sum;
        (sum, carry) = a[i].carrying_add(b[i], carry);
        sum
    })
}

/// `a - b mod 2^192`.
fn subtract(a: [u64; 3], b: [u64; 3]) -> [u64; 3] {
    let mut borrow = false;
    core::array::from_fn(|i| {
        let difference;
        (difference, borrow) = a[i].borrowing_sub(b[i], borrow);
        difference
    })
}

/// Sign and magnitude of a number in two's complement.
fn magnitude(value: [u64; 3]) -> (bool, u128) {
    let negative = value[2] >> 63 != 0;
    let [low, middle, high] = if negative {
        subtract([0; 3], value)
    } else {
        value
    };
    debug_assert!(high == 0 && middle >> (HALF_BITS - 64) == 0);
    (negative, u128::from(low) | u128::from(middle) << 64)
}

#[cfg(test)]
mod tests {
    use ff::{FromUniformBytes as _, PrimeField as _, WithSmallOrderMulGroup};
    use pasta_curves::Fp;
    use proptest::prelude::*;

    use super::*;
    use crate::affine::NEGATED;
    use crate::digits::Windows;
    use crate::integers::Integers;
    use crate::kernels;
    use crate::level::Level;

    /// The scalars that the digits of halves stand for, on both levels, with every width.
    fn round_trip<F: Field + WithSmallOrderMulGroup<3>>(
        values: &[F],
        widths: core::ops::Range<u32>,
    ) {
        for (level, width) in [Level::PORTABLE, Level::detect()]
            .into_iter()
            .flat_map(|level| widths.clone().map(move |width| (level, width)))
        {
            let Integers::Wide(wide) = Integers::new(level, values) else {
                panic!("{values:?} has a full scalar");
            };
            let mut halves = Integers::Wide(wide).halved::<F>(level);
            let windows = Windows::of_halves(width);
            halves.bias(&windows);
            let half = |half: usize| {
                let (mut sums, mut digits) = (vec![F::ZERO; values.len()], Vec::new());
                for window in (0..windows.count()).rev() {
                    let place = (&windows, half * windows.count() + window);
                    kernels::digits::<F>(level, &halves, place, &(0..values.len()), &mut digits);
                    for (sum, digit) in sums.iter_mut().zip(&digits) {
                        assert!(digit & !NEGATED <= windows.buckets() as u32);
                        let magnitude = F::from(u64::from(digit & !NEGATED));
                        let negative = digit & NEGATED != 0;
                        let digit = if negative { -magnitude } else { magnitude };
                        *sum = *sum * F::from(1 << width) + digit;
                    }
                }
                sums
            };
            for ((first, second), value) in half(0).into_iter().zip(half(1)).zip(values) {
                assert_eq!(first + second * F::ZETA, *value, "width {width}");
            }
        }
    }

    /// Numbers at the edges of the halves: multiples of lambda, of the basis, and where quotients are rounded.
    fn edges<F: Field + WithSmallOrderMulGroup<3>>() -> Vec<F> {
        let lattice = Lattice::of::<F>();
        let of = |value: u128| F::from_u128(value);
        let basis = lattice.a.into_iter().chain(lattice.b).map(of);
        let halfway = basis.clone().map(|value| value * F::TWO_INV);
        let powers = (0..254).map(|bit| F::from(2).pow_vartime([bit]));
        // Quotients change by one where k b / r is half of an odd number.
        let steps = lattice.quotients.map(|q| {
            let q = F::from_u128(u128::from(q[3]) | u128::from(q[4]) << 64);
            (q * F::from(2)).invert().unwrap_or(F::ZERO)
        });
        let own = [
            F::ZERO,
            F::ONE,
            F::ZETA,
            F::ZETA.square(),
            F::TWO_INV,
            F::DELTA,
        ];
        let all = own
            .into_iter()
            .chain(basis)
            .chain(halfway)
            .chain(powers)
            .chain(steps);
        let products = all.clone().map(|value| value * F::ZETA);
        let both: Vec<F> = all.chain(products).collect();
        let near = |value: &F| [*value - F::ONE, *value, *value + F::ONE];
        let near: Vec<F> = both.iter().flat_map(near).collect();
        near.iter()
            .copied()
            .chain(near.iter().map(|value| -*value))
            .collect()
    }

    #[test]
    fn halves_of_edges_stand_for_scalars() {
        round_trip(&edges::<Fp>(), 2..18);
        round_trip(&edges::<Fq>(), 2..18);
    }

    /// Sums of halves at most so large as the basis allows, on both sides of every rounding: the largest magnitudes there are.
    #[test]
    fn halves_are_as_short_as_the_basis_allows() {
        fn check<F: Field + WithSmallOrderMulGroup<3>>() {
            let lattice = Lattice::of::<F>();
            let most = [
                lattice.a[0].midpoint(lattice.a[1]),
                lattice.b[0].midpoint(lattice.b[1]),
            ];
            for value in edges::<F>() {
                let bytes = value.to_repr();
                let (words, _) = bytes.as_chunks::<8>();
                let k = core::array::from_fn(|i| u64::from_le_bytes(words[i]));
                for ((_, magnitude), most) in lattice.halves(&k).into_iter().zip(most) {
                    assert!(magnitude <= most + 1 && magnitude >> HALF_BITS == 0);
                }
            }
        }
        check::<Fp>();
        check::<Fq>();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn halves_stand_for_scalars(wide in prop::collection::vec(any::<[u8; 32]>(), 1..20), width in 2u32..18) {
            let full = |bytes: &[u8; 32]| {
                let mut uniform = [0; 64];
                uniform[32..].copy_from_slice(bytes);
                uniform
            };
            let fp = wide.iter().map(|bytes| Fp::from_uniform_bytes(&full(bytes)));
            round_trip(&fp.chain([Fp::TWO_INV]).collect::<Vec<Fp>>(), width..width + 1);
            let fq = wide.iter().map(|bytes| Fq::from_uniform_bytes(&full(bytes)));
            round_trip(&fq.chain([Fq::TWO_INV]).collect::<Vec<Fq>>(), width..width + 1);
        }
    }
}

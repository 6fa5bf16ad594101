//! Scalars in two halves by the endomorphism of the curves: `k = k_1 + k_2 lambda` with magnitudes below `2^127`.
//!
//! `phi(x, y) = (zeta x, y)` is `lambda` times a point (Gallant, Lambert and Vanstone, CRYPTO 2001). The pairs (a, b) with
//! `a + b lambda = 0 mod r` are a lattice; `pasta_curves` has a short basis `(a_1, -b_1), (a_2, b_2)` of it and checks that. With
//! `c_1 = k b_2 / r` and `c_2 = k b_1 / r`, rounded, (k_1, k_2) is (k, 0) less a near vector of the lattice:
//! `k_1 = k - c_1 a_1 - c_2 a_2` and `k_2 = c_1 b_1 - c_2 b_2`. That holds for any integers c; only the size of the halves depends on
//! how they are rounded.
//!
//! **The nearest vector.** But for a hair (`2^-33`), the basis is `v_1 = s (1, -1)` and `v_2 = s (1, 2)`, `s < 2^126.21`. With rounded c, `(a, b) = u v_1 + v v_2`
//! for `|u|, |v| <= 1/2`, and `a = s (u + v)`, `b = s (2 v - u)`, `a - b = s (2 u - v)`. If `a >= 0`, v_2 is subtracted where `b > s`, and
//! v_1 where `a - b > s`; if `a < 0`, the same of the opposite. Then all three are at most s in size, which are the numbers `a + b lambda` as near to
//! 0 as they can be: if `a >= 0` and `b > s`, so `v <= 1/2`, `-v <= u < 2 v - 1`, then a is in `[0, s/2]` and gets at least -s, b in `(s, 3 s/2]`
//! more than -s, and `a - b` from -s/2 to s/2; likewise for v_1; and where neither is subtracted, `b = a - (a - b) >= -s` and
//! `a - b = a - b >= -s`. Comparing rounded values adds no more than their error.

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

    /// The halves of a magnitude below 2^254.
    pub(crate) fn halves(&self, k: &[u64; 4]) -> [i128; 2] {
        let [c1, c2] = self.quotients.map(|quotient| rounded(&quotient, k));
        let k = u128::from(k[0]) | u128::from(k[1]) << 64;
        // Halves fit, so they may be computed mod 2^128.
        let times = |c: u128, b: u128| c.wrapping_mul(b);
        let first = k.wrapping_sub(times(c1, self.a[0]).wrapping_add(times(c2, self.a[1])));
        let second = times(c1, self.b[0]).wrapping_sub(times(c2, self.b[1]));
        self.nearest([first.cast_signed(), second.cast_signed()])
    }

    /// The same less the basis vector that makes it shorter, if any.
    const fn nearest(&self, [a, b]: [i128; 2]) -> [i128; 2] {
        let sign = if a < 0 { -1 } else { 1 };
        let (a, b) = (sign * a, sign * b);
        // All are below 2^127 but for b_2, which may wrap as the difference is taken.
        let [a1, a2] = [self.a[0].cast_signed(), self.a[1].cast_signed()];
        let [b1, b2] = [self.b[0].cast_signed(), self.b[1].cast_signed()];
        let (a, b) = if b > a1 {
            (a - a2, b.wrapping_sub(b2))
        } else if a - b > a1 {
            (a - a1, b + b1)
        } else {
            (a, b)
        };
        [sign * a, sign * b]
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

#[cfg(test)]
pub(crate) mod tests {
    use ff::WithSmallOrderMulGroup;
    use pasta_curves::Fp;

    use super::*;
    /// Numbers at the edges of the halves: multiples of lambda, of the basis, and where quotients are rounded.
    pub(crate) fn edges<F: Field + WithSmallOrderMulGroup<3>>() -> Vec<F> {
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

    /// Halves as near to 0 as they can be, on both sides of every rounding.
    #[test]
    fn halves_are_as_short_as_they_can_be() {
        fn check<F: Field + WithSmallOrderMulGroup<3>>() {
            let lattice = Lattice::of::<F>();
            let most = lattice.a[0] + (lattice.a[0] >> 20);
            for value in edges::<F>() {
                let bytes = value.to_repr();
                let (words, _) = bytes.as_chunks::<8>();
                let k = core::array::from_fn(|i| u64::from_le_bytes(words[i]));
                let [a, b] = lattice.halves(&k);
                for size in [a, b, a - b].map(i128::unsigned_abs) {
                    assert!(size <= most && size >> HALF_BITS == 0);
                }
            }
        }
        check::<Fp>();
        check::<Fq>();
    }
}

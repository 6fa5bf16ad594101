//! Products by factors that are known beforehand, after Shoup: the quotient comes from a precomputed ratio.

use ff::PrimeField;

use super::lanes::{LIMB, Lanes, carry};
use super::prime::{Constants, Prime, limbs, repr};
use super::vector::Vector;

impl Lanes {
    /// `self w mod p` of any value below `63 p`, below `(MISSED + 2) p`: w is known, with its ratio `floor(w 2^260 / p)`.
    ///
    /// The quotient is the upper half of `self ratio`, without what comes from the columns below but for the first, of
    /// which [`MISSED`] of nine products are left out: it is too small by less than `63/64` for the ratio's fraction, one for
    /// each missed product, one for its own fraction and `2^-48` for the rest. What it leaves is known from the lower halves of
    /// `self w` and `q p`. 80 products less those that are missed, and no chain of quotients.
    #[inline(always)]
    pub(super) fn multiply_known<const MISSED: usize>(
        &self,
        w: &Self,
        ratio: &Self,
        k: &Constants,
    ) -> Self {
        debug_assert!(self.is_normal() && w.is_normal() && ratio.is_normal());
        let quotient = self.quotient::<MISSED>(ratio);
        let (own, multiple) = (self.low_product(w), low_multiple(&quotient, k));
        let mut rest = carry(unrolled!(5, i => own[i].sub(multiple[i])), k);
        rest.0[4] = rest.0[4].and(k.mask);
        debug_assert!(rest.is_normal());
        rest
    }

    /// About `self ratio / 2^260`: only the low 52 bits of the limbs count.
    #[inline(always)]
    fn quotient<const MISSED: usize>(&self, ratio: &Self) -> [Vector; 5] {
        let (a, b) = (&self.0, &ratio.0);
        let mut t = [a[0].sub(a[0]); 10];
        for i in 0..5 {
            // The first five and the next four products of column 4.
            if i >= MISSED.saturating_sub(4) {
                t[4] = t[4].low(a[i], b[4 - i]);
            }
            if i < 4 && i >= MISSED {
                t[4] = t[4].high(a[i], b[3 - i]);
            }
            for j in 0..5 {
                if i + j >= 5 {
                    t[i + j] = t[i + j].low(a[i], b[j]);
                }
                if i + j >= 4 {
                    t[i + j + 1] = t[i + j + 1].high(a[i], b[j]);
                }
            }
        }
        for i in 4..9 {
            t[i + 1] = t[i + 1].add(t[i].shr::<52>());
        }
        [t[5], t[6], t[7], t[8], t[9]]
    }

    /// Columns of `self other` mod `2^260`.
    #[inline(always)]
    fn low_product(&self, other: &Self) -> [Vector; 5] {
        let (a, b) = (&self.0, &other.0);
        let mut t = [a[0].sub(a[0]); 5];
        for i in 0..5 {
            for j in 0..5 - i {
                t[i + j] = t[i + j].low(a[i], b[j]);
                if i + j < 4 {
                    t[i + j + 1] = t[i + j + 1].high(a[i], b[j]);
                }
            }
        }
        t
    }
}

/// Columns of `q p` mod `2^260`, of the low 52 bits of limbs: the fourth limb of p is zero, the fifth `2^46`.
#[inline(always)]
fn low_multiple(q: &[Vector; 5], k: &Constants) -> [Vector; 5] {
    let [p0, p1, p2, _, _] = k.p;
    let mut t = [q[0].sub(q[0]); 5];
    for i in 0..5 {
        t[i] = t[i].low(q[i], p0);
        if i < 4 {
            t[i + 1] = t[i + 1].high(q[i], p0).low(q[i], p1);
        }
        if i < 3 {
            t[i + 2] = t[i + 2].high(q[i], p1).low(q[i], p2);
        }
        if i < 2 {
            t[i + 3] = t[i + 3].high(q[i], p2);
        }
    }
    // Of a multiple of 2^46 mod 2^52; the quotient's upper bits are shifted out.
    t[4] = t[4].add(q[0].shl::<46>().and(k.mask));
    t
}

impl<F: PrimeField> Prime<F> {
    /// A factor in limbs and its ratio, for [`Lanes::multiply_known`].
    pub(super) fn known(self, factor: F) -> [[u64; 5]; 2] {
        // factor 2^260 less its remainder is a multiple of p, and zero mod 2^260 but for that.
        let remainder = self.factor(factor);
        let ratio = low_limbs(&remainder, &self.constants().inverse);
        [limbs(repr(&factor)), ratio]
    }
}

/// `-1 / p mod 2^260` of an odd p: an inverse y is right in twice as many bits after `y (2 + p y)`.
pub(super) fn negative_inverse(p: &[u64; 5]) -> [u64; 5] {
    const BITS: u32 = 260;
    (0..=BITS.ilog2()).fold([LIMB; 5], |y, _| {
        let mut factor = low_limbs(p, &y);
        factor[0] += 2;
        low_limbs(&y, &factor)
    })
}

/// `a b mod 2^260`, in normal limbs; those of the factors are below 2^53.
fn low_limbs(a: &[u64; 5], b: &[u64; 5]) -> [u64; 5] {
    let mut columns = [0u128; 5];
    for i in 0..5 {
        for j in 0..5 - i {
            columns[i + j] += u128::from(a[i]) * u128::from(b[j]);
        }
    }
    let mut carry = 0;
    columns.map(|column| {
        let sum = column + carry;
        carry = sum >> 52;
        sum as u64 & LIMB
    })
}

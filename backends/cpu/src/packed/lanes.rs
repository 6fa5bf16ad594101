//! Eight lazily reduced field elements in 52-bit limbs.
//!
//! The primes are `p = 2^254 + t`, `t < 2^126`, `p = 1 mod 2^32`: of the five limbs of p the fourth is zero and the
//! fifth is `2^46`. A step of the Montgomery reduction takes one product for the quotient q and five for `q t`, the sixth
//! being known (`q p_0` clears the low limb), and `q 2^254` is shifts: 80 products in all instead of 105.
//!
//! **Bounds** are given in multiples of p; 63 p < 2^260. All limbs are below 2^52 ("normal") between operations.

use super::prime::Constants;
use super::vector::{Ifma, Vector};

/// The low 52 bits.
pub(crate) const LIMB: u64 = (1 << 52) - 1;

/// Eight field elements, limbs normal.
#[derive(Clone, Copy)]
pub(crate) struct Lanes(pub(crate) [Vector; 5]);

impl Lanes {
    /// The same value in every lane.
    #[inline(always)]
    pub(crate) fn splat(ifma: Ifma, limbs: [u64; 5]) -> Self {
        Self(unrolled!(5, i => Vector::splat(ifma, limbs[i])))
    }

    /// From values below 2^256 in words.
    #[inline(always)]
    pub(crate) fn unpack(ifma: Ifma, w: [Vector; 4]) -> Self {
        let m = Vector::splat(ifma, LIMB);
        Self([
            w[0].and(m),
            w[0].funnel::<52>(w[1]).and(m),
            w[1].funnel::<40>(w[2]).and(m),
            w[2].funnel::<28>(w[3]).and(m),
            w[3].shr::<16>(),
        ])
    }

    /// 16 times values below 2^256 in words.
    #[inline(always)]
    pub(crate) fn unpack_sixteenfold(ifma: Ifma, w: [Vector; 4]) -> Self {
        let m = Vector::splat(ifma, LIMB);
        Self([
            w[0].shl::<4>().and(m),
            w[0].funnel::<48>(w[1]).and(m),
            w[1].funnel::<36>(w[2]).and(m),
            w[2].funnel::<24>(w[3]).and(m),
            w[3].shr::<12>(),
        ])
    }

    /// To words. Values below 2^256.
    #[inline(always)]
    pub(crate) fn pack(self) -> [Vector; 4] {
        let l = self.0;
        debug_assert!(l[4].words().iter().all(|limb| limb >> 48 == 0));
        [
            l[0].or(l[1].shl::<52>()),
            l[1].shr::<12>().or(l[2].shl::<40>()),
            l[2].shr::<24>().or(l[3].shl::<28>()),
            l[3].shr::<36>().or(l[4].shl::<16>()),
        ]
    }

    /// `a b 2^-260`. With a < i p, b < j p, i j <= 60: the result is below 2 p.
    #[inline(always)]
    pub(crate) fn multiply(&self, other: &Self, k: &Constants) -> Self {
        carry_up(self.multiply_uncarried(other, k), k)
    }

    /// As [`Lanes::multiply`], limbs below 2^57.
    ///
    /// One limb of a after the other, the multiple of p that clears a column at once: what the next quotient waits for
    /// comes first, and other products fill the wait. One accumulator a column, as [`reduce`] takes them.
    #[inline(always)]
    pub(crate) fn multiply_uncarried(&self, other: &Self, k: &Constants) -> [Vector; 5] {
        debug_assert!(self.is_factor() && other.is_factor());
        let (a, b) = (&self.0, &other.0);
        let [p0, p1, p2, _, _] = k.p;
        let (m, zero) = (k.mask, a[0].sub(a[0]));
        let mut t = [m, m, m, m, m, zero, zero, zero, zero, zero];
        let mut quotients = [zero; 5];
        t[0] = t[0].low(a[0], b[0]);
        for i in 0..5 {
            if i == 4 {
                t[4] = t[4].add(quotients[0].shl::<46>().and(m));
            }
            let q = k.n0.low(t[i], k.n0);
            quotients[i] = q;
            for j in 1..4 {
                t[i + j] = t[i + j].low(a[i], b[j]);
            }
            for j in 1..4 {
                t[i + j] = t[i + j].high(a[i], b[j - 1]);
            }
            t[i + 1] = t[i + 1].add(t[i].shr::<52>());
            if i < 4 {
                t[i + 1] = t[i + 1].low(a[i + 1], b[0]);
            }
            t[i + 4] = t[i + 4].low(a[i], b[4]).high(a[i], b[3]);
            t[i + 5] = t[i + 5].high(a[i], b[4]);
            t[i + 1] = t[i + 1].high(q, p0);
            t[i + 2] = t[i + 2].high(q, p1);
            t[i + 1] = t[i + 1].low(q, p1);
            t[i + 2] = t[i + 2].low(q, p2);
            t[i + 3] = t[i + 3].high(q, p2);
        }
        add_quotients([t[5], t[6], t[7], t[8], t[9]], &quotients, k)
    }

    /// `a^2 2^-260`. With a < 7 p the result is below 2 p.
    #[inline(always)]
    pub(crate) fn square(&self, k: &Constants) -> Self {
        carry_up(self.square_uncarried(k), k)
    }

    /// As [`Lanes::square`], limbs below 2^57: columns are made while quotients are waited for.
    #[inline(always)]
    pub(crate) fn square_uncarried(&self, k: &Constants) -> [Vector; 5] {
        debug_assert!(self.is_normal());
        let [p0, p1, p2, _, _] = k.p;
        let zero = self.0[0].sub(self.0[0]);
        let mut t = unrolled!(10, i => if i < 3 { self.own_column(i, zero, k) } else { zero });
        let mut quotients = [zero; 5];
        for i in 0..5 {
            if i == 4 {
                t[4] = t[4].add(quotients[0].shl::<46>().and(k.mask));
            }
            let q = k.n0.low(t[i], k.n0);
            quotients[i] = q;
            let next = self.own_column(i + 3, zero, k);
            t[i + 1] = t[i + 1].add(t[i].shr::<52>()).high(q, p0).low(q, p1);
            t[i + 2] = t[i + 2].high(q, p1).low(q, p2);
            t[i + 3] = next.high(q, p2);
        }
        t[8] = self.own_column(8, zero, k);
        t[9] = self.own_column(9, zero, k);
        add_quotients([t[5], t[6], t[7], t[8], t[9]], &quotients, k)
    }

    /// A column of `a^2`, as [`reduce`] takes them, and twice `half`.
    #[inline(always)]
    pub(super) fn own_column(&self, column: usize, half: Vector, k: &Constants) -> Vector {
        let (a, mut sum) = (&self.0, half);
        for i in 0..5 {
            for j in i + 1..5 {
                if i + j == column {
                    sum = sum.low(a[i], a[j]);
                }
                if i + j + 1 == column {
                    sum = sum.high(a[i], a[j]);
                }
            }
        }
        sum = sum.add(sum);
        if column < 5 {
            sum = sum.add(k.mask);
        }
        let own = a[column / 2];
        if column.is_multiple_of(2) {
            sum.low(own, own)
        } else {
            sum.high(own, own)
        }
    }

    /// `a + b`. Bounds add up; the sum is below 63 p.
    #[inline(always)]
    pub(crate) fn add(&self, other: &Self, k: &Constants) -> Self {
        carry(unrolled!(5, i => self.0[i].add(other.0[i])), k)
    }

    /// `a - b + m p`. With a < i p and b <= m p: below (i + m) p, which is at most 63 p.
    #[inline(always)]
    pub(crate) fn subtract(&self, other: &Self, multiple: &[Vector; 5], k: &Constants) -> Self {
        carry(
            lift(unrolled!(5, i => self.0[i].sub(other.0[i])), multiple),
            k,
        )
    }

    /// `other` in the lanes of the mask.
    #[inline(always)]
    pub(crate) fn select(&self, mask: u8, other: &Self) -> Self {
        Self(unrolled!(5, i => self.0[i].select(mask, other.0[i])))
    }

    /// Lanes that are zero, as bits.
    #[inline(always)]
    pub(crate) fn zeros(&self) -> u8 {
        let [a, b, c, d, e] = self.0;
        a.or(b).or(c).or(d).or(e).zeros()
    }

    /// The same modulo p, below `2 p + 2^213`: of signed limbs below 2^58 that stand for a value from `2 p + 2^215` to `10 2^254`.
    ///
    /// With q = floor(value / 2^254), known from the top limb up to carries, `value - (q - 1) p` is
    /// `value mod 2^254 + 2^254 - (q - 1) t`: the multiples of t come from a table, by q mod 8.
    #[inline(always)]
    pub(crate) fn reduced(l: [Vector; 5], k: &Constants) -> Self {
        let result = carry(Self::settled(l, k).0, k);
        debug_assert!(
            result.is_normal() && result.0[4].words().iter().all(|top| *top <= 2 << 46 | 63)
        );
        result
    }

    /// As [`Lanes::reduced`], limbs as signed as they were: the highest is from 2^46 to 2^47.
    #[inline(always)]
    pub(super) fn settled(l: [Vector; 5], k: &Constants) -> Self {
        let q = l[4].shr::<46>();
        debug_assert!(q.words().iter().all(|q| (2..10).contains(q)));
        Self([
            l[0].add(k.multiples[0].permuted(q)),
            l[1].add(k.multiples[1].permuted(q)),
            l[2].add(k.multiples[2].permuted(q)),
            l[3],
            l[4].and(k.below_top).or(k.p[4]),
        ])
    }

    /// The sum and a limb of a factor: its low 52 bits, but for the highest one.
    #[inline(always)]
    pub(super) fn add_digit<const FEW: bool, const I: usize>(
        &self,
        sum: Vector,
        k: &Constants,
    ) -> Vector {
        if I == 4 {
            sum.add(self.0[I])
        } else {
            add_low_bits::<FEW>(sum, self.0[I], k)
        }
    }

    /// As [`Lanes::reduced`], with limbs that are signed and below 2^56: what is carried goes one limb up and no further.
    #[inline(always)]
    pub(super) fn settled_and_carried<const FEW: bool>(l: [Vector; 5], k: &Constants) -> Self {
        let q = l[4].shr::<46>();
        debug_assert!(q.words().iter().all(|q| (2..10).contains(q)));
        let up = unrolled!(4, i => l[i].sar::<52>());
        let [m0, m1, m2] = k.multiples;
        let [m0, m1, m2] = [m0.permuted(q), m1.permuted(q), m2.permuted(q)];
        let result = [
            add_low_bits::<FEW>(m0, l[0], k),
            add_low_bits::<FEW>(up[0].add(m1), l[1], k),
            add_low_bits::<FEW>(up[1].add(m2), l[2], k),
            add_low_bits::<FEW>(up[2], l[3], k),
            l[4].and(k.below_top).or(k.p[4]).add(up[3]),
        ];
        debug_assert!(result.iter().all(|limb| limb.within(1 << 56)));
        Self(result)
    }

    /// Normal limbs, of those that [`digits`] or [`signed_digits`] leave.
    #[inline(always)]
    pub(super) fn masked(&self, k: &Constants) -> Self {
        Self(unrolled!(5, i => if i < 4 { self.0[i].and(k.mask) } else { self.0[i] }))
    }

    /// The representative below p, of any value below 2^260.
    #[inline(always)]
    pub(crate) fn canonical(&self, k: &Constants) -> Self {
        let l = self.0;
        debug_assert!(self.is_normal());
        let zero = l[0].sub(l[0]);
        // q = floor(value / 2^254) is at most one too large: q p exceeds the value by less than p, as q t < 2^132 does.
        let q = l[4].shr::<46>();
        let [p0, p1, p2, _, p4] = k.p;
        let low = [
            l[0].sub(zero.low(q, p0)),
            l[1].sub(zero.high(q, p0).low(q, p1)),
            l[2].sub(zero.high(q, p1).low(q, p2)),
            l[3],
            l[4].sub(q.shl::<46>()),
        ];
        let low = carry(low, k);
        let below = low.0[4].negative();
        let restored = [
            low.0[0].add(p0),
            low.0[1].add(p1),
            low.0[2].add(p2),
            low.0[3],
            low.0[4].add(p4),
        ];
        let restored = unrolled!(5, i => low.0[i].select(below, restored[i]));
        let result = carry(restored, k);
        debug_assert!(result.is_normal());
        result
    }

    /// Whether the low 52 bits of the limbs are the digits of a value below 2^260: what a product reads.
    pub(super) fn is_factor(&self) -> bool {
        self.0[4].words().iter().all(|limb| *limb <= LIMB)
    }

    pub(crate) fn is_normal(&self) -> bool {
        self.0
            .iter()
            .all(|v| v.words().iter().all(|limb| *limb <= LIMB))
    }
}

/// The sum and the low 52 bits of a limb: one instruction, or without products of limbs.
#[inline(always)]
fn add_low_bits<const FEW: bool>(sum: Vector, limb: Vector, k: &Constants) -> Vector {
    if FEW {
        sum.low(limb, k.unit)
    } else {
        sum.add(limb.and(k.mask))
    }
}

/// Adds a multiple of p of at most 2^29 p: its fourth limb is zero.
#[inline(always)]
pub(super) fn lift([a, b, c, d, e]: [Vector; 5], multiple: &[Vector; 5]) -> [Vector; 5] {
    let [l, m, n, zero, o] = multiple;
    debug_assert!(zero.zeros() == u8::MAX);
    [a.add(*l), b.add(*m), c.add(*n), d, e.add(*o)]
}

/// Carries signed limbs of a nonnegative value.
#[inline(always)]
pub(super) fn carry(mut limbs: [Vector; 5], k: &Constants) -> Lanes {
    for i in 0..4 {
        limbs[i + 1] = limbs[i + 1].add(limbs[i].sar::<52>());
        limbs[i] = limbs[i].and(k.mask);
    }
    Lanes(limbs)
}

/// Carries limbs below 2^63.
#[inline(always)]
pub(super) fn carry_up(mut limbs: [Vector; 5], k: &Constants) -> Lanes {
    for i in 0..4 {
        limbs[i + 1] = limbs[i + 1].add(limbs[i].shr::<52>());
        limbs[i] = limbs[i].and(k.mask);
    }
    Lanes(limbs)
}

/// Carries limbs below 2^63 and leaves in each what is carried: products read the low 52 bits alone.
#[inline(always)]
pub(super) fn digits(mut limbs: [Vector; 5]) -> Lanes {
    for i in 0..4 {
        limbs[i + 1] = limbs[i + 1].add(limbs[i].shr::<52>());
    }
    Lanes(limbs)
}

/// As [`digits`], of signed limbs of a nonnegative value.
#[inline(always)]
pub(super) fn signed_digits(mut limbs: [Vector; 5]) -> Lanes {
    for i in 0..4 {
        limbs[i + 1] = limbs[i + 1].add(limbs[i].sar::<52>());
    }
    Lanes(limbs)
}

/// Montgomery reduction of ten column sums, the five low ones having started at `2^52 - 1`: then `>> 52` is the carry
/// after the multiple of p that clears the column is added.
#[inline(always)]
pub(super) fn reduce(t: [Vector; 10], k: &Constants) -> Lanes {
    carry_up(reduce_uncarried(t, k), k)
}

/// As [`reduce`], limbs below 2^57.
#[inline(always)]
fn reduce_uncarried(mut t: [Vector; 10], k: &Constants) -> [Vector; 5] {
    let [p0, p1, p2, _, _] = k.p;
    let zero = t[0].sub(t[0]);
    let mut quotients = [zero; 5];
    for i in 0..5 {
        if i == 4 {
            t[4] = t[4].add(quotients[0].shl::<46>().and(k.mask));
        }
        // (w + 1) n0 for a column that holds w + 2^52
        let q = k.n0.low(t[i], k.n0);
        quotients[i] = q;
        t[i + 1] = t[i + 1].add(t[i].shr::<52>()).high(q, p0).low(q, p1);
        t[i + 2] = t[i + 2].high(q, p1).low(q, p2);
        t[i + 3] = t[i + 3].high(q, p2);
    }
    add_quotients([t[5], t[6], t[7], t[8], t[9]], &quotients, k)
}

/// Adds the quotients times `2^254 = 2^(4 * 52 + 46)`, across limbs, but for what of the first one is in column 4. Not by
/// shifts of two words at once: those take the place of products.
#[inline(always)]
fn add_quotients(mut limbs: [Vector; 5], quotients: &[Vector; 5], k: &Constants) -> [Vector; 5] {
    for i in 0..5 {
        limbs[i] = limbs[i].add(quotients[i].and(k.mask).shr::<6>());
        if i < 4 {
            limbs[i] = limbs[i].add(quotients[i + 1].shl::<46>().and(k.mask));
        }
    }
    limbs
}

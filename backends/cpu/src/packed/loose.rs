//! Values between the layers of a transform: limbs that are not carried, and signed.
//!
//! A product by a known factor is between `-3 p` and `3 p`, limbs below 2^56 in size; a layer adds one to what it keeps. So after
//! all layers of a pass limbs are still below 2^62 in size, and the value is known to be within bounds that [`super::butterflies`]
//! keeps.

use super::lanes::{Lanes, carry, signed_digits};
use super::prime::Constants;
use super::vector::{Ifma, Vector};

/// Eight values in limbs of 52 bits, signed and not carried.
#[derive(Clone, Copy)]
pub(crate) struct Loose(pub(super) [Vector; 5]);

impl Loose {
    /// The same values.
    #[inline(always)]
    pub(super) const fn new(value: Lanes) -> Self {
        Self(value.0)
    }

    /// `self + other`.
    #[inline(always)]
    pub(super) fn plus(&self, other: &Self) -> Self {
        Self(unrolled!(5, i => self.0[i].add(other.0[i])))
    }

    /// `self - other`.
    #[inline(always)]
    pub(super) fn minus(&self, other: &Self) -> Self {
        Self(unrolled!(5, i => self.0[i].sub(other.0[i])))
    }

    /// As a factor of products, of values from 0 on below 2^260.
    #[inline(always)]
    pub(super) fn factor(&self) -> Lanes {
        let lanes = signed_digits(self.0);
        debug_assert!(lanes.is_factor());
        lanes
    }

    /// `self + 2^259` as the low 52 bits of five words, which is what products read: of values from `-2^259` on below `2^259`.
    #[inline(always)]
    pub(super) fn lifted(&self, k: &Constants) -> [Vector; 5] {
        let mut limbs = self.0;
        limbs[4] = limbs[4].add(k.half_limb);
        let limbs = signed_digits(limbs).0;
        debug_assert!(limbs[4].words().iter().all(|top| top >> 52 == 0));
        limbs
    }

    /// The same modulo p, from `-2^222` on and below `2^254 + 2^222`, not carried: of `self + 64 t` for `p = 2^254 + t`, a value
    /// that is between `-63 p` and `63 p`.
    ///
    /// With `q = floor(value / 2^254)`, known from the top limb but for carries, `value - q p` is `value mod 2^254 - q t`, and
    /// `64 t` less it is known as `(64 - q) t`.
    #[inline(always)]
    pub(super) fn lowered(&self, k: &Constants) -> Self {
        let l = self.0;
        let [p0, p1, p2, _, _] = k.p;
        let times = k.sixty_four.sub(l[4].sar::<46>());
        debug_assert!(times.words().iter().all(|times| *times < 128));
        Self([
            l[0].low(times, p0),
            l[1].high(times, p0).low(times, p1),
            l[2].high(times, p1).low(times, p2),
            l[3],
            l[4].and(k.below_top),
        ])
    }

    /// The words of what [`Loose::lowered`] gives, mod 2^256, and a vector that is zero if they are below 2^254, so below p:
    /// otherwise, which is within 2^-32 of multiples of p only, [`corrected`] makes them so.
    #[inline(always)]
    pub(super) fn nearly_canonical(&self, k: &Constants) -> ([Vector; 4], Vector) {
        let limbs = signed_digits(self.lowered(k).0).0;
        (packed(limbs), limbs[4].shr::<46>())
    }

    /// As [`Loose::nearly_canonical`], over a power of two.
    ///
    /// p is one modulo `2^32`: what the value lacks to a multiple of the divisor is known from its low limb, and as many times p are added with the
    /// multiple of t that lowers it, from 0 on below `2^128 2^16`. The bits of the quotient are where they are; it is below p as its value is.
    #[inline(always)]
    pub(super) fn nearly_canonical_over(
        &self,
        by: &Division,
        k: &Constants,
    ) -> ([Vector; 4], Vector) {
        let (l, [p0, p1, p2, _, _]) = (self.0, k.p);
        let times = k.sixty_four.sub(l[4].sar::<46>());
        debug_assert!(times.words().iter().all(|times| *times < 128));
        let lacking = k.mask.sub(l[0].add(times)).add(by.one).and(by.below);
        let times = times.add(lacking);
        let [a, b, c, d, top] = signed_digits([
            l[0].low(times, p0),
            l[1].high(times, p0).low(times, p1),
            l[2].high(times, p1).low(times, p2),
            l[3],
            l[4].and(k.below_top).add(lacking.shl::<46>()),
        ])
        .0;
        debug_assert!(a.and(by.below).zeros() == u8::MAX);
        let words = [
            a.shl::<12>().funnel_by(b, by.shifts[0]),
            b.shl::<12>().funnel_by(c, by.shifts[1]),
            c.shl::<12>().funnel_by(d, by.shifts[2]),
            d.shl::<12>().funnel_by(top, by.shifts[3]),
        ];
        (words, top.and(by.above))
    }
}

/// What values are divided by: a power of two.
pub(super) struct Division {
    one: Vector,
    /// The divisor less one.
    below: Vector,
    /// By how much two limbs are shifted for each word.
    shifts: [Vector; 4],
    /// Bits of the top limb above `2^254` times the divisor.
    above: Vector,
}

impl Division {
    /// By `2^log`, at most `2^15`.
    #[inline(always)]
    pub(super) fn new(ifma: Ifma, log: u32) -> Self {
        debug_assert!(log < 16);
        let first = 12 + u64::from(log);
        Self {
            one: Vector::splat(ifma, 1),
            below: Vector::splat(ifma, (1 << log) - 1),
            shifts: [0, 12, 24, 36].map(|more| Vector::splat(ifma, first + more)),
            above: Vector::splat(ifma, u64::MAX << (46 + log)),
        }
    }
}

/// The words below p, of words of values from -p on below 2 p, mod 2^256.
#[inline(always)]
pub(super) fn corrected(ifma: Ifma, words: [Vector; 4], k: &Constants) -> [Vector; 4] {
    let more = Loose(Lanes::unpack(ifma, words).0).plus(&Loose(k.p));
    let Lanes([a, b, c, d, top]) = carry(more.0, k);
    // Mod 2^256 again: from 0 on below 3 p.
    Lanes([a, b, c, d, top.shl::<16>().shr::<16>()])
        .canonical(k)
        .pack()
}

/// Words of values below 2^256 in limbs below 2^63 that are not carried.
#[inline(always)]
pub(super) fn pack(limbs: [Vector; 5]) -> [Vector; 4] {
    let limbs = signed_digits(limbs).0;
    debug_assert!(limbs[4].words().iter().all(|top| top >> 48 == 0));
    packed(limbs)
}

/// Words of the low 52 bits of limbs, 48 of the last: values mod 2^256.
#[inline(always)]
fn packed(l: [Vector; 5]) -> [Vector; 4] {
    [
        l[0].shl::<12>().funnel::<12>(l[1]),
        l[1].shl::<12>().funnel::<24>(l[2]),
        l[2].shl::<12>().funnel::<36>(l[3]),
        l[3].shl::<12>().funnel::<48>(l[4]),
    ]
}

//! The layers of a pass of a transform, on whole vectors.
//!
//! Decimation in time. Twiddles are known, so products by them are [`Lanes::multiply_known`]: without a chain of quotients, and
//! the fewer products the larger what they leave, e p. Inputs below 2 p are below `max(16, 4 + 2 e, 9 + e) p` after the first
//! three layers; afterwards a butterfly adds at most e p to the bound of its operands, whatever they are, and nothing is reduced
//! before the end: all is below 60 p with e = 8 up to eight layers, 6 up to ten and 4 up to fourteen. Nor are limbs carried but in
//! front of a product: a layer adds less than 2^57 to each ([`Loose`]).

use super::lanes::{Lanes, carry};
use super::prime::Constants;
use super::vector::{Ifma, Vector};

/// Most layers of a pass.
pub(crate) const LAYERS: u32 = 14;

/// Values whose limbs are signed and below 2^62: up to 16 sums of products that are not carried.
#[derive(Clone, Copy)]
pub(crate) struct Loose([Vector; 5]);

/// A factor that is known, in every lane, and its ratio.
struct Known {
    factor: Lanes,
    ratio: Lanes,
}

/// Transforms whole vectors below 2 p from bit-reversed to natural order; twiddles are half a period, with their ratios.
/// Results are below 62 p.
#[inline(always)]
pub(super) fn vertical(
    ifma: Ifma,
    buffer: &mut [Loose],
    twiddles: &[[[u64; 5]; 2]],
    k: &Constants,
) {
    debug_assert!(buffer.len() <= 1 << LAYERS && buffer.len() == 2 * twiddles.len());
    let eighth = twiddles.len() / 4;
    let third = unrolled!(4, i => Known::splat(ifma, &twiddles[i * eighth]));
    // SAFETY: `Ifma` proves the features.
    unsafe {
        // e is what is missed and 2.
        match buffer.len().ilog2() {
            0..=8 => layers::<6>(ifma, buffer, twiddles, &third, k),
            9..=10 => layers::<4>(ifma, buffer, twiddles, &third, k),
            _ => layers::<2>(ifma, buffer, twiddles, &third, k),
        }
    }
}

/// All layers of a part, of a power of two from 8 on: those of its quarters first, which stay in the first-level cache.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn layers<const MISSED: usize>(
    ifma: Ifma,
    part: &mut [Loose],
    twiddles: &[[[u64; 5]; 2]],
    third: &[Known; 4],
    k: &Constants,
) {
    if part.len() >= 32 {
        let quarter = part.len() / 4;
        for part in part.chunks_exact_mut(quarter) {
            layers::<MISSED>(ifma, part, twiddles, third, k);
        }
        return two_layers::<MISSED>(ifma, part, twiddles, k);
    }
    for eight in part.as_chunks_mut::<8>().0 {
        first_layers::<MISSED>(eight, third, k);
    }
    if part.len() == 16 {
        let stride = twiddles.len() / 8;
        let (low, high) = part.split_at_mut(8);
        let twiddles = twiddles.iter().step_by(stride);
        for ((a, b), w) in low.iter_mut().zip(high).zip(twiddles) {
            (*a, *b) = butterfly::<MISSED>(a, b, &Known::splat(ifma, w), k);
        }
    }
}

/// Two layers on four quarters.
#[inline(always)]
fn two_layers<const MISSED: usize>(
    ifma: Ifma,
    part: &mut [Loose],
    twiddles: &[[[u64; 5]; 2]],
    k: &Constants,
) {
    let quarter = part.len() / 4;
    let stride = twiddles.len() / (2 * quarter);
    let (low, high) = part.split_at_mut(2 * quarter);
    let ((a, b), (c, d)) = (low.split_at_mut(quarter), high.split_at_mut(quarter));
    for i in 0..quarter {
        let first = Known::splat(ifma, &twiddles[2 * stride * i]);
        let (a0, b0) = butterfly::<MISSED>(&a[i], &b[i], &first, k);
        let (c0, d0) = butterfly::<MISSED>(&c[i], &d[i], &first, k);
        let second = Known::splat(ifma, &twiddles[stride * i]);
        (a[i], c[i]) = butterfly::<MISSED>(&a0, &c0, &second, k);
        let third = Known::splat(ifma, &twiddles[stride * (i + quarter)]);
        (b[i], d[i]) = butterfly::<MISSED>(&b0, &d0, &third, k);
    }
}

/// `a + w b` and `a - w b`: at most `(MISSED + 2) p` are added to the bound of a.
#[inline(always)]
fn butterfly<const MISSED: usize>(
    a: &Loose,
    b: &Loose,
    w: &Known,
    k: &Constants,
) -> (Loose, Loose) {
    let b = b.carried(k);
    let product = Loose(b.multiply_known::<MISSED>(&w.factor, &w.ratio, k).0);
    let most = match MISSED {
        0..=2 => &k.p4,
        3..=4 => &k.p6,
        _ => &k.p8,
    };
    (a.plus(&product), a.minus(&product, most))
}

/// Three layers on eight values below 2 p, in bit-reversed order.
#[inline(always)]
fn first_layers<const MISSED: usize>(v: &mut [Loose; 8], twiddles: &[Known; 4], k: &Constants) {
    for i in [0, 2, 4, 6] {
        (v[i], v[i + 1]) = (v[i].plus(&v[i + 1]), v[i].minus(&v[i + 1], &k.p2));
    }
    for i in [0, 4] {
        // Sums are below 4 p.
        (v[i], v[i + 2]) = (v[i].plus(&v[i + 2]), v[i].minus(&v[i + 2], &k.p5));
        (v[i + 1], v[i + 3]) = butterfly::<MISSED>(&v[i + 1], &v[i + 3], &twiddles[2], k);
    }
    // Sums are below 8 p.
    (v[0], v[4]) = (v[0].plus(&v[4]), v[0].minus(&v[4], &k.p8));
    for i in 1..4 {
        (v[i], v[i + 4]) = butterfly::<MISSED>(&v[i], &v[i + 4], &twiddles[i], k);
    }
}

impl Known {
    #[inline(always)]
    fn splat(ifma: Ifma, [factor, ratio]: &[[u64; 5]; 2]) -> Self {
        Self {
            factor: Lanes::splat(ifma, *factor),
            ratio: Lanes::splat(ifma, *ratio),
        }
    }
}

impl Loose {
    #[inline(always)]
    pub(super) const fn new(value: Lanes) -> Self {
        Self(value.0)
    }

    /// The same value in normal limbs.
    #[inline(always)]
    pub(super) fn carried(&self, k: &Constants) -> Lanes {
        carry(self.0, k)
    }

    #[inline(always)]
    fn plus(&self, other: &Self) -> Self {
        Self(unrolled!(5, i => self.0[i].add(other.0[i])))
    }

    /// `self - other + multiple`, which is not negative.
    #[inline(always)]
    fn minus(&self, other: &Self, multiple: &[Vector; 5]) -> Self {
        Self(unrolled!(5, i => self.0[i].sub(other.0[i]).add(multiple[i])))
    }
}

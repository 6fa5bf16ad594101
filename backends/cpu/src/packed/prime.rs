//! A Pasta prime: its constants, and its elements as words in memory.

use core::any::TypeId;
use core::marker::PhantomData;
use std::sync::OnceLock;

use ff::PrimeField;
use pasta_curves::arithmetic::VartimeField;
use pasta_curves::{EpAffine, EqAffine, Fp, Fq};
use rayon::prelude::*;
use zkernel_backend::Curve;

use super::lanes::{LIMB, Lanes};
use super::vector::{Ifma, Vector};
use crate::affine::Xy;
use crate::pages::in_large_pages;

/// Points copied by a thread at a time.
const POINTS_TOGETHER: usize = 4096;

/// Points that are worth waking threads for: a copy takes some nanoseconds each.
const MANY_POINTS: usize = 1 << 15;

/// Constants of a prime p, broadcast.
#[derive(Clone, Copy)]
pub(crate) struct Constants {
    /// `2^52 - 1`.
    pub(crate) mask: Vector,
    /// Limbs of p.
    pub(crate) p: [Vector; 5],
    /// Limbs of 2 p.
    pub(crate) p2: [Vector; 5],
    /// Limbs of 3 p, each three times that of p.
    pub(crate) p3: [Vector; 5],
    /// Limbs of 5 p, each five times that of p.
    pub(crate) p5: [Vector; 5],
    /// Limbs of 8 p, each eight times that of p.
    pub(crate) p8: [Vector; 5],
    /// Limbs of 16 p, each sixteen times that of p.
    pub(crate) p16: [Vector; 5],
    /// Limbs of 32 p, each 32 times that of p.
    pub(crate) p32: [Vector; 5],
    /// `(1 - q) t` for q from 2 to 9 in lanes `q mod 8`, with `p = 2^254 + t`: three signed limbs.
    pub(crate) multiples: [Vector; 3],
    /// `2^46 - 1`, what of the top limb is below 2^254.
    pub(crate) below_top: Vector,
    /// `-1 / p mod 2^52`.
    pub(crate) n0: Vector,
    /// `2^51`, a top limb for `2^259`.
    pub(crate) half_limb: Vector,
    /// 1.
    pub(crate) unit: Vector,
    /// 64.
    pub(crate) sixty_four: Vector,
    /// `-64 t` in signed limbs, with `p = 2^254 + t`.
    pub(crate) less_tails: [Vector; 5],
    /// The stored one, `2^256 mod p`.
    pub(crate) one: Lanes,
    /// `2^516 mod p`: makes an integer a stored element.
    pub(crate) widening: Lanes,
    /// `48 2^260 mod p`.
    pub(crate) forty_eight: Lanes,
    /// Limbs of `4 (p - 2^254)`.
    pub(crate) four_t: [Vector; 3],
    /// The words of the stored one.
    stored_one: [u64; 4],
}

/// A Pasta field whose elements are four words, `x 2^256 mod p`, on a machine with the instructions.
pub(crate) struct Prime<F> {
    /// The machine has the instructions.
    pub(crate) ifma: Ifma,
    constants: &'static Constants,
    field: PhantomData<F>,
}

impl Constants {
    fn new<F: PrimeField>(ifma: Ifma) -> Self {
        let splat = |limbs: [u64; 5]| limbs.map(|limb| Vector::splat(ifma, limb));
        let mut p = repr(&-F::ONE);
        p[0] += 1;
        let p = limbs(p);
        let inverse = (0..6).fold(1u64, |x, _| {
            x.wrapping_mul(2u64.wrapping_sub(p[0].wrapping_mul(x)))
        });
        let times_power = |value: u64, power: u64| {
            limbs(repr(&(F::from(value) * F::from(2).pow_vartime([power]))))
        };
        Self {
            mask: Vector::splat(ifma, LIMB),
            p: splat(p),
            p2: splat(p.map(|limb| 2 * limb)),
            p3: splat(p.map(|limb| 3 * limb)),
            p5: splat(p.map(|limb| 5 * limb)),
            p8: splat(p.map(|limb| 8 * limb)),
            p16: splat(p.map(|limb| 16 * limb)),
            p32: splat(p.map(|limb| 32 * limb)),
            multiples: core::array::from_fn(|i| {
                let multiple = |q: u64| 1u64.wrapping_sub(q).wrapping_mul(p[i]);
                let of_lane = |lane: usize| multiple((lane as u64 + 6) % 8 + 2);
                Vector::load(ifma, &core::array::from_fn(of_lane))
            }),
            below_top: Vector::splat(ifma, (1 << 46) - 1),
            n0: Vector::splat(ifma, inverse.wrapping_neg() & LIMB),
            half_limb: Vector::splat(ifma, 1 << 51),
            unit: Vector::splat(ifma, 1),
            sixty_four: Vector::splat(ifma, 64),
            less_tails: splat([p[0], p[1], p[2], 0, 0].map(|limb| (limb << 6).wrapping_neg())),
            one: Lanes::splat(ifma, times_power(1, 256)),
            widening: Lanes::splat(ifma, times_power(1, 516)),
            forty_eight: Lanes::splat(ifma, times_power(48, 260)),
            four_t: core::array::from_fn(|i| {
                let below = if i == 0 { 0 } else { p[i - 1] };
                Vector::splat(ifma, p[i] << 2 & LIMB | below >> 50)
            }),
            stored_one: repr(&F::from(2).pow_vartime([256])),
        }
    }

    /// Zero, as the multiple of p for differences that are not negative.
    #[inline(always)]
    pub(crate) fn zero(&self) -> [Vector; 5] {
        [self.mask.sub(self.mask); 5]
    }
}

impl<F> Clone for Prime<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Prime<F> {}

impl<F: PrimeField> Prime<F> {
    /// If F is one of the two fields, which are `repr(transparent)` over four words.
    pub(crate) fn new(ifma: Ifma) -> Option<Self> {
        let own = TypeId::of::<F>();
        let pasta = own == TypeId::of::<Fp>() || own == TypeId::of::<Fq>();
        let layout = (size_of::<F>(), align_of::<F>()) == (32, align_of::<u64>());
        if !(pasta && layout) {
            return None;
        }
        let prime = Self {
            ifma,
            constants: OF_FIELDS[usize::from(own == TypeId::of::<Fq>())]
                .get_or_init(|| Constants::new::<F>(ifma)),
            field: PhantomData,
        };
        // Elements really are in the form this module works in.
        (prime.words(&[F::ONE])[0] == prime.constants.stored_one).then_some(prime)
    }

    /// Elements as words.
    #[inline(always)]
    pub(crate) fn words(self, elements: &[F]) -> &[[u64; 4]] {
        // SAFETY: a `Prime<F>` exists (or is being made), so F is Fp or Fq, transparent over `[u64; 4]`.
        unsafe { core::slice::from_raw_parts(elements.as_ptr().cast(), elements.len()) }
    }

    /// Elements as words for writing, which must stay below p.
    #[inline(always)]
    pub(crate) fn words_mut(self, elements: &mut [F]) -> &mut [[u64; 4]] {
        // SAFETY: as in `words`; every value of the words is a value of F's only field.
        unsafe { core::slice::from_raw_parts_mut(elements.as_mut_ptr().cast(), elements.len()) }
    }

    /// Points as the words of x, then y.
    #[inline(always)]
    pub(crate) fn points(self, points: &[Xy<F>]) -> &[[u64; 8]] {
        // SAFETY: as in `words`; `Xy` is two elements in C layout, so eight words without padding.
        unsafe { core::slice::from_raw_parts(points.as_ptr().cast(), points.len()) }
    }

    /// Points as words for writing, coordinates below p.
    #[inline(always)]
    pub(crate) fn points_mut(self, points: &mut [Xy<F>]) -> &mut [[u64; 8]] {
        // SAFETY: as in `points` and `words_mut`.
        unsafe { core::slice::from_raw_parts_mut(points.as_mut_ptr().cast(), points.len()) }
    }

    /// Points of a curve over F as words, if they lie in memory as x and y, the identity as zeros.
    pub(crate) fn curve_words<C: Curve<Base = F>>(self, points: &[C]) -> Option<&[[u64; 8]]>
    where
        F: VartimeField,
    {
        let own = TypeId::of::<C>();
        let pasta = own == TypeId::of::<EpAffine>() || own == TypeId::of::<EqAffine>();
        if !pasta || size_of::<C>() != 64 || align_of::<C>() != align_of::<u64>() {
            return None;
        }
        let known = [C::generator(), C::identity()];
        // SAFETY: a structure of two elements of F, so eight words without padding, in this or the other order.
        let own = unsafe { words_of(&known) };
        let wanted = known.map(|point| self.points(&[Xy::new(&point)])[0]);
        // SAFETY: as above.
        (own == wanted).then(|| unsafe { words_of(points) })
    }

    /// Coordinates of points that are given as words of elements of F.
    pub(crate) fn copied(self, words: &[[u64; 8]]) -> Vec<Xy<F>>
    where
        F: VartimeField,
    {
        let coordinates = |words: &[u64; 8]| {
            let mut point = [Xy::IDENTITY];
            self.points_mut(&mut point)[0] = *words;
            point[0]
        };
        let mut all = in_large_pages(words.len());
        if words.len() < MANY_POINTS {
            all.extend(words.iter().map(coordinates));
        } else {
            let chunks = words.par_iter().with_min_len(POINTS_TOGETHER);
            chunks.map(coordinates).collect_into_vec(&mut all);
        }
        all
    }

    /// `value 2^260` in limbs: the form of factors.
    pub(crate) fn factor(self, value: F) -> [u64; 5] {
        let stored = value * F::from(16);
        limbs(self.words(&[stored])[0])
    }

    /// The prime's constants.
    pub(crate) const fn constants(self) -> &'static Constants {
        self.constants
    }
}

/// Points as words.
///
/// # Safety
/// C is eight words, whatever these are, without padding.
unsafe fn words_of<C: Curve>(points: &[C]) -> &[[u64; 8]] {
    // SAFETY: as the caller says.
    unsafe { core::slice::from_raw_parts(points.as_ptr().cast(), points.len()) }
}

/// Constants of Fp and Fq.
static OF_FIELDS: [OnceLock<Constants>; 2] = [const { OnceLock::new() }; 2];

/// The canonical words of an element.
pub(super) fn repr<F: PrimeField>(value: &F) -> [u64; 4] {
    let bytes = value.to_repr();
    let word = |i: usize| bytes.as_ref()[8 * i..8 * i + 8].iter().rev();
    core::array::from_fn(|i| word(i).fold(0, |w, byte| w << 8 | u64::from(*byte)))
}

/// Words of a value below 2^256 in limbs.
pub(super) const fn limbs(w: [u64; 4]) -> [u64; 5] {
    [
        w[0] & LIMB,
        (w[0] >> 52 | w[1] << 12) & LIMB,
        (w[1] >> 40 | w[2] << 24) & LIMB,
        (w[2] >> 28 | w[3] << 36) & LIMB,
        w[3] >> 16,
    ]
}

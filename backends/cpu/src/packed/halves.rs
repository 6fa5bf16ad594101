//! Scalars in two halves, eight at a time; what they are is in [`crate::halves`].

use ff::PrimeField;

use super::lanes::{LIMB, Lanes};
use super::prime::Prime;
use super::vector::{Ifma, Vector, claim_at};
use crate::eisenstein::wide::Rows;
use crate::eisenstein::{Base, LANES, Meanwhile};
use crate::halves::{HALF_BITS, Lattice};
use crate::integers::Octet;

/// Limbs of a half and of what is subtracted: computed mod `2^156`.
type Half = [Vector; 3];

/// Where the numerators of quotients have their point: at this limb.
const POINT: usize = 6;

/// Columns below this are left out: a quotient that is not the nearest one is so rarely, and then a hair from the middle.
const FIRST: usize = 4;

/// Codes of the digits of magnitudes below `2^254`, which become halves. Items of a line each, which are written next, are claimed
/// beside them.
pub(crate) fn recode<F: PrimeField, T>(
    prime: Prime<F>,
    lattice: &Lattice,
    base: &Base,
    octets: &mut [Octet],
    (codes, claimed): (&mut [u16], &[T]),
) {
    halve(prime, lattice, octets);
    let steps = octets.len().div_ceil(LANES / 8) * base.count();
    let mut claims = Claims {
        each: claimed.len().div_ceil(steps.max(1)),
        items: claimed.iter(),
    };
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { recode_here(base, octets, codes, &mut claims) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn recode_here<T>(base: &Base, octets: &[Octet], codes: &mut [u16], claims: &mut Claims<'_, T>) {
    base.recode(octets, codes, claims);
}

/// Items that are written next: their lines come from far while digits are made.
struct Claims<'a, T> {
    items: core::slice::Iter<'a, T>,
    /// Those of a step.
    each: usize,
}

impl<T> Meanwhile for Claims<'_, T> {
    #[inline(always)]
    fn step(&mut self) {
        let own = self.items.by_ref().take(self.each);
        own.for_each(|item| claim_at(core::ptr::from_ref(item)));
    }
}

/// Terms of magnitudes, which become halves.
pub(crate) fn recode_wide<F: PrimeField>(
    prime: Prime<F>,
    lattice: &Lattice,
    base: &Base,
    octets: &mut [Octet],
    rows: &mut Rows<'_>,
) {
    halve(prime, lattice, octets);
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { recode_wide_here(base, octets, rows) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq,avx512bw")]
fn recode_wide_here(base: &Base, octets: &[Octet], rows: &mut Rows<'_>) {
    base.recode_wide(octets, rows);
}

/// Magnitudes below `2^254` and their signs in place as halves.
fn halve<F: PrimeField>(prime: Prime<F>, lattice: &Lattice, octets: &mut [Octet]) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { halve_words(prime, lattice, octets) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn halve_words<F: PrimeField>(prime: Prime<F>, lattice: &Lattice, octets: &mut [Octet]) {
    let ifma = prime.ifma;
    let (mask, zero) = (prime.constants().mask, Vector::splat(ifma, 0));
    let a = unrolled!([0 1], i => half(ifma, lattice.a[i]));
    let b = unrolled!([0 1], i => half(ifma, lattice.b[i]));
    let quotients = unrolled!([0 1], i => factor(ifma, &lattice.quotients[i]));
    for octet in octets {
        let k = Lanes::unpack(ifma, unrolled!(4, i => Vector::load(ifma, &octet.words[i])));
        let c = unrolled!([0 1], i => rounded(ifma, &k, &quotients[i], mask));
        let none = [zero; 3];
        let near = low_product(low_product(none, &c[0], &a[0]), &c[1], &a[1]);
        let (left, right) = (
            low_product(none, &c[0], &b[0]),
            low_product(none, &c[1], &b[1]),
        );
        let first = [
            k.0[0].sub(near[0]),
            k.0[1].sub(near[1]),
            k.0[2].sub(near[2]),
        ];
        let second = [
            left[0].sub(right[0]),
            left[1].sub(right[1]),
            left[2].sub(right[2]),
        ];
        let (first, second, opposite) = nearest(ifma, first, second, (&a, &b));
        let sign = octet.negative ^ opposite;
        let [low, high] = [words(first, sign, mask), words(second, sign, mask)];
        let all = [low[0], low[1], high[0], high[1]];
        let words = octet.words.iter_mut().zip(all);
        words.for_each(|(to, word)| word.store(to));
    }
}

/// Both halves, or their opposites where said, less the vector of the basis that makes them shorter, if any: `Lattice::halves` on
/// the bits from 104 on.
#[inline(always)]
fn nearest(
    ifma: Ifma,
    first: Half,
    second: Half,
    (a, b): (&[Half; 2], &[Half; 2]),
) -> (Half, Half, u8) {
    let zero = Vector::splat(ifma, 0);
    let (top, other) = (top(first), top(second));
    let opposite = top.negative();
    let top = top.select(opposite, zero.sub(top));
    let other = other.select(opposite, zero.sub(other));
    let size = a[0][2];
    let by_second = size.sub(other).negative();
    let by_first = size.sub(top.sub(other)).negative() & !by_second;
    let first = unrolled!([0 1 2], i => first[i].select(opposite, zero.sub(first[i])));
    let second = unrolled!([0 1 2], i => second[i].select(opposite, zero.sub(second[i])));
    let less = unrolled!([0 1 2], i => zero.select(by_first, a[0][i]).select(by_second, a[1][i]));
    let first = unrolled!([0 1 2], i => first[i].sub(less[i]));
    // The second coordinate of the first vector is negative.
    let less = unrolled!([0 1 2], i => zero.select(by_first, zero.sub(b[0][i])).select(by_second, b[1][i]));
    let second = unrolled!([0 1 2], i => second[i].sub(less[i]));
    (first, second, opposite)
}

/// The bits from 104 on of numbers mod `2^156`, with their signs.
#[inline(always)]
fn top(value: Half) -> Vector {
    let middle = value[1].add(value[0].sar::<52>());
    let top = value[2].add(middle.sar::<52>());
    top.shl::<12>().sar::<12>()
}

/// A number below 2^128 in limbs.
#[inline(always)]
fn half(ifma: Ifma, value: u128) -> Half {
    let limb = |i: u32| Vector::splat(ifma, (value >> (52 * i)) as u64 & LIMB);
    [limb(0), limb(1), limb(2)]
}

/// A factor over `2^384` in limbs, as one over `2^(52 POINT)`.
#[inline(always)]
fn factor(ifma: Ifma, words: &[u64; 5]) -> [Vector; 4] {
    let limb = |i: usize| {
        let bit = 384 - 52 * POINT + 52 * i;
        let next = words.get(bit / 64 + 1).copied().unwrap_or(0);
        let both = u128::from(words[bit / 64]) | u128::from(next) << 64;
        Vector::splat(ifma, (both >> (bit % 64)) as u64 & LIMB)
    };
    [limb(0), limb(1), limb(2), limb(3)]
}

/// `k factor 2^-(52 POINT)`, rounded.
#[inline(always)]
fn rounded(ifma: Ifma, k: &Lanes, factor: &[Vector; 4], mask: Vector) -> Half {
    let zero = Vector::splat(ifma, 0);
    let mut t = [zero; 10];
    t[POINT - 1] = Vector::splat(ifma, 1 << 51);
    for i in 0..5 {
        for j in 0..4 {
            if i + j >= FIRST {
                t[i + j] = t[i + j].low(k.0[i], factor[j]);
            }
            if i + j + 1 >= FIRST {
                t[i + j + 1] = t[i + j + 1].high(k.0[i], factor[j]);
            }
        }
    }
    for i in FIRST..8 {
        t[i + 1] = t[i + 1].add(t[i].shr::<52>());
    }
    [t[6].and(mask), t[7].and(mask), t[8].and(mask)]
}

/// `sum + a b mod 2^156`, limbs below 2^56.
#[inline(always)]
fn low_product(mut sum: Half, a: &Half, b: &Half) -> Half {
    for i in 0..3 {
        for j in 0..3 - i {
            sum[i + j] = sum[i + j].low(a[i], b[j]);
            if i + j < 2 {
                sum[i + j + 1] = sum[i + j + 1].high(a[i], b[j]);
            }
        }
    }
    sum
}

/// Words of numbers mod `2^156` below `2^127` in size, or of their opposites where they are to be negated.
#[inline(always)]
fn words(value: Half, negated: u8, mask: Vector) -> [Vector; 2] {
    let zero = mask.sub(mask);
    let [low, middle, top] = unrolled!([0 1 2], i => value[i].select(negated, zero.sub(value[i])));
    let middle = middle.add(low.sar::<52>());
    let top = top.add(middle.sar::<52>());
    let (low, middle) = (low.and(mask), middle.and(mask));
    debug_assert!(
        (top.shl::<12>().sar::<12>().words().iter())
            .all(|top| top.cast_signed() >> (HALF_BITS - 104) == top.cast_signed() >> 63)
    );
    [
        low.or(middle.shl::<52>()),
        middle.shr::<12>().or(top.shl::<40>()),
    ]
}

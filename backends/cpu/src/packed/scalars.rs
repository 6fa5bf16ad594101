//! Integers as integers, eight at a time: out of Montgomery form, as sign and magnitude.

use core::ops::Range;

use ff::PrimeField;

use super::lanes::Lanes;
use super::prime::Prime;
use super::rows::{PLACE, Word, read};
use super::vector::{Ifma, Vector};
use crate::affine::NEGATED;
use crate::digits::{Place, Windows};
use crate::integers::{Integers, Octet};

/// Integers as integers, as many, if all are of less than 31 bits; says so.
pub(crate) fn narrow<F: PrimeField>(prime: Prime<F>, values: &[F], narrow: &mut [i32]) -> bool {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { narrow_words(prime, prime.words(values), narrow) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn narrow_words<F: PrimeField>(prime: Prime<F>, values: &[Word], narrow: &mut [i32]) -> bool {
    for (group, narrow) in values.chunks(8).zip(narrow.chunks_mut(8)) {
        let (words, negative) = integers(prime, group);
        let [low, rest @ ..] = words;
        let large = low.shr::<31>().or(rest[0]).or(rest[1]).or(rest[2]);
        if large.zeros() != u8::MAX {
            return false;
        }
        for (lane, (narrow, magnitude)) in narrow.iter_mut().zip(low.words()).enumerate() {
            let is_negative = negative >> lane & 1 != 0;
            let magnitude = magnitude as i32;
            *narrow = if is_negative { -magnitude } else { magnitude };
        }
    }
    true
}

/// Integers as magnitudes, eight an octet.
pub(crate) fn octets<F: PrimeField>(prime: Prime<F>, values: &[F], octets: &mut [Octet]) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { octets_words(prime, prime.words(values), octets) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn octets_words<F: PrimeField>(prime: Prime<F>, values: &[Word], octets: &mut [Octet]) {
    for (group, octet) in values.chunks(8).zip(octets) {
        let (words, negative) = integers(prime, group);
        for (to, word) in octet.words.iter_mut().zip(words) {
            word.store(to);
        }
        octet.negative = [negative, 0];
    }
}

/// Up to eight elements in order as words of integers up to half of p, and which of them stand for opposites.
#[inline(always)]
fn integers<F: PrimeField>(prime: Prime<F>, values: &[Word]) -> ([Vector; 4], u8) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    // 2^256 2^4 2^-260 = 1
    let own = read(ifma, values).multiply(&k.sixteen, k).canonical(k);
    let opposite = Lanes(k.p).subtract(&own, &k.zero(), k);
    let negative = !own.0[4].shr::<45>().zeros();
    let words = own.select(negative, &opposite).pack();
    let order = Vector::load(ifma, &PLACE.map(|place| place as u64));
    let words = unrolled!(4, i => words[i].permuted(order));
    let in_order = |signs: u8| {
        let sign = |all, (lane, place): (usize, &usize)| all | (signs >> place & 1) << lane;
        PLACE.iter().enumerate().fold(0, sign)
    };
    (words, in_order(negative))
}

/// [`Integers::digits`].
pub(crate) fn digits<F: PrimeField>(
    prime: Prime<F>,
    scalars: &Integers,
    window: (&Windows, usize),
    range: &Range<usize>,
    digits: &mut Vec<u32>,
) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { digits_here(prime, scalars, window, range, digits) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn digits_here<F: PrimeField>(
    prime: Prime<F>,
    scalars: &Integers,
    (windows, window): (&Windows, usize),
    range: &Range<usize>,
    digits: &mut Vec<u32>,
) {
    match scalars {
        Integers::Narrow(_) => scalars.digits((windows, window), range, digits),
        Integers::Wide(octets) | Integers::Halved(octets) => {
            let octets = &octets[range.start / 8..range.end.div_ceil(8)];
            digits.clear();
            digits.resize(8 * octets.len(), 0);
            let all = digits.as_chunks_mut::<8>().0.iter_mut();
            octet_digits(prime.ifma, windows.place(window), octets, all);
            digits.truncate(range.len());
        }
    }
}

/// The digits at a place, an octet at a time.
#[inline(always)]
fn octet_digits<'a>(
    ifma: Ifma,
    place: Place,
    octets: &[Octet],
    digits: impl Iterator<Item = &'a mut [u32; 8]>,
) {
    let splat = |word| Vector::splat(ifma, word);
    let (zero, sign) = (splat(0), splat(u64::from(NEGATED)));
    let (shift, mask) = (splat(u64::from(place.shift)), splat(place.mask));
    let bias = splat(place.bias.cast_unsigned());
    for (digits, octet) in digits.zip(octets) {
        let low = Vector::load(ifma, &octet.words[place.word]);
        let high = octet.words.get(place.word + 1);
        let high = high.map_or(zero, |words| Vector::load(ifma, words));
        let digit = low.funnel_by(high, shift).and(mask).sub(bias);
        let digit = digit.select(octet.negative[place.half], zero.sub(digit));
        let sign = zero.select(digit.negative(), sign);
        digit.magnitudes().or(sign).store_low_halves(digits);
    }
}

//! Integers as integers, eight at a time: out of Montgomery form, as sign and magnitude.

use core::ops::Range;

use ff::PrimeField;

use super::lanes::{Lanes, reduce};
use super::prime::{Constants, Prime};
use super::rows::{PLACE, Word, read};
use super::vector::{Ifma, Vector};
use crate::affine::NEGATED;
use crate::digits::{Place, Windows};
use crate::integers::{Integers, Octet};

/// Integers as integers, as many, if all are of less than 31 bits: the largest magnitude then.
pub(crate) fn narrow<F: PrimeField>(
    prime: Prime<F>,
    values: &[F],
    narrow: &mut [i32],
) -> Option<u32> {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { narrow_words(prime, prime.words(values), narrow) }
}

/// Adds `2^31` first: what is below `2^32` then was an integer of that size, and below p as all reduced sums are.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn narrow_words<F: PrimeField>(
    prime: Prime<F>,
    values: &[Word],
    narrow: &mut [i32],
) -> Option<u32> {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let half = Vector::splat(ifma, 1 << 31);
    let order = Vector::load(ifma, &PLACE.map(|place| place as u64));
    let (mut beyond, mut largest) = (half.sub(half), half.sub(half));
    for (group, narrow) in values.chunks(8).zip(narrow.chunks_mut(8)) {
        let own = integers(read(ifma, group).0, &k.half_word, k).0;
        let [low, rest @ ..] = own;
        beyond = rest.into_iter().fold(beyond, Vector::or);
        beyond = beyond.or(low.shr::<32>());
        let signed = low.sub(half);
        largest = largest.max(signed.magnitudes());
        let mut words = [0; 8];
        signed.permuted(order).store_low_halves(&mut words);
        for (narrow, word) in narrow.iter_mut().zip(words) {
            *narrow = word.cast_signed();
        }
    }
    let most = largest.words().into_iter().max();
    most.filter(|_| beyond.zeros() == u8::MAX).map(|m| m as u32)
}

/// Integers as magnitudes, eight an octet.
pub(crate) fn octets<F: PrimeField>(prime: Prime<F>, values: &[F], octets: &mut [Octet]) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { octets_words(prime, prime.words(values), octets) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn octets_words<F: PrimeField>(prime: Prime<F>, values: &[Word], octets: &mut [Octet]) {
    for (group, octet) in values.chunks(8).zip(octets) {
        let (words, negative) = magnitudes(prime, group);
        for (to, word) in octet.words.iter_mut().zip(words) {
            word.store(to);
        }
        octet.negative = negative;
    }
}

/// The integers that the sums of stored elements below p and `more`, 16-fold limbs of another one, stand for. At most p, and
/// p only for a sum of p: `16 (a + b) 2^-260` is below one, and a multiple of p below p is added.
#[inline(always)]
fn integers(limbs: [Vector; 5], more: &[Vector; 5], k: &Constants) -> Lanes {
    let zero = k.mask.sub(k.mask);
    let start = unrolled!(5, i => limbs[i].shl::<4>().add(more[i]).add(k.mask));
    let [t0, t1, t2, t3, t4] = start;
    reduce([t0, t1, t2, t3, t4, zero, zero, zero, zero, zero], k)
}

/// Up to eight elements in order as words of integers up to half of p, and which of them stand for opposites.
#[inline(always)]
fn magnitudes<F: PrimeField>(prime: Prime<F>, values: &[Word]) -> ([Vector; 4], u8) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let own = integers(read(ifma, values).0, &k.zero(), k);
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
        Integers::Narrow(..) => scalars.digits((windows, window), range, digits),
        Integers::Wide(octets) => {
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
        let digit = digit.select(octet.negative, zero.sub(digit));
        let sign = zero.select(digit.negative(), sign);
        digit.magnitudes().or(sign).store_low_halves(digits);
    }
}

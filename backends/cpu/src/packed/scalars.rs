//! Integers as integers, eight at a time: out of Montgomery form, as sign and magnitude.

use ff::PrimeField;

use super::lanes::Lanes;
use super::prime::Prime;
use super::rows::{PLACE, Word, read};
use super::vector::Vector;
use crate::digits::{Integers, Octet, Windows};

/// Integers as integers, if all are of less than 31 bits.
pub(crate) fn narrow<F: PrimeField>(prime: Prime<F>, values: &[F]) -> Option<Vec<i32>> {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { narrow_words(prime, prime.words(values)) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn narrow_words<F: PrimeField>(prime: Prime<F>, values: &[Word]) -> Option<Vec<i32>> {
    let mut narrow = Vec::new();
    for group in values.chunks(8) {
        let (words, negative) = integers(prime, group);
        let [low, rest @ ..] = words;
        let large = low.shr::<31>().or(rest[0]).or(rest[1]).or(rest[2]);
        if large.zeros() != u8::MAX {
            return None;
        }
        if narrow.is_empty() {
            narrow.reserve_exact(values.len());
        }
        let low = low.words();
        let mut signed = [0; 8];
        for (lane, signed) in signed.iter_mut().enumerate() {
            let magnitude = low[lane] as i32;
            let is_negative = negative >> lane & 1 != 0;
            *signed = if is_negative { -magnitude } else { magnitude };
        }
        narrow.extend_from_slice(&signed[..group.len()]);
    }
    Some(narrow)
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
        octet.negative = negative;
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
    digits: &mut Vec<u32>,
) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { digits_here(prime, scalars, window, digits) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn digits_here<F: PrimeField>(
    _: Prime<F>,
    scalars: &Integers,
    (windows, window): (&Windows, usize),
    digits: &mut Vec<u32>,
) {
    scalars.digits(windows, window, digits);
}

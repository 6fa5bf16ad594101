//! Integers as integers, eight at a time: out of Montgomery form, as sign and magnitude.

use core::ops::Range;

use ff::PrimeField;

use super::lanes::{Lanes, reduce};
use super::prime::{Constants, Prime};
use super::rows::{PLACE, Word, load, read};
use super::vector::{Ifma, NEAR, Vector, fetch_at};
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

/// With `p = 2^254 + t` a stored v is `v 2^256 = -4 t v` modulo p: a small one is told without a reduction. Its magnitude is in the low bits
/// of `4 t |v|`, t being 1 modulo 2^32, and that product is compared in full.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn narrow_words<F: PrimeField>(
    prime: Prime<F>,
    values: &[Word],
    narrow: &mut [i32],
) -> Option<u32> {
    let (octets, rest) = values.as_chunks::<8>();
    let (narrow, narrow_rest) = narrow[..values.len()].as_chunks_mut::<8>();
    let mut small = Small::new(prime);
    for (octet, narrow) in octets.iter().zip(narrow) {
        fetch_ahead(octet);
        small.tell(octet, narrow);
    }
    if !rest.is_empty() {
        let (mut padded, mut told) = ([[0; 4]; 8], [0; 8]);
        padded[..rest.len()].copy_from_slice(rest);
        small.tell(&padded, &mut told);
        narrow_rest.copy_from_slice(&told[..rest.len()]);
    }
    small.largest()
}

/// Up to eight integers as integers, if they are of less than 31 bits and of at most so large a magnitude: a bit for each of these, others become zero.
pub(crate) fn narrow_some<F: PrimeField>(
    prime: Prime<F>,
    values: &[F],
    most: u32,
    narrow: &mut [i32],
) -> u8 {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { narrow_some_words(prime, prime.words(values), most, narrow) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn narrow_some_words<F: PrimeField>(
    prime: Prime<F>,
    values: &[Word],
    most: u32,
    narrow: &mut [i32],
) -> u8 {
    let (mut padded, mut all) = ([[0; 4]; 8], [0; 8]);
    padded[..values.len()].copy_from_slice(values);
    let mut small = Small::new(prime);
    small.tell(&padded, &mut all);
    let lanes = small.of_at_most(most.min(i32::MAX as u32));
    let mut fit = 0;
    for (i, (to, own)) in narrow.iter_mut().zip(all).take(values.len()).enumerate() {
        let own_fits = lanes >> PLACE[i] & 1 != 0;
        fit |= u8::from(own_fits) << i;
        *to = if own_fits { own } else { 0 };
    }
    fit
}

/// Elements that are told as integers, eight at a time, and what all of them have in common.
struct Small {
    ifma: Ifma,
    k: &'static Constants,
    order: Vector,
    half: Vector,
    /// What differs from the multiples of `4 t`, in four limbs and in the highest one.
    low: Vector,
    high: Vector,
    largest: Vector,
}

impl Small {
    #[inline(always)]
    fn new<F: PrimeField>(prime: Prime<F>) -> Self {
        let (k, ifma) = (prime.constants(), prime.ifma);
        let zero = k.mask.sub(k.mask);
        Self {
            ifma,
            k,
            order: Vector::load(ifma, &PLACE.map(|place| place as u64)),
            half: Vector::splat(ifma, u32::MAX.into()),
            low: zero,
            high: zero,
            largest: zero,
        }
    }

    #[inline(always)]
    fn tell(&mut self, values: &[Word; 8], narrow: &mut [i32; 8]) {
        let k = self.k;
        let [t0, t1, t2] = k.four_t;
        let zero = k.mask.sub(k.mask);
        let own = load(self.ifma, values).0;
        // What stands for a negative integer is below 2^208, and zero is.
        let positive = !own[4].zeros();
        let own = unrolled!(5, i => own[i].subtracted_from(positive, k.p[i]));
        let magnitude = own[0].shr::<2>().and(self.half);
        let x0 = own[0].sub(zero.low(magnitude, t0));
        let x1 = own[1].sub(zero.high(magnitude, t0).low(magnitude, t1));
        let x2 = own[2].sub(zero.high(magnitude, t1).low(magnitude, t2));
        let x3 = own[3].sub(zero.high(magnitude, t2));
        let x1 = x1.add(x0.sar::<52>());
        let x2 = x2.add(x1.sar::<52>());
        let x3 = x3.add(x2.sar::<52>());
        self.low = self.low.or(x0).or(x1).or(x2).or(x3);
        self.high = self.high.or(own[4].add(x3.sar::<52>()));
        self.largest = self.largest.max(magnitude);
        let signed = magnitude.subtracted_from(!positive, zero);
        signed.permuted(self.order).store_low_integers(narrow);
    }

    /// The lanes in which all were integers of at most so large a magnitude.
    #[inline(always)]
    fn of_at_most(&self, most: u32) -> u8 {
        let equal = self.low.and(self.k.mask).or(self.high).zeros();
        let over = Vector::splat(self.ifma, most.into()).sub(self.largest);
        equal & over.sar::<63>().zeros()
    }

    /// The largest magnitude, if all are of less than 31 bits.
    #[inline(always)]
    fn largest(&self) -> Option<u32> {
        let equal = self.low.and(self.k.mask).or(self.high).zeros() == u8::MAX;
        let most = self.largest.words().into_iter().max();
        most.filter(|most| equal && most >> 31 == 0)
            .map(|most| most as u32)
    }
}

/// Elements ahead of which those to come are asked for: the processor's own fetching ends with every page.
const AHEAD: usize = 128;

/// Asks for the lines of eight elements some way beyond these.
#[inline(always)]
fn fetch_ahead(group: &[Word]) {
    let ahead = group.as_ptr().wrapping_add(AHEAD);
    unrolled!(4, i => fetch_at::<NEAR>(ahead.wrapping_add(2 * i).cast()));
}

/// Integers as magnitudes, eight an octet.
pub(crate) fn octets<F: PrimeField>(prime: Prime<F>, values: &[F], octets: &mut [Octet]) {
    // SAFETY: `prime` holds an `Ifma`, which proves the features.
    unsafe { octets_words(prime, prime.words(values), octets) }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2,avx512dq")]
fn octets_words<F: PrimeField>(prime: Prime<F>, values: &[Word], octets: &mut [Octet]) {
    for (group, octet) in values.chunks(8).zip(octets) {
        fetch_ahead(group);
        let (words, negative) = magnitudes(prime, group);
        for (to, word) in octet.words.iter_mut().zip(words) {
            word.store(to);
        }
        octet.negative = negative;
    }
}

/// The integers that stored elements below p stand for: `16 a 2^-260` is below one, and a multiple of p below p is added.
#[inline(always)]
fn integers(limbs: [Vector; 5], k: &Constants) -> Lanes {
    let zero = k.mask.sub(k.mask);
    let start = unrolled!(5, i => limbs[i].shl::<4>().add(k.mask));
    let [t0, t1, t2, t3, t4] = start;
    reduce([t0, t1, t2, t3, t4, zero, zero, zero, zero, zero], k)
}

/// Up to eight elements in order as words of integers up to half of p, and which of them stand for opposites.
#[inline(always)]
fn magnitudes<F: PrimeField>(prime: Prime<F>, values: &[Word]) -> ([Vector; 4], u8) {
    let (k, ifma) = (prime.constants(), prime.ifma);
    let own = integers(read(ifma, values).0, k);
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

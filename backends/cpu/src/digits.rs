//! Integers as signed digits.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};

use zkernel_backend::Field;

use crate::affine::NEGATED;
use crate::halves::{HALF_BITS, Lattice};
use crate::kernels;
use crate::level::Level;
use crate::parallel;

/// Bits of the largest magnitude: a scalar or its opposite is below 2^253 and a little.
pub(crate) const MAGNITUDE_BITS: u32 = 254;

/// A scalar as sign and magnitude below 2^254.
#[derive(Clone, Copy)]
pub(crate) struct Magnitude {
    negative: bool,
    limbs: [u64; 4],
}

impl Magnitude {
    #[cfg(test)]
    pub(crate) const fn new(negative: bool, limbs: [u64; 4]) -> Self {
        Self { negative, limbs }
    }

    pub(crate) fn small(value: i64) -> Self {
        Self {
            negative: value < 0,
            limbs: [value.unsigned_abs(), 0, 0, 0],
        }
    }

    pub(crate) fn full<F: Field>(value: &F) -> Self {
        let own = limbs(value);
        let negative = own[3] >> 61 != 0;
        let limbs = if negative { limbs(&-*value) } else { own };
        Self { negative, limbs }
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.limbs == [0; 4]
    }

    pub(crate) fn bits(&self) -> u32 {
        let top = self.limbs.iter().rposition(|l| *l != 0);
        top.map_or(0, |i| 64 * (i as u32 + 1) - self.limbs[i].leading_zeros())
    }
}

/// Signed digits in `[-2^(w-1), 2^(w-1)]` of magnitudes up to some bits, each to be had without the ones below it.
///
/// To a magnitude `2^(w-1)` is added in every window but the last; then a digit is the window less that.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    width: u32,
    count: usize,
    /// Of the halves of magnitudes, each with as many windows.
    halves: bool,
    bias: [u64; 4],
}

impl Windows {
    /// Windows of `width` bits, at most 32, for magnitudes below `2^bits`, `bits` at most [`MAGNITUDE_BITS`].
    pub(crate) fn new(bits: u32, width: u32) -> Self {
        let count = windows(bits, width);
        let mut bias = [0; 4];
        for window in 1..count as u32 {
            let position = window * width - 1;
            bias[(position / 64) as usize] |= 1 << (position % 64);
        }
        let halves = false;
        Self {
            width,
            count,
            halves,
            bias,
        }
    }

    /// Windows of `width` bits for both halves of scalars.
    pub(crate) fn of_halves(width: u32) -> Self {
        let own = Self::new(HALF_BITS, width);
        let [low, high, ..] = own.bias;
        Self {
            halves: true,
            bias: [low, high, low, high],
            ..own
        }
    }

    /// Whether there is a second half, whose windows are counted on after those of the first.
    pub(crate) const fn halves(&self) -> bool {
        self.halves
    }

    /// Windows of a magnitude, or of each of its halves.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    pub(crate) const fn width(&self) -> u32 {
        self.width
    }

    /// Largest digit.
    pub(crate) const fn buckets(&self) -> usize {
        1 << (self.width - 1)
    }

    /// Buckets of a window, of both halves if there are two.
    pub(crate) const fn all_buckets(&self) -> usize {
        self.buckets() << self.halves as u32
    }

    /// Visits `(window, negative, magnitude)` of the digits that are not zero.
    #[inline]
    pub(crate) fn each(&self, magnitude: &Magnitude, mut visit: impl FnMut(usize, bool, u32)) {
        let mut limbs = magnitude.limbs;
        let mut carry = false;
        for (limb, bias) in limbs.iter_mut().zip(self.bias) {
            (*limb, carry) = limb.carrying_add(bias, carry);
        }
        for window in 0..self.count {
            let place = self.place(window);
            let words = [limbs[place.word], *limbs.get(place.word + 1).unwrap_or(&0)];
            let digit = place.digit(words, magnitude.negative);
            if digit != 0 {
                visit(window, digit & NEGATED != 0, digit & !NEGATED);
            }
        }
    }
}

/// Eight magnitudes, word by word, and their signs as bits; or their halves, of two words and a sign each.
#[derive(Clone, Copy, Default)]
pub(crate) struct Octet {
    pub(crate) words: [[u64; 8]; 4],
    pub(crate) negative: [u8; 2],
}

impl Octet {
    /// Of up to eight magnitudes.
    pub(crate) fn new(magnitudes: &[Magnitude]) -> Self {
        let mut octet = Self::default();
        for (lane, magnitude) in magnitudes.iter().enumerate() {
            octet.negative[0] |= u8::from(magnitude.negative) << lane;
            for (words, limb) in octet.words.iter_mut().zip(magnitude.limbs) {
                words[lane] = limb;
            }
        }
        octet
    }

    /// Magnitudes as halves, in place.
    pub(crate) fn halve(&mut self, lattice: &Lattice) {
        let mut halved = Self::default();
        for lane in 0..8 {
            let negative = self.negative[0] >> lane & 1 != 0;
            let halves = lattice.halves(&self.words.map(|words| words[lane]));
            for (half, (sign, magnitude)) in halves.into_iter().enumerate() {
                halved.negative[half] |= u8::from(sign != negative) << lane;
                halved.words[2 * half][lane] = magnitude as u64;
                halved.words[2 * half + 1][lane] = (magnitude >> 64) as u64;
            }
        }
        *self = halved;
    }

    /// The bits of any of them.
    fn union(&self, union: &mut [u64; 4]) {
        for (union, words) in union.iter_mut().zip(&self.words) {
            *union |= words.iter().fold(0, |all, word| all | word);
        }
    }
}

/// Integers to be cut into digits many at a time.
pub(crate) enum Integers {
    /// Of less than 31 bits.
    Narrow(Vec<i32>),
    /// Of any size, the last octet padded with zeros.
    Wide(Vec<Octet>),
    /// The halves of those.
    Halved(Vec<Octet>),
}

/// Octets made by a thread at a time.
const OCTETS_TOGETHER: usize = 128;

impl Integers {
    pub(crate) fn new<F: Field>(level: Level, values: &[F]) -> Self {
        if let Some(narrow) = narrow(level, values) {
            return Self::Narrow(narrow);
        }
        let mut octets = vec![Octet::default(); values.len().div_ceil(8)];
        let parts = octets.chunks_mut(OCTETS_TOGETHER);
        parallel::each(
            parts.zip(values.chunks(8 * OCTETS_TOGETHER)),
            |(octets, values)| kernels::octets(level, values, octets),
        );
        Self::Wide(octets)
    }

    pub(crate) fn of_magnitudes(magnitudes: &[Magnitude]) -> Self {
        let octets = magnitudes.chunks(8).map(Octet::new).collect();
        Self::Wide(octets)
    }

    /// Magnitudes of any size as their halves.
    pub(crate) fn halved<F: Field>(self, level: Level) -> Self {
        let Self::Wide(mut octets) = self else {
            return self;
        };
        parallel::each(octets.chunks_mut(OCTETS_TOGETHER), |octets| {
            kernels::halve::<F>(level, octets);
        });
        Self::Halved(octets)
    }

    /// Bits of the largest magnitude.
    pub(crate) fn bits(&self) -> u32 {
        let limbs = match self {
            Self::Narrow(_) => [self.largest(), 0, 0, 0],
            Self::Wide(octets) => {
                let mut union = [0; 4];
                octets.iter().for_each(|octet| octet.union(&mut union));
                union
            }
            Self::Halved(_) => return HALF_BITS,
        };
        let negative = false;
        Magnitude { negative, limbs }.bits()
    }

    /// The least number of bits with magnitudes up to `2^bits`: those of a window that holds all as single digits.
    pub(crate) fn digit_bits(&self) -> u32 {
        match self {
            Self::Narrow(_) => u64::BITS - self.largest().saturating_sub(1).leading_zeros(),
            Self::Wide(_) | Self::Halved(_) => self.bits(),
        }
    }

    /// The largest magnitude of narrow scalars.
    fn largest(&self) -> u64 {
        match self {
            Self::Narrow(values) => {
                let largest = |most: u32, value: &i32| most.max(value.unsigned_abs());
                u64::from(values.iter().fold(0, largest))
            }
            Self::Wide(_) | Self::Halved(_) => u64::MAX,
        }
    }

    /// Adds the bias of the windows, once, so that digits can be had.
    pub(crate) fn bias(&mut self, windows: &Windows) {
        if let Self::Wide(octets) | Self::Halved(octets) = self {
            parallel::each(octets.chunks_mut(OCTETS_TOGETHER), |octets| {
                octets.iter_mut().for_each(|octet| octet.add(windows.bias));
            });
        }
    }

    /// The digits of a window of biased scalars as references to buckets, from 1: [`NEGATED`] ones negated, 0 for none. Those
    /// of a range, which starts with an octet.
    #[inline(always)]
    pub(crate) fn digits(
        &self,
        (windows, window): (&Windows, usize),
        range: &Range<usize>,
        digits: &mut Vec<u32>,
    ) {
        debug_assert!(range.start.is_multiple_of(8));
        let place = windows.place(window);
        digits.clear();
        match self {
            Self::Narrow(values) => digits.extend(values[range.clone()].iter().map(|value| {
                let sum = u64::from(value.unsigned_abs()) + windows.bias[0];
                place.digit([sum, 0], *value < 0)
            })),
            Self::Wide(octets) | Self::Halved(octets) => {
                let octets = &octets[range.start / 8..range.end.div_ceil(8)];
                digits.resize(8 * octets.len(), 0);
                let all = digits.as_chunks_mut::<8>().0.iter_mut();
                for (digits, octet) in all.zip(octets) {
                    let low = &octet.words[place.word];
                    let high = octet.words.get(place.word + 1).unwrap_or(&[0; 8]);
                    let signs = octet.negative[place.half];
                    for (lane, digit) in digits.iter_mut().enumerate() {
                        let negative = signs >> lane & 1 != 0;
                        *digit = place.digit([low[lane], high[lane]], negative);
                    }
                }
                digits.truncate(range.len());
            }
        }
    }
}

impl Octet {
    /// Adds the same number to every magnitude.
    fn add(&mut self, number: [u64; 4]) {
        let mut carry = [0; 8];
        for (words, number) in self.words.iter_mut().zip(number) {
            for (word, carry) in words.iter_mut().zip(&mut carry) {
                let sum = word.wrapping_add(number);
                let next = u64::from(sum < number);
                *word = sum.wrapping_add(*carry);
                *carry = next | u64::from(*word < sum);
            }
        }
    }
}

/// Where the bits of a window are.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) half: usize,
    pub(crate) word: usize,
    pub(crate) shift: u32,
    pub(crate) mask: u64,
    /// What was added to them.
    pub(crate) bias: i64,
}

impl Place {
    /// The digit in two words: magnitude, and [`NEGATED`] if it or the scalar is negative, but not both.
    #[inline(always)]
    fn digit(&self, [low, high]: [u64; 2], negative: bool) -> u32 {
        let raw = ((low >> self.shift | high << 1 << (63 - self.shift)) & self.mask) as i64;
        let digit = (raw - self.bias) as i32;
        let digit = if negative { -digit } else { digit };
        digit.unsigned_abs() | (digit.cast_unsigned() & NEGATED)
    }
}

impl Windows {
    /// Where a window is.
    pub(crate) const fn place(&self, window: usize) -> Place {
        let (half, window) = match window.checked_sub(self.count) {
            Some(window) => (1, window),
            None => (0, window),
        };
        let position = window as u32 * self.width;
        let last = window + 1 == self.count;
        // What follows the last window of the first half is the second.
        let width = if self.halves && self.width > 128 - position {
            128 - position
        } else {
            self.width
        };
        Place {
            half,
            word: 2 * half + (position / 64) as usize,
            shift: position % 64,
            mask: (1 << width) - 1,
            bias: if last { 0 } else { 1 << (self.width - 1) },
        }
    }
}

/// Windows that a magnitude of so many bits needs in signed digits.
pub(crate) const fn windows(bits: u32, width: u32) -> usize {
    (bits / width + 1) as usize
}

/// Integers as they are, if all are of less than 31 bits: mostly the first few tell.
fn narrow<F: Field>(level: Level, values: &[F]) -> Option<Vec<i32>> {
    let first = &values[..values.len().min(8)];
    if !kernels::narrow(level, first, &mut [0; 8]) {
        return None;
    }
    let (mut narrow, all) = (vec![0; values.len()], AtomicBool::new(true));
    let parts = narrow.chunks_mut(8 * OCTETS_TOGETHER);
    parallel::each(
        parts.zip(values.chunks(8 * OCTETS_TOGETHER)),
        |(narrow, values)| {
            if !kernels::narrow(level, values, narrow) {
                all.store(false, Ordering::Relaxed);
            }
        },
    );
    all.into_inner().then_some(narrow)
}

/// The canonical words of an element.
fn limbs<F: Field>(value: &F) -> [u64; 4] {
    let bytes = value.to_repr();
    let (words, _) = bytes.as_chunks::<8>();
    core::array::from_fn(|i| u64::from_le_bytes(words[i]))
}

#[cfg(test)]
mod tests {
    use ff::{Field as _, PrimeField as _};
    use pasta_curves::{Fp, Fq};
    use proptest::prelude::*;
    use zkernel_verifier::curve::signed;

    use super::*;

    /// The scalars that the digits of both levels stand for.
    fn round_trip<F: Field>(values: &[F], width: u32) {
        for level in [Level::PORTABLE, Level::detect()] {
            let mut integers = Integers::new(level, values);
            let windows = Windows::new(integers.bits(), width);
            integers.bias(&windows);
            let (mut sums, mut digits) = (vec![F::ZERO; values.len()], Vec::new());
            for window in (0..windows.count()).rev() {
                let all = 0..values.len();
                kernels::digits::<F>(level, &integers, (&windows, window), &all, &mut digits);
                assert_eq!(digits.len(), values.len());
                for (sum, digit) in sums.iter_mut().zip(&digits) {
                    let magnitude = F::from(u64::from(digit & !NEGATED));
                    assert!(digit & !NEGATED <= windows.buckets() as u32);
                    let digit = if digit & NEGATED == 0 {
                        magnitude
                    } else {
                        -magnitude
                    };
                    *sum = *sum * F::from(1 << width) + digit;
                }
            }
            assert_eq!(sums, values);
            for value in values {
                let windows = Windows::new(MAGNITUDE_BITS, width);
                let mut sum = F::ZERO;
                windows.each(&Magnitude::full(value), |window, negative, magnitude| {
                    let digit = if negative {
                        -F::from(u64::from(magnitude))
                    } else {
                        F::from(u64::from(magnitude))
                    };
                    sum += digit * F::from(2).pow_vartime([u64::from(width) * window as u64]);
                });
                assert_eq!(sum, *value);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn digits_stand_for_scalars(wide in prop::collection::vec(any::<[u8; 32]>(), 0..20), width in 2u32..18) {
            let full = |bytes: &[u8; 32]| {
                let mut uniform = [0; 64];
                uniform[..32].copy_from_slice(bytes);
                uniform
            };
            let edges = [Fp::ZERO, Fp::ONE, -Fp::ONE, Fp::TWO_INV, -Fp::TWO_INV];
            let fp = |bytes: &[u8; 32]| <Fp as ff::FromUniformBytes<64>>::from_uniform_bytes(&full(bytes));
            round_trip(&wide.iter().map(fp).chain(edges).collect::<Vec<Fp>>(), width);
            let fq = |bytes: &[u8; 32]| <Fq as ff::FromUniformBytes<64>>::from_uniform_bytes(&full(bytes));
            round_trip(&wide.iter().map(fq).collect::<Vec<Fq>>(), width);
        }

        #[test]
        fn digits_stand_for_integers(values in prop::collection::vec(any::<i32>(), 0..30), shift in 0u32..32, width in 2u32..18) {
            let small: Vec<Fp> = values.iter().map(|v| signed(i64::from(v >> shift))).collect();
            round_trip(&small, width);
        }
    }
}

//! Many integers at a time, to be cut into digits.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use zkernel_backend::Field;

use crate::affine::NEGATED;
use crate::digits::{Magnitude, Windows};
use crate::halves::Lattice;
use crate::kernels;
use crate::level::Level;
use crate::parallel;

/// Eight magnitudes, word by word, and their signs as bits; or their halves, two words each with their signs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Octet {
    pub(crate) words: [[u64; 8]; 4],
    pub(crate) negative: u8,
}

impl Octet {
    /// Of up to eight magnitudes.
    pub(crate) fn new(magnitudes: &[Magnitude]) -> Self {
        let mut octet = Self::default();
        for (lane, magnitude) in magnitudes.iter().enumerate() {
            octet.negative |= u8::from(magnitude.negative) << lane;
            for (words, limb) in octet.words.iter_mut().zip(magnitude.limbs) {
                words[lane] = limb;
            }
        }
        octet
    }

    /// Magnitudes as halves, in place.
    pub(crate) fn halve(&mut self, lattice: &Lattice) {
        for lane in 0..8 {
            let magnitude = self.words.map(|words| words[lane]);
            let negative = self.negative >> lane & 1 != 0;
            let halves = lattice.halves(&magnitude);
            for (half, value) in halves.into_iter().enumerate() {
                let value = if negative { -value } else { value };
                self.words[2 * half][lane] = value as u64;
                self.words[2 * half + 1][lane] = (value >> 64) as u64;
            }
        }
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
    /// Of less than 31 bits, and the largest magnitude.
    Narrow(Vec<i32>, u32),
    /// Of any size, the last octet padded with zeros.
    Wide(Vec<Octet>),
}

/// Octets made by a thread at a time.
const OCTETS_TOGETHER: usize = 128;

impl Integers {
    pub(crate) fn new<F: Field>(level: Level, values: &[F]) -> Self {
        if let Some((narrow, largest)) = narrow(level, values) {
            return Self::Narrow(narrow, largest);
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

    /// Magnitudes, eight by eight.
    pub(crate) fn octets(self) -> Vec<Octet> {
        match self {
            Self::Narrow(values, _) => {
                let magnitude = |value: &i32| Magnitude::small(i64::from(*value));
                let own = |values: &[i32]| values.iter().map(magnitude).collect::<Vec<_>>();
                values
                    .chunks(8)
                    .map(|values| Octet::new(&own(values)))
                    .collect()
            }
            Self::Wide(octets) => octets,
        }
    }

    /// Bits of the largest magnitude.
    pub(crate) fn bits(&self) -> u32 {
        let limbs = match self {
            Self::Narrow(_, largest) => [u64::from(*largest), 0, 0, 0],
            Self::Wide(octets) => {
                let mut union = [0; 4];
                octets.iter().for_each(|octet| octet.union(&mut union));
                union
            }
        };
        let negative = false;
        Magnitude { negative, limbs }.bits()
    }

    /// The least number of bits with magnitudes up to `2^bits`: those of a window that holds all as single digits.
    pub(crate) fn digit_bits(&self) -> u32 {
        match self {
            Self::Narrow(_, largest) => digit_bits(*largest),
            Self::Wide(_) => self.bits(),
        }
    }

    /// Those of some other scalars in place of narrow ones. What is larger than given is zero, and the caller gets its place.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn replace<F: Field>(
        &mut self,
        level: Level,
        values: &[F],
        most: u32,
        mut larger: impl FnMut(usize),
    ) {
        let Self::Narrow(narrow, largest) = self else {
            return;
        };
        *largest = most;
        narrow.resize(values.len(), 0);
        if kernels::narrow(level, values, narrow).is_some_and(|own| own <= most) {
            return;
        }
        for (start, (values, narrow)) in values.chunks(8).zip(narrow.chunks_mut(8)).enumerate() {
            let fit = kernels::narrow_some(level, values, most, narrow);
            let others = (0..values.len()).filter(|i| fit >> i & 1 == 0);
            others.for_each(|i| larger(8 * start + i));
        }
    }

    /// Adds the bias of the windows, once, so that digits can be had.
    pub(crate) fn bias(&mut self, windows: &Windows) {
        if let Self::Wide(octets) = self {
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
            // Those of the only window are the integers.
            Self::Narrow(values, _) if windows.count() == 1 => {
                let digit = |value: &i32| value.unsigned_abs() | (value.cast_unsigned() & NEGATED);
                digits.extend(values[range.clone()].iter().map(digit));
            }
            Self::Narrow(values, _) => digits.extend(values[range.clone()].iter().map(|value| {
                let sum = u64::from(value.unsigned_abs()) + windows.bias[0];
                place.digit([sum, 0], *value < 0)
            })),
            Self::Wide(octets) => {
                let octets = &octets[range.start / 8..range.end.div_ceil(8)];
                digits.resize(8 * octets.len(), 0);
                let all = digits.as_chunks_mut::<8>().0.iter_mut();
                for (digits, octet) in all.zip(octets) {
                    let low = &octet.words[place.word];
                    let high = octet.words.get(place.word + 1).unwrap_or(&[0; 8]);
                    let signs = octet.negative;
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

/// The least number of bits with a magnitude up to `2^bits`.
pub(crate) const fn digit_bits(largest: u32) -> u32 {
    u32::BITS - largest.saturating_sub(1).leading_zeros()
}

/// Integers as they are and the largest magnitude, if all are of less than 31 bits: mostly the first few tell.
fn narrow<F: Field>(level: Level, values: &[F]) -> Option<(Vec<i32>, u32)> {
    let first = &values[..values.len().min(8)];
    kernels::narrow(level, first, &mut [0; 8])?;
    let (mut narrow, most, all) = (
        vec![0; values.len()],
        AtomicU32::new(0),
        AtomicBool::new(true),
    );
    let parts = narrow.chunks_mut(8 * OCTETS_TOGETHER);
    parallel::each(
        parts.zip(values.chunks(8 * OCTETS_TOGETHER)),
        |(narrow, values)| {
            if !all.load(Ordering::Relaxed) {
                return;
            }
            match kernels::narrow(level, values, narrow) {
                Some(largest) => _ = most.fetch_max(largest, Ordering::Relaxed),
                None => all.store(false, Ordering::Relaxed),
            }
        },
    );
    all.into_inner().then_some((narrow, most.into_inner()))
}

#[cfg(test)]
mod tests {
    use ff::{Field as _, PrimeField as _};
    use pasta_curves::{Fp, Fq};
    use proptest::prelude::*;
    use zkernel_verifier::curve::signed;

    use super::*;
    use crate::affine::NEGATED;
    use crate::digits::MAGNITUDE_BITS;

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

    /// Narrow up to 31 bits, whatever stands beside it; the largest magnitude is known.
    #[test]
    fn narrow_is_what_has_less_than_31_bits() {
        fn check<F: Field>() {
            let edges = [
                0,
                1,
                127,
                128,
                (1 << 31) - 1,
                1 << 31,
                (1 << 31) + 1,
                (1 << 32) - 1,
                1 << 32,
                (1 << 52) - 1,
                1 << 52,
                i64::MAX,
            ];
            let wide = [F::TWO_INV, F::DELTA, F::ROOT_OF_UNITY];
            let own = edges.iter().flat_map(|edge| [*edge, -edge]);
            let own = own.map(|edge| (signed::<F>(edge), Some(edge)));
            let own = own.chain(wide.map(|value| (value, None)));
            for (value, edge) in own {
                for position in [0, 3, 7, 8, 20] {
                    let mut values = vec![F::ONE; 21];
                    values[position] = value;
                    let largest = edge.map(|edge| edge.unsigned_abs().max(1));
                    match Integers::new(Level::detect(), &values) {
                        Integers::Narrow(narrow, most) => {
                            assert_eq!(Some(u64::from(most)), largest);
                            assert_eq!(Some(i64::from(narrow[position])), edge);
                        }
                        _ => assert!(
                            Level::detect() == Level::PORTABLE
                                || largest.is_none_or(|most| most >> 31 != 0)
                        ),
                    }
                }
            }
        }
        check::<Fp>();
        check::<Fq>();
    }

    /// What differs from a small one by a bit of what is stored is another element.
    #[test]
    fn every_bit_of_narrow_ones_counts() {
        fn check<F: Field>() {
            let stored = F::from(2).pow_vartime([256]).invert().unwrap();
            for value in [0, 1, -1, 127, -128, 40_000, -(1 << 30), (1 << 31) - 1] {
                for bit in 0..256 {
                    for sign in [F::ONE, -F::ONE] {
                        let other = F::from(2).pow_vartime([bit]) * stored * sign;
                        let values = [signed::<F>(value) + other; 9];
                        let Integers::Narrow(narrow, _) = Integers::new(Level::detect(), &values)
                        else {
                            continue;
                        };
                        assert!(
                            narrow
                                .iter()
                                .all(|own| signed::<F>(i64::from(*own)) == values[0])
                        );
                    }
                }
            }
        }
        check::<Fp>();
        check::<Fq>();
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

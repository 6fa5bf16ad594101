//! Inner products of 16-bit integers, packed where the processor can.

/// Integers that one step multiplies.
pub(super) const LANES: usize = 16;

/// Inner products of some rows with some others, all of the length of the first, a multiple of [`LANES`]; none of their partial
/// sums may exceed 32 bits.
pub(super) fn dots<const A: usize, const B: usize>(
    a: [&[i16]; A],
    b: [&[i16]; B],
) -> [[i32; B]; A] {
    let steps = a.first().map_or(0, |row| row.len()) / LANES;
    let (a, b) = (a.map(|row| cut(row, steps)), b.map(|row| cut(row, steps)));
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::dots(a, b) };
    }
    portable(a, b)
}

fn cut(row: &[i16], steps: usize) -> &[[i16; LANES]] {
    &row.as_chunks::<LANES>().0[..steps]
}

fn portable<const A: usize, const B: usize>(
    a: [&[[i16; LANES]]; A],
    b: [&[[i16; LANES]]; B],
) -> [[i32; B]; A] {
    let mut sums = [[[0i32; LANES]; B]; A];
    for (a, sums) in a.iter().zip(&mut sums) {
        for (b, sums) in b.iter().zip(sums) {
            for (a, b) in a.iter().zip(*b) {
                for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                    *sum += i32::from(*a) * i32::from(*b);
                }
            }
        }
    }
    sums.map(|row| row.map(|sums| sums.iter().sum()))
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_shuffle_epi32, _mm256_add_epi32,
        _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_madd_epi16,
        _mm256_setzero_si256,
    };

    use super::LANES;

    /// As [`super::dots`], rows of as many steps.
    #[target_feature(enable = "avx2")]
    pub(super) fn dots<const A: usize, const B: usize>(
        a: [&[[i16; LANES]]; A],
        b: [&[[i16; LANES]]; B],
    ) -> [[i32; B]; A] {
        let steps = a.first().map_or(0, |row| row.len());
        let (a, b) = (a.map(|row| &row[..steps]), b.map(|row| &row[..steps]));
        let mut sums = [[_mm256_setzero_si256(); B]; A];
        for step in 0..steps {
            let mut others = [_mm256_setzero_si256(); B];
            for (other, row) in others.iter_mut().zip(&b) {
                *other = loaded(&row[step]);
            }
            for (row, sums) in a.iter().zip(&mut sums) {
                let own = loaded(&row[step]);
                for (sum, other) in sums.iter_mut().zip(others) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(own, other));
                }
            }
        }
        let mut totals = [[0; B]; A];
        let all = totals.as_flattened_mut().iter_mut();
        for (total, sum) in all.zip(sums.as_flattened()) {
            *total = sum_of(*sum);
        }
        totals
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn loaded(x: &[i16; LANES]) -> __m256i {
        // SAFETY: 16 integers of 16 bits are the 256 bits that are read, and no alignment is asked for.
        unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
    }

    /// The sum of the eight integers of a register.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn sum_of(x: __m256i) -> i32 {
        let x = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
        let x = _mm_add_epi32(x, _mm_shuffle_epi32::<0b01_00_11_10>(x));
        _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32::<0b10_11_00_01>(x)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LANES, dots, portable};

    proptest! {
        #[test]
        fn packed_products_are_the_portable_ones(
            values in prop::collection::vec(-5000i16..5000, LANES..6 * LANES * LANES)
        ) {
            let len = values.len() / 6 / LANES * LANES;
            let row = |i: usize| &values[i * len..][..len];
            let (a, b) = ([0, 1, 2, 3].map(row), [4, 5].map(row));
            let chunks = |row: &[i16]| row.as_chunks::<LANES>().0.to_vec();
            let (own, other) = (a.map(chunks), b.map(chunks));
            let expected = portable(own.each_ref().map(Vec::as_slice), other.each_ref().map(Vec::as_slice));
            prop_assert_eq!(dots(a, b), expected);
        }
    }
}

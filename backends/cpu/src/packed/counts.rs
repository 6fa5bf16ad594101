//! How often bytes occur.

use core::arch::x86_64::*;

use super::vector::Ifma;

/// Counts how many of these bytes are each of the first values.
pub(crate) fn count(_: Ifma, bytes: &[u8], counts: &mut [u32]) {
    // SAFETY: `Ifma` proves the features.
    unsafe { count_bytes(bytes, counts) }
}

#[target_feature(enable = "avx512f,avx512bw,popcnt")]
fn count_bytes(bytes: &[u8], counts: &mut [u32]) {
    let (whole, rest) = bytes.as_chunks::<64>();
    let (fours, others) = whole.as_chunks::<4>();
    for (value, count) in (0..=u8::MAX).zip(counts) {
        let own = _mm512_set1_epi8(value.cast_signed());
        let mut sums = [0; 4];
        for bytes in fours {
            sums[0] += equal(&bytes[0], own);
            sums[1] += equal(&bytes[1], own);
            sums[2] += equal(&bytes[2], own);
            sums[3] += equal(&bytes[3], own);
        }
        for bytes in others {
            sums[0] += equal(bytes, own);
        }
        let rest = rest.iter().filter(|byte| **byte == value).count() as u64;
        *count = (sums[0] + sums[1] + sums[2] + sums[3] + rest) as u32;
    }
}

/// How many bytes are the same in both.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,popcnt")]
fn equal(bytes: &[u8; 64], value: __m512i) -> u64 {
    // SAFETY: the reference is valid for 64 bytes and the load may be unaligned.
    let bytes = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
    u64::from(_mm512_cmpeq_epi8_mask(bytes, value).count_ones())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_a_loop() {
        let Some(ifma) = Ifma::new() else { return };
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i * i % 251) as u8).collect();
        for length in [0, 1, 63, 64, 65, 256, 321, 1000] {
            for values in [1, 11, 255, 256] {
                let mut counts = vec![7; values];
                count(ifma, &bytes[..length], &mut counts);
                for (value, count) in counts.iter().enumerate() {
                    let own = bytes[..length]
                        .iter()
                        .filter(|byte| usize::from(**byte) == value);
                    assert_eq!(own.count(), *count as usize, "{length} {value}");
                }
            }
        }
    }
}

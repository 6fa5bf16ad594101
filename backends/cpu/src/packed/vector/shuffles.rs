//! Vectors whose words change places, and transposition.

use core::arch::x86_64::*;

use super::Vector;

impl Vector {
    /// Blocks of two words: `(x_0, x_2, y_0, y_2)` if even, `(x_1, x_3, y_1, y_3)` if odd.
    #[inline(always)]
    pub(crate) fn blocks(self, other: Self) -> (Self, Self) {
        // SAFETY: a `Vector` exists.
        unsafe {
            (
                Self(_mm512_shuffle_i64x2::<0x88>(self.0, other.0)),
                Self(_mm512_shuffle_i64x2::<0xdd>(self.0, other.0)),
            )
        }
    }

    /// Even words and odd words of two vectors, interleaved.
    #[inline(always)]
    pub(crate) fn interleave(self, other: Self) -> (Self, Self) {
        // SAFETY: a `Vector` exists.
        unsafe {
            (
                Self(_mm512_unpacklo_epi64(self.0, other.0)),
                Self(_mm512_unpackhi_epi64(self.0, other.0)),
            )
        }
    }

    /// Blocks of two words in turn: `(x_0, y_0, x_1, y_1)` and `(x_2, y_2, x_3, y_3)`.
    #[inline(always)]
    pub(crate) fn zip_blocks(self, other: Self) -> (Self, Self) {
        // SAFETY: a `Vector` exists.
        unsafe {
            let low = _mm512_shuffle_i64x2::<0x44>(self.0, other.0);
            let high = _mm512_shuffle_i64x2::<0xee>(self.0, other.0);
            (
                Self(_mm512_shuffle_i64x2::<0xd8>(low, low)),
                Self(_mm512_shuffle_i64x2::<0xd8>(high, high)),
            )
        }
    }

    /// Transposes eight rows of eight words.
    #[inline(always)]
    pub(crate) fn transpose(rows: [Self; 8]) -> [Self; 8] {
        let (even, odd) = (Self::transpose_even(rows), Self::transpose_odd(rows));
        unrolled!(8, i => if i % 2 == 0 { even[i / 2] } else { odd[i / 2] })
    }

    /// Words 0, 2, 4 and 6 of all rows.
    #[inline(always)]
    pub(crate) fn transpose_even(rows: [Self; 8]) -> [Self; 4] {
        Self::quarter(unrolled!(4, i => rows[2 * i].interleave(rows[2 * i + 1]).0))
    }

    /// Words 1, 3, 5 and 7 of all rows.
    #[inline(always)]
    pub(crate) fn transpose_odd(rows: [Self; 8]) -> [Self; 4] {
        Self::quarter(unrolled!(4, i => rows[2 * i].interleave(rows[2 * i + 1]).1))
    }

    /// Transposes four rows of four blocks of two words.
    #[inline(always)]
    fn quarter(x: [Self; 4]) -> [Self; 4] {
        let ((s0, s1), (s2, s3)) = (x[0].blocks(x[1]), x[2].blocks(x[3]));
        let ((b0, b2), (b1, b3)) = (s0.blocks(s2), s1.blocks(s3));
        [b0, b1, b2, b3]
    }
}

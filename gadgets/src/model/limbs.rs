//! How values are cut into limbs that lookups bound, low first: as few as possible, as even as possible.

use super::graph::{Graph, Interval};

/// Limbs of `bits` bits together, none longer than `most`.
pub(crate) fn even_limbs(bits: u32, most: u32) -> Vec<u32> {
    let count = bits.div_ceil(most.max(1));
    let even = |i| bits / count + u32::from(i < bits % count);
    (0..count).map(even).collect()
}

/// Bits of values below `span`.
const fn bits_of(span: u64) -> u32 {
    64 - span.leading_zeros()
}

impl Graph {
    /// Bits of each limb of a remainder of `shift` bits.
    #[must_use]
    pub fn limbs(&self, shift: u32) -> Vec<u32> {
        even_limbs(shift, self.limb_bits)
    }

    /// Bits of each limb of an argmax margin over accumulators in `range`.
    #[must_use]
    pub fn margin_limbs(&self, range: Interval) -> Vec<u32> {
        let span = range.max.abs_diff(range.min).saturating_add(1);
        self.limbs(bits_of(span))
    }

    /// Bits of a distance of `n x - position`, which orders `n` values in `range` and, among equal ones, their positions.
    #[must_use]
    pub const fn order_bits(range: Interval, n: usize) -> u32 {
        let span = range.max.abs_diff(range.min).saturating_add(1);
        bits_of(span.saturating_mul(n as u64))
    }

    /// Bits of each limb of a position below `n`.
    #[must_use]
    pub fn position_limbs(&self, n: usize) -> Vec<u32> {
        self.limbs(bits_of(n.saturating_sub(1) as u64))
    }

    /// Bits of each limb of an input less its minimum; none where one table covers the range.
    #[must_use]
    pub fn input_limbs(&self, range: Interval) -> Vec<u32> {
        let bits = bits_of(range.max.abs_diff(range.min));
        if bits <= self.limb_bits {
            return Vec::new();
        }
        self.limbs(bits)
    }

    /// Bits of the limbs of what is left of x beyond the square of `floor(sqrt(x))`, for x in that range.
    #[must_use]
    pub fn root_limbs(&self, range: Interval) -> Vec<u32> {
        self.limbs(bits_of(range.max.max(1).unsigned_abs().isqrt()) + 1)
    }

    /// Bits of the limbs of `floor(numerator / x)` and of its remainder, for x in that range.
    #[must_use]
    pub fn reciprocal_limbs(&self, numerator: i64, range: Interval) -> [Vec<u32>; 2] {
        let largest = numerator / range.min.max(1);
        let value_bits = |value: i64| bits_of(value.unsigned_abs()).max(1);
        [largest, range.max.max(1)].map(|value| self.limbs(value_bits(value)))
    }
}

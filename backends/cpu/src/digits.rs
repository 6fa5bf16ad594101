//! Scalars as signed digits.

use zkernel_backend::Field;

/// Bits of the largest magnitude: a scalar or its opposite is below 2^253 and a little.
pub(crate) const MAGNITUDE_BITS: u32 = 254;

/// A scalar as sign and magnitude below 2^254.
#[derive(Clone, Copy)]
pub(crate) struct Magnitude {
    negative: bool,
    limbs: [u64; 4],
}

impl Magnitude {
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
    bias: [u64; 4],
}

/// A magnitude with the bias of some [`Windows`].
#[derive(Clone, Copy)]
pub(crate) struct Biased(Magnitude);

impl Windows {
    /// Windows of `width` bits, at most 32, for magnitudes below `2^bits`, `bits` at most [`MAGNITUDE_BITS`].
    pub(crate) fn new(bits: u32, width: u32) -> Self {
        let count = windows(bits, width);
        let mut bias = [0; 4];
        for window in 1..count as u32 {
            let position = window * width - 1;
            bias[(position / 64) as usize] |= 1 << (position % 64);
        }
        Self { width, count, bias }
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Largest digit.
    pub(crate) const fn buckets(&self) -> usize {
        1 << (self.width - 1)
    }

    #[inline]
    pub(crate) fn bias(&self, magnitude: &Magnitude) -> Biased {
        let mut limbs = magnitude.limbs;
        let mut carry = false;
        for (limb, bias) in limbs.iter_mut().zip(self.bias) {
            let (sum, first) = limb.overflowing_add(bias);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, first | second);
        }
        let negative = magnitude.negative;
        Biased(Magnitude { negative, limbs })
    }

    /// Sign and magnitude of a digit.
    #[inline]
    pub(crate) fn digit(&self, biased: &Biased, window: usize) -> (bool, u32) {
        let limbs = &biased.0.limbs;
        let position = window as u32 * self.width;
        let (limb, shift) = ((position / 64) as usize, position % 64);
        let low = limbs[limb % 4] >> shift;
        let high = limbs.get(limb + 1).unwrap_or(&0) << 1 << (63 - shift);
        let raw = ((low | high) & ((1 << self.width) - 1)) as i64;
        let biased_by = if window + 1 == self.count {
            0
        } else {
            1 << (self.width - 1)
        };
        let digit = raw - biased_by;
        (
            (digit < 0) != biased.0.negative,
            digit.unsigned_abs() as u32,
        )
    }

    /// Visits `(window, negative, magnitude)` of the digits that are not zero.
    #[inline]
    pub(crate) fn each(&self, magnitude: &Magnitude, mut visit: impl FnMut(usize, bool, u32)) {
        let biased = self.bias(magnitude);
        for window in 0..self.count {
            let (negative, magnitude) = self.digit(&biased, window);
            if magnitude != 0 {
                visit(window, negative, magnitude);
            }
        }
    }
}

/// Windows that a magnitude of so many bits needs in signed digits.
pub(crate) const fn windows(bits: u32, width: u32) -> usize {
    (bits / width + 1) as usize
}

/// The canonical words of an element.
fn limbs<F: Field>(value: &F) -> [u64; 4] {
    let bytes = value.to_repr();
    let (words, _) = bytes.as_chunks::<8>();
    core::array::from_fn(|i| u64::from_le_bytes(words[i]))
}

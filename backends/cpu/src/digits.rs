//! Integers as signed digits.

use zkernel_backend::Field;

use crate::affine::NEGATED;

/// Bits of the largest magnitude: a scalar or its opposite is below 2^253 and a little.
pub(crate) const MAGNITUDE_BITS: u32 = 254;

/// A scalar as sign and magnitude below 2^254.
#[derive(Clone, Copy)]
pub(crate) struct Magnitude {
    pub(crate) negative: bool,
    pub(crate) limbs: [u64; 4],
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

    /// Visits `(position, negative)` of the digits that are not zero of the form without neighbours: a third of all positions up
    /// to one above the highest bit.
    pub(crate) fn each_bit(&self, mut visit: impl FnMut(u32, bool)) {
        // Digit i is the difference of bits i + 1 of three times the magnitude and of itself.
        let (mut shifted, mut carry) = (0, false);
        for (word, limb) in (0..).zip(self.limbs) {
            let double = limb << 1 | shifted;
            shifted = limb >> 63;
            let triple;
            (triple, carry) = limb.carrying_add(double, carry);
            let mut rest = limb ^ triple;
            while rest != 0 {
                let bit = rest.trailing_zeros();
                visit(64 * word + bit - 1, self.negative != (limb >> bit & 1 != 0));
                rest &= rest - 1;
            }
        }
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
    pub(crate) bias: [u64; 4],
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
        Self { width, count, bias }
    }

    /// Windows of a magnitude.
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

/// Where the bits of a window are.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) word: usize,
    pub(crate) shift: u32,
    pub(crate) mask: u64,
    /// What was added to them.
    pub(crate) bias: i64,
}

impl Place {
    /// The digit in two words: magnitude, and [`NEGATED`] if it or the scalar is negative, but not both.
    #[inline(always)]
    pub(crate) fn digit(&self, [low, high]: [u64; 2], negative: bool) -> u32 {
        let raw = ((low >> self.shift | high << 1 << (63 - self.shift)) & self.mask) as i64;
        let digit = (raw - self.bias) as i32;
        let digit = if negative { -digit } else { digit };
        digit.unsigned_abs() | (digit.cast_unsigned() & NEGATED)
    }
}

impl Windows {
    /// Where a window is.
    pub(crate) const fn place(&self, window: usize) -> Place {
        let position = window as u32 * self.width;
        let last = window + 1 == self.count;
        Place {
            word: (position / 64) as usize,
            shift: position % 64,
            mask: (1 << self.width) - 1,
            bias: if last { 0 } else { 1 << (self.width - 1) },
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

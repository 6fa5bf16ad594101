//! Scalars as signed digits.

use zkernel_backend::Field;

/// A scalar as sign and magnitude below 2^255.
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
        let (negated, own) = (limbs(&-*value), limbs(value));
        let negative = negated.iter().rev().lt(own.iter().rev());
        Self {
            negative,
            limbs: if negative { negated } else { own },
        }
    }

    pub(crate) fn bits(&self) -> u32 {
        let top = self.limbs.iter().rposition(|l| *l != 0);
        top.map_or(0, |i| 64 * (i as u32 + 1) - self.limbs[i].leading_zeros())
    }

    /// Visits `(window, negative, magnitude - 1)` of the nonzero digits in `[-2^(w-1), 2^(w-1)]`.
    pub(crate) fn digits(&self, width: u32, mut visit: impl FnMut(usize, bool, u32)) {
        let (bits, half) = (self.bits(), 1u64 << (width - 1));
        let mut carry = 0;
        let mut position = 0;
        let mut window = 0;
        while position < bits || carry != 0 {
            let raw = self.window(position, width) + carry;
            carry = u64::from(raw > half);
            let magnitude = if carry == 1 { (half << 1) - raw } else { raw };
            if magnitude != 0 {
                visit(window, (carry == 1) != self.negative, magnitude as u32 - 1);
            }
            position += width;
            window += 1;
        }
    }

    fn window(&self, position: u32, width: u32) -> u64 {
        let (limb, shift) = ((position / 64) as usize, position % 64);
        let low = self.limbs.get(limb).unwrap_or(&0) >> shift;
        let next = self.limbs.get(limb + 1).unwrap_or(&0);
        let high = next.checked_shl(64 - shift).unwrap_or(0);
        (low | high) & ((1 << width) - 1)
    }
}

fn limbs<F: Field>(value: &F) -> [u64; 4] {
    let bytes = value.to_repr();
    core::array::from_fn(|i| {
        bytes[8 * i..8 * i + 8]
            .iter()
            .rev()
            .fold(0, |limb, byte| limb << 8 | u64::from(*byte))
    })
}

//! Sums of products with one Montgomery reduction for many.

use super::lanes::{Lanes, reduce};
use super::prime::Constants;
use super::vector::Vector;

/// Products of values below p that fit: a column takes at most ten halves of 2^52 a product in 64 bits, and the sum
/// divided by 2^260 stays below `(256 / 64 + 1) p`.
pub(super) const MOST: usize = 256;

/// `sum a_i b_i` of up to [`MOST`] products in columns of 52 bits, not carried.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    low: [Vector; 10],
    high: [Vector; 10],
    count: usize,
}

impl Sums {
    #[inline(always)]
    pub(super) fn new(k: &Constants) -> Self {
        let zero = k.mask.sub(k.mask);
        let mut low = [zero; 10];
        low[..5].fill(k.mask);
        Self {
            low,
            high: [zero; 10],
            count: 0,
        }
    }

    /// Adds `a b`, both below p.
    #[inline(always)]
    pub(super) fn add(&mut self, a: &Lanes, b: &Lanes) {
        for i in 0..5 {
            for j in 0..5 {
                self.low[i + j] = self.low[i + j].low(a.0[i], b.0[j]);
                self.high[i + j + 1] = self.high[i + j + 1].high(a.0[i], b.0[j]);
            }
        }
        self.count += 1;
        debug_assert!(self.count <= MOST);
    }

    /// The sum times `2^-260`, below 5 p.
    #[inline(always)]
    pub(super) fn reduced(&self, k: &Constants) -> Lanes {
        let columns = unrolled!(10, i => self.low[i].add(self.high[i]));
        reduce(columns, k)
    }
}
